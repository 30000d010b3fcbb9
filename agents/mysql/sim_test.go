package mysql

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// world is a clone of simulated servers under the real decisions. Every
// operation is cut into the steps between which a node can die; what the
// clients were told is kept, and must never be missing after a promotion that
// claims a proof.
type world struct {
	t       *testing.T
	r       *rand.Rand
	names   []string
	servers map[string]*simulated
	notes   map[string]Note
	primary string // "" while there is none
	count   int
	told    []txn // confirmed to clients
	events  []string
	proofs  int
	taken   int // promotions by what replicas had confirmed
	refused int
	faults  int // in a thousand steps
	returns int // of a hundred chances for a dead server to start
}

type txn struct {
	seq    uint64
	server uint32
	id     int
	term   *Promotion // set for a row of the table of terms
}

// link is how a replica is connected to the primary.
type link int

const (
	cut link = iota
	plain
	semi // takes part in semi-synchronous replication
)

type simulated struct {
	name     string
	id       uint32
	up       bool
	stopped  bool // on record
	log      []txn
	received []txn // in the relay log only
	flag     bool  // rpl_semi_sync_slave_enabled
	link     link
	reach    bool // the network to the primary works
	waiting  bool // rpl_semi_sync_master_enabled
	pending  []txn
	steps    []func()
}

func newWorld(t *testing.T, seed uint64, names ...string) *world {
	w := &world{t: t, r: rand.New(rand.NewPCG(seed, 7)), names: names, servers: map[string]*simulated{}, notes: map[string]Note{}}
	for i, n := range names {
		w.servers[n] = &simulated{name: n, id: uint32(i + 1), up: true, reach: true}
	}
	w.faults, w.returns = 1+w.r.IntN(12), 1+w.r.IntN(100)
	return w
}

func (w *world) event(format string, args ...any) {
	w.events = append(w.events, fmt.Sprintf(format, args...))
}

func (w *world) fail(format string, args ...any) {
	w.t.Helper()
	w.t.Fatalf("%s\n%s\nnotes %v", fmt.Sprintf(format, args...), strings.Join(w.events, "\n"), w.notes)
}

func position(log []txn) Position {
	if len(log) == 0 {
		return Position{}
	}
	last := log[len(log)-1]
	return Position{0: {0, last.server, last.seq}}
}

func (s *simulated) instance(primary string) Instance {
	i := Instance{Node: s.name, Applied: position(s.log), Received: position(slices.Concat(s.log, s.received)), ReadOnly: s.name != primary}
	for _, x := range s.log {
		if x.term != nil {
			i.History = append(i.History, *x.term)
			i.Term, i.Nonce = x.term.Term, x.term.Nonce
		}
	}
	return i
}

func (s *simulated) append(x txn) txn {
	x.seq, x.server = uint64(len(s.log)+1), s.id
	s.log = append(s.log, x)
	return x
}

// write is a client's transaction.
func (w *world) write() {
	p := w.servers[w.primary]
	if p == nil {
		return
	}
	w.count++
	x := p.append(txn{id: w.count})
	if p.waiting {
		p.pending = append(p.pending, x)
		return
	}
	w.told = append(w.told, x)
}

// confirmed tells the clients what a replica that reaches seq lets the primary tell.
func (w *world) confirmed(p *simulated, seq uint64) {
	for len(p.pending) > 0 && (p.pending[0].seq <= seq || !p.waiting) {
		w.told = append(w.told, p.pending[0])
		p.pending = p.pending[1:]
	}
}

// fetch gives a replica some of what it lacks.
func (w *world) fetch(s *simulated, n int) {
	p := w.servers[w.primary]
	if p == nil || !s.up || s.link == cut || s == p {
		return
	}
	for range n {
		have := len(s.log) + len(s.received)
		if have >= len(p.log) {
			break
		}
		s.received = append(s.received, p.log[have])
	}
	if s.link == semi && p.waiting {
		w.confirmed(p, uint64(len(s.log)+len(s.received)))
	}
}

func (s *simulated) apply() { s.log, s.received = append(s.log, s.received...), nil }

func (s *simulated) relink() {
	if s.link != cut {
		s.link = plain
		if s.flag {
			s.link = semi
		}
	}
}

