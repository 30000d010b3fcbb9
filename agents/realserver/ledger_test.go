package realserver

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// world is a kernel with settings, and the ledger of its real servers.
type world struct {
	ledger
	t      *testing.T
	kernel map[string]string
}

func newWorld(t *testing.T, kernel map[string]string) *world {
	return &world{ledger{Users: map[string][]string{}, Settings: map[string]change{}}, t, kernel}
}

func (w *world) start(user string, needs ...need) {
	for k, v := range w.enter(user, needs, w.kernel) {
		w.kernel[k] = v
	}
}

func (w *world) stop(user string) {
	for k, v := range w.leave(user, w.kernel) {
		w.kernel[k] = v
	}
}

func (w *world) is(when string, want map[string]string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.kernel); diff != "" {
		w.t.Errorf("%s (-want +got):\n%s", when, diff)
	}
}

var ignore, announce = need{"ignore", silent}, need{"announce", []string{"2"}}

func TestLastUserRestores(t *testing.T) {
	w := newWorld(t, map[string]string{"ignore": "0", "announce": "1"})
	w.start("a", ignore)
	w.start("b", ignore, announce)
	w.is("both run", map[string]string{"ignore": "1", "announce": "2"})
	w.start("a", ignore) // again
	w.stop("b")
	w.is("a runs", map[string]string{"ignore": "1", "announce": "1"})
	w.stop("a")
	w.is("none runs", map[string]string{"ignore": "0", "announce": "1"})
	w.stop("a")
	if len(w.Users)+len(w.Settings) != 0 {
		t.Errorf("the ledger keeps %+v", w.ledger)
	}
}

func TestStricterValuesStay(t *testing.T) {
	w := newWorld(t, map[string]string{"ignore": "2", "announce": "2"})
	w.start("a", ignore, announce)
	w.is("a runs", map[string]string{"ignore": "2", "announce": "2"})
	w.stop("a")
	w.is("none runs", map[string]string{"ignore": "2", "announce": "2"})
}

// Somebody else's later change is not undone; an undone one of ours is made
// again, and what was there before the first start is what comes back.
func TestChangedMeanwhile(t *testing.T) {
	w := newWorld(t, map[string]string{"ignore": "0", "announce": "0"})
	w.start("a", ignore, announce)
	w.kernel["announce"] = "1"
	w.stop("a")
	w.is("none runs", map[string]string{"ignore": "0", "announce": "1"})
	w.start("a", ignore)
	w.kernel["ignore"] = "3"
	w.start("a", ignore)
	w.is("started again", map[string]string{"ignore": "1", "announce": "1"})
	w.stop("a")
	w.is("stopped", map[string]string{"ignore": "0", "announce": "1"})
}

func TestBook(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	b, err := openBook(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	b.enter("a", []need{ignore}, map[string]string{"ignore": "0"}, "thing")
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	b.close()
	l, err := peek(dir)
	if diff := cmp.Diff(b.ledger, l); diff != "" || err != nil {
		t.Errorf("read back: %v\n%s", err, diff)
	}
	if !l.runs("a") || l.runs("b") || l.alone("b", "thing") || !l.alone("a", "thing") {
		t.Errorf("who relies on what: %+v", l)
	}
	for _, text := range []string{"", "{", "{}", `{"users":[]}`} {
		if err := os.WriteFile(filepath.Join(dir, bookName), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openBook(t.Context(), dir); err == nil {
			t.Errorf("%q was read", text)
		}
	}
}
