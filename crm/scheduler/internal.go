package scheduler

import (
	"slices"
	"strings"

	"systole/crm/model"
	"systole/crm/status"
)

// internalConstraints makes the constraints that resources of every kind bring with them.
func (r *run) internalConstraints() {
	for _, id := range r.rootOrder {
		r.internal(id)
	}
}

func (r *run) internal(id status.ResID) {
	switch r.rsc(id).Kind {
	case model.Primitive:
		r.internalPrimitive(id)
	case model.Group:
		r.internalGroup(id)
	case model.Clone:
		r.internalClone(id)
	case model.Bundle:
		r.internalBundle(id)
	}
}

func (r *run) internalPrimitive(id status.ResID) {
	rsc, st := r.rsc(id), &r.res[id]
	if !st.managed {
		return
	}
	unfence := !rsc.FenceDevice && r.s.Unfencing && rsc.NeedsUnfencing
	utilization := len(rsc.Utilization) > 0 && r.utilizationCounts()

	r.order(id, "stop", id, "start", orderOptional|impliesThen|restartsThen)
	if r.rsc(r.top(id)).Promotable || st.role > status.RoleUnpromoted {
		r.order(id, "demote", id, "stop", promotedImpliesFirst)
		r.order(id, "start", id, "promote", runnableFirst)
	}
	r.order(id, "lrm_delete", id, "monitor", sameNode|cancelsFirst)

	nodes := r.allowedByName(id)
	if unfence {
		for _, n := range nodes {
			r.orderRestartVsUnfence(id, n)
		}
	}
	if utilization {
		r.orderByUtilization(id, nodes)
	}
	if rsc.Container != status.NoRes {
		r.internalInContainer(id, nodes)
	}
	if rsc.RemoteConnection || rsc.FenceDevice {
		r.avoidRemoteNodes(id)
	}
}

// allowedByName are the nodes a resource may use, in order of name.
func (r *run) allowedByName(id status.ResID) []status.NodeID {
	var out []status.NodeID
	t := r.allowed(id)
	for _, n := range r.s.NodesByName {
		if t[n].present {
			out = append(out, n)
		}
	}
	return out
}

func (r *run) avoidRemoteNodes(id status.ResID) {
	t := r.allowed(id)
	for i := range t {
		if t[i].present && r.s.Nodes[i].Connection != status.NoRes {
			t[i].score = minusInfinity
			r.trace.score(id, status.NodeID(i), minusInfinity, "not allowed on remote nodes")
		}
	}
}

// internalInContainer ties a resource to the container it lives in.
func (r *run) internalInContainer(id status.ResID, nodes []status.NodeID) {
	rsc := r.rsc(id)
	c := rsc.Container
	guest := status.NoRes // the connection of the node the container is, if it is one
	switch {
	case rsc.RemoteConnection:
		if !rsc.NestedRemotes {
			r.avoidRemoteNodes(c) // a guest cannot have guests
		}
		r.order(c, "monitor", id, "stop", orderOptional)
	case r.rsc(c).RemoteConnection:
		guest = c
	default:
		guest = r.guestIn(c)
	}
	if guest != status.NoRes {
		t := r.allowed(id)
		for _, n := range nodes {
			if r.s.Nodes[n].Connection != guest {
				t[n].score = minusInfinity
			}
		}
		return
	}
	r.order(c, "start", id, "start", impliesThen|runnableFirst)
	r.order(id, "stop", c, "stop", impliesFirst)
	score := infinity
	if rsc.NestedRemotes {
		score = 10000 // preferred, but the container may be where the connection cannot
	}
	r.colocate(colocation{id: "it lives in its container", score: score, dependent: id, primary: c, influence: true})
}

// guestIn is the connection of the guest node a resource contains, NoRes without one.
func (r *run) guestIn(id status.ResID) status.ResID {
	if !r.s.HaveRemotes {
		return status.NoRes
	}
	for _, f := range r.rsc(id).Fillers {
		if r.rsc(f).RemoteConnection {
			return f
		}
	}
	return status.NoRes
}

