package status

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/model"
)

func childrenOf(e *cib.Element) []*cib.Element {
	if e == nil {
		return nil
	}
	return e.Children()
}

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// histories reads the nodes' operation histories. A remote node's can be read only once its connection is known
// to be up, which is in another node's history, so it may take several passes.
func (u *unpacker) histories() {
	for u.historyPass(false) {
	}
	u.historyPass2()
	for _, c := range u.stopLater {
		if n := u.s.CurrentNode(c); n != NoNode {
			u.wantStop(c, n)
		}
	}
	for _, id := range u.s.NodesByName {
		n := &u.s.Nodes[id]
		if !n.IsRemote() {
			continue
		}
		if n.Shutdown && n.Connection != NoRes {
			u.setNextRole(&u.s.Resources[n.Connection], RoleStopped, "remote shutdown")
		}
		if !n.Unpacked {
			u.remoteOnline(n)
		}
	}
}

// historyPass2 is the last pass: with fencing it reads every history left, for whatever is active there must be stopped.
func (u *unpacker) historyPass2() { u.historyPass(u.s.Options.Fencing) }

func (u *unpacker) historyPass(all bool) (progress bool) {
	for state := range u.s.Source.Child("status").Each("node_state") {
		n := u.nodeOf(state)
		if n == nil || n.Unpacked || !all && !u.readable(n) {
			continue
		}
		if n.State == nil {
			n.State = state
		}
		if n.IsRemote() {
			u.remoteOnline(n)
			u.remoteAttributes(n, state)
		}
		n.Unpacked, progress = true, true
		u.nodeHistory(n.Index, state)
	}
	return progress
}

// readable tells whether a node's history can be interpreted yet.
func (u *unpacker) readable(n *Node) bool {
	var conn *Resource
	if n.Connection != NoRes {
		conn = &u.s.Resources[n.Connection]
	}
	switch {
	case n.Kind == Guest:
		return conn != nil && conn.Role == RoleStarted && u.s.Resources[conn.Container].Role == RoleStarted
	case n.Kind == Remote:
		return conn != nil && (u.s.Options.ShutdownLock || conn.Role == RoleStarted)
	case n.Unproven:
		return true
	}
	// Without fencing an offline node runs nothing; with it, online nodes still go first only by document order.
	return u.s.Options.Fencing || u.s.Options.ShutdownLock || n.Online
}

func (u *unpacker) nodeHistory(n NodeID, state *cib.Element) {
	entries := state.Path("lrm", "lrm_resources")
	filler := false
	for e := range entries.Each("lrm_resource") {
		if r := u.resourceHistory(n, e); r != NoRes && u.s.Resources[r].OrphanFiller {
			filler = true
		}
	}
	if filler {
		u.linkOrphanFillers(entries)
	}
}

// linkOrphanFillers ties orphans that say which container they lived in to that container.
func (u *unpacker) linkOrphanFillers(entries *cib.Element) {
	for e := range entries.Each("lrm_resource") {
		c, ok1 := u.s.resByID[e.Get("container")]
		r, ok2 := u.s.resByID[e.ID()]
		if ok1 && ok2 && u.s.Resources[r].OrphanFiller && u.s.Resources[r].Container == NoRes {
			u.s.Resources[r].Container = c
			u.s.Resources[c].Fillers = append(u.s.Resources[c].Fillers, r)
			if n, isNode := u.s.Node(e.ID()); isNode && n.Connection == r {
				n.Kind = Guest
			}
		}
	}
}

