package controller

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/transition"
	"systole/resources"
)

// script drives a controller by hand: effects are collected as short lines, and
// proposals are committed when the test says so.
type script struct {
	t       *testing.T
	ctl     *Controller
	now     time.Time
	cib     *cib.CIB
	index   uint64
	plans   []func(*transition.Graph) // what the next plans hold, in order
	planned int
	orders  map[string]Order // by "task rsc node", the newest
	fences  []Fence
	waiting []Propose
	lines   []string
}

func newScript(t *testing.T, nodes string, options ...string) *script {
	t.Helper()
	s := &script{t: t, now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), orders: map[string]Order{}}
	var b strings.Builder
	b.WriteString(`<cib validate-with="pacemaker-3.7" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config><cluster_property_set id="o">`)
	for i := 0; i+1 < len(options); i += 2 {
		fmt.Fprintf(&b, `<nvpair id="o-%s" name="%s" value="%s"/>`, options[i], options[i], options[i+1])
	}
	b.WriteString(`</cluster_property_set></crm_config><nodes>`)
	for i, n := range strings.Fields(nodes) {
		fmt.Fprintf(&b, `<node id="%d" uname="%s"/>`, i+1, n)
	}
	b.WriteString(`</nodes><resources/><constraints/></configuration><status/></cib>`)
	var err error
	if s.cib, err = cib.ParseCIB([]byte(b.String())); err != nil {
		t.Fatal(err)
	}
	s.ctl = New("a", s.plan)
	return s
}

// plan gives the graphs the test has prepared, then empty ones.
func (s *script) plan(*cib.CIB, time.Time) (Plan, error) {
	g := &transition.Graph{Options: transition.Options{ClusterDelay: "60s"}}
	if s.planned < len(s.plans) {
		s.plans[s.planned](g)
	}
	s.planned++
	return Plan{Graph: g}, nil
}

// next prepares one plan.
func (s *script) next(f func(g *transition.Graph)) {
	for len(s.plans) < s.planned {
		s.plans = append(s.plans, chain())
	}
	s.plans = append(s.plans[:s.planned], f)
}

// step feeds one event and notes its effects; logs are left out.
func (s *script) step(e Event) {
	s.t.Helper()
	for _, eff := range s.ctl.Step(e, s.now) {
		switch eff := eff.(type) {
		case Propose:
			s.waiting = append(s.waiting, eff)
			s.lines = append(s.lines, "propose "+line(eff.Change))
		case Order:
			what := fmt.Sprintf("%s %s %s", eff.Op.Action, eff.Op.Instance, eff.Node)
			if eff.Shutdown {
				what = "shutdown " + eff.Node
			}
			s.orders[what] = eff
			s.lines = append(s.lines, "order "+what)
		case Fence:
			s.fences = append(s.fences, eff)
			s.lines = append(s.lines, "fence "+eff.Target+" "+eff.Action)
		case Decided:
			if eff.Level == Warn {
				s.lines = append(s.lines, "warn "+eff.Message)
			}
		}
	}
}

func line(ch Change) string {
	switch ch := ch.(type) {
	case NodeState:
		var flags []string
		for _, f := range []struct {
			on   bool
			name string
		}{{ch.Online, "online"}, {ch.Expected, "expected"}, {ch.Unproven, "unproven"}, {ch.Forget, "forget"}, {ch.Gone, "gone"}} {
			if f.on {
				flags = append(flags, f.name)
			}
		}
		return "node " + ch.Node + " " + strings.Join(flags, " ")
	case Pending:
		var names []string
		for _, o := range ch.Orders {
			names = append(names, o.Op.Instance)
		}
		return "pending " + strings.Join(names, " ")
	case CancelPending:
		return "cancel pending " + ch.Resource + " on " + ch.Node
	case ForgetFailures:
		return "forget failures of " + ch.Resource + " on " + ch.Node
	case ForgetHistory:
		return "forget history of " + ch.Resource + " on " + ch.Node
	case Office:
		return "office " + ch.Node
	}
	return fmt.Sprintf("%T", ch)
}

