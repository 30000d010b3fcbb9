package scheduler

import (
	"slices"
	"strconv"
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/status"
	"systole/crm/transition"
)

// featureSet is the feature set whose graphs these are (Pacemaker 2.1.5, the version this project reports).
const featureSet = "3.16.1"

// result freezes what the run has found out.
func (r *run) result() *Result {
	changes := r.changes()
	graph := r.graph()
	res := &Result{Status: r.s, Graph: graph, RecheckBy: earliest(r.s.RecheckBy, r.ev.RecheckBy), Notices: r.notices, options: r.opts}
	if !res.RecheckBy.IsZero() {
		graph.RecheckBy = res.RecheckBy.Unix()
	}
	res.RecheckBy = earliest(res.RecheckBy, r.s.OptionsRecheckBy)
	res.Placement = &Placement{Scores: r.scores, Capacities: r.caps}
	for i := range r.res {
		res.Placement.Node = append(res.Placement.Node, r.res[i].node)
		res.Placement.Role = append(res.Placement.Role, r.res[i].next)
	}
	res.Plan = &Plan{Changes: changes}
	for i := range r.actions {
		a := &r.actions[i]
		out := Action{ID: transition.ActionID(i + 1), Key: r.keyOf(actionID(i)), Task: a.task, IntervalMillis: a.interval,
			Resource: a.res, Node: a.node, Optional: a.is(optional), Runnable: a.is(runnable), Pseudo: a.is(pseudo),
			InGraph: a.is(dumped), Reason: a.reason}
		for _, l := range a.before {
			if l.dumped {
				out.Before = append(out.Before, transition.ActionID(l.action+1))
			}
		}
		res.Plan.Actions = append(res.Plan.Actions, out)
	}
	return res
}

// graph puts together the transition graph: for each resource its actions, the latest first, and at last those on nodes.
func (r *run) graph() *transition.Graph {
	o := &r.s.Options
	g := &transition.Graph{Options: transition.Options{ClusterDelay: o.ClusterDelay, FencingTimeout: o.FenceTimeout,
		FailedStopOffset: "INFINITY", FailedStartOffset: "1", TransitionID: r.opts.TransitionID, MigrationLimit: -1}}
	if o.StartFailureFatal {
		g.FailedStartOffset = "INFINITY"
	}
	g.BatchLimit, _ = strconv.Atoi(o.BatchLimit)
	if n, err := strconv.Atoi(o.MigrationLimit); err == nil && n > 0 {
		g.MigrationLimit, g.MigrationLimitText = n, o.MigrationLimit
	}
	for _, id := range r.rootOrder {
		r.graphResource(g, id)
	}
	if len(r.maintenanceNodes()) > 0 {
		a := r.pseudo("maintenance_nodes")
		r.actions[a].flags |= printed
	}
	for k := len(r.actions) - 1; k >= 0; k-- {
		r.graphAction(g, actionID(k))
	}
	g.Drawing = r.drawing()
	return g
}

func (r *run) graphResource(g *transition.Graph, id status.ResID) {
	own := func() {
		for _, a := range slices.Backward(r.res[id].actions) {
			r.graphAction(g, a)
		}
	}
	switch r.rsc(id).Kind {
	case model.Bundle:
		b := r.rsc(id).Bundle
		if b.Member != status.NoRes {
			r.graphResource(g, b.Member)
		}
		for _, rep := range b.Replicas {
			for _, part := range []status.ResID{rep.IP, rep.Container, rep.Remote} {
				if part != status.NoRes {
					r.graphResource(g, part)
				}
			}
		}
		return
	case model.Clone:
		for _, a := range slices.Backward(r.res[id].actions) {
			r.flagsOf(a, status.NoNode)
		}
		r.createNotifications(id)
		for _, c := range r.res[id].children {
			r.graphResource(g, c)
		}
		own()
		return
	}
	own()
	for _, c := range r.res[id].children {
		r.graphResource(g, c)
	}
}

