package three

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

// fullEnv says that there is time for all variants.
const fullEnv = "SYSTOLE_LAB_FULL"

// buildWithin bounds the building of a site; three minutes were seen, with shell agents.
const buildWithin = 8 * time.Minute

// TestThree plays the same faults with each variant of the site.
func TestThree(t *testing.T) {
	if os.Getenv(fullEnv) != "1" {
		t.Skip("the variants of the site take 20 minutes: make lab-full")
	}
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			s, err := newSite(lab.New(t), v)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), buildWithin)
			defer cancel()
			if err := s.Build(ctx, t.Logf); err != nil {
				t.Fatal("the site: ", err)
			}
			told := story.Begin(t, s.Site)
			s.play(told)
			told.End()
		})
	}
}

// play throws the faults, one after another.
func (s *site) play(t *story.Story) {
	written := func() *lab.Node { return t.Active(s.single[0]) }
	t.Play(t.PowerCut("the machine that is written to", written(), newStorage))
	t.Play(t.PowerCut("a machine that only shows pages", s.idle(t), byCheck))
	t.Play(t.Kill("a machine that only shows pages", s.idle(t), s.web, byCheck))
	t.Play(t.Kill("the machine that is written to", written(), "mariadbd", newStorage))
	t.Play(t.Standby(written(), newStorage))
	t.Play(t.ColdStart(story.Targets{}))
}

// idle is a machine that has no single resource, if there is one, else one that has not
// the first.
func (s *site) idle(t *story.Story) *lab.Node {
	var busy []*lab.Node
	for _, resource := range s.single {
		busy = append(busy, t.Active(resource))
	}
	for _, taken := range [][]*lab.Node{busy, busy[:1]} {
		for _, n := range s.Nodes {
			if !slices.Contains(taken, n) {
				return n
			}
		}
	}
	panic("three machines, and all have the first resource")
}
