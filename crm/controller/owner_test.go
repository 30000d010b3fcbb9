package controller

import (
	"testing"

	"systole/resources"
)

func (s *script) ownerGone(order string) string {
	s.t.Helper()
	o, ok := s.orders[order]
	if !ok {
		s.t.Fatalf("%s was not ordered: %v", order, s.lines)
	}
	return o.Op.Meta["owner_gone"]
}

// running makes r run on b, known to be stopped on a.
func running(t *testing.T) *script {
	t.Helper()
	s := newScript(t, "a b", noFencing...)
	s.next(chain("monitor r a", "start r b"))
	s.elect("a", "b")
	s.result("monitor r a", resources.NotRunning)
	if _, ordered := s.orders["start r b"]; !ordered {
		s.next(chain("start r b"))
		s.step(Reconsider{Cause: "test"})
		s.commit()
	}
	if got := s.ownerGone("start r b"); got != "" {
		t.Errorf("a first start has owner_gone=%q: nobody owned it", got)
	}
	s.result("start r b", resources.OK)
	return s
}

func TestOwnerGoneAfterStop(t *testing.T) {
	s := running(t)
	s.next(chain("stop r b", "start r a"))
	s.step(Reconsider{Cause: "test"})
	s.result("stop r b", resources.OK)
	if got := s.ownerGone("start r a"); got != "true" {
		t.Errorf("owner_gone=%q after the confirmed stop", got)
	}
}

// A stop of an earlier transition says nothing of who has come since.
func TestOwnerGoneIsNews(t *testing.T) {
	s := running(t)
	s.next(chain("stop r b"))
	s.step(Reconsider{Cause: "test"})
	s.result("stop r b", resources.OK)
	s.next(chain("start r a"))
	s.step(Reconsider{Cause: "test"})
	s.commit()
	if got := s.ownerGone("start r a"); got != "" {
		t.Errorf("owner_gone=%q long after the stop", got)
	}
}

func TestOwnerGoneAfterProof(t *testing.T) {
	s := running(t)
	s.step(NodeLost{Node: "b"})
	s.commit()
	s.next(chain("start r a", "start q a"))
	s.step(NodeProven{Node: "b"})
	s.commit()
	if got := s.ownerGone("start r a"); got != "true" {
		t.Errorf("owner_gone=%q after the proof", got)
	}
	s.result("start r a", resources.OK)
	if got := s.ownerGone("start q a"); got != "" {
		t.Errorf("owner_gone=%q of a resource b never had", got)
	}
}

// Without proof it is never said, and not while another node may have the resource.
func TestOwnerGoneOnlyWhenCertain(t *testing.T) {
	s := running(t)
	s.next(chain("start r a"))
	s.step(NodeLost{Node: "b"})
	s.commit()
	if got := s.ownerGone("start r a"); got != "" {
		t.Errorf("owner_gone=%q of a lost node without proof", got)
	}
}
