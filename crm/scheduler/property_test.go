package scheduler_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/scheduler"
	"systole/crm/score"
	"systole/crm/status"
	"systole/crm/transition"
)

// drawWorld makes a small cluster in a random state, as parseWorld reads it.
func drawWorld(t *rapid.T) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	some := func(label string) bool { return rapid.IntRange(0, 2).Draw(t, label) == 0 }

	fencing := rapid.Bool().Draw(t, "fencing")
	line("property stonith-enabled=%t no-quorum-policy=%s", fencing, pick("policy", "stop", "ignore", "freeze", "demote"))
	placement := pick("placement", "default", "utilization", "minimal", "balanced")
	line("property placement-strategy=%s node-health-strategy=%s priority-fencing-delay=%s concurrent-fencing=%t shutdown-lock=%t",
		placement, pick("health", "none", "migrate-on-red", "progressive"),
		pick("delay", "0", "15s"), rapid.Bool().Draw(t, "concurrent"), some("shutdown lock"))
	line("rsc_defaults resource-stickiness=%s migration-threshold=%s", pick("stickiness", "0", "1", "inf"), pick("threshold", "1", "3"))
	line("primitive fence stonith:fence_ipmilan")
	line("rsc_template t ocf:pacemaker:Dummy op monitor interval=10s")
	roots := []string{"fence"}
	for _, p := range []string{"a", "b", "c", "d"}[:rapid.IntRange(0, 4).Draw(t, "primitives")] {
		line("primitive %s %s meta priority=%s is-managed=%t allow-migrate=%t utilization cpu=%s", p,
			pick("agent "+p, "@t", "ocf:pacemaker:Dummy op monitor interval=10s"), pick("priority "+p, "0", "10"),
			!some("unmanaged "+p) || !some("really "+p), placement == "default" && some("migrates "+p), pick("needs "+p, "0", "1", "2"))
		roots = append(roots, p)
	}
	prims := append([]string{}, roots...)
	if some("group") {
		line("primitive g1 ocf:pacemaker:Dummy")
		line("primitive g2 ocf:pacemaker:Dummy")
		line("group g g1 g2")
		roots, prims = append(roots, "g"), append(prims, "g1", "g2")
	}
	if some("clone") {
		line("primitive k ocf:pacemaker:Dummy")
		line("clone ks k meta clone-max=%s interleave=%t", pick("clone-max", "1", "2", "3"), rapid.Bool().Draw(t, "interleave"))
		roots, prims = append(roots, "ks"), append(prims, "k")
	}
	if some("promotable") {
		line("primitive s ocf:pacemaker:Stateful")
		line("clone ss s meta promotable=true notify=%t", rapid.Bool().Draw(t, "notify"))
		roots, prims = append(roots, "ss"), append(prims, "s")
	}
	nodes := []string{"n1", "n2", "n3", "n4"}[:rapid.IntRange(1, 4).Draw(t, "nodes")]
	for _, n := range nodes {
		line("node %s utilization cpu=%s", n, pick("capacity "+n, "1", "3"))
	}
	places := nodes
	if some("remote") {
		line("primitive r ocf:pacemaker:remote params server=192.0.2.1 op monitor interval=30s")
		places = append(slices.Clone(nodes), "r")
	}
	if some("bundle") {
		line("primitive w ocf:pacemaker:Dummy")
		line("bundle bu docker image=w replicas=%s network control-port=3121 primitive w", pick("replicas", "1", "2"))
		roots, prims = append(roots, "bu"), append(prims, "bu-docker-0", "bu-0")
	}
	if some("tag") {
		line("tag all: %s %s", pick("tagged", roots...), roots[0])
		line("location tagged all %s: %s", pick("tag score", "10", "-10"), pick("tag node", nodes...))
	}
	if some("ticket") {
		line("rsc_ticket tic T: %s loss-policy=%s", pick("needs ticket", roots...), pick("loss", "stop", "freeze", "fence"))
		line("@ticket T %s", pick("ticket state", "granted", "revoked", "standby"))
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "constraints") {
		x, y := pick("rsc", roots...), pick("with", roots...)
		switch kind := pick("constraint", "location", "colocation", "order"); {
		case kind == "location":
			line("location l%d %s %s: %s", i, x, pick("score", "100", "-100", "inf", "-inf"), pick("node", places...))
		case x == y:
		case kind == "colocation":
			line("colocation c%d %s: %s %s", i, pick("score", "50", "-50", "inf", "-inf"), x, y)
		default: // never in a circle: that would be the administrator's loop, not ours
			if slices.Index(roots, x) > slices.Index(roots, y) {
				x, y = y, x
			}
			line("order o%d %s: %s %s", i, pick("kind", "Mandatory", "Optional", "Serialize"), x, y)
		}
	}
	if some("no quorum") {
		line("@no-quorum")
	}
	connected := pick("connected", append([]string{"nowhere"}, nodes...)...) // the node that the remote node is reached from
	for _, n := range nodes {
		kinds := []string{"", "", "", "", "lost", "left", "gone"}
		if !fencing {
			kinds = append(kinds, "unproven", "unproven")
		}
		kind := pick("state "+n, kinds...)
		line("@node %s %s", n, kind)
		if some("standby " + n) {
			line("@attr %s standby on", n)
		}
		if some("asks to leave " + n) {
			line("@attr %s shutdown 1799999999", n)
		}
		if len(places) > len(nodes) {
			if n == connected {
				line("@op %s r start 0", n)
			} else {
				line("@op %s r monitor 7", n)
			}
		}
		line("@attr %s #health-disk %s", n, pick("health "+n, "green", "yellow", "red"))
		for _, p := range prims {
			switch pick("history "+n+" "+p, "none", "probed", "probed", "started", "failed", "starting", "promoted", "migrating", "migrated", "changed") {
			case "migrating":
				line("@op %s %s start 0", n, p)
				line("@op %s %s migrate_to %s to=%s", n, p, pick("migrate_to", "0", "1"), pick("target", nodes...))
			case "migrated":
				line("@op %s %s migrate_from %s from=%s", n, p, pick("migrate_from", "0", "1"), pick("source", nodes...))
			case "changed":
				line("@op %s %s start 0 %s", n, p, pick("how", "changed", "reloadable"))
			case "probed":
				line("@op %s %s monitor 7", n, p)
			case "started":
				line("@op %s %s start 0", n, p)
			case "failed":
				line("@op %s %s start 0", n, p)
				line("@op %s %s monitor=10000 7", n, p)
				line("@attr %s fail-count-%s#monitor_10000 %s", n, p, pick("count", "1", "3", "INFINITY"))
			case "starting":
				line("@op %s %s start -1 pending", n, p)
			case "promoted":
				line("@op %s %s start 0", n, p)
				if p == "s" {
					line("@op %s %s promote 0", n, p)
				}
			}
		}
		line("@attr %s master-s %s", n, pick("promotion score", "0", "5", "10"))
	}
	if len(places) > len(nodes) && fencing && some("remote node seen") {
		line("@node r remote")
		for _, p := range prims {
			if p == "fence" || strings.HasPrefix(p, "bu-") {
				continue
			}
			switch pick("inside "+p, "started", "probed", "unknown") {
			case "started":
				line("@op r %s start 0", p)
			case "probed":
				line("@op r %s monitor 7", p)
			}
		}
	}
	return b.String()
}

