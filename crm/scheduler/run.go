package scheduler

import (
	"strconv"
	"time"

	"systole/crm/model"
	"systole/crm/score"
	"systole/crm/status"
)

const (
	infinity      = int32(score.Infinity)
	minusInfinity = int32(score.MinusInfinity)
)

// run is the work sheet of one scheduling run: what the Status says, copied where the stages change
// it, and what they have decided. It lives only inside Schedule; its results are frozen into a Result.
type run struct {
	s    *status.Status
	ev   *status.Evaluator
	opts Options

	nodes []nodeSheet
	res   []resSheet
	cells []cell // allowed nodes of all resources, res × nodes

	orderings []ordering
	actions   []action
	single    map[string]actionID // actions without resource, by key
	scores    []ScoreRecord
	caps      []CapacityRecord
	locations []*locationRule // in order of creation
	colocs    []*colocation
	// colocVersion changes when lists of colocations that somebody keeps become wrong.
	colocVersion int
	rootOrder    []status.ResID
	notices      []string
	clears       map[resNode]bool
	templates    map[string][]string // resources by the template they use
	trace        *trace
	byName       map[string][]status.ResID // primitives by the names their history may have
	deferred     []status.DeferredCheck
	// colocatedScores are kept while instances are sorted; nil else.
	colocatedScores map[resNode]int32
	// spare are tables that copyTable may use again.
	spare []table
}

type resNode struct {
	res  status.ResID
	node status.NodeID
}

// nodeSheet is what the stages know and change about a node.
type nodeSheet struct {
	online, unclean, shutdown, unseen, reset bool
	usable                                   bool // can run resources; see refresh
	count                                    int  // resources assigned
	capacity                                 map[string]int
}

// resSheet is what the stages know and change about a resource.
type resSheet struct {
	managed, blocked, failed, stopIfFailed bool
	exclusive                              bool // exclusive discovery
	provisional, assigning, merging        bool
	stopUnexpected, restarting, reload     bool
	promotionAdded, promotionSorted        bool
	allowMigrate, startPending             bool
	role, next                             status.Role
	node                                   status.NodeID
	locked                                 status.NodeID
	lockSince                              time.Time
	partialSource, partialTarget           status.NodeID
	priority, sortIndex                    int32
	children                               []status.ResID
	locations                              []*locationRule
	with, withThis                         []*colocation // as dependent, as primary; sorted
	allWith, allWithThis                   knownColocations
	tickets                                []ticketRule
	actions                                []actionID // in order of creation
	notify                                 *notifications
}

// knownColocations is a list of colocations found before, good for one version.
type knownColocations struct {
	list    []*colocation
	version int
}

// cell is a resource's relation to a node: absent (not allowed), or allowed with a score.
type cell struct {
	score   int32
	count   int32 // instances of a collective assigned there
	present bool
	mode    discovery
}

// discovery says whether a resource is probed on a node.
type discovery uint8

const (
	probeAlways discovery = iota
	probeNever
	probeExclusive
)

type table []cell

func newRun(s *status.Status, opts Options, t *trace) *run {
	r := &run{s: s, ev: s.Evaluator(), opts: opts, trace: t, colocVersion: 1, single: map[string]actionID{}, clears: map[resNode]bool{}, templates: map[string][]string{}}
	r.ev.BundleHost = r.bundleHost
	r.nodes = make([]nodeSheet, len(s.Nodes))
	for i := range s.Nodes {
		n := &s.Nodes[i]
		r.nodes[i] = nodeSheet{online: n.Online, unclean: n.Unclean, shutdown: n.Shutdown, unseen: n.Unseen, reset: n.RemoteReset}
		r.refresh(n.Index)
		if len(n.Utilization) > 0 {
			r.nodes[i].capacity = map[string]int{}
			for k, v := range n.Utilization {
				r.nodes[i].capacity[k] = v
			}
		}
	}
	r.res = make([]resSheet, len(s.Resources))
	r.cells = make([]cell, len(s.Resources)*len(s.Nodes))
	for i := range s.Resources {
		c := &s.Resources[i]
		r.res[i] = resSheet{managed: c.Managed, blocked: c.Blocked, failed: c.Failed, stopIfFailed: c.StopIfFailed,
			exclusive: c.ExclusiveDiscovery, provisional: true, role: c.Role, next: c.NextRole, node: status.NoNode,
			locked: c.Locked, partialSource: c.PartialSource, partialTarget: c.PartialTarget, priority: c.Priority, sortIndex: minusInfinity,
			children: append([]status.ResID(nil), c.Children...), allowMigrate: c.AllowMigrate}
		r.allowByDefault(c)
		if c.Config != nil && c.Config.Template != "" {
			r.templates[c.Config.Template] = appendNew(r.templates[c.Config.Template], c.BaseID)
		}
	}
	for _, id := range s.Roots {
		if s.Resources[id].Kind == model.Bundle {
			r.allowBundle(&s.Resources[id])
		}
	}
	r.rootOrder = append([]status.ResID(nil), s.Roots...)
	r.scores = make([]ScoreRecord, 0, len(r.cells)+len(r.cells)/4)
	return r
}

