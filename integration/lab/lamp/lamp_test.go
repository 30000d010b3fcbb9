package lamp

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"systole/integration/lab"
	"systole/integration/lab/story"
)

func TestMain(m *testing.M) { lab.Main(m) }

// The targets, at the default of detect-within.
var (
	nobodyNotices = story.Targets{Reads: time.Second, Writes: time.Second}
	webLost       = story.Targets{Reads: time.Second, Writes: 3 * time.Second} // the director's check period
	directorLost  = story.Targets{Reads: 1500 * time.Millisecond, Writes: 1500 * time.Millisecond}
	storeLost     = story.Targets{Reads: time.Second, Writes: 15 * time.Second} // pages are remembered
)

// TestLamp kills everything once while somebody writes.
func TestLamp(t *testing.T) {
	s, story := inService(t, example)
	s.play(story)
	story.End()
}

// fullEnv says that there is time for all variants.
const fullEnv = "SYSTOLE_LAB_FULL"

// TestLampSplit kills what is apart: nginx from php-fpm.
func TestLampSplit(t *testing.T) {
	if os.Getenv(fullEnv) != "1" {
		t.Skip("PHP on machines of its own takes some 5 minutes: make lab-full")
	}
	s, story := inService(t, example, split)
	s.playSplit(story)
	story.End()
}

func inService(t *testing.T, examples ...string) (*site, *story.Story) {
	t.Helper()
	s, err := newSite(lab.New(t), examples...)
	if err != nil {
		t.Fatal(err)
	}
	s.DetectWithin = 1500 * time.Millisecond // six machines share the processors, and PHP takes what it gets
	if d, err := time.ParseDuration(os.Getenv("SYSTOLE_LAB_DETECT")); err == nil {
		s.DetectWithin = d
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := s.Build(ctx, t.Logf); err != nil {
		t.Fatal("the site: ", err)
	}
	return s, story.Begin(t, s.Site)
}

// play throws the faults, one after another.
func (s *site) play(t *story.Story) {
	director := t.Active("vip")
	t.Play(t.PowerCut("active director", director, directorLost))
	t.Play(t.PowerCut("standby director", story.Other(s.directors, t.Active("vip")), nobodyNotices))
	for _, n := range s.webs {
		t.Play(t.PowerCut(n.Name, n, webLost))
	}
	t.Shot("before")
	t.Play(t.PowerCut("active storage", t.Active("store-ip"), storeLost))
	t.Shot("after")
	t.Play(t.PowerCut("standby storage", story.Other(s.stores, t.Active("store-ip")), storeLost))

	t.Play(t.Kill("web-1", s.webs[0], "nginx", webLost))
	t.Play(t.Kill("web-2", s.webs[1], "php-fpm8.2", webLost))
	t.Play(t.Kill("active storage", t.Active("store-ip"), "mariadbd", storeLost))
	t.Play(t.Shell("NFS server ended, active storage", t.Active("store-ip"), "echo 0 > /proc/fs/nfsd/threads", "grep -q '^[1-9]' /proc/fs/nfsd/threads", storeLost))
	t.Play(t.CableCut("active storage", t.Active("store-ip"), storeLost))

	for _, n := range s.directors {
		t.Play(t.Standby(n, nobodyNotices))
	}
	for _, n := range s.webs {
		t.Play(t.Standby(n, nobodyNotices))
	}
	for _, n := range s.stores {
		t.Play(t.Standby(n, storeLost))
	}
	t.Play(t.ColdStart(story.Targets{}))
}

// playSplit throws the faults of machines that have nginx or php-fpm and not both.
func (s *site) playSplit(t *story.Story) {
	for _, n := range slices.Concat(s.webs[:1], s.apps[:1]) {
		t.Play(t.PowerCut(n.Name, n, webLost))
	}
	t.Play(t.Kill("web-2", s.webs[1], "nginx", webLost))
	t.Play(t.Kill("app-2", s.apps[1], "php-fpm8.2", webLost))
	t.Play(t.Standby(s.apps[1], nobodyNotices))
	t.Play(t.PowerCut("active storage", t.Active("store-ip"), storeLost))
}