// mergeInputs sorts what an action waits for and merges what is there twice.
func (r *run) mergeInputs(id actionID) {
	a := &r.actions[id]
	if a.is(deduplicated) {
		return
	}
	a.flags |= deduplicated
	slices.Reverse(a.before)
	slices.SortStableFunc(a.before, func(x, y link) int { return int(x.action) - int(y.action) })
	out := a.before[:0]
	for _, l := range a.before {
		if n := len(out); n > 0 && out[n-1].action == l.action {
			out[n-1].flags |= l.flags
			out[n-1].dumped = out[n-1].dumped || l.dumped
			continue
		}
		l.dumped = false
		out = append(out, l)
	}
	a.before = out
}

func (r *run) graphAction(g *transition.Graph, id actionID) {
	r.mergeInputs(id)
	a := &r.actions[id]
	if a.is(dumped) || !r.belongs(id) {
		return
	}
	a.flags |= dumped
	s := transition.Synapse{Action: r.graphElement(id)}
	if a.res != status.NoRes {
		s.Priority = int(r.res[a.res].priority)
	}
	s.Priority = max(s.Priority, int(a.priority), 0)
	for k := range a.before {
		if r.inputBelongs(id, &r.actions[id].before[k]) {
			r.actions[id].before[k].dumped = true
			s.Inputs = append(s.Inputs, transition.ActionID(a.before[k].action+1))
		}
	}
	g.Synapses = append(g.Synapses, s)
}

// belongs tells whether an action is part of the graph.
func (r *run) belongs(id actionID) bool {
	a := &r.actions[id]
	if !a.is(runnable) || a.is(optional) && !a.is(printed) {
		return false
	}
	if a.res != status.NoRes && !r.res[a.res].managed && a.task != "monitor" && a.interval == 0 {
		return false
	}
	if a.is(pseudo) || a.task == "stonith" || a.task == "do_shutdown" {
		return true
	}
	n := a.node
	switch {
	case n == status.NoNode:
		return false
	case a.is(onDC), r.s.Nodes[n].Kind == status.Guest && !r.nodes[n].reset:
		return true
	}
	return r.nodes[n].online && !r.nodes[n].unclean
}

// inputBelongs tells whether an ordering is part of the graph. Orderings for capacity and anti-colocation that turn out to be
// needless are taken out for good.
func (r *run) inputBelongs(id actionID, l *link) bool {
	if l.dumped {
		return true
	}
	a, in := &r.actions[id], &r.actions[l.action]
	switch {
	case l.flags == orderNone,
		!in.is(runnable) && l.flags&^(printFirst|printThen|orderOptional) == 0,
		!in.is(runnable) && l.flags&oneOrMore != 0,
		l.flags&impliesFirstMigratable != 0 && !in.is(runnable),
		l.flags&ifNotMigrating != 0 && in.is(migratable),
		l.flags == orderOptional && in.is(migratable) && in.keyTask == "stop":
		return false
	case l.flags == orderLoad:
		n := a.node
		if a.res != status.NoRes && a.task == "migrate_to" {
			n = r.res[a.res].node // what counts is where it will be
			if in.node == status.NoNode || in.node != n {
				l.flags = orderNone
				return false
			}
			return true
		}
		if in.node == status.NoNode || in.node != n || in.is(optional) {
			l.flags = orderNone
			return false
		}
		return true
	case l.flags == orderApart:
		if in.node != status.NoNode && a.node != status.NoNode && in.node != a.node || in.is(optional) {
			l.flags = orderNone
			return false
		}
		return true
	case in.res != status.NoRes && in.res != a.res && r.res[in.res].failed && !r.res[in.res].managed && in.keyTask == "stop" &&
		a.res != status.NoRes && r.isClone(a.res):
		return false // an unmanaged failed resource cannot keep a clone from stopping
	case in.is(optional) && (in.flags&(printed|dumped) == 0 || in.res != status.NoRes && !r.res[in.res].managed) && !r.belongs(l.action):
		return false // nobody would ever confirm it
	}
	return true
}