func appendNew(list []string, s string) []string {
	for _, have := range list {
		if have == s {
			return list
		}
	}
	return append(list, s)
}

// allowByDefault lets a resource run anywhere in a symmetric cluster. The connection to a guest may always: where its container is decides.
func (r *run) allowByDefault(c *status.Resource) {
	guest := c.RemoteConnection && c.Meta["container"] != ""
	if !r.s.Options.Symmetric && !guest {
		return
	}
	t := r.allowed(c.Index)
	for i := range min(c.NodesThen, len(t)) {
		n := &r.s.Nodes[i]
		switch {
		case !n.BundleOnly, !r.s.Options.Symmetric: // where a guest's connection cannot be is said later
		case c.Index >= n.BundleOnlyFrom, c.Index == r.parent(n.Connection):
			continue
		case r.parent(c.Index) == status.NoRes || r.parent(c.Index) != r.parent(n.Connection): // not of the bundle itself
			t[i] = cell{present: true, score: minusInfinity, mode: probeNever}
			continue
		}
		t[i] = cell{present: true, score: n.ConfigScore}
		if n.ConfigScore != 0 {
			r.trace.score(c.Index, n.Index, n.ConfigScore, "score of the node")
		}
	}
}

// allowBundle ties the members of a bundle to their replicas' nodes.
func (r *run) allowBundle(b *status.Resource) {
	for _, rep := range b.Bundle.Replicas {
		if rep.Node == status.NoNode {
			continue
		}
		member := r.allowed(rep.Member)
		clear(member)
		member[rep.Node] = cell{present: true, score: 500, mode: probeExclusive}
		r.allowed(b.Bundle.Member)[rep.Node] = cell{present: true, score: minusInfinity, mode: probeExclusive}
		for i, c := range r.allowed(rep.Remote) {
			if c.present && r.s.Nodes[i].IsRemote() {
				r.allowed(rep.Remote)[i].score = minusInfinity
			}
		}
	}
}

// allowed is the table of nodes a resource may use.
func (r *run) allowed(id status.ResID) table {
	n := len(r.s.Nodes)
	return r.cells[int(id)*n : (int(id)+1)*n : (int(id)+1)*n]
}

func (r *run) rsc(id status.ResID) *status.Resource { return &r.s.Resources[id] }

func (r *run) isClone(id status.ResID) bool {
	return id != status.NoRes && r.s.Resources[id].Kind == model.Clone
}

func (r *run) isPrimitive(id status.ResID) bool { return r.s.Resources[id].Kind == model.Primitive }

func (r *run) parent(id status.ResID) status.ResID { return r.s.Resources[id].Parent }

// top is the topmost ancestor not counting bundles.
func (r *run) top(id status.ResID) status.ResID { return r.s.Top(id) }

func (r *run) anonymousClone(id status.ResID) bool {
	return r.isClone(id) && !r.s.Resources[id].Unique
}

func (r *run) isParent(child, ancestor status.ResID) bool {
	for p := r.parent(child); p != status.NoRes; p = r.parent(p) {
		if p == ancestor {
			return true
		}
	}
	return false
}

func add(a, b int32) int32 { return int32(score.Score(a).Add(score.Score(b))) }

// setNext sets a resource's next role, and says why.
func (r *run) setNext(id status.ResID, role status.Role, why string) {
	r.res[id].next = role
	r.trace.role(id, role, why)
}

// nodeUsable tells whether a node can run resources.
func (r *run) nodeUsable(n status.NodeID) bool { return n != status.NoNode && r.nodes[n].usable }

// refresh notes whether a node can run resources, after its state has changed.
func (r *run) refresh(n status.NodeID) {
	st, node := &r.nodes[n], &r.s.Nodes[n]
	st.usable = st.online && !st.shutdown && !st.unclean && !node.Standby && !node.Maintenance
}

// guestUsable is nodeUsable, and a guest's container must have a place.
func (r *run) guestUsable(n status.NodeID) bool {
	if !r.nodeUsable(n) {
		return false
	}
	if node := &r.s.Nodes[n]; node.Kind == status.Guest {
		c := r.rsc(node.Connection).Container
		return r.nextNode(c) != status.NoNode
	}
	return true
}

// anyUsable tells whether any node of a table that is not banned can run resources.
func (r *run) anyUsable(t table) bool {
	for i, c := range t {
		if c.present && c.score >= 0 && r.nodeUsable(status.NodeID(i)) {
			return true
		}
	}
	return false
}

// nextNode is the node a resource will be on: of a collective, the one all its members share, if they do.
func (r *run) nextNode(id status.ResID) status.NodeID {
	n, several := r.nextNodes(id)
	if several {
		return status.NoNode
	}
	return n
}

// nextNodes is a node a resource will be on, and whether there are several.
func (r *run) nextNodes(id status.ResID) (node status.NodeID, several bool) {
	kids := r.res[id].children
	if len(kids) == 0 {
		return r.res[id].node, false
	}
	node = status.NoNode
	for _, c := range kids {
		n, more := r.nextNodes(c)
		if more || n != status.NoNode && node != status.NoNode && n != node {
			return n, true
		}
		if n != status.NoNode {
			node = n
		}
	}
	return node, false
}

