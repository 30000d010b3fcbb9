package scheduler

import (
	"time"

	"systole/crm/status"
)

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// changes is the transition summary: what happens to nodes, then what happens to resources.
func (r *run) changes() []Change {
	var out []Change
	for k := len(r.actions) - 1; k >= 0; k-- {
		a := &r.actions[k]
		if a.res != status.NoRes || a.is(optional) {
			continue
		}
		c := Change{Resource: status.NoRes, Reason: a.reason}
		if a.task != "stonith" {
			continue
		}
		c.Verb = "Fence (" + a.metaValue("stonith_action") + ")"
		if n := a.node; n != status.NoNode {
			c.Subject = r.s.Nodes[n].Name
			if r.s.Nodes[n].Kind == status.Guest {
				c.Subject += " (resource: " + r.rsc(r.rsc(r.s.Nodes[n].Connection).Container).ID + ")"
			}
		}
		out = append(out, c)
	}
	for _, id := range r.rootOrder {
		out = r.resourceChanges(id, out)
	}
	return out
}

func (r *run) first(id status.ResID, task string, n status.NodeID) *action {
	if found := r.findKey(id, task, 0, n); len(found) > 0 {
		return &r.actions[found[0]]
	}
	return nil
}

func (r *run) resourceChanges(id status.ResID, out []Change) []Change {
	if b := r.rsc(id).Bundle; b != nil { // replica by replica, with what runs inside last
		for _, rep := range b.Replicas {
			for _, part := range []status.ResID{rep.IP, rep.Container, rep.Remote, rep.Member} {
				if part != status.NoRes {
					out = r.resourceChanges(part, out)
				}
			}
		}
		return out
	}
	if kids := r.res[id].children; len(kids) > 0 {
		for _, c := range kids {
			out = r.resourceChanges(c, out)
		}
		return out
	}
	if !r.isPrimitive(id) {
		return out
	}
	rsc, st := r.rsc(id), &r.res[id]
	next, current := st.node, status.NoNode
	if rsc.IsActive() {
		current = r.s.CurrentNode(id)
		if st.role == status.RoleStopped {
			st.role = status.RoleStarted
		}
	}
	if current == status.NoNode && (rsc.Orphan || next == status.NoNode) || !st.managed {
		return out
	}
	moving := current != status.NoNode && next != status.NoNode && current != next
	start := r.first(id, "start", next)
	stopNode := current
	if start == nil || !start.is(runnable) {
		stopNode = status.NoNode
	}
	stop := r.first(id, "stop", stopNode)
	if stop == nil && st.stopUnexpected {
		stop = r.first(id, "stop", status.NoNode)
	}
	promote, demote := r.first(id, "promote", next), r.first(id, "demote", next)
	add := func(verb string, from, to status.NodeID, a, source *action) {
		if c, ok := r.change(verb, id, from, to, a, source); ok {
			out = append(out, c)
		}
	}
	if st.role == st.next {
		if next == status.NoNode {
			return out
		}
		migrate := r.first(id, "migrate_from", next)
		switch {
		case migrate != nil && migrate.is(runnable):
			add("Migrate", current, next, start, nil)
		case st.reload:
			add("Reload", current, next, start, nil)
		case start == nil || start.is(optional):
			if demote != nil && promote != nil && !demote.is(optional) && !promote.is(optional) {
				add("Re-promote", current, next, promote, demote)
			}
		case !start.is(runnable):
			reason := stop
			if stop == nil || stop.reason == "" {
				reason = start
			}
			add("Stop", current, status.NoNode, stop, reason)
		case moving && st.failed:
			add("Recover", current, next, stop, nil)
		case moving:
			add("Move", current, next, stop, nil)
		case st.failed:
			add("Recover", current, status.NoNode, stop, nil)
		default:
			add("Restart", current, next, start, nil)
		}
		return out
	}
	switch {
	case stop != nil && (st.next == status.RoleStopped || start != nil && !start.is(runnable)):
		for _, n := range rsc.Active {
			op := r.first(id, "stop", n)
			reason := start
			if op != nil && op.reason != "" {
				reason = op
			}
			add("Stop", n, status.NoNode, op, reason)
		}
	case stop != nil && st.failed && st.stopIfFailed:
		add("Recover", current, next, stop, start)
	case moving:
		add("Move", current, next, stop, nil)
	case st.reload:
		add("Reload", current, next, start, nil)
	case stop != nil && !stop.is(optional):
		add("Restart", current, next, start, nil)
	case st.role == status.RolePromoted:
		add("Demote", current, next, demote, nil)
	case st.next == status.RolePromoted:
		add("Promote", current, next, promote, nil)
	case st.role == status.RoleStopped && st.next > status.RoleStopped:
		add("Start", current, next, start, nil)
	}
	return out
}

func (r *run) change(verb string, id status.ResID, from, to status.NodeID, a, source *action) (Change, bool) {
	if a == nil {
		return Change{}, false
	}
	if source == nil {
		source = a
	}
	st := &r.res[id]
	roles := st.role > status.RoleStarted || st.next > status.RoleUnpromoted
	sameRole, sameHost := st.role == st.next, from == to
	name := func(n status.NodeID) string { return r.s.Nodes[n].Name }
	role, next := st.role.String(), st.next.String()
	c := Change{Verb: verb, Subject: r.rsc(id).ID, Resource: id, Reason: source.reason, Blocked: !a.is(runnable)}
	switch {
	case from == status.NoNode && to == status.NoNode:
		return Change{}, false
	case roles && from == status.NoNode:
		c.Detail = role + " -> " + next + " " + name(to)
	case from == status.NoNode:
		c.Detail = name(to)
	case roles && to == status.NoNode:
		c.Detail = role + " " + name(from)
	case to == status.NoNode:
		c.Detail = name(from)
	case roles && sameRole && sameHost:
		c.Detail = role + " " + name(from)
	case sameRole && sameHost:
		c.Detail = name(from)
	case roles && sameRole:
		c.Detail = name(from) + " -> " + name(to) + " " + role
	case sameRole:
		c.Detail = name(from) + " -> " + name(to)
	case sameHost:
		c.Detail = role + " -> " + next + " " + name(from)
	default:
		c.Detail = role + " " + name(from) + " -> " + next + " " + name(to)
	}
	return c, true
}