// loops tells whether following an ordering back leads to the action it started from.
func (r *run) loops(start, id actionID, l *link) bool {
	in := &r.actions[l.action]
	if in.is(tracking) || !r.inputBelongs(id, l) {
		return false
	}
	if l.action == start {
		return true
	}
	in.flags |= tracking
	found := false
	for k := len(in.before) - 1; k >= 0 && !found; k-- {
		found = r.loops(start, l.action, &r.actions[l.action].before[k])
	}
	r.actions[l.action].flags &^= tracking
	return found
}

// maintenanceNodes are the remote nodes whose maintenance mode has to be passed on to them.
func (r *run) maintenanceNodes() []status.NodeID {
	var out []status.NodeID
	for _, n := range r.s.NodesByName {
		if node := &r.s.Nodes[n]; node.IsRemote() && node.Maintenance != node.RemoteMaintenance {
			out = append(out, n)
		}
	}
	return out
}

func (r *run) graphElement(id actionID) *transition.Action {
	a := &r.actions[id]
	out := &transition.Action{ID: transition.ActionID(id + 1), Task: a.task, Key: r.keyOf(id)}
	onNode := true
	switch {
	case a.task == "stonith":
		out.Kind = transition.KindCluster
		if a.is(pseudo) {
			out.Kind = transition.KindPseudo
		}
	case a.task == "do_shutdown", a.task == "clear_failcount", a.task == "lrm_delete":
		out.Kind = transition.KindCluster
	case a.is(pseudo):
		out.Kind = transition.KindPseudo
		onNode = false
	default:
		out.Kind = transition.KindResource
	}
	if a.res != status.NoRes && r.rsc(a.res).HistoryID != "" {
		out.InternalKey = out.Key
		out.Key = r.historyKey(id)
	}
	if onNode && a.node != status.NoNode {
		out.Node, out.NodeID = r.s.Nodes[a.node].Name, r.s.Nodes[a.node].ID
		if via := r.router(id); via != status.NoNode {
			out.Router = r.s.Nodes[via].Name
		}
	}
	if a.res != status.NoRes && !a.is(pseudo) {
		out.Resource = r.graphResourceOf(id)
		if st := &r.res[a.res]; st.locked != status.NoNode && st.locked == a.node && (!r.nodes[a.node].shutdown || a.task == "stop") {
			out.ShutdownLock = strconv.FormatInt(st.lockSince.Unix(), 10)
		}
	}
	out.Attributes = r.attributes(id, onNode)
	if onNode && a.node != status.NoNode {
		out.Downed = r.downed(id)
	}
	return out
}

// historyKey is the operation key with the name the node's history uses.
func (r *run) historyKey(id actionID) string {
	a := &r.actions[id]
	name := r.rsc(a.res).HistoryID
	task := a.task
	switch {
	case a.task == "notify":
		task = a.metaValue("notify_type") + "_notify_" + a.metaValue("notify_operation")
	case a.cancels != "":
		task = a.cancels
	}
	return name + "_" + task + "_" + strconv.FormatUint(uint64(a.interval), 10)
}

func (r *run) graphResourceOf(id actionID) *transition.Resource {
	rsc := r.rsc(r.actions[id].res)
	out := &transition.Resource{Class: rsc.Config.Class, Provider: rsc.Config.Provider, Type: rsc.Config.Type}
	switch {
	case rsc.Orphan && rsc.HistoryID != "":
		out.ID, out.LongID = rsc.HistoryID, rsc.ID
	case !rsc.Unique:
		out.ID, out.LongID = rsc.BaseID, rsc.ID
		if rsc.HistoryID != "" && rsc.HistoryID != rsc.BaseID {
			out.LongID = rsc.HistoryID
		}
	default:
		out.ID = rsc.ID
	}
	return out
}

