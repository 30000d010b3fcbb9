package status

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/crm/model"
	"systole/crm/score"
)

func (u *unpacker) problem(format string, args ...any) {
	u.s.Problems = append(u.s.Problems, fmt.Sprintf(format, args...))
}

// resources makes the tree of resource instances.
func (u *unpacker) resources() {
	u.s.Unfencing = wantsUnfencing(u.s.Config)
	for _, c := range u.s.Config.Resources {
		u.addRoot(c)
	}
	for _, c := range u.guests {
		u.addRoot(c)
	}
	u.s.Listing = slices.Clone(u.s.Roots)
	for i := range u.s.Resources {
		u.linkContainer(ResID(i))
	}
	for _, r := range u.s.Roots {
		u.linkRemoteNode(r)
	}
	slices.SortStableFunc(u.s.Roots, func(a, b ResID) int {
		return int(u.s.Resources[b].Priority) - int(u.s.Resources[a].Priority)
	})
}

func (u *unpacker) addRoot(c *model.Resource) {
	if c = u.promotableOnly(c); c == nil {
		return
	}
	r := u.add(c, NoRes, "")
	u.s.Roots = append(u.s.Roots, r)
}

// promotableOnly leaves out of a promotable clone what cannot be promoted, because only OCF agents know how: members of
// its group, or all of it (nil), as Pacemaker does with an error.
func (u *unpacker) promotableOnly(c *model.Resource) *model.Resource {
	if c.Kind != model.Clone || len(c.Members) == 0 || !u.settingsOf(c, NoRes).template.Promotable {
		return c
	}
	cannot := func(m *model.Resource) bool { return m.Kind == model.Primitive && !strings.EqualFold(m.Class, "ocf") }
	inside := c.Members[0]
	switch {
	case cannot(inside):
		return nil
	case !slices.ContainsFunc(inside.Members, cannot):
		return c
	}
	clone, group := *c, *inside
	group.Members = slices.DeleteFunc(slices.Clone(inside.Members), cannot)
	clone.Members = []*model.Resource{&group}
	return &clone
}

// settings are what a configured resource's meta attributes say, the same for all its instances.
type settings struct {
	meta        map[string]string
	utilization map[string]int
	template    Resource
}

// add makes a resource and everything under it. The instance is the number of the clone instance it belongs to, "" for none.
func (u *unpacker) add(c *model.Resource, parent ResID, instance string) ResID {
	set := u.settingsOf(c, parent)
	r := ResID(len(u.s.Resources))
	rsc := set.template
	rsc.Index, rsc.Parent, rsc.Instance, rsc.ID = r, parent, instance, c.ID
	rsc.NodesThen = len(u.s.Nodes)
	if instance != "" && c.Kind != model.Clone {
		rsc.ID += ":" + instance
	}
	u.s.Resources = append(u.s.Resources, rsc)
	if _, dup := u.s.resByID[rsc.ID]; !dup {
		u.s.resByID[rsc.ID] = r
	}
	if parent != NoRes {
		p := &u.s.Resources[parent]
		if p.Kind != model.Bundle {
			p.Children = append(p.Children, r)
		}
	}
	switch c.Kind {
	case model.Group:
		for _, m := range c.Members {
			if m.Kind == model.Primitive {
				u.add(m, r, instance)
			}
		}
	case model.Clone:
		made := u.within(c, "clone-max", rsc.Clone.Max)
		rsc.Clone.Max = min(rsc.Clone.Max, made)
		for range made {
			u.addInstance(r)
		}
	case model.Bundle:
		u.addBundle(r)
	}
	return r
}

// addInstance makes one more instance of a clone; beyond clone-max it is an orphan.
func (u *unpacker) addInstance(clone ResID) ResID {
	c := u.s.Resources[clone].Clone
	n := len(u.s.Resources[clone].Children)
	child := u.add(c.Member, clone, strconv.Itoa(n))
	if n >= c.Max {
		u.markOrphan(child)
	}
	return child
}

func (u *unpacker) markOrphan(r ResID) {
	u.s.Resources[r].Orphan = true
	for _, c := range u.s.Resources[r].Children {
		u.markOrphan(c)
	}
}

