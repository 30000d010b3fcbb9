package editor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Pace is how much is written. The zero value is the pace of the proof.
type Pace struct {
	Post    time.Duration // between posts; default 2.2 s, 27 a minute
	Picture int           // every so many posts one has a picture; default 4
	Comment time.Duration // between comments, over all writers; default 150 ms
	Writers int           // comments under way at once; default 20
	Visit   time.Duration // between visits of the front page; default 200 ms
}

func (p Pace) withDefaults() Pace {
	if p.Post == 0 {
		p.Post = 2200 * time.Millisecond
	}
	if p.Picture == 0 {
		p.Picture = 4
	}
	if p.Comment == 0 {
		p.Comment = 150 * time.Millisecond
	}
	if p.Writers == 0 {
		p.Writers = 20
	}
	if p.Visit == 0 {
		p.Visit = 200 * time.Millisecond
	}
	return p
}

// Diary is the account of what was written.
type Diary struct {
	*Editor
	Posts, Comments, Visits Gauge // when each last succeeded

	mu      sync.Mutex
	entries []entry
	checked int      // so many entries have been looked for one by one
	maybes  []string // tokens of what was sent and never acknowledged
	last    []error  // the newest refusals, for whoever reads a failure
	serial  int
}

// entry is something acknowledged.
type entry struct {
	token  string
	post   int // its number; 0 for a comment
	shown  string
	sha256 [32]byte // of the picture
}

// NewDiary keeps the account of an editor.
func NewDiary(e *Editor) *Diary { return &Diary{Editor: e} }

// Counts are how many were acknowledged, and how many sendings nobody answered well.
func (d *Diary) Counts() (posts, pictures, comments, maybes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.entries {
		if e.post == 0 {
			comments++
			continue
		}
		posts++
		if e.shown != "" {
			pictures++
		}
	}
	return posts, pictures, comments, len(d.maybes)
}

// Refusals are the newest few answers that were no success.
func (d *Diary) Refusals() []error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.last)
}

// Write writes at a pace, and visits the front page, until ctx is done. What is under
// way then is brought to its end.
func (d *Diary) Write(ctx context.Context, p Pace) {
	p = p.withDefaults()
	under := context.WithoutCancel(ctx)
	var all sync.WaitGroup
	const posters = 4
	for i := range posters {
		all.Go(func() {
			every(ctx, p.Post*posters, func(n int) { d.post(under, (n*posters+i)%p.Picture == 0) })
		})
	}
	for range p.Writers {
		all.Go(func() {
			every(ctx, p.Comment*time.Duration(p.Writers), func(int) { d.comment(under) })
		})
	}
	all.Go(func() { // a visitor who waits keeps no other from coming
		every(ctx, p.Visit, func(int) { all.Go(func() { d.visit(under) }) })
	})
	all.Wait()
}

// every calls do at an interval, never twice at once, starting at a random part of it.
func every(ctx context.Context, interval time.Duration, do func(n int)) {
	next := time.Now().Add(rand.N(interval))
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		next = time.Now().Add(interval)
		do(n)
	}
}

// token names one piece of writing; it is found again by it.
func (d *Diary) token(kind string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.serial++
	return fmt.Sprintf("%s%06dx%08x", kind, d.serial, rand.Uint32())
}

func (d *Diary) post(ctx context.Context, withPicture bool) {
	e := entry{token: d.token("post")}
	picture := 0
	if withPicture {
		data := noise()
		e.sha256 = sha256.Sum256(data)
		var err error
		if picture, e.shown, err = d.Upload(ctx, e.token+".png", data); err != nil {
			d.refused("", err)
			return
		}
	}
	var err error
	if e.post, err = d.Post(ctx, e.token, "This is "+e.token+".", picture); err != nil {
		d.refused(e.token, err)
		return
	}
	d.Posts.Mark()
	d.acknowledged(e)
}

func (d *Diary) comment(ctx context.Context) {
	post := d.somePost()
	if post == 0 {
		return
	}
	token := d.token("comment")
	if err := d.Comment(ctx, post, "I have read it. "+token); err != nil {
		d.refused(token, err)
		return
	}
	d.Comments.Mark()
	d.acknowledged(entry{token: token})
}

func (d *Diary) visit(ctx context.Context) {
	page, err := d.Read(ctx, "/")
	switch {
	case err != nil:
		d.refused("", err)
	case bytes.Contains(page, []byte("</html>")):
		d.Visits.Mark()
	}
}

// somePost is the number of one of the newest posts, 0 before the first.
func (d *Diary) somePost() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range slices.Backward(d.entries) {
		if e.post != 0 {
			return e.post
		}
	}
	return 0
}

func (d *Diary) acknowledged(e entry) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, e)
}

// refused remembers what may or may not have been written; token is "" for what is no writing.
func (d *Diary) refused(token string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if token != "" {
		d.maybes = append(d.maybes, token)
	}
	d.last = append(d.last, fmt.Errorf("%s %w", time.Now().UTC().Format("15:04:05.000"), err))
	if len(d.last) > 10 {
		d.last = d.last[1:]
	}
}

// noise is a picture like no other, of some 12 KB.
func noise() []byte {
	img := image.NewRGBA(image.Rect(0, 0, 64, 64))
	for i := range img.Pix {
		img.Pix[i] = byte(rand.Uint32())
	}
	var b bytes.Buffer
	_ = png.Encode(&b, img) // a buffer takes everything
	return b.Bytes()
}
