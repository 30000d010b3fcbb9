package story

import (
	"debug/buildinfo"
	"fmt"
	"path/filepath"
	"time"
)

// row is one fault in the table.
type row struct {
	name          string
	reads, writes time.Duration // longest time without a success
	unsure        int           // writings nobody answered well, while it lasted
	target        Targets
}

// The targets are for the default of detect-within. A longer one is waited for more than once: to
// miss the DC, to miss the other nodes that it alone had heard, and until they are given up.
const (
	defaultDetect = 500 * time.Millisecond
	detections    = 3
)

// judge tells what took far longer than it should.
func (r row) judge(detectWithin time.Duration, fail func(format string, args ...any)) {
	more := detections * max(0, detectWithin-defaultDetect)
	for _, c := range []struct {
		what      string
		took, aim time.Duration
	}{{"reads", r.reads, r.target.Reads}, {"writes", r.writes, r.target.Writes}} {
		if c.aim > 0 && c.took > mostOfTarget*c.aim+more {
			fail("%s: %s stood still for %v, more than %d times the target of %v and %v for detect-within=%v", r.name, c.what, c.took.Round(10*time.Millisecond), mostOfTarget, c.aim, more, detectWithin)
		}
	}
}

// print writes the table, ready for a README.
func (s *Story) print() {
	posts, pictures, comments, unsure := s.Diary.Counts()
	took := time.Since(s.began)
	fmt.Printf("\n%s, %s, commit %s, detect-within %v: %d posts (%.1f a minute), %d of them with a picture, %d comments (%.1f a second) acknowledged in %.0f s; %d unsure\n\n",
		s.Name, time.Now().UTC().Format(time.DateOnly), s.commit(), s.DetectWithin, posts, float64(posts)/took.Minutes(), pictures, comments, float64(comments)/took.Seconds(), took.Seconds(), unsure)
	fmt.Print("| fault | reads | target | writes | target |\n|---|---|---|---|---|\n")
	for _, r := range s.rows {
		fmt.Printf("| %s | %.1f s | %s | %.1f s | %s |\n", r.name, r.reads.Seconds(), aim(r.target.Reads), r.writes.Seconds(), aim(r.target.Writes))
	}
	fmt.Println()
}

func aim(t time.Duration) string {
	if t == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f s", t.Seconds())
}

// commit is what the daemon under test was built from.
func (s *Story) commit() string {
	info, err := buildinfo.ReadFile(filepath.Join(s.Lab.Bin(), "systoled"))
	if err != nil {
		return "unknown"
	}
	at, changed := "unknown", ""
	for _, v := range info.Settings {
		switch {
		case v.Key == "vcs.revision":
			at = v.Value[:min(len(v.Value), 10)]
		case v.Key == "vcs.modified" && v.Value == "true":
			changed = " with changes"
		}
	}
	return at + changed
}