// downed are the ids of the nodes an action takes down.
func (r *run) downed(id actionID) []string {
	a := &r.actions[id]
	self := r.s.Nodes[a.node].ID
	switch {
	case a.task == "do_shutdown":
		return []string{self}
	case a.task == "stonith":
		if op := a.metaValue("stonith_action"); op != "off" && op != "reboot" && op != "poweroff" {
			return nil
		}
		out := []string{self}
		for _, g := range r.guestsOn(a.node) {
			out = append(out, r.s.Nodes[g].ID)
		}
		return out
	case a.res != status.NoRes && r.rsc(a.res).RemoteConnection && a.task == "stop":
		for _, l := range a.before {
			if in := &r.actions[l.action]; in.res == a.res && in.task == "migrate_from" {
				return nil
			}
		}
		return []string{r.rsc(a.res).ID}
	}
	return nil
}

// guestsOn are the guest nodes whose containers are active on a node.
func (r *run) guestsOn(n status.NodeID) []status.NodeID {
	var out []status.NodeID
	for _, id := range r.s.Nodes[n].Active {
		for _, f := range r.rsc(id).Fillers {
			if g, ok := r.s.Node(r.rsc(f).ID); ok && r.rsc(f).RemoteConnection {
				out = append(out, g.Index)
			}
		}
	}
	return out
}

func metaName(name string) string { return "CRM_meta_" + strings.ReplaceAll(name, "-", "_") }

// attributes are the parameters and facts an action is carried out with.
func (r *run) attributes(id actionID, onNode bool) []cib.Attr {
	a := &r.actions[id]
	v := map[string]string{"crm_feature_set": featureSet}
	put := func(name, value string) {
		if _, set := v[name]; !set {
			v[name] = value
		}
	}
	meta := func(name, value string) {
		if !strings.HasPrefix(name, "#") {
			put(metaName(name), value)
		}
	}
	if a.meta != nil {
		for name, value := range r.ev.OpParams(a.meta.Config, a.node) {
			if a.node != status.NoNode {
				put(name, value)
			}
		}
	}
	if a.res != status.NoRes && (a.node != status.NoNode || r.isPrimitive(a.res)) {
		for name, value := range r.ev.Params(a.res, a.node) {
			if name == "addr" && value == "#uname" {
				if host, ok := r.bundleHost(a.res); ok {
					value = host
				}
			}
			put(name, value)
		}
	}
	if onNode && a.node != status.NoNode {
		meta("on_node", r.s.Nodes[a.node].Name)
		meta("on_node_uuid", r.s.Nodes[a.node].ID)
	}
	for name, value := range a.extra {
		meta(name, value)
	}
	if a.meta != nil {
		for name, value := range a.meta.Values {
			meta(name, value)
		}
	}
	switch {
	case a.res != status.NoRes:
		for p := a.res; p != status.NoRes; p = r.parent(p) {
			r.resourceMeta(p, put)
		}
		r.guestMeta(id, meta)
	}
	out := make([]cib.Attr, 0, len(v))
	for _, name := range sortedKeys(v) {
		out = append(out, cib.Attr{Name: name, Value: v[name]})
	}
	return out
}

// resourceMeta adds the meta attributes of a resource that its agents are told.
func (r *run) resourceMeta(id status.ResID, put func(name, value string)) {
	rsc := r.rsc(id)
	switch rsc.Kind {
	case model.Primitive:
		if rsc.Instance != "" {
			put("CRM_meta_clone", rsc.Instance)
		}
		if v, set := rsc.Meta["remote-node"]; set {
			put("CRM_meta_remote_node", v)
		}
		for p := id; p != status.NoRes; p = r.parent(p) {
			if c := r.rsc(p).Container; c != status.NoRes {
				put("CRM_meta_container", r.rsc(c).ID)
			}
		}
		if rsc.ExternalIP != "" {
			put("pcmk_external_ip", rsc.ExternalIP)
		}
	case model.Clone:
		c := rsc.Clone
		put("CRM_meta_globally_unique", strconv.FormatBool(rsc.Unique))
		put("CRM_meta_notify", strconv.FormatBool(rsc.Notify))
		put("CRM_meta_clone_max", strconv.Itoa(c.Max))
		put("CRM_meta_clone_node_max", strconv.Itoa(c.NodeMax))
		if rsc.Promotable {
			put("CRM_meta_promoted_max", strconv.Itoa(c.PromotedMax))
			put("CRM_meta_promoted_node_max", strconv.Itoa(c.PromotedNodeMax))
			put("CRM_meta_master_max", strconv.Itoa(c.PromotedMax))
			put("CRM_meta_master_node_max", strconv.Itoa(c.PromotedNodeMax))
		}
	}
}