// commit commits everything proposed, and what that brings about, until nothing
// is proposed any more.
func (s *script) commit() {
	s.t.Helper()
	for len(s.waiting) > 0 {
		p := s.waiting[0]
		s.waiting = s.waiting[1:]
		for _, e := range Entries(p.Change, command.Entry{Time: s.now, User: "t", Client: "t", Origin: "a"}) {
			s.apply(e)
		}
		s.step(CIBChanged{CIB: s.cib, Index: s.index})
		s.step(Proposed{ID: p.ID, OK: true})
	}
}

func (s *script) apply(e command.Entry) {
	s.t.Helper()
	next, reply := command.Apply(s.cib, e)
	if err := reply.Err(); err != nil {
		s.t.Fatalf("entry refused: %v", err)
	}
	s.cib = next
	s.index++
}

// result commits the outcome of an order and everything that follows.
func (s *script) result(what string, code resources.Code) {
	s.t.Helper()
	o, ok := s.orders[what]
	if !ok {
		s.t.Fatalf("%s was not ordered; ordered: %v", what, s.lines)
	}
	r := ResultOf(o.Op, o.Key.String())
	r.Node, r.RC, r.LastChange = o.Node, int(code), s.now
	if code != o.Key.TargetRC {
		r.Failure = command.Counted
	}
	s.commitResult(r)
}

func (s *script) commitResult(r command.Result) {
	s.t.Helper()
	s.apply(command.Entry{Kind: command.KindResult, Time: s.now, Results: []command.Result{r}})
	s.step(CIBChanged{CIB: s.cib, Index: s.index})
	s.commit()
}

// elect makes the controller DC with the named nodes in.
func (s *script) elect(ready ...string) {
	s.t.Helper()
	s.step(Elected{Term: 7, UUID: "u7", CIB: s.cib, Index: s.index})
	for _, n := range ready {
		s.ready(n)
	}
	s.commit()
}

func (s *script) ready(node string) {
	s.step(NodeReady{Node: node, Incarnation: "65536", Policy: "stop"})
}

// saw returns the effects since it was last called, and forgets them.
func (s *script) saw() []string {
	l := s.lines
	s.lines = nil
	return l
}

func (s *script) want(lines ...string) {
	s.t.Helper()
	if got := s.saw(); !slices.Equal(got, lines) {
		s.t.Errorf("effects:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(lines, "\n  "))
	}
}

// chain adds operations that follow each other: "start r b", "monitor r b".
func chain(ops ...string) func(*transition.Graph) {
	return func(g *transition.Graph) {
		for _, text := range ops {
			f := strings.Fields(text)
			a := &transition.Action{ID: transition.ActionID(len(g.Synapses) + 1), Task: f[0], Kind: transition.KindResource}
			switch f[0] {
			case transition.TaskFence:
				a.Kind, a.Node, a.Key = transition.KindCluster, f[1], "stonith-"+f[1]+"-reboot"
				a.Attributes = []cib.Attr{{Name: "CRM_meta_stonith_action", Value: "reboot"}}
			case transition.TaskShutdown:
				a.Kind, a.Node, a.Key = transition.KindCluster, f[1], "do_shutdown-"+f[1]
			default:
				a.Node, a.Key = f[2], transition.OpKey(f[1], f[0], 0)
				a.Resource = &transition.Resource{ID: f[1], Class: "ocf", Provider: "t", Type: "T"}
				a.Attributes = []cib.Attr{{Name: "CRM_meta_timeout", Value: "20000"}}
				if f[0] == transition.TaskClearFailCount {
					a.Kind = transition.KindCluster
				}
			}
			var in []transition.ActionID
			if a.ID > 1 {
				in = []transition.ActionID{a.ID - 1}
			}
			g.Synapses = append(g.Synapses, transition.Synapse{Action: a, Inputs: in})
		}
	}
}
