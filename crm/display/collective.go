package display

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"systole/crm/model"
	"systole/crm/status"
)

// resourceList is the section about resources: everything (Inactive), or what is active;
// below the node list of -n only what that list does not show.
func (v *View) resourceList() Section {
	o := v.Options
	s := Section{Title: "Active Resources"}
	none := "No active resources"
	switch {
	case o.GroupByNode:
		s.Title, none = "Inactive Resources", "No inactive resources"
	case o.Inactive:
		s.Title, none = "Full List of Resources", "No resources"
	}
	if o.Brief && !o.GroupByNode {
		var primitives []*status.Resource
		for _, id := range v.Status.Roots {
			if r := &v.Status.Resources[id]; r.Kind == model.Primitive && v.wantsResource(r) {
				primitives = append(primitives, r)
			}
		}
		s.Lines = v.brief(primitives, briefTop)
	}
	for _, id := range v.Status.Roots {
		if r := &v.Status.Resources[id]; v.wantsResource(r) && !v.skips(r) {
			s.Lines = append(s.Lines, v.resourceLines(r)...)
		}
	}
	if len(s.Lines) == 0 {
		s.Lines = []Line{{Text: none}}
	}
	return s
}

// skips tells whether a top-level resource is left out: shown elsewhere, or not active.
func (v *View) skips(r *status.Resource) bool {
	o := v.Options
	switch {
	case r.Orphan && !v.wholly(r), v.implied(r):
		return true
	case o.GroupByNode && v.wholly(r):
		return true
	case o.Brief && !o.GroupByNode && r.Kind == model.Primitive:
		return true
	}
	return !o.Inactive && !v.partly(r) || v.elsewhere(r)
}

// elsewhere tells whether a resource is active, but on none of the nodes wanted.
func (v *View) elsewhere(r *status.Resource) bool {
	return v.Options.Node != "" && v.partly(r) && !v.onWanted(r)
}

func (v *View) onWanted(r *status.Resource) bool {
	if r.Kind == model.Primitive {
		return slices.ContainsFunc(r.Active, func(n status.NodeID) bool { return v.wantsNode(&v.Status.Nodes[n]) })
	}
	return slices.ContainsFunc(v.parts(r), func(id status.ResID) bool { return v.onWanted(&v.Status.Resources[id]) })
}

// implied tells whether a top-level resource is the connection that a guest node implies:
// the guest is shown as a node.
func (v *View) implied(r *status.Resource) bool { return r.Internal && r.RemoteConnection }

// wholly tells whether every part of a resource is active.
func (v *View) wholly(r *status.Resource) bool { return v.active(r, true) }

// partly tells whether any part of a resource is active.
func (v *View) partly(r *status.Resource) bool { return v.active(r, false) }

func (v *View) active(r *status.Resource, all bool) bool {
	if r.Kind == model.Primitive {
		return slices.ContainsFunc(r.Active, func(id status.NodeID) bool {
			n := &v.Status.Nodes[id]
			return n.Unclean || n.Online || !r.Managed
		})
	}
	for _, id := range v.parts(r) {
		if v.active(&v.Status.Resources[id], all) != all {
			return !all
		}
	}
	return all && len(v.parts(r)) > 0
}

// parts are the resources that count for a collective's activity; of a bundle all that it implies.
func (v *View) parts(r *status.Resource) []status.ResID {
	if r.Bundle == nil {
		return r.Children
	}
	var ids []status.ResID
	for _, rep := range r.Bundle.Replicas {
		ids = append(ids, replicaParts(rep)...)
	}
	return ids
}

// resourceLines renders one resource with what is below it.
func (v *View) resourceLines(r *status.Resource) []Line {
	switch r.Kind {
	case model.Group:
		return v.groupLines(r)
	case model.Clone:
		return v.cloneLines(r)
	case model.Bundle:
		return v.bundleLines(r)
	}
	return []Line{v.primitiveLine(r, v.name(r), placedWhere)}
}

func (v *View) groupLines(r *status.Resource) []Line {
	head := "Resource Group: " + r.ID
	var members []*status.Resource
	inactive := 0
	for _, id := range r.Children {
		m := &v.Status.Resources[id]
		switch {
		case !v.wantsResource(m):
		case v.Options.Inactive || v.partly(m):
			members = append(members, m)
		default:
			inactive++
		}
	}
	if len(members) == 0 && inactive > 0 {
		return nil
	}
	var notes []string
	if inactive == 1 {
		notes = append(notes, "1 member inactive")
	} else if inactive > 1 {
		notes = append(notes, fmt.Sprintf("%d members inactive", inactive))
	}
	notes = append(notes, v.standing(r)...)
	line := Line{Text: head + inParentheses(notes) + ":"}
	if v.Options.Brief {
		all := make([]*status.Resource, len(r.Children))
		for i, id := range r.Children {
			all[i] = &v.Status.Resources[id]
		}
		line.Sub = v.brief(all, briefGroup)
	} else {
		for _, m := range members {
			line.Sub = append(line.Sub, v.resourceLines(m)...)
		}
	}
	return []Line{line}
}

