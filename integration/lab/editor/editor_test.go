package editor

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// site is as much of WordPress as the editor needs.
type site struct {
	mu       sync.Mutex
	url      string
	posts    []string // by number - 1
	comments []string
	pictures map[string][]byte
	failing  bool // does what it is asked and answers 500
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	route := r.URL.Query().Get("rest_route")
	created := func(v any) {
		if s.failing {
			http.Error(w, "the disk is full", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
		json.NewEncoder(w).Encode(v)
	}
	switch {
	case r.URL.Path == "/wp-login.php":
		w.WriteHeader(http.StatusFound)
	case r.URL.Path == "/wp-admin/admin-ajax.php":
		io.WriteString(w, "nonce")
	case r.URL.Path == "/wp-comments-post.php":
		s.comments = append(s.comments, string(body))
		w.Header().Set("Location", s.url+"/#comment-1")
		w.WriteHeader(http.StatusFound)
	case r.Header.Get("X-WP-Nonce") == "" && route != "":
		w.WriteHeader(http.StatusForbidden)
	case route == "/wp/v2/media":
		name := fmt.Sprintf("/up/%d.png", len(s.pictures))
		s.pictures[name] = body
		created(map[string]any{"id": len(s.pictures), "source_url": s.url + name})
	case route == "/wp/v2/posts" && r.Method == http.MethodPost:
		var p struct{ Title, Content string }
		json.Unmarshal(body, &p)
		s.posts = append(s.posts, p.Content)
		created(map[string]any{"id": len(s.posts)})
	case route == "/wp/v2/posts":
		s.list(w, r, s.posts)
	case route == "/wp/v2/comments":
		s.list(w, r, s.comments)
	case s.pictures[r.URL.Path] != nil:
		w.Write(s.pictures[r.URL.Path])
	default:
		var number int
		fmt.Sscan(r.URL.Query().Get("p"), &number)
		if number > len(s.posts) {
			http.NotFound(w, r)
			return
		}
		if number > 0 {
			io.WriteString(w, s.posts[number-1])
		}
		io.WriteString(w, "</html>")
	}
}

// list answers a hundred at a time.
func (s *site) list(w http.ResponseWriter, r *http.Request, all []string) {
	var from int
	fmt.Sscan(r.URL.Query().Get("offset"), &from)
	w.Header().Set("X-WP-Total", fmt.Sprint(len(all)))
	items := []map[string]any{}
	for _, text := range all[min(len(all), from):min(len(all), from+100)] {
		items = append(items, map[string]any{"content": map[string]string{"rendered": text}})
	}
	json.NewEncoder(w).Encode(items)
}

// written is a site with something in it, and its diary.
func written(t *testing.T) (*site, *Diary) {
	t.Helper()
	s := &site{pictures: map[string][]byte{}}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.url = server.URL
	d := NewDiary(New(server.URL, Account{User: "editor", Password: "secret", Email: "editor@example.org"}))
	if err := d.Login(t.Context()); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		d.post(t.Context(), n%4 == 0)
		for range 30 {
			d.comment(t.Context())
		}
	}
	if posts, pictures, comments, maybes := d.Counts(); posts != 5 || pictures != 2 || comments != 150 || maybes != 0 {
		t.Fatalf("%d posts, %d pictures, %d comments, %d unsure: %v", posts, pictures, comments, maybes, d.Refusals())
	}
	return s, d
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*site, *Diary)
		want  string // in the error, "" for none
	}{
		{"nothing", func(*site, *Diary) {}, ""},
		{"a lost post", func(s *site, _ *Diary) { s.posts[2] = "gone" }, "is there 0 times"},
		{"a lost comment", func(s *site, _ *Diary) { s.comments = s.comments[1:] }, "is there 0 times"},
		{"a comment twice", func(s *site, _ *Diary) { s.comments = append(s.comments, s.comments[0]) }, "is there 2 times"},
		{"a changed picture", func(s *site, _ *Diary) { s.pictures["/up/0.png"] = []byte("other") }, "has changed: 5 bytes"},
		{"a lost picture", func(s *site, _ *Diary) { delete(s.pictures, "/up/1.png") }, "has changed"},
		{"no answer, but written", func(s *site, d *Diary) { s.failing = true; d.post(context.Background(), false) }, ""},
		{"no answer, and written twice", func(s *site, d *Diary) {
			s.failing = true
			d.post(context.Background(), false)
			s.posts = append(s.posts, s.posts[len(s.posts)-1])
		}, "was never acknowledged and is there 2 times"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, d := written(t)
			c.spoil(s, d)
			err := d.Verify(t.Context())
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestVerifyNew(t *testing.T) {
	s, d := written(t)
	if err := d.VerifyNew(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		d.comment(t.Context())
	}
	s.comments[0] = "changed" // found only by Verify
	if err := d.VerifyNew(t.Context()); err != nil {
		t.Error(err)
	}
	if err := d.Verify(t.Context()); err == nil {
		t.Error("Verify did not find a comment that had changed")
	}
	d.comment(t.Context())
	for what, spoil := range map[string]func(){
		"the newest is lost":     func() { s.comments = append(s.comments[:len(s.comments)-1], "gone") },
		"many old ones are lost": func() { s.comments = s.comments[60:] },
		"an old post is lost":    func() { s.posts[0] = "gone" },
	} {
		comments, posts := slices.Clone(s.comments), slices.Clone(s.posts)
		spoil()
		if err := d.VerifyNew(t.Context()); err == nil {
			t.Errorf("VerifyNew finds nothing: %s", what)
		}
		s.comments, s.posts = comments, posts
	}
}

func TestGauge(t *testing.T) {
	began := time.Now()
	var g Gauge
	for _, s := range []int{1, 2, 3, 7, 8} {
		g.at(began.Add(time.Duration(s) * time.Second))
	}
	at := func(s float64) time.Time { return began.Add(time.Duration(s * float64(time.Second))) }
	got := []time.Duration{g.Outage(at(3.5), at(9)), g.Outage(at(7.5), at(8.5)), g.Outage(at(8.5), at(20)), g.Outage(at(0), at(2))}
	for i := range got {
		got[i] = got[i].Round(time.Second)
	}
	if want := []time.Duration{4 * time.Second, time.Second, 12 * time.Second, 4 * time.Second}; !slices.Equal(got, want) {
		t.Errorf("outages %v, want %v", got, want)
	}
	if n := g.Since(at(2.5)); n != 3 {
		t.Errorf("%d since, want 3", n)
	}
}
