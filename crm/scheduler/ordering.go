package scheduler

import (
	"strings"

	"systole/crm/model"
	"systole/crm/score"
	"systole/crm/status"
)

// orderFlags say what an ordering means beyond "not before".
type orderFlags uint32

const (
	orderOptional     orderFlags = 1 << iota // only if both happen
	impliesThen                              // if first is required, so is then
	impliesFirst                             // if then is required, so is first
	impliesThenOnNode                        // impliesThen for instances on first's node
	promotedImpliesFirst
	impliesFirstMigratable // then can be part of a migration only if first can
	runnableFirst          // then can run only if first can
	pseudoFirst            // then stays pseudo only if first can run
	restartsThen           // first and then make a restart
	stopsThenIfStuck       // an asymmetrical ordering
	serializes
	sameNode                  // only if both are on one node
	ifNotMigrating            // only if first is no part of a migration
	orderLoad                 // capacity has to be freed first
	orderApart                // anti-colocation
	cancelsFirst              // a required then makes first unnecessary
	oneOrMore                 // enough of several must be runnable
	printThen                 // a required first shows then
	printFirst                // a required then shows first
	preserved                 // made by the cluster, not by the administrator
	probeFirst                // wait for the probe
	orderNone      orderFlags = 0
)

// end is one side of an ordering: an action, or all actions of a resource with a task.
type end struct {
	res      status.ResID
	task     string
	interval uint32
	action   actionID
}

// ordering is an ordering between actions that may not exist yet.
type ordering struct {
	first, then end
	flags       orderFlags
}

// order orders a task of one resource before a task of another.
func (r *run) order(first status.ResID, firstTask string, then status.ResID, thenTask string, flags orderFlags) {
	r.newOrdering(ordering{first: end{res: first, task: firstTask, action: noAction}, then: end{res: then, task: thenTask, action: noAction}, flags: flags})
}

// actionBefore orders an action before a resource's actions with a task; actionAfter the other way round.
func (r *run) actionBefore(a actionID, then status.ResID, task string, flags orderFlags) {
	r.newOrdering(ordering{first: r.endOf(a), then: end{res: then, task: task, action: noAction}, flags: flags})
}

func (r *run) actionAfter(first status.ResID, task string, a actionID, flags orderFlags) {
	r.newOrdering(ordering{first: end{res: first, task: task, action: noAction}, then: r.endOf(a), flags: flags})
}

func (r *run) endOf(a actionID) end {
	act := &r.actions[a]
	return end{res: act.res, task: act.keyTask, interval: act.interval, action: a}
}

func (r *run) newOrdering(o ordering) {
	r.orderings = append(r.orderings, o)
	r.orderMigrations(o)
}

// orderMigrations makes the orderings between live migrations that correspond to one between starts and stops.
func (r *run) orderMigrations(o ordering) {
	first, then := o.first.res, o.then.res
	if first == status.NoRes || then == status.NoRes || first == then {
		return
	}
	firstCan, thenCan := r.res[first].allowMigrate, r.res[then].allowMigrate
	if !thenCan || r.isParent(first, then) || r.isParent(then, first) {
		return
	}
	flags := orderOptional
	pair := func(a, b string) {
		from := end{res: first, task: a, action: noAction}
		if a == o.first.task {
			from.action = o.first.action // of several stops only the one that was ordered
		}
		r.newOrdering(ordering{first: from, then: end{res: then, task: b, action: noAction}, flags: flags})
	}
	switch o.first.task + " " + o.then.task {
	case "start start":
		if firstCan {
			pair("migrate_from", "migrate_to")
			flags |= ifNotMigrating
		}
		pair("start", "migrate_to")
	case "stop stop":
		if firstCan {
			flags |= ifNotMigrating
		}
		pair("stop", "migrate_to")
		if r.res[then].partialTarget != status.NoNode {
			pair("stop", "migrate_from")
		}
	case "promote start":
		pair("promote", "migrate_to")
	case "demote stop":
		pair("demote", "migrate_to")
		if r.res[then].partialTarget != status.NoNode {
			pair("demote", "migrate_from")
		}
	}
}

