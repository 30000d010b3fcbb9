// Package editor is a person who writes a WordPress site, scripted: it installs the
// site, logs in, writes posts with pictures and comments over HTTP as a browser
// would, remembers what was acknowledged, and reads everything back. It knows one
// address and nothing of what is behind it. Suites of integration/lab run it through
// the virtual address while machines die.
//
// [Editor] does one thing at a time for the caller; [Diary] writes at a pace and keeps
// the account; [Gauge] measures outages. All are safe for concurrent use.
package editor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Account is who installs and edits the site.
type Account struct{ User, Password, Email string }

// Editor talks to one site.
type Editor struct {
	base     string // http://ADDRESS, without a slash at the end
	who      Account
	http     *http.Client
	patience time.Duration

	mu    sync.Mutex
	nonce string // what a logged-in browser shows the REST interface
}

// patience bounds one request. A person waits longer; what is measured is whether an
// answer came at all, and a request that hangs must not hide the next one's success.
// Installing makes all tables.
const (
	patience        = 10 * time.Second
	installPatience = 60 * time.Second
)

// New makes an editor of the site at base, as "http://192.0.2.80".
func New(base string, who Account) *Editor {
	jar, _ := cookiejar.New(nil) // fails only with options
	return &Editor{base: strings.TrimSuffix(base, "/"), who: who, patience: patience, http: &http.Client{
		Jar: jar,
		// Every request is a new connection: a real visitor after a fail-over has none.
		Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(_ *http.Request, via []*http.Request) error {
			if via[0].Method != http.MethodGet || len(via) > 3 {
				return http.ErrUseLastResponse // where a form leads to is its answer
			}
			return nil
		},
	}}
}

// Refused is an answer that is no success.
type Refused struct {
	Status int
	Text   string // the beginning of the page
}

func (r *Refused) Error() string { return fmt.Sprintf("status %d: %.200s", r.Status, r.Text) }

// do sends a request and reads the answer whole; an answer other than want is a *Refused.
func (e *Editor) do(ctx context.Context, method, path string, header http.Header, body []byte, want ...int) ([]byte, http.Header, error) {
	target := path
	if strings.HasPrefix(path, "/") {
		target = e.base + path
	}
	ctx, cancel := context.WithTimeout(ctx, e.patience)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for k, v := range header {
		q.Header[k] = v
	}
	r, err := e.http.Do(q)
	if err != nil {
		return nil, nil, err
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, nil, err
	}
	for _, w := range want {
		if r.StatusCode == w {
			return page, r.Header, nil
		}
	}
	return nil, nil, &Refused{r.StatusCode, string(page[:min(len(page), 500)])}
}

func (e *Editor) form(ctx context.Context, path string, fields url.Values, want ...int) ([]byte, http.Header, error) {
	return e.do(ctx, http.MethodPost, path, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(fields.Encode()), want...)
}

// Install fills in the installation page of a new site.
func (e *Editor) Install(ctx context.Context, title string) error {
	patient := &Editor{base: e.base, http: e.http, patience: installPatience}
	page, _, err := patient.form(ctx, "/wp-admin/install.php?step=2", url.Values{
		"weblog_title": {title}, "user_name": {e.who.User}, "admin_password": {e.who.Password}, "admin_password2": {e.who.Password},
		"pw_weak": {"on"}, "admin_email": {e.who.Email}, "Submit": {"Install WordPress"}, "language": {""},
	}, http.StatusOK)
	if err == nil && !bytes.Contains(page, []byte("wp-login.php")) {
		err = errors.New("the installation page does not lead to the login")
	}
	if err != nil {
		return fmt.Errorf("install WordPress: %w", err)
	}
	return nil
}

// Login logs in and fetches what the REST interface wants to see.
func (e *Editor) Login(ctx context.Context) error {
	root, err := url.Parse(e.base)
	if err != nil {
		return err
	}
	e.http.Jar.SetCookies(root, []*http.Cookie{{Name: "wordpress_test_cookie", Value: "WP Cookie check"}})
	_, _, err = e.form(ctx, "/wp-login.php", url.Values{"log": {e.who.User}, "pwd": {e.who.Password}, "testcookie": {"1"}, "wp-submit": {"Log In"}}, http.StatusFound)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	nonce, _, err := e.do(ctx, http.MethodGet, "/wp-admin/admin-ajax.php?action=rest-nonce", nil, nil, http.StatusOK)
	if err != nil {
		return fmt.Errorf("log in: %w", err)
	}
	e.mu.Lock()
	e.nonce = string(nonce)
	e.mu.Unlock()
	return nil
}