func (w *world) crash(s *simulated) {
	w.event("%s dies", s.name)
	if w.primary == s.name {
		w.primary = ""
		for _, o := range w.servers {
			o.link = cut
		}
	}
	s.up, s.stopped, s.received, s.flag, s.link, s.waiting, s.steps = false, false, nil, false, cut, false, nil
	// What waited for a confirmation was never told.
	s.pending = nil
}

// start is the agent's: what it says on record comes first.
func (w *world) start(s *simulated) {
	own := w.notes[s.name]
	if own.Role == RoleReplica && own.State != StateOut {
		own.State = StateOut
		w.notes[s.name] = own
	}
	s.up, s.stopped = true, false
	w.event("%s starts with %v", s.name, position(s.log))
}

// monitorPrimary is tend, in its steps.
func (w *world) monitorPrimary(s *simulated) {
	note := w.notes[s.name]
	sight := Sight{Waiting: s.waiting, Notes: copied(w.notes)}
	for _, n := range w.names {
		o := w.servers[n]
		if o != s && o.link != cut {
			sight.Connected = append(sight.Connected, n)
		}
		if o != s && o.link == semi {
			sight.Confirming++
		}
		if !o.up && o.stopped {
			sight.Stopped = append(sight.Stopped, n)
		}
	}
	plan := PlanMembers(note, sight)
	probed := true
	if plan.Probe {
		s.steps = append(s.steps, func() {
			w.write() // waits for any replica that confirms
			at := uint64(len(s.log))
			for _, n := range w.names {
				if o := w.servers[n]; o.link == semi {
					w.fetch(o, len(s.log))
					if uint64(len(o.log)+len(o.received)) >= at {
						return
					}
				}
			}
			probed = false
		})
	}
	s.steps = append(s.steps, func() {
		if probed && plan.Note.String() != w.notes[s.name].String() {
			w.notes[s.name] = plan.Note
			w.event("%s: with %v", s.name, plan.Note.With)
		}
	}, func() {
		if probed {
			s.waiting = plan.Wait
			w.confirmed(s, 0)
		}
	})
}

func copied(notes map[string]Note) map[string]Note {
	out := map[string]Note{}
	for k, v := range notes {
		v.With = slices.Clone(v.With)
		out[k] = v
	}
	return out
}

// monitorReplica is follow and duty, in their steps.
func (w *world) monitorReplica(s *simulated) {
	p := w.servers[w.primary]
	if p == nil {
		return
	}
	if s.link == cut && s.reach {
		if err := Joins(s.instance(w.primary), p.instance(w.primary)); err != nil {
			return
		}
		if len(s.log) > len(p.log) || !slices.Equal(numbers(s.log), numbers(p.log[:len(s.log)])) {
			w.fail("%s joined %s and has something of its own", s.name, p.name)
		}
		s.received, s.link = nil, plain // a new connection begins with what was applied
		s.relink()
	}
	node, note, _ := Latest(w.notes)
	if node != w.primary {
		return
	}
	m, _ := note.Member(s.name)
	own := Note{Role: RoleReplica, Term: note.Term, Nonce: note.Nonce, Gen: m.Gen}
	keep := func(state State) func() {
		return func() {
			own.State = state
			w.notes[s.name] = own
			w.event("%s: %v", s.name, own)
		}
	}
	confirm := func(on bool) func() {
		return func() { s.flag = on; s.relink() }
	}
	switch ReplicaDuty(s.name, note, w.notes[s.name]) {
	case DutyConfirm:
		s.steps = append(s.steps, keep(StateAcking), func() {
			if now, _ := w.notes[node].Member(s.name); now == m {
				confirm(true)()
			}
		})
	case DutyCatchUp:
		s.flag = true
		s.relink()
		target := -1
		s.steps = append(s.steps, func() {
			if p.up && p.waiting && w.primary == p.name {
				target = len(p.log)
			}
		}, func() {
			w.fetch(s, w.r.IntN(20))
			if target >= 0 && len(s.log)+len(s.received) >= target {
				s.apply()
				keep(StateIn)()
			}
		})
	case DutyResign:
		s.steps = append(s.steps, confirm(false), keep(StateOut))
	default:
		if m.Node == "" {
			s.steps = append(s.steps, confirm(false))
		}
	}
}

func numbers(log []txn) (out []int) {
	for _, x := range log {
		out = append(out, x.id)
	}
	return out
}