// link orders two actions. It reports false if they are ordered already.
func (r *run) link(first, then actionID, flags orderFlags) bool {
	if first == noAction || then == noAction || first == then || flags == orderNone {
		return false
	}
	a := &r.actions[first]
	for _, l := range a.after {
		if l.action == then && l.flags&flags != 0 {
			return false
		}
	}
	a.after = append(a.after, link{action: then, flags: flags})
	b := &r.actions[then]
	b.before = append(b.before, link{action: first, flags: flags})
	return true
}

type orderKind uint8

const (
	mandatoryOrder orderKind = iota
	optionalOrder
	serializeOrder
)

type symmetry uint8

const (
	asymmetric symmetry = iota
	symmetric
	inverse
)

func kindOf(kind, scoreText string) orderKind {
	switch strings.ToLower(kind) {
	case "optional":
		return optionalOrder
	case "serialize":
		return serializeOrder
	case "":
		if scoreText != "" && score.ParseOr(scoreText, 1) == 0 {
			return optionalOrder
		}
	}
	return mandatoryOrder
}

func symmetryOf(text string, kind orderKind) symmetry {
	if text != "" {
		if status.True(text) && kind != serializeOrder {
			return symmetric
		}
		return asymmetric
	}
	if kind == serializeOrder {
		return asymmetric
	}
	return symmetric
}

func flagsFor(kind orderKind, first string, sym symmetry) orderFlags {
	flags := orderOptional
	switch kind {
	case serializeOrder:
		flags |= serializes
	case mandatoryOrder:
		switch sym {
		case asymmetric:
			flags |= stopsThenIfStuck
		case symmetric:
			flags |= impliesThen
			if first == "start" || first == "promote" {
				flags |= runnableFirst
			}
		case inverse:
			flags |= impliesFirst
		}
	}
	return flags
}

var inverseTask = map[string]string{"start": "stop", "stop": "start", "promote": "demote", "demote": "promote",
	"promoted": "demoted", "demoted": "promoted", "running": "stopped", "stopped": "running"}