// resourceHistory reads one lrm_resource entry.
func (u *unpacker) resourceHistory(n NodeID, e *cib.Element) ResID {
	id := e.ID()
	var ops []*cib.Element
	for op := range e.Each("lrm_rsc_op") {
		ops = append(ops, op)
	}
	if id == "" || len(ops) == 0 && !u.s.Options.ShutdownLock {
		return NoRes
	}
	r := u.findResource(n, id)
	if r == NoRes {
		if len(ops) == 0 {
			return NoRes
		}
		r = u.addOrphan(n, e)
	}
	if u.s.Options.ShutdownLock {
		u.shutdownLock(r, n, e)
	}
	SortOps(ops)
	rsc := &u.s.Resources[r]
	saved := rsc.Role
	rsc.Role = RoleUnknown
	h := history{unpacker: u, res: r, node: n}
	for _, op := range ops {
		h.operation(op)
	}
	start, stop := ActiveOps(ops)
	u.recurring(r, n, ops, start, stop)
	h.applyState()
	rsc = &u.s.Resources[r]
	if role := u.targetRole(rsc, rsc.Parent); role != RoleUnknown && (rsc.NextRole == RoleUnknown || role < rsc.NextRole) {
		u.setNextRole(rsc, role, "target-role")
	}
	rsc.Role = max(rsc.Role, saved)
	return r
}

func (u *unpacker) setNextRole(rsc *Resource, role Role, why string) {
	if rsc.NextRole != role {
		rsc.NextRole, rsc.NextRoleReason = role, why
	}
}

func (u *unpacker) wantStop(r ResID, n NodeID) {
	u.want(Want{Kind: WantStop, Res: r, Node: n})
	u.stopWanted[r] = true
	node := &u.s.Nodes[n]
	if !node.Online && (node.Kind != Guest || node.RemoteReset) && u.s.Resources[r].Managed && !node.Unclean {
		u.fence(node, "stop is unrunnable", false)
	}
}

func (u *unpacker) ban(r ResID, n NodeID, why string) { u.prefer(r, n, minusInfinity, why) }

func (u *unpacker) prefer(r ResID, n NodeID, score int32, why string) {
	w := Want{Kind: WantScore, Res: r, Node: n, Score: score, Reason: why}
	if n != NoNode {
		w.NodeScore = u.s.Nodes[n].Score
	}
	u.want(w)
}

// shutdownLock notes that a resource is to wait for its node's return.
func (u *unpacker) shutdownLock(r ResID, n NodeID, e *cib.Element) {
	since := number(e.Get("shutdown-lock"), 0)
	if since == 0 {
		return
	}
	limit := int64(u.s.Options.ShutdownLockLimit.Seconds())
	if limit > 0 && u.s.Now.Unix() > since+limit {
		u.want(Want{Kind: WantForget, Res: r, Node: n})
		return
	}
	u.s.Resources[r].Locked, u.s.Resources[r].LockSince = n, unix(since)
}

// findResource finds the resource instance a history entry belongs to, NoRes for an orphan.
func (u *unpacker) findResource(n NodeID, id string) ResID {
	r, ok := u.s.resByID[id]
	if !ok {
		r, ok = u.historyIDs[id]
	}
	switch {
	case !ok:
		zero, found := u.s.resByID[BaseName(id)+":0"]
		if !found || u.s.Resources[zero].Unique {
			return NoRes
		}
		r = zero
	case u.s.Resources[r].Kind != model.Primitive:
		return NoRes
	}
	top := u.s.Top(r)
	if t := &u.s.Resources[top]; t.Kind == model.Clone && !t.Unique {
		if t.Parent != NoRes {
			r = u.replicaOn(t.Parent, n)
		} else {
			r = u.anonymousInstance(top, n, BaseName(id))
		}
	}
	if r != NoRes {
		rsc := &u.s.Resources[r]
		if id != rsc.ID && id != rsc.HistoryID {
			rsc.HistoryID = id
			u.historyIDs[id] = r
		}
	}
	return r
}

func (u *unpacker) replicaOn(bundle ResID, n NodeID) ResID {
	for _, rep := range u.s.Resources[bundle].Bundle.Replicas {
		if rep.Node == n {
			return rep.Member
		}
	}
	return NoRes
}