// promote judges a promotion of s, and carries it out. step says how far it gets
// before the node dies: the row, the record, everything.
func (w *world) promote(s *simulated, step int) {
	f := Facts{Self: s.name, Notes: copied(w.notes)}
	for _, n := range w.names {
		if o := w.servers[n]; o.up {
			if o == s {
				o.apply()
			}
			f.Instances = append(f.Instances, o.instance(w.primary))
		}
	}
	v, err := Judge(f)
	if err != nil {
		w.refused++
		return
	}
	source := w.servers[v.Source]
	if source != s {
		if Joins(s.instance(""), source.instance("")) != nil {
			return
		}
		source.apply()
		s.log = slices.Clone(source.log)
	}
	w.event("%s is promoted: %s", s.name, v.Proof)
	w.proofs++
	if strings.Contains(v.Proof, "first") && !strings.Contains(v.Proof, "first promotion") {
		w.taken++
	}
	have := numbers(s.log)
	for _, x := range w.told {
		if !slices.Contains(have, x.id) {
			w.fail("%s was promoted without %d, which was confirmed: %s", s.name, x.id, v.Proof)
		}
	}
	note := Note{Role: RolePrimary, Term: v.Term, Nonce: fmt.Sprint(s.name, w.count), At: position(s.log)}
	w.count++
	s.append(txn{id: w.count, term: &Promotion{note.Term, s.name, note.Nonce, note.At}})
	if step == 0 {
		w.crash(s)
		return
	}
	w.notes[s.name] = note
	if step == 1 {
		w.crash(s)
		return
	}
	for _, o := range w.servers {
		o.link = cut
	}
	w.primary, s.flag, s.waiting, s.steps = s.name, false, false, nil
}

// demote hands over in order.
func (w *world) demote(s *simulated) {
	own := w.notes[s.name]
	w.confirmed(s, uint64(len(s.log)))
	w.notes[s.name] = Note{Role: RoleDemoted, Term: own.Term, Nonce: own.Nonce, At: position(s.log)}
	w.event("%s is demoted at %v", s.name, position(s.log))
	w.primary, s.waiting, s.pending, s.steps = "", false, nil, nil
	for _, o := range w.servers {
		o.link = cut
	}
}

// step does one thing. Faults are of a frequency drawn for the world: with few
// of them replicas get to confirm, with many they die while they begin to.
func (w *world) step() {
	s := w.servers[w.names[w.r.IntN(len(w.names))]]
	if w.r.IntN(1000) < w.faults {
		switch {
		case w.r.IntN(3) == 0:
			s.reach = !s.reach
			s.link = cut
			w.event("%s reaches the primary: %t", s.name, s.reach)
		case s.up:
			w.crash(s)
		}
		return
	}
	switch x := w.r.IntN(100); {
	case x < 20:
		w.write()
	case x < 45:
		w.fetch(s, 1+w.r.IntN(3))
	case x < 50:
		s.apply()
	case x < 55 && !s.up:
		s.stopped = true
	case x < 58 && !s.up && w.r.IntN(100) < w.returns:
		w.start(s)
	case x < 62 && w.primary == "" && s.up:
		w.promote(s, w.r.IntN(20))
	case x < 63 && w.primary == s.name && len(s.steps) == 0 && w.r.IntN(10) == 0:
		w.demote(s)
	case s.up && len(s.steps) > 0:
		next := s.steps[0]
		s.steps = s.steps[1:]
		next()
	case s.up && w.primary == s.name:
		w.monitorPrimary(s)
	case s.up:
		w.monitorReplica(s)
	}
}

func TestNothingConfirmedIsLost(t *testing.T) {
	proofs, taken, refused, told := 0, 0, 0, 0
	for seed := range uint64(8000) {
		w := newWorld(t, seed, []string{"a", "b", "c"}[:2+min(seed%3, 1)]...)
		w.event("seed %d", seed)
		for range 600 {
			w.step()
		}
		proofs, taken, refused, told = proofs+w.proofs, taken+w.taken, refused+w.refused, told+len(w.told)
	}
	t.Logf("%d promotions, %d of them by confirmations, %d refusals, %d transactions confirmed", proofs, taken, refused, told)
	if taken < 1000 || refused < 1000 || told < 10_000 {
		t.Error("too little happened to show anything")
	}
}