// rest calls the REST interface by the address that needs no rewriting in the web server.
func (e *Editor) rest(ctx context.Context, method, route string, header http.Header, body []byte, into any, want int) (http.Header, error) {
	e.mu.Lock()
	nonce := e.nonce
	e.mu.Unlock()
	if header == nil {
		header = http.Header{}
	}
	header.Set("X-WP-Nonce", nonce)
	page, answer, err := e.do(ctx, method, "/?rest_route=/wp/v2/"+route, header, body, want)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(page, into); err != nil {
		return nil, fmt.Errorf("%s %s: %w in %.200q", method, route, err, page)
	}
	return answer, nil
}

// Upload stores a picture and says where it is shown.
func (e *Editor) Upload(ctx context.Context, name string, png []byte) (id int, shown string, err error) {
	var media struct {
		ID     int
		Source string `json:"source_url"`
	}
	_, err = e.rest(ctx, http.MethodPost, "media", http.Header{
		"Content-Type": {"image/png"}, "Content-Disposition": {fmt.Sprintf("attachment; filename=%q", name)},
	}, png, &media, http.StatusCreated)
	return media.ID, media.Source, err
}

// Post publishes an article and says its number.
func (e *Editor) Post(ctx context.Context, title, text string, picture int) (id int, err error) {
	body, err := json.Marshal(map[string]any{"title": title, "content": text, "status": "publish", "featured_media": picture})
	if err != nil {
		return 0, err
	}
	var post struct{ ID int }
	_, err = e.rest(ctx, http.MethodPost, "posts", http.Header{"Content-Type": {"application/json"}}, body, &post, http.StatusCreated)
	return post.ID, err
}

// Comment writes under an article, by the form at its end.
func (e *Editor) Comment(ctx context.Context, post int, text string) error {
	_, h, err := e.form(ctx, "/wp-comments-post.php", url.Values{
		"comment": {text}, "comment_post_ID": {fmt.Sprint(post)}, "comment_parent": {"0"}, "submit": {"Post Comment"},
	}, http.StatusFound)
	if err == nil && !strings.Contains(h.Get("Location"), "#comment-") {
		err = fmt.Errorf("the answer leads to %q, not to the comment", h.Get("Location"))
	}
	return err
}

// Read fetches a page or a picture as a visitor sees it, who is not logged in; path is
// absolute or begins with "/".
func (e *Editor) Read(ctx context.Context, path string) ([]byte, error) {
	visitor := &Editor{base: e.base, patience: e.patience, http: &http.Client{Transport: e.http.Transport}}
	page, _, err := visitor.do(ctx, http.MethodGet, path, nil, nil, http.StatusOK)
	return page, err
}

// texts lists the titles and texts of posts or comments in the order of their numbers, but for
// the first few, a hundred at a time, and says how many there are in all.
func (e *Editor) texts(ctx context.Context, kind string, but int) (texts []string, total int, err error) {
	const most = 100 // REST gives no more at a time
	for total = but + 1; but < total; but += most {
		var list []struct {
			Title, Content struct{ Rendered string }
		}
		var h http.Header
		route := fmt.Sprintf("%s&per_page=%d&orderby=id&order=asc&offset=%d&_fields=title,content", kind, most, but)
		if err := patiently(func() (err error) {
			h, err = e.rest(ctx, http.MethodGet, route, nil, nil, &list, http.StatusOK)
			return err
		}); err != nil {
			return nil, 0, fmt.Errorf("list %s from %d: %w", kind, but, err)
		}
		for _, item := range list {
			texts = append(texts, item.Title.Rendered+" "+item.Content.Rendered)
		}
		if _, err := fmt.Sscan(h.Get("X-WP-Total"), &total); err != nil {
			return nil, 0, fmt.Errorf("list %s: X-WP-Total is %q", kind, h.Get("X-WP-Total"))
		}
	}
	return texts, total, nil
}
