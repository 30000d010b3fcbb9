package lamp

import (
	"context"
	"os"
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
	six, err := newSite(lab.New(t))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := time.ParseDuration(os.Getenv("SYSTOLE_LAB_DETECT")); err == nil {
		six.DetectWithin = d
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := six.Build(ctx, t.Logf); err != nil {
		t.Fatal("the site: ", err)
	}
	s := story.Begin(t, six.Site)
	six.play(s)
	s.End()
}

// play throws the faults, one after another.
func (s *site) play(t *story.Story) {
	director := t.Active("vip")
	t.Play(t.PowerCut("active director", director, directorLost))
	t.Play(t.PowerCut("standby director", story.Other(s.directors, t.Active("vip")), nobodyNotices))
	for _, n := range s.webs {
		t.Play(t.PowerCut(n.Name, n, webLost))
	}
	t.Play(t.PowerCut("active storage", t.Active("store-ip"), storeLost))
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