func (r *run) internalGroup(id status.ResID) {
	r.order(id, "stop", id, "stopped", runnableFirst)
	r.order(id, "stopped", id, "start", orderOptional)
	r.order(id, "start", id, "running", runnableFirst)
	promotable := r.rsc(r.top(id)).Promotable
	previous, lastActive := status.NoRes, status.NoRes
	for _, m := range r.res[id].children {
		r.internalMember(id, m, previous, lastActive, promotable)
		if r.rsc(m).IsActive() {
			lastActive = m
		}
		previous = m
	}
}

func (r *run) internalMember(id, m, previous, lastActive status.ResID, promotable bool) {
	ordered := r.ordered(id)
	down, done := printFirst, printThen
	r.internal(m)
	if previous == status.NoRes {
		if ordered {
			down |= orderOptional
			done = impliesThen
		}
	} else if r.collocated(id) {
		r.colocate(colocation{id: "the group stays together", score: infinity, dependent: m, primary: previous, influence: r.rsc(m).Critical})
	}
	if promotable {
		r.order(id, "demote", m, "demote", down)
		r.order(m, "demote", id, "demoted", done)
		r.order(m, "promote", id, "promoted", runnableFirst|impliesThen|printThen)
		r.order(id, "promote", m, "promote", printFirst)
	}
	r.order(id, "stop", m, "stop", down)
	r.order(m, "stop", id, "stopped", done)
	r.order(id, "start", m, "start", printFirst)
	r.order(m, "start", id, "running", runnableFirst|impliesThen|printThen)
	switch {
	case !ordered:
		r.order(id, "start", m, "start", impliesThen|runnableFirst|printFirst)
		if promotable {
			r.order(id, "promote", m, "promote", impliesThen|runnableFirst|printFirst)
		}
	case previous == status.NoRes:
		r.order(id, "start", m, "start", orderNone)
		if promotable {
			r.order(id, "promote", m, "promote", orderNone)
		}
	default:
		r.order(previous, "start", m, "start", impliesThen|runnableFirst)
		r.order(m, "stop", previous, "stop", orderOptional|restartsThen)
		if r.rsc(m).IsActive() && !r.rsc(previous).IsActive() {
			// A member active behind an inactive one has to stop before that one starts.
			r.order(m, "stop", previous, "start", impliesFirst|runnableFirst)
		}
		if promotable {
			r.order(previous, "promote", m, "promote", impliesThen|runnableFirst)
			r.order(m, "demote", previous, "demote", orderOptional)
		}
	}
	if r.rsc(m).IsActive() && ordered && previous != status.NoRes && !r.rsc(previous).IsActive() && lastActive != status.NoRes {
		r.order(m, "stop", lastActive, "stop", orderOptional) // partially active groups shut down in sequence
	}
}

func (r *run) internalClone(id status.ResID) {
	rsc := r.rsc(id)
	r.order(id, "stopped", id, "start", orderOptional)
	r.order(id, "start", id, "running", runnableFirst)
	r.order(id, "stop", id, "stopped", runnableFirst)
	if rsc.Promotable {
		r.order(id, "demoted", id, "stop", orderOptional)
		r.order(id, "running", id, "promote", runnableFirst)
	}
	if rsc.Clone.Ordered {
		slices.SortStableFunc(r.res[id].children, r.compareNumbers)
	}
	kids := r.res[id].children
	for k, i := range kids {
		r.internal(i)
		r.order(id, "start", i, "start", runnableFirst|printFirst)
		r.order(i, "start", id, "running", printThen)
		r.order(id, "stop", i, "stop", printFirst)
		r.order(i, "stop", id, "stopped", printThen)
		if rsc.Clone.Ordered {
			for _, later := range kids[k+1:] {
				r.order(i, "start", later, "start", orderOptional)
				r.order(later, "stop", i, "stop", orderOptional)
			}
		}
	}
	if rsc.Promotable {
		r.internalPromotable(id)
	}
}

// restartPromotable orders the phases of restarting a promotable clone or bundle.
func (r *run) restartPromotable(id status.ResID) {
	for _, o := range [][2]string{{"stopped", "start"}, {"stopped", "promote"}, {"demoted", "stop"}, {"demoted", "start"},
		{"demoted", "promote"}, {"running", "promote"}, {"demote", "demoted"}} {
		r.order(id, o[0], id, o[1], orderOptional)
	}
}