// guestMeta tells an action in a guest which machine that is on.
func (r *run) guestMeta(id actionID, meta func(name, value string)) {
	a := &r.actions[id]
	if a.node == status.NoNode || r.s.Nodes[a.node].Kind != status.Guest {
		return
	}
	container := r.rsc(r.s.Nodes[a.node].Connection).Container
	task := a.task
	if task == "notify" || task == "notified" {
		task = a.metaValue("notify_operation")
	}
	host := status.NoNode
	switch atomicTask(task) {
	case "stop", "demote":
		host = r.s.CurrentNode(container)
	case "start", "monitor", "promote":
		host = r.res[container].node
	}
	if host == status.NoNode {
		return
	}
	if v, set := r.rsc(a.res).Meta["container-attribute-target"]; set {
		meta("container-attribute-target", v)
	}
	meta("physical_host", r.s.Nodes[host].Name)
}

// drawing is the plan for people.
func (r *run) drawing() transition.Drawing {
	var d transition.Drawing
	shown := make([]bool, len(r.actions))
	names := make([]string, len(r.actions))
	for k := len(r.actions) - 1; k >= 0; k-- {
		a := &r.actions[k]
		names[k] = r.drawnName(actionID(k))
		if !a.is(dumped) && (a.res != status.NoRes && !r.res[a.res].managed || a.is(optional)) {
			continue
		}
		shown[k] = true
		d.Actions = append(d.Actions, transition.DrawnAction{Name: names[k], Executed: a.is(dumped), Pseudo: a.is(pseudo)})
	}
	for k := len(r.actions) - 1; k >= 0; k-- {
		for _, l := range r.actions[k].before {
			switch {
			case l.dumped:
			case l.flags == orderNone:
				continue
			case shown[l.action] && shown[k] && l.flags != orderLoad:
			default:
				continue
			}
			d.Edges = append(d.Edges, transition.DrawnEdge{From: names[l.action], To: names[k], Solid: l.dumped})
		}
	}
	return d
}

func (r *run) drawnName(id actionID) string {
	a := &r.actions[id]
	host := "<none>"
	if a.node != status.NoNode {
		host = r.s.Nodes[a.node].Name
	} else if a.is(pseudo) {
		host = ""
	}
	prefix := ""
	if a.cancels != "" {
		prefix = "Cancel "
	}
	switch {
	case a.res != status.NoRes && r.rsc(a.res).HistoryID != "":
		key := r.rsc(a.res).HistoryID + "_" + orDefault(a.cancels, a.task) + "_" + strconv.FormatUint(uint64(a.interval), 10)
		if a.task == "notify" || a.task == "notified" {
			key = r.rsc(a.res).HistoryID + "_" + a.metaValue("notify_key_type") + "_notify_" + a.metaValue("notify_key_operation") + "_0"
		}
		return transition.DrawnName(prefix+key, host)
	case a.task == "stonith":
		return "stonith '" + a.metaValue("stonith_action") + "' " + host
	case a.res != status.NoRes && host != "":
		return transition.DrawnName(prefix+r.keyOf(id), host)
	case host != "":
		return transition.DrawnName(prefix+a.task, host)
	}
	return r.keyOf(id)
}