func (u *unpacker) settingsOf(c *model.Resource, parent ResID) *settings {
	if set := u.decoded[c]; set != nil {
		return set
	}
	set := &settings{meta: map[string]string{}, utilization: map[string]int{}}
	ctx := ruleContext{Class: c.Class, Provider: c.Provider, Type: c.Type}
	for _, a := range c.Source.Attrs() {
		set.meta[a.Name] = a.Value
	}
	u.values(set.meta, c.Meta, ctx, false)
	inherited := map[string]string{}
	for p := parent; p != NoRes; p = u.s.Resources[p].Parent {
		u.values(inherited, u.s.Resources[p].Config.Meta, ctx, false)
	}
	addMissing(set.meta, inherited)
	u.values(set.meta, u.s.Config.ResourceDefaults, ctx, false)
	if parent != NoRes {
		addMissing(set.meta, u.s.Resources[parent].Meta)
	}
	if c.OldPromotable {
		set.meta["promotable"] = "true"
	}
	u.values2ints(set.utilization, c.Utilization)
	u.decoded[c] = set
	set.template = u.decode(c, parent, set)
	return set
}

func addMissing(into, from map[string]string) {
	for k, v := range from {
		if _, set := into[k]; !set {
			into[k] = v
		}
	}
}

// decode reads the meta attributes into a resource without place.
func (u *unpacker) decode(c *model.Resource, parent ResID, set *settings) Resource {
	m := set.meta
	top := c.Kind
	for p := parent; p != NoRes && u.s.Resources[p].Kind != model.Bundle; p = u.s.Resources[p].Parent {
		top = u.s.Resources[p].Kind
	}
	r := Resource{
		BaseID: c.ID, Kind: c.Kind, Config: c, Meta: m, Utilization: set.utilization,
		Managed: !u.s.Options.Maintenance, Critical: true, Role: RoleStopped,
		Locked: NoNode, PendingNode: NoNode, PartialSource: NoNode, PartialTarget: NoNode, Container: NoRes,
		Priority: parseScore(m["priority"], 0), Stickiness: parseScore(m["resource-stickiness"], 0),
		MigrationThreshold: parseScore(m["migration-threshold"], int32(score.Infinity)),
		Notify:             True(m["notify"]), Internal: True(m["internal"]) || True(m["internal-rsc"]),
		RemoteConnection: isConnection(c),
	}
	if r.MigrationThreshold < 0 {
		r.MigrationThreshold = int32(score.Infinity)
	}
	if v, set := m["critical"]; set {
		r.Critical = True(v)
	}
	guest := r.RemoteConnection && m["container"] != ""
	if v, set := m["allow-migrate"]; set {
		r.AllowMigrate = True(v)
	} else {
		r.AllowMigrate = r.RemoteConnection && !guest
	}
	if v, set := m["is-managed"]; set && !strings.EqualFold(v, "default") {
		r.Managed = True(v)
	}
	if True(m["maintenance"]) || u.s.Options.Maintenance {
		r.Managed, r.Maintenance = false, true
	}
	if top == model.Clone {
		r.Unique, r.Promotable = detectUnique(m), True(m["promotable"])
	} else {
		r.Unique = true
	}
	switch strings.ToLower(m["multiple-active"]) {
	case "stop_only":
		r.MultipleActive = StopOnly
	case "block":
		r.MultipleActive = BlockMultiple
	case "stop_unexpected":
		r.MultipleActive = StopUnexpected
	}
	if strings.EqualFold(c.Class, "stonith") {
		r.FenceDevice, u.s.HaveFencing = true, true
	}
	u.requires(&r, m["requires"])
	if ms, ok := Millis(m["failure-timeout"]); ok {
		r.FailureTimeout = time.Duration(max(ms, 0)) * time.Millisecond
	}
	if r.RemoteConnection && !guest {
		p := map[string]string{}
		u.values(p, c.Params, ruleContext{}, false)
		if ms, ok := Millis(p["reconnect_interval"]); ok {
			r.ReconnectInterval = time.Duration(max(ms, 0)) * time.Millisecond
			r.FailureTimeout = r.ReconnectInterval
		}
	}
	r.NextRole = u.targetRole(&r, parent)
	switch c.Kind {
	case model.Clone:
		u.decodeClone(&r, c)
	case model.Primitive:
		u.onlyAnonymous(&r, parent)
	}
	return r
}

// onlyAnonymous takes uniqueness from instances of agents that cannot be told which instance they are.
func (u *unpacker) onlyAnonymous(r *Resource, parent ResID) {
	switch r.Config.Class {
	case "lsb", "systemd", "service", "upstart":
	default:
		return
	}
	for p := parent; r.Unique && p != NoRes; p = u.s.Resources[p].Parent {
		top := &u.s.Resources[p]
		if top.Kind != model.Clone {
			continue
		}
		r.Unique = false
		c := *top.Clone
		c.NodeMax, c.Max = 1, min(c.Max, len(u.s.Nodes))
		top.Clone, top.Unique = &c, false
		top.Meta = maps.Clone(top.Meta)
		top.Meta["globally-unique"] = "false"
		r.Meta = maps.Clone(r.Meta)
		r.Meta["globally-unique"] = "false"
		for i := range u.s.Resources[p+1:] { // what the clone contains so far
			inside := &u.s.Resources[int(p)+1+i]
			inside.Unique = false
			inside.Meta = maps.Clone(inside.Meta)
			inside.Meta["globally-unique"] = "false"
		}
	}
}