func (r *run) internalPromotable(id status.ResID) {
	r.restartPromotable(id)
	ordered := r.rsc(id).Clone.Ordered
	previous := status.NoRes
	for _, i := range r.res[id].children {
		r.order(i, "demote", i, "promote", orderOptional)
		r.order(id, "promote", i, "promote", orderOptional)
		r.order(i, "promote", id, "promoted", orderOptional)
		if previous != status.NoRes && ordered {
			r.order(previous, "promote", i, "promote", orderOptional)
		}
		r.order(id, "demote", i, "demote", printFirst)
		r.order(i, "demote", id, "demoted", printThen)
		if previous != status.NoRes && ordered {
			r.order(i, "demote", previous, "demote", orderOptional)
		}
		previous = i
	}
}

func (r *run) internalBundle(id status.ResID) {
	b := r.rsc(id).Bundle
	if b.Member != status.NoRes {
		m := b.Member
		r.order(id, "start", m, "start", printFirst)
		r.order(m, "running", id, "running", printThen)
		r.order(id, "stop", m, "stop", printFirst)
		r.order(m, "stopped", id, "stopped", printThen)
		r.internal(m)
		if r.rsc(m).Promotable {
			r.restartPromotable(id)
			r.order(id, "demote", m, "demote", printFirst)
			r.order(m, "demoted", id, "demoted", printThen)
			r.order(id, "promote", m, "promote", printFirst)
			r.order(m, "promoted", id, "promoted", printThen)
		}
	}
	for _, rep := range b.Replicas {
		c := rep.Container
		r.internal(c)
		r.order(id, "start", c, "start", runnableFirst|printFirst)
		if rep.Member != status.NoRes {
			r.order(id, "stop", rep.Member, "stop", printFirst)
		}
		r.order(id, "stop", c, "stop", printFirst)
		r.order(c, "start", id, "running", printThen)
		r.order(c, "stop", id, "stopped", printThen)
		if rep.IP != status.NoRes {
			r.internal(rep.IP)
			r.order(rep.IP, "start", c, "start", runnableFirst|preserved)
			r.order(c, "stop", rep.IP, "stop", impliesFirst|preserved)
			r.colocate(colocation{id: "it is the address of its container", score: infinity, dependent: rep.IP, primary: c, influence: true})
		}
		if rep.Remote != status.NoRes {
			r.internal(rep.Remote)
		}
	}
}

func (r *run) applyLocationToBundle(id status.ResID, l *locationRule) {
	r.applyLocationHere(id, l)
	b := r.rsc(id).Bundle
	for _, rep := range b.Replicas {
		r.applyLocation(rep.Container, l)
		if rep.IP != status.NoRes {
			r.applyLocation(rep.IP, l)
		}
	}
	if b.Member != status.NoRes && (l.role == status.RolePromoted || l.role == status.RoleUnpromoted) {
		r.applyLocation(b.Member, l)
		r.res[b.Member].locations = append(r.res[b.Member].locations, l)
	}
}

// createActions plans the actions of every resource: probes of what is not known, and what takes each from where and what it is to
// where and what it will be.
func (r *run) createActions() {
	r.deferredChecks()
	if r.s.Options.Probes {
		r.scheduleProbes()
	}
	if r.s.Options.StopOrphans {
		for _, id := range r.rootOrder {
			r.clearOrphanFailures(id)
		}
	}
	for _, id := range r.rootOrder {
		r.create(id)
	}
}

func (r *run) clearOrphanFailures(id status.ResID) {
	if !r.rsc(id).Orphan {
		return
	}
	for _, n := range r.s.NodesByName {
		if !r.nodes[n].online {
			continue
		}
		if count, _ := r.ev.FailCount(id, n, true, false, nil); count > 0 {
			r.actionBefore(r.clearFailCount(id, n, "it is orphaned"), id, "stop", orderOptional)
		}
	}
}

func (r *run) create(id status.ResID) {
	switch r.rsc(id).Kind {
	case model.Primitive:
		r.createPrimitive(id)
	case model.Group:
		r.createGroup(id)
	case model.Clone:
		r.createInstances(id, r.res[id].children)
		if r.rsc(id).Promotable {
			r.createPromotable(id)
		}
	case model.Bundle:
		r.createBundle(id)
	}
}