// anonymousInstance picks the instance of an anonymous clone that a node's history is about: the one already active
// there, else a free one, else a new orphan.
func (u *unpacker) anonymousInstance(clone ResID, n NodeID, base string) ResID {
	found, free, skipFree := NoRes, NoRes, false
	for _, child := range u.s.Resources[clone].Children {
		if found != NoRes {
			break
		}
		at, any := u.location(child)
		if any {
			if at != n {
				continue
			}
			if r := u.member(child, base); r != NoRes {
				if len(u.s.Resources[r].Active) > 0 {
					skipFree = true // more instances than one on this node: the rest are orphans
				} else {
					found = r
				}
			}
			continue
		}
		if !skipFree && free == NoRes && !u.s.Resources[child].Blocked {
			free = u.member(child, base)
			if free != NoRes && u.s.Resources[free].PendingNode != NoNode && u.s.Resources[free].PendingNode != n {
				free = NoRes
			}
		}
	}
	if found == NoRes && !skipFree {
		found = free
	}
	node := &u.s.Nodes[n]
	if found != NoRes && !u.s.Resources[found].NeedsFencing && (!node.Online || node.Unclean) && !node.Unproven &&
		node.Kind != Guest && u.s.Resources[clone].Clone.Max != len(u.s.Nodes) {
		// What is not fenced before recovery must not use up an instance that could start elsewhere.
		found = NoRes
	}
	if found == NoRes {
		found = u.member(u.addInstance(clone), base)
	}
	return found
}

// location is a node where a clone instance is active or has an operation pending.
func (u *unpacker) location(r ResID) (NodeID, bool) {
	rsc := &u.s.Resources[r]
	for _, c := range rsc.Children {
		if n, ok := u.location(c); ok {
			return n, true
		}
	}
	if len(rsc.Children) == 0 {
		if len(rsc.Active) > 0 {
			return rsc.Active[0], true
		}
		if rsc.PendingNode != NoNode {
			return rsc.PendingNode, true
		}
	}
	return NoNode, false
}

// member is the primitive with the configured name inside an instance.
func (u *unpacker) member(instance ResID, base string) ResID {
	rsc := &u.s.Resources[instance]
	if rsc.BaseID == base || rsc.ID == base {
		return instance
	}
	for _, c := range rsc.Children {
		if r := u.member(c, base); r != NoRes {
			return r
		}
	}
	return NoRes
}

// addOrphan makes a resource for history that no configured one explains.
func (u *unpacker) addOrphan(n NodeID, e *cib.Element) ResID {
	xml := cib.New("primitive")
	for _, a := range e.Attrs() {
		xml = xml.With(a.Name, a.Value)
	}
	r := u.add(primitive(xml), NoRes, "")
	u.s.Roots = append(u.s.Roots, r)
	u.s.Listing = append(u.s.Listing, r)
	rsc := &u.s.Resources[r]
	if rsc.RemoteConnection {
		node, known := u.s.Node(rsc.ID)
		if !known {
			node = u.newNode(rsc.ID, rsc.ID, Remote, 0)
		}
		u.linkRemoteNode(r)
		node.Shutdown = true
		rsc = &u.s.Resources[r]
	}
	rsc.Orphan = true
	rsc.OrphanFiller = e.Get("container") != ""
	if u.s.Options.StopOrphans {
		u.ban(r, NoNode, "removed from the configuration")
	} else {
		rsc.Managed = false
	}
	return r
}

// recurring notes the recurring operations that are active on the node.
func (u *unpacker) recurring(r ResID, n NodeID, ops []*cib.Element, start, stop int) {
	if !u.s.Nodes[n].Online {
		return
	}
	for i, op := range ops {
		if start < stop && i <= stop || i < start {
			continue
		}
		ms := historyInterval(op)
		if ms == 0 || op.Get("op-status") == "-1" {
			continue
		}
		u.want(Want{Kind: WantRecurring, Res: r, Node: n, Task: op.Get("operation"), IntervalMillis: ms})
	}
}