func detectUnique(m map[string]string) bool {
	if v, set := m["globally-unique"]; set {
		return True(v)
	}
	return number(m["clone-node-max"], 1) > 1
}

// requires reads what must hold before the resource may start; the defaults depend on the cluster.
func (u *unpacker) requires(r *Resource, value string) {
	switch strings.ToLower(value) {
	case "nothing":
		return
	case "quorum":
		r.NeedsQuorum = true
		return
	case "fencing":
		r.NeedsFencing = true
		return
	case "unfencing":
		if r.FenceDevice || !u.s.Options.Fencing {
			r.NeedsQuorum = true
			return
		}
		r.NeedsFencing, r.NeedsUnfencing = true, true
		return
	}
	switch {
	case r.FenceDevice, r.RemoteConnection:
		r.NeedsQuorum = true
	case u.s.Unfencing:
		u.requires(r, "unfencing")
	case u.s.Options.Fencing:
		r.NeedsFencing = true
	case u.s.Options.NoQuorum != NoQuorumIgnore:
		r.NeedsQuorum = true
	}
}

// targetRole is the role target-role demands; RoleUnknown when it demands nothing unusual.
func (u *unpacker) targetRole(r *Resource, parent ResID) Role {
	role := ParseRole(r.Meta["target-role"])
	if role <= RoleStopped || role == RoleStarted {
		if role == RoleStopped {
			return RoleStopped
		}
		return RoleUnknown
	}
	promotable := r.Promotable
	for p := parent; p != NoRes && u.s.Resources[p].Kind != model.Bundle; p = u.s.Resources[p].Parent {
		promotable = u.s.Resources[p].Promotable
	}
	if promotable && role == RoleUnpromoted {
		return RoleUnpromoted
	}
	return RoleUnknown
}

func (u *unpacker) decodeClone(r *Resource, c *model.Resource) {
	count := func(name, old string, otherwise int) int {
		v, set := r.Meta[name]
		if !set && old != "" {
			v, set = r.Meta[old]
		}
		if !set {
			return otherwise
		}
		return int(min(max(number(v, 0), 0), math.MaxInt32))
	}
	o := &CloneOptions{NodeMax: count("clone-node-max", "", 1), Max: count("clone-max", "", max(1, len(u.s.Nodes))),
		Ordered: True(r.Meta["ordered"]), Interleave: True(r.Meta["interleave"])}
	if r.Promotable {
		o.PromotedMax, o.PromotedNodeMax = count("promoted-max", "master-max", 1), count("promoted-node-max", "master-node-max", 1)
	}
	if !r.Unique && o.NodeMax > 1 {
		o.NodeMax = 1
	}
	for _, m := range c.Members {
		if m.Kind == model.Primitive || m.Kind == model.Group {
			o.Member = m
			break
		}
	}
	r.Clone = o
	if _, set := r.Meta["resource-stickiness"]; !set {
		r.Meta["resource-stickiness"] = "1" // so that instances are not shuffled for nothing
	}
	r.Meta["globally-unique"] = strconv.FormatBool(r.Unique)
}

// linkContainer makes a resource the filler of the one its container meta attribute names.
func (u *unpacker) linkContainer(r ResID) {
	rsc := &u.s.Resources[r]
	name := rsc.Meta["container"]
	if rsc.Kind != model.Primitive || name == "" || name == rsc.ID {
		return
	}
	c, ok := u.s.resByID[name]
	if !ok {
		u.problem("resource %s: no container %s", rsc.ID, name)
		return
	}
	rsc.Container = c
	u.s.Resources[c].Fillers = append(u.s.Resources[c].Fillers, r)
}

// linkRemoteNode ties a connection resource to its node.
func (u *unpacker) linkRemoteNode(r ResID) {
	rsc := &u.s.Resources[r]
	if !rsc.RemoteConnection {
		return
	}
	n, ok := u.s.Node(rsc.ID)
	if !ok {
		return
	}
	n.Connection = r
	if rsc.Container == NoRes {
		n.Unclean, n.Unseen = u.s.Options.StartupFencing, true
	} else {
		n.Kind = Guest
		n.Attributes["#kind"] = "container"
	}
}