func (r *run) createGroup(id status.ResID) {
	for _, m := range r.res[id].children {
		r.create(m)
	}
	r.resourcePseudo(id, "start", false, true)
	r.resourcePseudo(id, "running", false, true)
	r.resourcePseudo(id, "stop", false, true)
	r.resourcePseudo(id, "stopped", false, true)
	if status.True(r.rsc(r.top(id)).Meta["promotable"]) {
		r.resourcePseudo(id, "demote", false, true)
		r.resourcePseudo(id, "demoted", false, true)
		r.resourcePseudo(id, "promote", false, true)
		r.resourcePseudo(id, "promoted", false, true)
	}
}

// createInstances plans for a clone's instances (or a bundle's containers) and makes the pseudo-actions of the whole.
func (r *run) createInstances(id status.ResID, instances []status.ResID) {
	var s instanceState
	for _, i := range instances {
		r.create(i)
		r.checkInstance(i, &s)
	}
	start := r.resourcePseudo(id, "start", s.starting, true)
	started := r.resourcePseudo(id, "running", s.starting, false)
	r.actions[started].priority = infinity
	if s.active || s.starting {
		r.actions[started].flags |= runnable
	}
	stop := r.resourcePseudo(id, "stop", s.stopping, true)
	stopped := r.resourcePseudo(id, "stopped", s.stopping, true)
	r.actions[stopped].priority = infinity
	if !s.restarting {
		r.actions[stop].flags |= migratable
	}
	if r.isClone(id) {
		r.cloneNotifications(id, start, started, stop, stopped)
	}
}

// instanceState is what happens to any of a collective's instances.
type instanceState struct{ starting, stopping, restarting, active bool }

func (r *run) checkInstance(i status.ResID, s *instanceState) {
	if !r.isPrimitive(i) {
		for _, c := range r.res[i].children {
			r.checkInstance(c, s)
		}
		return
	}
	starting, stopping := false, false
	for _, a := range r.res[i].actions {
		act := &r.actions[a]
		switch {
		case act.is(optional):
		case act.task == "start":
			starting = starting || act.is(runnable)
		case act.task == "stop":
			stopping = stopping || act.flags&(pseudo|runnable) != 0
		}
	}
	s.active = s.active || r.rsc(i).IsActive()
	s.starting = s.starting || starting
	s.stopping = s.stopping || stopping
	s.restarting = s.restarting || starting && stopping
}

func (r *run) createPromotable(id status.ResID) {
	promoting, demoting := false, false
	for _, i := range r.res[id].children {
		r.create(i)
		r.checkRoleChange(i, &promoting, &demoting)
	}
	r.promotableNotifications(id, promoting, demoting)
	for _, i := range r.res[id].children {
		r.res[i].priority = r.res[id].priority // it was lent to the promotion scores
	}
}

func (r *run) checkRoleChange(i status.ResID, promoting, demoting *bool) {
	for _, c := range r.res[i].children {
		r.checkRoleChange(c, promoting, demoting)
	}
	if len(r.res[i].children) > 0 {
		return
	}
	for _, a := range r.res[i].actions {
		if act := &r.actions[a]; !act.is(optional) {
			*promoting = *promoting || act.task == "promote"
			*demoting = *demoting || act.task == "demote"
		}
	}
}

func (r *run) createBundle(id status.ResID) {
	b := r.rsc(id).Bundle
	for _, rep := range b.Replicas {
		if rep.IP != status.NoRes {
			r.create(rep.IP)
		}
		r.create(rep.Container)
		if rep.Remote != status.NoRes {
			r.create(rep.Remote)
		}
	}
	r.createInstances(id, r.containers(id))
	if b.Member == status.NoRes {
		return
	}
	r.create(b.Member)
	if r.rsc(b.Member).Promotable {
		for _, task := range []string{"promote", "promoted", "demote", "demoted"} {
			a := r.resourcePseudo(id, task, false, true)
			if strings.HasSuffix(task, "ed") {
				r.actions[a].priority = infinity
			}
		}
	}
}