// standing are the remarks on a collective as a whole.
func (v *View) standing(r *status.Resource) []string {
	var notes []string
	switch {
	case r.Maintenance && v.Options.Dialect == Dialect302:
		notes = append(notes, "maintenance")
	case !r.Managed:
		notes = append(notes, "unmanaged")
	}
	if v.disabled(r) {
		notes = append(notes, "disabled")
	}
	return notes
}

// disabled tells whether target-role keeps a resource from its full role.
func (v *View) disabled(r *status.Resource) bool {
	target := targetRole(r)
	return target == status.RoleStopped || target == status.RoleUnpromoted && r.Promotable
}

func inParentheses(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, ", ") + ")"
}

// cloneLines shows what is unusual instance by instance and the rest in lists of nodes.
func (v *View) cloneLines(r *status.Resource) []Line {
	var notes []string
	if r.Promotable {
		notes = append(notes, "promotable")
	}
	if r.Unique {
		notes = append(notes, "unique")
	}
	notes = append(notes, v.standing(r)...)
	line := Line{Text: "Clone Set: " + r.ID + " [" + v.childID(r) + "]" + inParentheses(notes) + ":"}

	var promoted, started []*status.Node
	for _, id := range r.Children {
		c := &v.Status.Resources[id]
		switch node := v.usualPlace(c); {
		case v.elsewhere(c):
		case r.Unique || v.Options.Detail:
			line.Sub = append(line.Sub, v.resourceLines(c)...)
		case !v.partly(c):
		case node == nil:
			line.Sub = append(line.Sub, v.resourceLines(c)...)
		case v.instanceRole(c) == status.RolePromoted:
			promoted = append(promoted, node)
		default:
			started = append(started, node)
		}
	}
	if len(promoted) > 0 {
		line.Sub = append(line.Sub, Line{Text: "Promoted: " + v.sorted(promoted)})
	}
	if len(started) > 0 {
		role := "Started"
		if r.Promotable {
			role = "Unpromoted"
			if v.cloneTarget(r) == status.RoleUnpromoted {
				role += " (target-role)"
			}
		}
		line.Sub = append(line.Sub, Line{Text: role + ": " + v.sorted(started)})
	}
	if v.Options.Inactive && !r.Unique && !v.Options.Detail && r.Clone.Max > len(promoted)+len(started) {
		line.Sub = append(line.Sub, v.stoppedLists(r)...)
	}
	return []Line{line}
}

// childID is the configured id of the resource that is cloned.
func (v *View) childID(r *status.Resource) string {
	if r.Config != nil && len(r.Config.Members) > 0 {
		return r.Config.Members[0].ID
	}
	if len(r.Children) > 0 {
		return v.Status.Resources[r.Children[0]].BaseID
	}
	return ""
}

// usualPlace is the node of an instance that may be shown in a list: wholly active in one
// place, managed, not failed, not orphaned, its node not lost; else nil.
func (v *View) usualPlace(c *status.Resource) *status.Node {
	if v.unusual(c) || !v.wholly(c) {
		return nil
	}
	var place *status.Node
	for _, id := range v.primitives(c) {
		m := &v.Status.Resources[id]
		if len(m.Active) != 1 {
			return nil
		}
		n := &v.Status.Nodes[m.Active[0]]
		if place != nil && place != n || !n.Online && n.Unclean || v.pending(m) != "" {
			return nil
		}
		place = n
	}
	return place
}

// unusual tells whether an instance, or a part of it, is failed, unmanaged or orphaned.
func (v *View) unusual(c *status.Resource) bool {
	return slices.ContainsFunc(v.primitives(c), func(id status.ResID) bool {
		m := &v.Status.Resources[id]
		return m.Orphan || m.Failed || !m.Managed
	})
}

// primitives are the primitives of an instance: itself, or a group's members.
func (v *View) primitives(c *status.Resource) []status.ResID {
	if c.Kind == model.Primitive {
		return []status.ResID{c.Index}
	}
	return c.Children
}

// instanceRole is the highest role in an instance.
func (v *View) instanceRole(c *status.Resource) status.Role {
	role := status.RoleUnknown
	for _, id := range v.primitives(c) {
		role = max(role, v.Status.Resources[id].Role)
	}
	return role
}

func (v *View) sorted(nodes []*status.Node) string {
	rank := v.rank()
	slices.SortStableFunc(nodes, func(a, b *status.Node) int { return rank[a.Index] - rank[b.Index] })
	names := make([]string, len(nodes))
	for i, n := range nodes {
		names[i] = n.Name
	}
	return bracketed(names)
}