// currentNodes is the same for where a resource is active now.
func (r *run) currentNodes(id status.ResID) (node status.NodeID, several bool) {
	kids := r.rsc(id).Children
	if len(kids) == 0 {
		a := r.rsc(id).Active
		if len(a) == 0 {
			return status.NoNode, false
		}
		return a[0], len(a) > 1
	}
	node = status.NoNode
	for _, c := range kids {
		n, more := r.currentNodes(c)
		if more || n != status.NoNode && node != status.NoNode && n != node {
			return n, true
		}
		if n != status.NoNode {
			node = n
		}
	}
	return node, false
}

// location is where a resource is (current) or will be; NoNode for nowhere or several nodes.
func (r *run) location(id status.ResID, current bool) status.NodeID {
	if !current {
		return r.nextNode(id)
	}
	n, several := r.currentNodes(id)
	if several {
		return status.NoNode
	}
	return n
}

// state is the role of a resource now (current) or next: of a group or clone, the highest of its members.
func (r *run) state(id status.ResID, current bool) status.Role {
	if kind := r.rsc(id).Kind; kind == model.Group || kind == model.Clone {
		role := status.RoleUnknown
		for _, c := range r.res[id].children {
			role = max(role, r.state(c, current))
		}
		return role
	}
	if r.rsc(id).Kind == model.Bundle {
		return status.RoleUnknown
	}
	if current {
		return r.res[id].role
	}
	return r.res[id].next
}

// flagDeep tells whether a flag holds for a resource or anything under it.
func (r *run) flagDeep(id status.ResID, flag func(*resSheet) bool) bool {
	if flag(&r.res[id]) {
		return true
	}
	for _, c := range r.res[id].children {
		if r.flagDeep(c, flag) {
			return true
		}
	}
	return false
}

func blocked(s *resSheet) bool { return s.blocked }
func failed(s *resSheet) bool  { return s.failed }

// prefer adds a score to a resource (and what is under it) on a node, or on all nodes without one.
func (r *run) prefer(id status.ResID, n status.NodeID, points int32, why string) {
	if n != status.NoNode {
		r.preferOn(id, n, points, why, r.s.Nodes[n].Score)
		return
	}
	for i := range r.s.Nodes {
		r.preferOn(id, status.NodeID(i), points, why, r.s.Nodes[i].Score)
	}
}

func (r *run) preferOn(id status.ResID, n status.NodeID, points int32, why string, base int32) {
	for _, c := range r.res[id].children {
		r.preferOn(c, n, points, why, base)
	}
	c := &r.allowed(id)[n]
	if !c.present {
		*c = cell{present: true, score: base}
		if r.s.Nodes[n].BundleOnly {
			c.mode = probeNever
		}
	}
	c.score = add(c.score, points)
	r.trace.score(id, n, points, why)
}

func (r *run) ban(id status.ResID, n status.NodeID, why string) {
	r.prefer(id, n, minusInfinity, why)
}

// show records the scores of a resource and what is under it, as crm_simulate -s prints them.
func (r *run) show(id status.ResID, stage string) {
	if r.rsc(id).Orphan {
		return
	}
	t := r.allowed(id)
	for _, n := range r.s.NodesByName {
		if t[n].present {
			r.scores = append(r.scores, ScoreRecord{stage, id, n, t[n].score})
		}
	}
	for _, c := range r.res[id].children {
		r.show(c, stage)
	}
}

func (r *run) bundleHost(connection status.ResID) (string, bool) {
	b := r.parent(connection)
	if b == status.NoRes {
		return "", false
	}
	for _, rep := range r.rsc(b).Bundle.Replicas {
		if rep.Remote != connection {
			continue
		}
		n := r.res[rep.Container].node
		if n == status.NoNode {
			n = r.s.CurrentNode(rep.Container)
		}
		if n == status.NoNode {
			return "", false
		}
		return r.s.Nodes[n].Name, true
	}
	return "", false
}

// shutdownTime is when a node asked to leave; the present if it does not say.
func (r *run) shutdownTime(n status.NodeID) time.Time {
	if s, err := strconv.ParseInt(r.s.Nodes[n].Attributes["shutdown"], 10, 64); err == nil && s > 0 {
		return time.Unix(s, 0).UTC()
	}
	return r.s.Now
}

func (r *run) recheckBy(t time.Time) {
	if r.ev.RecheckBy.IsZero() || t.Before(r.ev.RecheckBy) {
		r.ev.RecheckBy = t
	}
}

// collocated tells whether a group's members must be together; they must unless an old configuration says otherwise.
func (r *run) collocated(group status.ResID) bool {
	m := r.rsc(group).Meta
	for _, name := range []string{"collocated", "colocated"} {
		if v, set := m[name]; set {
			return status.True(v)
		}
	}
	return true
}

// ordered tells whether a group's members start in order; they do unless an old configuration says otherwise.
func (r *run) ordered(group status.ResID) bool {
	v, set := r.rsc(group).Meta["ordered"]
	return !set || status.True(v)
}