func TestPropPlans(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawWorld(t)
		root := parseWorld(t, text).root()
		r := scheduler.Schedule(root, now, scheduler.Options{})
		t.Logf("world:\n%s\nplan:\n%s", text, lines(r))
		acyclic(t, r)
		sameAgain(t, root, r)
		neverBanned(t, root, r)
		cloneMax(t, r)
		nothingTwice(t, r)
		anyOrder(t, root, r)
		for i := range r.Status.Resources {
			if _, ok := scheduler.Explain(r, r.Status.Resources[i].ID); !ok {
				t.Fatalf("%s cannot be explained", r.Status.Resources[i].ID)
			}
		}
	})
}

// acyclic: every action of the graph can be reached, and waits only for actions of the graph or such as are blocked.
func acyclic(t *rapid.T, r *scheduler.Result) {
	const (
		unseen = iota
		open
		done
	)
	state := make([]int, len(r.Plan.Actions)+1)
	var path []string
	var visit func(id transition.ActionID)
	visit = func(id transition.ActionID) {
		a := &r.Plan.Actions[id-1]
		name := a.Key
		if a.Node != status.NoNode {
			name += "@" + r.Status.Nodes[a.Node].Name
		}
		path = append(path, name)
		switch state[id] {
		case open:
			t.Fatalf("the graph has a loop: %s", strings.Join(path[slices.Index(path, name):], " after "))
		case unseen:
			state[id] = open
			for _, first := range a.Before {
				if b := &r.Plan.Actions[first-1]; b.InGraph {
					visit(first)
				} else if b.Runnable {
					t.Fatalf("%s waits for %s, which could run and is not in the graph", a.Key, b.Key)
				}
			}
			state[id] = done
		}
		path = path[:len(path)-1]
	}
	for i := range r.Plan.Actions {
		if r.Plan.Actions[i].InGraph {
			visit(transition.ActionID(i + 1))
		}
	}
}

// sameAgain: the same CIB gives the same graph, byte for byte.
func sameAgain(t *rapid.T, root *cib.Element, r *scheduler.Result) {
	if a, b := graphText(t, r), graphText(t, scheduler.Schedule(root, now, scheduler.Options{})); a != b {
		t.Fatalf("another run gives another graph:\n%s\nfirst:\n%s", b, a)
	}
}