// rank is the place of every node in the order of names.
func (v *View) rank() []int {
	rank := make([]int, len(v.Status.Nodes))
	for i, id := range v.Status.NodesByName {
		rank[id] = i
	}
	return rank
}

// cloneTarget is the target role of a clone, or of what it clones.
func (v *View) cloneTarget(r *status.Resource) status.Role {
	if role := targetRole(r); role != status.RoleUnknown || len(r.Children) == 0 {
		return role
	}
	return targetRole(&v.Status.Resources[r.Children[0]])
}

// stoppedLists names the nodes where no instance runs, by reason.
func (v *View) stoppedLists(r *status.Resource) []Line {
	used := make([]bool, len(v.Status.Nodes))
	for _, id := range r.Children {
		for _, p := range v.primitives(&v.Status.Resources[id]) {
			for _, n := range v.Status.Resources[p].Active {
				used[n] = true
			}
		}
	}
	lists := map[string][]*status.Node{}
	for _, id := range v.Status.NodesByName {
		n := &v.Status.Nodes[id]
		if used[id] || !v.wantsNode(n) || !v.couldRun(r, n) {
			continue
		}
		state := "Stopped"
		if v.cloneTarget(r) == status.RoleStopped {
			state += " (disabled)"
		} else if why := v.failedProbe(v.representative(r), n); why != "" {
			state += " (" + why + ")"
		}
		lists[state] = append(lists[state], n)
	}
	var lines []Line
	for _, state := range slices.Sorted(maps.Keys(lists)) {
		lines = append(lines, Line{Text: state + ": " + v.sorted(lists[state])})
	}
	return lines
}

// representative is a primitive of the clone whose history name stands for all instances.
func (v *View) representative(r *status.Resource) *status.Resource {
	if len(r.Children) == 0 {
		return r
	}
	return &v.Status.Resources[v.primitives(&v.Status.Resources[r.Children[0]])[0]]
}

// couldRun tells whether a clone is said to be stopped on a node: on every node of a
// symmetric cluster, otherwise where it was once looked for. The insides of bundles do not
// count unless somebody configured them as nodes.
func (v *View) couldRun(r *status.Resource, n *status.Node) bool {
	if n.BundleOnly && !slices.ContainsFunc(v.Status.Config.Nodes, func(c model.NodeConfig) bool { return c.Name == n.Name }) {
		return false
	}
	if v.Status.Options.Symmetric {
		return true
	}
	for _, id := range r.Children {
		for _, p := range v.primitives(&v.Status.Resources[id]) {
			if v.Status.Resources[p].Known.Has(n.Index) {
				return true
			}
		}
	}
	return false
}

func (v *View) bundleLines(r *status.Resource) []Line {
	head := "Container bundle"
	if len(r.Bundle.Replicas) > 1 {
		head += " set"
	}
	var notes []string
	if r.Unique {
		notes = append(notes, "unique")
	}
	notes = append(notes, v.standing(r)...)
	line := Line{Text: head + ": " + r.ID + " [" + r.Bundle.Image + "]" + inParentheses(notes) + ":"}
	for _, rep := range r.Bundle.Replicas {
		if v.Options.Detail {
			line.Sub = append(line.Sub, v.replicaInFull(rep, len(r.Bundle.Replicas) > 1)...)
		} else {
			line.Sub = append(line.Sub, v.replicaLine(rep))
		}
	}
	return []Line{line}
}

// parts are the resources of a replica in the order the tools list them.
func replicaParts(rep status.Replica) []status.ResID {
	ids := []status.ResID{rep.IP, rep.Member, rep.Container, rep.Remote}
	return slices.DeleteFunc(ids, func(id status.ResID) bool { return id == status.NoRes })
}

func (v *View) replicaInFull(rep status.Replica, titled bool) []Line {
	var sub []Line
	for _, id := range replicaParts(rep) {
		sub = append(sub, v.resourceLines(&v.Status.Resources[id])...)
	}
	if !titled {
		return []Line{{Text: "", Sub: sub}}
	}
	return []Line{{Text: "Replica[" + strconv.Itoa(rep.Offset) + "]", Sub: sub}}
}

// replicaLine shows the service inside the container, or the container where there is none.
func (v *View) replicaLine(rep status.Replica) Line {
	container := &v.Status.Resources[rep.Container]
	shown := container
	if rep.Member != status.NoRes {
		shown = &v.Status.Resources[rep.Member]
	}
	name := container.ID
	if rep.Remote != status.NoRes {
		name = v.Status.Resources[rep.Remote].ID
	}
	if rep.IPAddr != "" {
		name += " (" + rep.IPAddr + ")"
	}
	return v.primitiveAt(shown, name, v.soleNode(container), false)
}
