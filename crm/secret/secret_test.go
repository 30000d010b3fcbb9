package secret

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"systole/crm/api"
	"systole/crm/cluster"
	"systole/resources"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func open(t *testing.T, dir string, keys ...[]byte) (*Vault, error) {
	t.Helper()
	v, spoilt, err := Open(dir, keys)
	if err != nil {
		t.Fatal(err)
	}
	return v, spoilt
}

var db = Key{"db", "test_passwd"}

func TestVaultSurvives(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "secrets")
	v, _ := open(t, dir, key(1))
	if _, err := v.put(db, []byte("tell no one"), false, "a", time.Now()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "vault"))
	if err != nil || bytes.Contains(b, []byte("tell")) || bytes.Contains(b, []byte("dGVsbCBubyBvbmU")) || bytes.Contains(b, []byte("test_passwd")) {
		t.Errorf("the file tells: %q, %v", b, err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "vault")} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	again, spoilt := open(t, dir, key(2), key(1)) // an older key still opens
	if got, ok := again.Get(db); spoilt != nil || !ok || string(got) != "tell no one" {
		t.Errorf("after a restart: %q, %t, %v", []byte(got), ok, spoilt)
	}
	if err := again.Rekey([][]byte{key(2)}); err != nil {
		t.Fatal(err)
	}
	if _, spoilt = open(t, dir, key(2)); spoilt != nil {
		t.Error("not sealed with the new key:", spoilt)
	}
	spoiled, spoilt := open(t, dir, key(3))
	if _, ok := spoiled.Get(db); spoilt == nil || ok {
		t.Errorf("a file of another cluster was taken: %v", spoilt)
	}
	if _, err := os.Stat(filepath.Join(dir, "vault.unreadable")); err != nil {
		t.Error("the file that could not be read is gone:", err)
	}
}

func TestSealedFilesDiffer(t *testing.T) {
	entries := []Entry{{Key: db, Value: []byte("x"), Version: 1, Writer: "a"}}
	one, err1 := seal(entries, key(1))
	two, err2 := seal(entries, key(1))
	if err1 != nil || err2 != nil || bytes.Equal(one, two) {
		t.Error("two writes use one salt or nonce")
	}
	for i := range one {
		bad := slices.Clone(one)
		bad[i] ^= 1
		if _, err := unseal(bad, [][]byte{key(1)}); err == nil {
			t.Fatalf("a change at byte %d was not noticed", i)
		}
	}
}

// Whatever the order in which nodes hear of changes, all end with the same set.
func TestMergeIsTheSameEverywhere(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var changes []Entry
		for range 12 {
			e := Entry{Key: Key{fmt.Sprintf("r%d", r.IntN(2)), "p"}, Version: uint64(r.IntN(4)), Writer: string(rune('a' + r.IntN(2))), Deleted: r.IntN(3) == 0}
			if !e.Deleted {
				e.Value = fmt.Appendf(nil, "v%d", r.IntN(3))
			}
			changes = append(changes, e)
		}
		var first set
		for n := range 3 {
			s := set{}
			for _, i := range r.Perm(len(changes)) {
				next, _, err := s.merge(changes[i : i+1])
				if err != nil {
					t.Fatal(err)
				}
				s = next
			}
			if n == 0 {
				first = s
			} else if !reflect.DeepEqual(first.list(), s.list()) {
				t.Fatalf("seed %d: %v and %v", seed, first.versions(), s.versions())
			}
			if missed := s.beyond(first.versions()); len(missed) > 0 {
				t.Fatalf("seed %d: equal sets, and one lacks %v", seed, missed)
			}
		}
	}
}