func graphText(t *rapid.T, r *scheduler.Result) string {
	var b bytes.Buffer
	if err := transition.WriteXML(&b, r.Graph); err != nil {
		t.Fatalf("%v", err)
	}
	return b.String()
}

// neverBanned: no managed resource is placed where its score is -INFINITY, unless a lost ticket freezes it where it is.
func neverBanned(t *rapid.T, root *cib.Element, r *scheduler.Result) {
	freezes := strings.Contains(root.String(), `loss-policy="freeze"`)
	last := map[status.ResID]map[status.NodeID]int32{}
	for _, s := range r.Placement.Scores {
		if s.Stage != "pcmk__primitive_assign" {
			continue
		}
		if last[s.Resource] == nil {
			last[s.Resource] = map[status.NodeID]int32{}
		}
		last[s.Resource][s.Node] = s.Score
	}
	for i := range r.Status.Resources {
		rsc, n := &r.Status.Resources[i], r.Placement.Node[i]
		if n == status.NoNode || !rsc.Managed || rsc.Kind != model.Primitive || rsc.Orphan || freezes && rsc.ActiveOn(n) {
			continue
		}
		if points, shown := last[rsc.Index][n]; shown && score.Score(points) <= score.MinusInfinity {
			t.Fatalf("%s is placed on %s in spite of -INFINITY", rsc.ID, r.Status.Nodes[n].Name)
		}
	}
}

// cloneMax: no more instances than configured are placed.
func cloneMax(t *rapid.T, r *scheduler.Result) {
	for i := range r.Status.Resources {
		rsc := &r.Status.Resources[i]
		if rsc.Kind != model.Clone {
			continue
		}
		placed := 0
		for _, c := range rsc.Children {
			if r.Placement.Node[c] != status.NoNode {
				placed++
			}
		}
		if placed > rsc.Clone.Max {
			t.Fatalf("%d instances of %s are placed, at most %d may be", placed, rsc.ID, rsc.Clone.Max)
		}
	}
}

// nothingTwice: what may still run on an unclean node starts nowhere else before that node has been fenced.
func nothingTwice(t *rapid.T, r *scheduler.Result) {
	for i := range r.Plan.Actions {
		a := &r.Plan.Actions[i]
		if !a.InGraph || a.Task != "start" || a.Resource == status.NoRes || a.Node == status.NoNode {
			continue
		}
		rsc := &r.Status.Resources[a.Resource]
		if r.Status.Options.Fencing && !rsc.NeedsFencing {
			continue // the device that fences cannot wait for fencing
		}
		for _, n := range rsc.Active {
			node := &r.Status.Nodes[n]
			if !node.Unclean || n == a.Node || activeElsewhere(r, rsc) {
				continue
			}
			// a remote node may also be reached again, and the resource stopped there
			if !follows(r, a, "stonith", n) && (node.Kind == status.Member || !follows(r, a, "stop", n)) {
				t.Fatalf("%s starts on %s although it may run on unclean %s", rsc.ID, r.Status.Nodes[a.Node].Name, node.Name)
			}
		}
	}
}

func activeElsewhere(r *scheduler.Result, rsc *status.Resource) bool {
	return slices.ContainsFunc(rsc.Active, func(n status.NodeID) bool { return !r.Status.Nodes[n].Unclean })
}

// follows tells whether an action waits, directly or not, for a task on a node.
func follows(r *scheduler.Result, a *scheduler.Action, task string, n status.NodeID) bool {
	for _, id := range a.Before {
		first := &r.Plan.Actions[id-1]
		if first.Task == task && first.Node == n || follows(r, first, task, n) {
			return true
		}
	}
	return false
}

// anyOrder: in which order nodes, attributes and operations stand in the CIB means nothing for what is planned. The order of
// node states and of their resources does: what is active twice counts as active where it is found first, and the first
// reason found is the one told.
func anyOrder(t *rapid.T, root *cib.Element, r *scheduler.Result) {
	shuffled := shuffle(t, root)
	if a, b := sorted(lines(r)), sorted(lines(scheduler.Schedule(shuffled, now, scheduler.Options{}))); !slices.Equal(a, b) {
		t.Fatalf("in another order:\n%s", strings.Join(b, ""))
	}
}

func sorted(text string) []string { return slices.Sorted(strings.Lines(text)) }

func shuffle(t *rapid.T, e *cib.Element) *cib.Element {
	children := slices.Clone(e.Children())
	for i, c := range children {
		switch c.Name() {
		case "configuration", "nodes", "status", "node_state", "lrm", "lrm_resources", "lrm_resource", "transient_attributes", "instance_attributes":
			children[i] = shuffle(t, c)
		}
	}
	switch e.Name() {
	case "nodes", "node_state", "lrm_resource", "instance_attributes":
		if len(children) > 1 {
			children = rapid.Permutation(children).Draw(t, "order of "+e.Name())
		}
	}
	if len(children) == 0 {
		return e
	}
	return e.WithChildren(children...)
}
