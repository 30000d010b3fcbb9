package status

import (
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/model"
)

// Unpack reads a cib element at a moment. It never fails: what cannot be understood is left out and
// named in Problems. The element and the result share structure, and neither is ever modified.
func Unpack(root *cib.Element, now time.Time) *Status {
	s := &Status{Source: root, Config: model.Decode(root), Now: now, DC: NoNode,
		nodeByName: map[string]NodeID{}, resByID: map[string]ResID{}}
	u := &unpacker{Evaluator: s.Evaluator(), historyIDs: map[string]ResID{}, decoded: map[*model.Resource]*settings{}, stopWanted: map[ResID]bool{}}
	s.Quorum = True(root.Get("have-quorum"))
	u.options()
	s.OptionsRecheckBy, u.RecheckBy = u.RecheckBy, time.Time{}
	u.nodes()
	u.impliedNodes()
	u.resources()
	u.nodeStates()
	u.histories()
	u.count()
	s.byHistory = u.historyIDs
	s.RecheckBy = u.RecheckBy
	s.Problems = slices.Concat(s.Config.Problems, s.Problems)
	return s
}

// unpacker builds one Status.
type unpacker struct {
	*Evaluator
	historyIDs map[string]ResID              // resources by the name their operations are recorded under
	decoded    map[*model.Resource]*settings // what the meta attributes of a configured resource say, once for all instances
	guests     []*model.Resource             // connection resources that guests imply
	stopWanted map[ResID]bool                // resources with a WantStop
	stopLater  []ResID                       // containers to stop once it is known where they run
	failed     map[string]bool               // failed operations already listed
}

func (u *unpacker) want(w Want) { u.s.Wants = append(u.s.Wants, w) }

// count finds how many primitives are disabled, and how many blocked.
func (u *unpacker) count() {
	for i := range u.s.Resources {
		r := &u.s.Resources[i]
		if len(r.Children) > 0 || r.Orphan && r.Role <= RoleStopped {
			continue
		}
		u.s.Instances++
		if u.s.IsDisabled(r.Index) {
			u.s.Disabled++
		}
		if r.Blocked {
			u.s.Blocked++
		}
	}
}

// IsDisabled tells whether target-role keeps a resource from running, or a promotable instance from being promoted.
func (s *Status) IsDisabled(r ResID) bool {
	switch ParseRole(s.Resources[r].Meta["target-role"]) {
	case RoleStopped:
		return true
	case RoleUnpromoted:
		return s.Resources[s.Top(r)].Promotable
	}
	return false
}

// nodes makes the configured nodes.
func (u *unpacker) nodes() {
	dc := u.s.Source.Get("dc-uuid")
	for _, c := range u.s.Config.Nodes {
		kind := Member
		switch c.Type {
		case "", "member", "normal":
		case "remote":
			kind = Remote
		case "ping":
			kind = Ping
		default:
			u.problem("node %s of unknown type %q left out", c.Name, c.Type)
			continue
		}
		if c.ID == "" {
			u.problem("node without id left out")
			continue
		}
		name := c.Name
		if name == "" {
			name = c.ID
		}
		n := u.newNode(c.ID, name, kind, parseScore(c.Score, 0))
		if kind != Remote {
			n.Unclean, n.Unseen = u.s.Options.StartupFencing, true
		}
		if dc != "" && c.ID == dc {
			u.s.DC, n.IsDC = n.Index, true
		}
		u.nodeAttributes(n, c.Attributes, false)
		u.values2ints(n.Utilization, c.Utilization)
	}
}

func (u *unpacker) values2ints(into map[string]int, sets []model.AttrSet) {
	if len(sets) == 0 {
		return
	}
	text := map[string]string{}
	u.values(text, sets, ruleContext{}, false)
	for k, v := range text {
		into[k] = int(number(v, 0))
	}
}

func (u *unpacker) newNode(id, name string, kind NodeKind, score int32) *Node {
	u.s.Nodes = append(u.s.Nodes, Node{Index: NodeID(len(u.s.Nodes)), ID: id, Name: name, Kind: kind, Score: score, ConfigScore: score,
		Connection: NoRes, Attributes: map[string]string{}, Utilization: map[string]int{}})
	n := &u.s.Nodes[len(u.s.Nodes)-1]
	if _, dup := u.s.nodeByName[name]; !dup {
		u.s.nodeByName[name] = n.Index
	}
	at, _ := slices.BinarySearchFunc(u.s.NodesByName, name, func(x NodeID, name string) int {
		return CompareNames(u.s.Nodes[x].Name, name)
	})
	u.s.NodesByName = slices.Insert(u.s.NodesByName, at, n.Index)
	n.Attributes["#kind"] = "cluster"
	if kind == Remote {
		n.Attributes["#kind"] = "remote"
		u.s.HaveRemotes = true
	}
	return n
}

