package scheduler

import (
	"strconv"
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/status"
	"systole/crm/transition"
)

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
