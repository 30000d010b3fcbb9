package lease

import (
	"maps"
	"slices"
	"time"
)

// EventKind is what a [Detector] found out about a node.
type EventKind byte

// The kinds of events.
const (
	// NodeReady: the node beats and has acknowledged the DC's term (D4). Said again
	// after a loss and for every new incarnation.
	NodeReady EventKind = iota + 1
	// NodeLost: nothing was received for D, or for a restart grant. No proof of anything.
	NodeLost
	// NodeProven: the node's lease and the give-up bound have passed, so all its
	// exclusive resources are silent (N3, N4). Only after a policy that proves.
	NodeProven
	// NodeLeft: the node said that it leaves with everything stopped.
	NodeLeft
	// NodeRecord: commit Event.Record for the node and Expect it; until then the node
	// is not granted a lease. Said again when that takes long.
	NodeRecord
)

var eventNames = [...]string{"", "ready", "lost", "proven", "left", "record"}

func (k EventKind) String() string { return eventNames[k] }

// Event is one finding about one node.
type Event struct {
	Kind        EventKind
	Node        string
	Incarnation uint64
	Record      Record        // of the newest beat
	Silent      time.Duration // since it was last heard, for NodeLost and NodeProven
}

// Detector is a DC's view of every node in one term: who was heard when, who is
// lost, whose loss is proven (N3, N4, D4), and who may be answered. A new term needs
// a new Detector.
type Detector struct {
	timing  Timing
	dc      string
	term    uint64
	elected time.Duration
	former  string
	looked  time.Duration // when Tick last ran
	fencing bool          // only fencing proves a loss
	nodes   map[string]*watched
	events  []Event
}

// watched is one node.
type watched struct {
	record Record // committed
	gone   bool   // the CIB says it runs nothing: not waited for, not granted to
	asked  Record // said by NodeRecord and not yet committed, if changing
	since  time.Duration
	change bool // asked is under way

	last  time.Duration // received, or the start of the term
	beat  Beat          // newest received; Seq 0 before the first
	fence uint64        // incarnations up to this one were fenced
	state nodeState
	// losses counts how often the node was lost in this term.
	losses int
}

type nodeState byte

const (
	waiting nodeState = iota // not yet heard in this term
	ready
	lost
	proven // until the CIB says gone
	left
)

// NewDetector starts at the instant this node was elected, or later. former is the
// DC before, whose own services have their right from the sendings its DC lease counted, hence
// for FormerDC after that instant at most; "" when the log does not say (crm/store: DC.Former).
func NewDetector(t Timing, dc string, term uint64, elected time.Duration, former string) *Detector {
	return &Detector{timing: t, dc: dc, term: term, elected: elected, former: former, looked: elected, nodes: make(map[string]*watched)}
}

// Expect tells what the CIB says of a node, at the start and whenever it changes:
// the record committed for it, and whether it is known to run nothing (a node that
// left, or whose loss was proven). A node that is gone is not waited for and gets no
// grant before it is expected as not gone: after [NodeReady] the DC commits that first.
func (d *Detector) Expect(node string, r Record, gone bool) {
	n := d.nodes[node]
	if n == nil {
		n = &watched{last: d.elected}
		d.nodes[node] = n
	}
	n.record = r
	if n.change && r == n.asked {
		n.change = false
	}
	switch {
	case n.state == proven && !gone:
		// the CIB lags behind the proof
	case n.state == proven:
		n.gone, n.state = true, waiting
	default:
		n.gone = gone
	}
}

// Fencing says whether only fencing proves a loss (stonith-enabled). The end of a
// lease proves nothing then, so that a lost node that is heard again is ready as
// long as nobody has fenced it. What was proven before stays proven: the DC may be
// acting on it.
func (d *Detector) Fencing(on bool) { d.fencing = on }

// proves tells whether the end of the node's lease will prove its loss.
func (d *Detector) proves(n *watched) bool { return !d.fencing && n.record.Policy.Proves() }

// Forget drops a node that was removed from the cluster.
func (d *Detector) Forget(node string) { delete(d.nodes, node) }

// Fenced notes a confirmed fencing: runs of the node's daemon up to this incarnation are
// dead, whatever of them still travels. One that was started since is not.
func (d *Detector) Fenced(node string, incarnation uint64) {
	n := d.nodes[node]
	if n == nil {
		return
	}
	n.fence = max(n.fence, incarnation)
	if n.beat.Incarnation <= n.fence && n.state != left {
		n.state = proven
		if n.gone { // the CIB knew before this was told
			n.state = waiting
		}
	}
}

