package editor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// broken marks what proves a broken promise, not a slow machine (lab.Broken).
const broken = "SAFETY: "

// Verify reads everything back: each acknowledged post, each picture byte for byte,
// each comment; nothing twice, and what was never acknowledged at most once. It
// returns all that is wrong.
func (d *Diary) Verify(ctx context.Context) error { return d.verify(ctx, 0) }

// VerifyNew is Verify, but of the comments only those that no VerifyNew has found
// before are looked for, while the others are counted; and it sees the newest posts
// on their own pages, as visitors do.
func (d *Diary) VerifyNew(ctx context.Context) error {
	d.mu.Lock()
	from, to := d.checked, len(d.entries)
	d.mu.Unlock()
	err := d.verify(ctx, from)
	if err == nil {
		d.mu.Lock()
		d.checked = to
		d.mu.Unlock()
	}
	return err
}

// What was acknowledged earlier may have got its number in the site later, when many write at once.
const disorder = 50

// seenPages is how many of the newest posts are looked at on their own pages, which take
// the site half a second each.
const seenPages = 3

func (d *Diary) verify(ctx context.Context, from int) error {
	d.mu.Lock()
	entries, maybes := slices.Clone(d.entries), slices.Clone(d.maybes)
	d.mu.Unlock()
	old := 0 // comments found before
	for _, e := range entries[:from] {
		if e.post == 0 {
			old++
		}
	}
	posts, _, err := d.texts(ctx, "posts", 0)
	if err != nil {
		return err
	}
	comments, total, err := d.texts(ctx, "comments", max(0, old-disorder))
	if err != nil {
		return err
	}
	count := map[string]int{}
	for _, text := range slices.Concat(posts, comments) {
		for token := range tokens(text) {
			count[token]++
		}
	}
	var wrong []error
	if total < old {
		wrong = append(wrong, fmt.Errorf("there are %d comments, and %d were acknowledged", total, old))
	}
	for i, e := range entries {
		if n := count[e.token]; n != 1 && (e.post != 0 || i >= from) {
			wrong = append(wrong, fmt.Errorf(broken+"%s was acknowledged and is there %d times", e.token, n))
		}
	}
	for _, token := range maybes {
		if n := count[token]; n > 1 {
			wrong = append(wrong, fmt.Errorf(broken+"%s was never acknowledged and is there %d times", token, n))
		}
	}
	return errors.Join(append(wrong, d.look(ctx, entries))...)
}

// look fetches all pictures, and the pages of the newest posts, as visitors do, a few at a time.
func (d *Diary) look(ctx context.Context, entries []entry) error {
	var errs [4]error
	var all sync.WaitGroup
	work := make(chan func() error)
	for i := range errs {
		all.Go(func() {
			for read := range work {
				errs[i] = errors.Join(errs[i], patiently(read))
			}
		})
	}
	pages := 0
	for _, e := range slices.Backward(entries) {
		if e.shown != "" {
			work <- func() error { return d.picture(ctx, e) }
		}
		if e.post != 0 && pages < seenPages {
			pages++
			work <- func() error { return d.page(ctx, e) }
		}
	}
	close(work)
	all.Wait()
	return errors.Join(errs[:]...)
}

// page fetches a post's page.
func (d *Diary) page(ctx context.Context, e entry) error {
	page, err := d.Read(ctx, fmt.Sprintf("/?p=%d", e.post))
	if err == nil && !bytes.Contains(page, []byte("This is "+e.token+".")) {
		err = errors.New(broken + "its page does not have its text")
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", e.token, err)
	}
	return err
}

// picture fetches a post's picture.
func (d *Diary) picture(ctx context.Context, e entry) error {
	data, err := d.Read(ctx, e.shown)
	if err == nil && sha256.Sum256(data) != e.sha256 {
		err = fmt.Errorf(broken+"the picture %s has changed: %d bytes", e.shown, len(data))
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", e.token, err)
	}
	return err
}

// patiently asks again when no answer came, or one that says "not now", as a reader
// does: a web server may be on its way back. An answer that is wrong stays so.
func patiently(read func() error) error {
	const tries, pause = 12, 500 * time.Millisecond
	for try := 1; ; try++ {
		err := read()
		_, none := errors.AsType[*url.Error](err)
		refused, answered := errors.AsType[*Refused](err)
		if !none && !(answered && refused.Status >= http.StatusInternalServerError) || try == tries {
			return err
		}
		time.Sleep(pause)
	}
}

// tokens are the tokens in a text, each once.
func tokens(text string) map[string]bool {
	found := map[string]bool{}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }) {
		if strings.HasPrefix(word, "post0") || strings.HasPrefix(word, "comment0") {
			found[word] = true
		}
	}
	return found
}