func orDefault(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// orderConstraint reads one rsc_order.
func (r *run) orderConstraint(c *model.Order) {
	kind := kindOf(c.Kind, c.Score)
	sym := symmetryOf(c.Symmetrical, kind)
	sets := r.expandSets(c.Sets)
	if len(sets) == 0 && c.First != "" && c.Then != "" {
		first, tag1, ok1 := r.side(c.First)
		then, tag2, ok2 := r.side(c.Then)
		if !ok1 || !ok2 {
			return
		}
		if tag1 || tag2 {
			first.Action, then.Action = c.FirstAction, c.ThenAction
			sets = []model.Set{first, then}
		}
	}
	if len(sets) == 0 {
		r.simpleOrder(c, kind, sym)
		return
	}
	for i, s := range sets {
		if !r.orderWithin(c, s, kind) {
			return
		}
		if i == 0 {
			continue
		}
		if !r.orderSets(sets[i-1], s, kind, sym) || sym == symmetric && !r.orderSets(s, sets[i-1], kind, inverse) {
			return
		}
	}
}

func (r *run) simpleOrder(c *model.Order, kind orderKind, sym symmetry) {
	first, ok1 := r.find(c.First)
	then, ok2 := r.find(c.Then)
	if ok1 && c.FirstIn != "" {
		first, ok1 = r.find(c.First + ":" + c.FirstIn)
	}
	if ok2 && c.ThenIn != "" {
		then, ok2 = r.find(c.Then + ":" + c.ThenIn)
	}
	if !ok1 || !ok2 {
		return
	}
	firstTask := orDefault(c.FirstAction, "start")
	thenTask := orDefault(c.ThenAction, firstTask)
	flags := flagsFor(kind, firstTask, sym)
	restart := kind == optionalOrder && strings.EqualFold(r.rsc(then).Meta["restart-type"], "restart")
	if restart {
		flags |= impliesThen
	}
	if least := r.leastInstances(first, c); least > 0 {
		r.orderMinimum(c.ID, first, firstTask, then, thenTask, flags, least)
	} else {
		r.order(first, firstTask, then, thenTask, flags)
	}
	if sym != symmetric {
		return
	}
	undoFirst, undoThen := inverseTask[firstTask], inverseTask[thenTask]
	if undoFirst == "" || undoThen == "" {
		return
	}
	flags = flagsFor(kind, undoFirst, inverse)
	if restart {
		flags |= impliesFirst
	}
	r.order(then, undoThen, first, undoFirst, flags)
}

// leastInstances is how many instances of the first clone suffice; 0 for the ordinary meaning.
func (r *run) leastInstances(first status.ResID, c *model.Order) int {
	rsc := r.rsc(first)
	if rsc.Kind != model.Clone {
		return 0
	}
	if v, set := rsc.Meta["clone-min"]; set {
		return int(max(0, score.ParseOr(v, 0)))
	}
	if c.RequireAll != "" && !status.True(c.RequireAll) {
		return 1
	}
	return 0
}

// orderMinimum lets then wait for a pseudo-action that is runnable as soon as enough instances are.
func (r *run) orderMinimum(id string, first status.ResID, firstTask string, then status.ResID, thenTask string, flags orderFlags, least int) {
	met := r.pseudo("clone-one-or-more:" + id)
	r.actions[met].requiredBefore = least
	r.actions[met].flags |= requiresAny
	for _, i := range r.res[first].children {
		r.actionAfter(i, firstTask, met, oneOrMore|printThen)
	}
	r.actionBefore(met, then, thenTask, flags|runnableFirst)
}

// orderWithin orders the members of one set.
func (r *run) orderWithin(c *model.Order, s model.Set, parent orderKind) bool {
	members, ok := r.resolveAll(s)
	if !ok {
		return false
	}
	if len(members) < 2 {
		return true
	}
	kind := parent
	if s.Kind != "" {
		kind = kindOf(s.Kind, "")
	}
	sym := symmetryOf(orDefault(s.Attribute("symmetrical"), c.Symmetrical), kind)
	task := orDefault(s.Action, "start")
	flags := flagsFor(kind, task, sym)
	for i, m := range members {
		switch {
		case kind == serializeOrder:
			for _, later := range members[i+1:] {
				r.order(m, task, later, task, flags)
			}
		case sequential(s) && i > 0:
			r.order(members[i-1], task, m, task, flags)
		}
	}
	if sym == asymmetric || !sequential(s) {
		return true
	}
	task = inverseTask[task]
	flags = flagsFor(kind, task, inverse)
	for i := 1; i < len(members); i++ {
		r.order(members[i], task, members[i-1], task, flags)
	}
	return true
}

// orderSets orders one set before another.
func (r *run) orderSets(set1, set2 model.Set, kind orderKind, sym symmetry) bool {
	first, ok1 := r.resolveAll(set1)
	then, ok2 := r.resolveAll(set2)
	if !ok1 || !ok2 {
		return false
	}
	task1, task2 := orDefault(set1.Action, "start"), orDefault(set2.Action, "start")
	if sym == inverse {
		task1, task2 = inverseTask[task1], inverseTask[task2]
	}
	all := set1.RequireAll == "" || status.True(set1.RequireAll) || task1 == "stop" || task1 == "demote"
	flags := flagsFor(kind, task1, sym)
	if !all {
		any := r.pseudo("one-or-more:" + set1.ID)
		r.actions[any].flags |= requiresAny
		for _, f := range first {
			r.actionAfter(f, task1, any, oneOrMore|printThen)
		}
		for _, t := range then {
			r.actionBefore(any, t, task2, flags|runnableFirst)
		}
		return true
	}
	if status.True(set1.Sequential) && len(first) > 0 {
		if sym == inverse {
			first = first[:1]
		} else {
			first = first[len(first)-1:]
		}
	}
	if status.True(set2.Sequential) && len(then) > 0 {
		if sym == inverse {
			then = then[len(then)-1:]
		} else {
			then = then[:1]
		}
	}
	for _, f := range first {
		for _, t := range then {
			r.order(f, task1, t, task2, flags)
		}
	}
	return true
}

// applyOrderings connects the actions that exist now, and lets what is true of one bear on the others.
func (r *run) applyOrderings() {
	for i := 0; i < len(r.orderings); i++ {
		o := r.orderings[i]
		switch {
		case o.first.res != status.NoRes:
			r.applyFirst(o)
		case o.then.res != status.NoRes:
			r.applyThen(o.first.action, o.then.res, o)
		default:
			r.link(o.first.action, o.then.action, o.flags)
		}
	}
	for i := len(r.actions) - 1; i >= 0; i-- {
		r.blockDependents(actionID(i))
	}
	r.orderProbes()
	for i := len(r.actions) - 1; i >= 0; i-- {
		r.update(actionID(i))
	}
	r.dropInvalidOrderings()
	if r.s.HaveRemotes {
		r.dropConnectionLoops()
	}
}

func (r *run) applyFirst(o ordering) {
	first, then := o.first.res, o.then.res
	var firsts []actionID
	if o.first.action != noAction {
		firsts = []actionID{o.first.action}
	} else {
		firsts = r.findKey(first, o.first.task, o.first.interval, status.NoNode)
	}
	if len(firsts) == 0 {
		role := r.state(first, true)
		switch {
		case first == then,
			role == status.RoleStopped && o.first.task == "stop",
			role == status.RoleUnpromoted && o.first.task == "demote":
		default:
			firsts = []actionID{r.action(spec{res: first, node: status.NoNode, task: o.first.task, interval: o.first.interval})}
		}
	}
	if then == status.NoRes && o.then.action != noAction {
		then = r.actions[o.then.action].res
	}
	for _, f := range firsts {
		if then == status.NoRes {
			r.link(f, o.then.action, o.flags)
		} else {
			r.applyThen(f, then, o)
		}
	}
}

func (r *run) applyThen(first actionID, then status.ResID, o ordering) {
	var thens []actionID
	if o.then.action != noAction {
		thens = []actionID{o.then.action}
	} else {
		thens = r.findKey(then, o.then.task, o.then.interval, status.NoNode)
	}
	flags := o.flags
	if first != noAction && r.actions[first].res == then && r.actions[first].is(dangling) {
		flags &^= impliesThen
	}
	if first == noAction && flags&impliesThen == 0 {
		return
	}
	for _, t := range thens {
		if first != noAction {
			r.link(first, t, flags)
		} else {
			r.actions[t].flags &^= runnable
		}
	}
}

// dropInvalidOrderings takes out orderings the administrator cannot mean: between a guest's container and what runs in
// the guest, and capacity orderings that would make two migrations wait for each other.
func (r *run) dropInvalidOrderings() {
	for i := len(r.actions) - 1; i >= 0; i-- {
		a := &r.actions[i]
		for k := len(a.before) - 1; k >= 0; k-- {
			l := &a.before[k]
			in := &r.actions[l.action]
			if l.flags&preserved == 0 && in.res != status.NoRes && r.isGuestOf(in.node, a.res) {
				l.flags = orderNone
			}
			if l.flags == orderLoad && a.res != status.NoRes && a.task == "migrate_to" && r.loops(actionID(i), actionID(i), l) {
				l.flags = orderNone
			}
		}
	}
}

// dropConnectionLoops takes out what a moving connection makes impossible. A probe on the remote node waits until the connection is
// up elsewhere, so it comes too late for what has to happen before the connection moves. And what comes to the remote node would
// stay elsewhere until then, but not if its own instance there has to stop before.
func (r *run) dropConnectionLoops() {
	for i := range r.actions {
		a := &r.actions[i]
		probe := a.task == "monitor" && a.interval == 0 && r.connectionMoves(a.node)
		start := a.task == "start" && a.res != status.NoRes && r.rsc(a.res).RemoteConnection
		if a.is(optional) || !probe && !start {
			continue
		}
		earlier := map[actionID]bool{}
		r.collectEarlier(actionID(i), earlier)
		for _, l := range a.after {
			then := &r.actions[l.action]
			if !earlier[l.action] || start && (then.task != "stop" || then.res == a.res) {
				continue
			}
			for k := range then.before {
				if b := &then.before[k]; b.action == actionID(i) && (probe || b.flags == orderOptional) {
					b.flags = orderNone
				}
			}
		}
	}
}

// collectEarlier collects what has to happen before an action.
func (r *run) collectEarlier(id actionID, into map[actionID]bool) {
	for k := range r.actions[id].before {
		l := &r.actions[id].before[k]
		if !into[l.action] && r.inputBelongs(id, l) {
			into[l.action] = true
			r.collectEarlier(l.action, into)
		}
	}
}

// isGuestOf tells whether a node is a guest inside a resource.
func (r *run) isGuestOf(n status.NodeID, container status.ResID) bool {
	if n == status.NoNode || container == status.NoRes || len(r.rsc(container).Fillers) == 0 {
		return false
	}
	c := r.s.Nodes[n].Connection
	return c != status.NoRes && r.rsc(c).Container == container
}