// Beat takes a received beat, the DC's own included. valid says whether the DC lease
// is valid now. The answer, if there is one, is to be sent at once: a Grant, or a
// Hello to a node that has not acknowledged the term.
func (d *Detector) Beat(now time.Duration, b Beat, valid bool) (answer Message, ok bool) {
	n := d.nodes[b.Node]
	if n == nil || b.Incarnation <= n.fence || !newer(b, n.beat) {
		return nil, false
	}
	b.Record.Restart = min(max(b.Record.Restart, 0), MaxRestart)
	if b.Incarnation != n.beat.Incarnation && n.state != proven {
		n.state = waiting // another run of the daemon: it is ready, or leaves, anew
	}
	n.last, n.beat = now, b
	switch {
	case n.state == proven:
		return nil, false // not before the CIB knows
	case b.Leaving:
		if n.state != left {
			n.state = left
			d.say(NodeLeft, n)
		}
		return nil, false
	case b.Term < d.term:
		return Hello{DC: d.dc, Term: d.term}, valid
	}
	if n.state != ready {
		n.state = ready
		d.say(NodeReady, n)
	}
	if d.commit(now, n) && !n.gone && valid {
		length := max(d.timing.NodeLease, n.record.Restart)
		return Grant{DC: d.dc, Term: d.term, Node: b.Node, Incarnation: b.Incarnation, Seq: b.Seq, Length: length}, true
	}
	return nil, false
}

// commit reports whether the node's record is committed, and asks for it otherwise,
// again after a while.
func (d *Detector) commit(now time.Duration, n *watched) bool {
	r := n.beat.Record
	if r == n.record && !n.change {
		return true
	}
	again := now-n.since >= d.timing.NodeLease/2
	if r != n.record && (!n.change || r != n.asked || again) || n.change && again {
		n.asked, n.change, n.since = r, true, now
		d.say(NodeRecord, n)
	}
	return false
}

func (d *Detector) say(k EventKind, n *watched) {
	d.events = append(d.events, Event{Kind: k, Node: n.beat.Node, Incarnation: n.beat.Incarnation, Record: n.beat.Record})
}

// newer orders beats of one node; datagrams may arrive in any order.
func newer(b, than Beat) bool {
	if b.Incarnation != than.Incarnation {
		return b.Incarnation > than.Incarnation
	}
	return b.Seq > than.Seq
}

// Tick returns what has happened since the last call, those that time brings
// included. Give every datagram received so far to Beat first: a DC that was held up
// itself must not blame the nodes. When it was, they get two more beats to be heard.
func (d *Detector) Tick(now time.Duration) []Event {
	if now-d.looked > d.timing.DetectWithin/2 {
		for _, n := range d.nodes {
			n.last = max(n.last, now+2*d.timing.Beat-d.timing.DetectWithin)
		}
	}
	d.looked = now
	for _, name := range slices.Sorted(maps.Keys(d.nodes)) {
		n := d.nodes[name]
		lostAt, provenAt := d.deadlines(name, n)
		if n.state == proven || n.state == left || n.gone {
			continue
		}
		e := Event{Node: name, Incarnation: n.beat.Incarnation, Silent: now - n.last}
		if n.state != lost && now >= lostAt {
			n.state = lost
			n.losses++
			e.Kind = NodeLost
			d.events = append(d.events, e)
		}
		if n.state == lost && d.proves(n) && now >= provenAt {
			n.state = proven
			e.Kind = NodeProven
			d.events = append(d.events, e)
		}
	}
	events := d.events
	d.events = nil
	return events
}

// deadlines are when a node that stays silent is lost, and when its loss is proven.
func (d *Detector) deadlines(name string, n *watched) (lostAt, provenAt time.Duration) {
	giveUp := max(d.timing.GiveUp, n.record.GiveUp)
	if name == d.former && n.beat.Seq == 0 {
		end := d.elected + d.timing.FormerDC
		if d.fencing {
			// Nothing waits for that right to end. Who elected this node had heard nothing of the
			// former DC for P, so it has been silent for D then.
			return d.elected + d.timing.DetectWithin - d.timing.Promise, end + giveUp
		}
		return end + d.timing.GiveUp, end + giveUp
	}
	restart := n.record.Restart
	lostAt = n.last + max(d.timing.DetectWithin, Stretch(restart))
	end := lostAt
	if n.beat.Term < d.term { // an earlier DC may have answered a later beat than the one we know
		end = max(end, d.elected+d.timing.NeverHeard(restart))
	}
	return lostAt, end + giveUp
}

// Next is the instant of the next Tick that can bring news without another beat.
func (d *Detector) Next() (time.Duration, bool) {
	var next time.Duration
	found := false
	for name, n := range d.nodes {
		if n.state == proven || n.state == left || n.gone {
			continue
		}
		at, provenAt := d.deadlines(name, n)
		if n.state == lost {
			if !d.proves(n) {
				continue
			}
			at = provenAt
		}
		if !found || at < next {
			next, found = at, true
		}
	}
	return next, found
}

// Unsettled are the nodes that have neither acknowledged this term nor been proven
// lost, in order of name. The DC plans nothing before it is empty (D4); a lost node
// may also be settled by fencing.
func (d *Detector) Unsettled() []string {
	var out []string
	for name, n := range d.nodes {
		if !n.gone && n.state != ready && n.state != proven && n.state != left {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// Losses is how often a node was lost in this term.
func (d *Detector) Losses(node string) int {
	if n := d.nodes[node]; n != nil {
		return n.losses
	}
	return 0
}

// Heard is the newest beat of a node and when it came; false before the first.
func (d *Detector) Heard(node string) (b Beat, at time.Duration, ok bool) {
	n := d.nodes[node]
	if n == nil || n.beat.Seq == 0 {
		return Beat{}, 0, false
	}
	return n.beat, n.last, true
}