// nodeAttributes adds attribute sets to a node's attributes, and the facts every node has.
func (u *unpacker) nodeAttributes(n *Node, sets []model.AttrSet, overwrite bool) {
	cluster := u.s.Options.All["cluster-name"]
	n.Attributes["#uname"], n.Attributes["#id"] = n.Name, n.ID
	n.Attributes["#is_dc"] = "false"
	if n.IsDC {
		n.Attributes["#is_dc"] = "true"
	}
	if cluster != "" {
		n.Attributes["#cluster-name"] = cluster
	}
	u.values(n.Attributes, sets, ruleContext{}, overwrite)
	if _, set := n.Attributes["#site-name"]; !set {
		if site, ok := n.Attributes["site-name"]; ok {
			n.Attributes["#site-name"] = site
		} else if cluster != "" {
			n.Attributes["#site-name"] = cluster
		}
	}
}

// impliedNodes makes the nodes that resources imply: remote nodes (ocf:pacemaker:remote primitives) and guests
// (primitives with meta attribute remote-node), the latter with their connection resources.
func (u *unpacker) impliedNodes() {
	for _, r := range u.s.Config.Resources {
		switch {
		case isConnection(r):
			u.implyNode(r.ID)
		case r.Kind == model.Primitive:
			u.implyGuest(r)
		case r.Kind == model.Group:
			for _, m := range r.Members {
				u.implyGuest(m)
			}
		}
	}
}

func (u *unpacker) implyNode(name string) {
	if _, known := u.s.nodeByName[name]; !known {
		u.newNode(name, name, Remote, 0)
	}
}

func isConnection(r *model.Resource) bool {
	return r != nil && r.Kind == model.Primitive && strings.EqualFold(r.Type, "remote") &&
		strings.EqualFold(r.Class, "ocf") && strings.EqualFold(r.Provider, "pacemaker")
}

func (u *unpacker) implyGuest(r *model.Resource) {
	v := map[string]string{}
	for _, set := range r.Meta {
		for pair := range set.Source.Each("nvpair") {
			v[pair.Get("name")] = pair.Get("value")
		}
	}
	name := v["remote-node"]
	if name == "" {
		return
	}
	for _, other := range u.s.Config.Resources {
		if other.ID == name {
			return
		}
	}
	timeout := v["remote-connect-timeout"]
	if timeout == "" {
		timeout = "60s"
	}
	u.guests = append(u.guests, connection(connectionSpec{name: name, container: r.ID, allowMigrate: v["remote-allow-migrate"],
		managed: v["is-managed"], startTimeout: timeout, server: v["remote-addr"], port: v["remote-port"]}))
	u.implyNode(name)
}

type connectionSpec struct {
	name, container, allowMigrate, managed, startTimeout, server, port string
}

// connection is the primitive that stands for the connection to a guest.
func connection(c connectionSpec) *model.Resource {
	e := cib.New("primitive", "id", c.name, "class", "ocf", "provider", "pacemaker", "type", "remote")
	meta := cib.New("meta_attributes", "id", c.name+"-meta_attributes")
	pair := func(set *cib.Element, name, value string) *cib.Element {
		return set.Append(cib.New("nvpair", "id", set.ID()+"-"+name, "name", name, "value", value))
	}
	meta = pair(meta, "internal", "true")
	if c.container != "" {
		meta = pair(meta, "container", c.container)
	}
	if c.allowMigrate != "" {
		meta = pair(meta, "allow-migrate", c.allowMigrate)
	}
	if c.managed != "" {
		meta = pair(meta, "is-managed", c.managed)
	}
	ops := cib.New("operations").Append(cib.New("op", "id", c.name+"-monitor-30s", "interval", "30s", "name", "monitor", "timeout", "30s"))
	if c.startTimeout != "" {
		ops = ops.Append(cib.New("op", "id", c.name+"-start-0", "interval", "0", "name", "start", "timeout", c.startTimeout))
	}
	e = e.Append(meta, ops)
	if c.server != "" || c.port != "" {
		attrs := cib.New("instance_attributes", "id", c.name+"-instance_attributes")
		if c.server != "" {
			attrs = pair(attrs, "addr", c.server)
		}
		if c.port != "" {
			attrs = pair(attrs, "port", c.port)
		}
		e = e.Append(attrs)
	}
	return primitive(e)
}

// primitive decodes an element made in memory.
func primitive(e *cib.Element) *model.Resource {
	r := &model.Resource{ID: e.ID(), Class: e.Get("class"), Provider: e.Get("provider"), Type: e.Get("type"), Source: e,
		Meta: model.Sets(e, "meta_attributes"), Params: model.Sets(e, "instance_attributes")}
	for op := range e.Child("operations").Each("op") {
		r.Ops = append(r.Ops, model.Op{ID: op.ID(), Name: op.Get("name"), Interval: op.Get("interval"), Source: op})
	}
	return r
}