func TestLaterChangeWinsWhateverTheClock(t *testing.T) {
	v, _ := open(t, t.TempDir(), key(1))
	now := time.Now()
	for i, when := range []time.Time{now, now.Add(-time.Hour), now.Add(-24 * time.Hour)} {
		want := fmt.Sprint(i)
		if _, err := v.put(db, []byte(want), false, "a", when); err != nil {
			t.Fatal(err)
		}
		if got, _ := v.Get(db); string(got) != want {
			t.Errorf("change %d was lost", i)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	for _, e := range []Entry{
		{Key: Key{"", "p"}}, {Key: Key{"r", ""}}, {Key: Key{"../etc", "p"}}, {Key: Key{"r", "a b"}},
		{Key: db, Value: []byte("a\x00b")}, {Key: db, Value: make([]byte, maxValue+1)},
	} {
		if _, _, err := (set{}).merge([]Entry{e}); err == nil {
			t.Errorf("%q %q is taken", e.Key, e.Value[:min(len(e.Value), 3)])
		}
	}
}

// site is some nodes that reach each other, or not.
type site struct {
	mu      sync.Mutex
	members []cluster.Member
	servers map[string]*Server
	down    map[string]bool
}

func newSite(t *testing.T, names ...string) *site {
	s := &site{servers: map[string]*Server{}, down: map[string]bool{}}
	for _, n := range names {
		s.join(t, n)
	}
	return s
}

func (s *site) join(t *testing.T, name string) *Server {
	v, _ := open(t, t.TempDir(), key(1))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = append(s.members, cluster.Member{Name: name})
	srv := NewServer(ServerOptions{Vault: v, Node: name, Log: slog.New(slog.DiscardHandler), Peers: &http.Client{Transport: s},
		Members: func() []cluster.Member { s.mu.Lock(); defer s.mu.Unlock(); return s.members }})
	s.servers[name] = srv
	return srv
}

// RoundTrip takes a request to the node that its host names.
func (s *site) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	srv, down := s.servers[r.URL.Host], s.down[r.URL.Host]
	s.mu.Unlock()
	if srv == nil || down {
		return nil, fmt.Errorf("%s is down", r.URL.Host)
	}
	w := httptest.NewRecorder()
	srv.PeerHandler().ServeHTTP(w, r)
	return w.Result(), nil
}

func (s *site) value(t *testing.T, node string) string {
	t.Helper()
	v, ok := s.servers[node].o.Vault.Get(db)
	if !ok {
		return ""
	}
	return string(v)
}

func TestSpread(t *testing.T) {
	s := newSite(t, "a", "b", "c")
	s.down["c"] = true
	late, err := s.servers["a"].set(t.Context(), Change{Key: db, Value: []byte("first")})
	if err != nil || !slices.Equal(late.Late, []string{"c"}) || s.value(t, "b") != "first" {
		t.Fatalf("%v, %v; b has %q", late, err, s.value(t, "b"))
	}
	// c comes back, and asks.
	s.down["c"] = false
	s.servers["c"].pull(t.Context())
	if got := s.value(t, "c"); got != "first" {
		t.Errorf("c has %q", got)
	}
	// A new node needs it at once.
	d := s.join(t, "d")
	params, missing := d.Resolve(t.Context(), "db:1", map[string]string{"test_passwd": Reference, "socket": "/s"})
	if len(missing) > 0 || params["test_passwd"] != "first" || params["socket"] != "/s" {
		t.Errorf("d: %v, missing %v", params, missing)
	}
	// While b is away the secret is deleted; b must not bring it back.
	s.down["b"] = true
	if _, err := s.servers["c"].set(t.Context(), Change{Key: db, Delete: true}); err != nil {
		t.Fatal(err)
	}
	s.down["b"] = false
	for _, n := range []string{"b", "a", "c", "d"} {
		s.servers[n].pull(t.Context())
	}
	for _, n := range []string{"a", "b", "c", "d"} {
		if got := s.value(t, n); got != "" {
			t.Errorf("%s still has %q", n, got)
		}
	}
	if _, err := s.servers["a"].get(t.Context(), db); err == nil {
		t.Error("a deleted secret is told")
	}
}

func TestOnlyRootAsks(t *testing.T) {
	s := newSite(t, "a")
	ask := func(p api.Peer, verb, body string) int {
		r := httptest.NewRequest(http.MethodPost, AdminPrefix+verb, strings.NewReader(body))
		w := httptest.NewRecorder()
		s.servers["a"].AdminHandler().ServeHTTP(w, r.WithContext(api.WithPeer(r.Context(), p)))
		return w.Code
	}
	wishes := map[string]string{"set": `{"resource":"db","parameter":"test_passwd","value":"eA=="}`, "get": `{"resource":"db","parameter":"test_passwd"}`, "sync": `{}`}
	for _, c := range []struct {
		peer api.Peer
		want int
	}{{api.Peer{UID: 4711, User: "operator"}, http.StatusConflict}, {api.Peer{UID: 0, User: "root"}, http.StatusOK}} {
		for _, verb := range []string{"set", "get", "sync"} {
			if got := ask(c.peer, verb, wishes[verb]); got != c.want {
				t.Errorf("%s by %s: %d, want %d", verb, c.peer.User, got, c.want)
			}
		}
	}
}

// echo is an agent that says what it was given.
type echo struct{ got map[string]string }

func (e *echo) MetaData(context.Context) ([]byte, error) { return nil, nil }
func (e *echo) Execute(_ context.Context, op resources.Op) resources.Result {
	e.got = op.Params
	return resources.Result{Reason: "password " + op.Params["test_passwd"] + " was wrong", Output: op.Params["test_passwd"]}
}

type watching struct{ echo }

func (w *watching) Watch(_ context.Context, op resources.Op) bool {
	return op.Params["test_passwd"] == "tell no one"
}

func TestAgentsGetSecrets(t *testing.T) {
	s := newSite(t, "a").servers["a"]
	inner := &watching{}
	lookup := s.Agents(func(resources.AgentID) (resources.Agent, error) { return inner, nil })
	a, err := lookup(resources.AgentID{})
	if err != nil {
		t.Fatal(err)
	}
	op := resources.Op{Resource: "db:0", Action: resources.ActionStart, Params: map[string]string{"test_passwd": Reference, "user": "x"}}
	if res := a.Execute(t.Context(), op); res.Status != resources.StatusNoSecrets || inner.got != nil || !strings.Contains(res.Reason, "test_passwd of db") {
		t.Errorf("without a secret: %+v, agent got %v", res, inner.got)
	}
	op.Action = resources.ActionStop
	if res := a.Execute(t.Context(), op); res.Status != resources.StatusDone || inner.got["user"] != "x" || inner.got["test_passwd"] != "" {
		t.Errorf("stop without a secret: %+v, agent got %v", res, inner.got)
	}
	if _, err := s.set(t.Context(), Change{Key: db, Value: []byte("tell no one")}); err != nil {
		t.Fatal(err)
	}
	op.Action = resources.ActionStart
	res := a.Execute(t.Context(), op)
	if inner.got["test_passwd"] != "tell no one" || op.Params["test_passwd"] != Reference {
		t.Errorf("agent got %v, the order has %v", inner.got, op.Params)
	}
	if said := res.Reason + res.Output; strings.Contains(said, "tell") {
		t.Errorf("the agent's words tell: %q", said)
	}
	if w, ok := a.(resources.Watcher); !ok || !w.Watch(t.Context(), op) {
		t.Error("a watching agent does not watch with its secret")
	}
	plain, _ := s.Agents(func(resources.AgentID) (resources.Agent, error) { return &echo{}, nil })(resources.AgentID{})
	if _, ok := plain.(resources.Watcher); ok {
		t.Error("an agent that cannot watch watches")
	}
}

func TestNothingPrintsAValue(t *testing.T) {
	e := Entry{Key: db, Value: []byte("tell no one")}
	for _, s := range []string{fmt.Sprint(e), fmt.Sprintf("%+v %#v %s", e, e, e.Value)} {
		if strings.Contains(s, "tell") || strings.Contains(s, "116, 101") {
			t.Error(s)
		}
	}
}

func FuzzUnseal(f *testing.F) {
	good, err := seal([]Entry{{Key: db, Value: []byte("x"), Version: 1, Writer: "a"}}, key(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := unseal(b, [][]byte{key(1)})
		if err == nil && !bytes.Equal(b, good) {
			t.Errorf("forged: %v", entries)
		}
	})
}

func FuzzEntries(f *testing.F) {
	f.Add([]byte(`[{"resource":"db","parameter":"p","value":"eA==","version":3,"writer":"a"},{"resource":"db","parameter":"p","deleted":true,"version":4,"writer":"b"}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var entries []Entry
		if json.Unmarshal(body, &entries) != nil {
			return
		}
		s, _, err := set{}.merge(entries)
		if err != nil {
			return
		}
		if !slices.IsSortedFunc(s.list(), func(a, b Entry) int {
			return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Parameter, b.Parameter))
		}) {
			t.Error("not in order")
		}
		if _, changed, err := s.merge(entries); changed || err != nil {
			t.Errorf("merged twice: %t, %v", changed, err)
		}
	})
}