// ActiveOps finds, in a sorted history, the last operation that started the resource and the last that stopped it; -1 for none.
func ActiveOps(ops []*cib.Element) (start, stop int) {
	start, stop = -1, -1
	monitor, promoted := -1, -1
	for i, op := range ops {
		switch task := op.Get("operation"); {
		case task == "stop" && op.Get("op-status") == "0":
			stop = i
		case task == "start" || task == "migrate_from":
			start = i
		case monitor <= stop && task == "monitor":
			if rc := op.Get("rc-code"); rc == "0" || rc == "8" {
				monitor = i
			}
		case task == "promote" || task == "demote":
			promoted = i
		}
	}
	if start == -1 {
		if promoted != -1 {
			start = promoted
		} else if monitor != -1 {
			start = monitor
		}
	}
	return start, stop
}

// SortOps puts history entries into the order in which they happened.
func SortOps(ops []*cib.Element) {
	slices.Reverse(ops)
	MergeSort(ops, CompareOps)
}

// CompareOps says which of two history entries happened first, by call id on the same node, else by the time or the
// transition; 0 when nobody can tell.
func CompareOps(a, b *cib.Element) int {
	sameNode := strings.EqualFold(a.Get("on_node"), b.Get("on_node"))
	if sameNode && a.ID() == b.ID() {
		return 0
	}
	x, y := number(a.Get("call-id"), -1), number(b.Get("call-id"), -1)
	switch {
	case x == -1 && y == -1:
		return 0
	case sameNode && x >= 0 && x < y:
		return -1
	case sameNode && y >= 0 && x > y:
		return 1
	case x >= 0 && y >= 0:
		t1, t2 := number(a.Get("last-rc-change"), -1), number(b.Get("last-rc-change"), -1)
		switch {
		case t1 >= 0 && t1 < t2:
			return -1
		case t2 >= 0 && t1 > t2:
			return 1
		}
		return 0
	}
	// One of them is pending.
	uuid1, id1, ok1 := magicOf(a)
	uuid2, id2, ok2 := magicOf(b)
	switch {
	case !ok1 || !ok2:
		return 0
	case !strings.EqualFold(uuid1, uuid2) || id1 == id2:
		if y == -1 {
			return -1
		}
		if x == -1 {
			return 1
		}
	case id1 >= 0 && id1 < id2 || id2 == -1:
		return -1
	case id2 >= 0 && id1 > id2 || id1 == -1:
		return 1
	}
	return 0
}

// magicOf takes transition number and uuid from a transition-magic "STATUS:RC;ACTION:TRANSITION:TARGET:UUID".
func magicOf(op *cib.Element) (uuid string, transition int, ok bool) {
	_, key, ok := strings.Cut(op.Get("transition-magic"), ";")
	if !ok {
		return "", 0, false
	}
	parts := strings.SplitN(key, ":", 4)
	if len(parts) != 4 {
		return "", 0, false
	}
	n, err := strconv.Atoi(parts[1])
	return parts[3], n, err == nil
}

// targetRC is the return code that was expected of an operation, -1 if its key does not say.
func targetRC(op *cib.Element) int {
	_, rest, _ := strings.Cut(op.Get("transition-key"), ":")
	_, rest, _ = strings.Cut(rest, ":")
	rc, _, ok := strings.Cut(rest, ":")
	n, err := strconv.Atoi(rc)
	if !ok || err != nil {
		return -1
	}
	return n
}

func historyInterval(op *cib.Element) uint32 {
	return uint32(max(0, min(number(op.Get("interval"), 0), 1<<32-1)))
}

func opKeyText(rsc, task string, intervalMillis uint32) string {
	return rsc + "_" + task + "_" + strconv.FormatUint(uint64(intervalMillis), 10)
}
