package node

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"systole/crm/cib"
	"systole/crm/controller"
	"systole/crm/lease"
	"systole/crm/store"
	"systole/crm/transport"
)

// heart owns the beats of this node and, while it is DC, the detector of lost
// nodes. It never blocks: whatever may wait is another goroutine's work. So those
// who bring it something, the fabric's reader, its alarm and its own goroutine,
// do the work themselves under its lock: a node does this dozens of times a
// second for ever, and to wake a goroutine is most of what it costs.
type heart struct {
	n      *Node
	log    *slog.Logger
	fabric transport.Fabric
	timing lease.Timing
	next   Alarm         // of the own beat
	mark   chan struct{} // an office began: see markOffice

	mu       sync.Mutex        // guards what follows
	beating  bool              // between the beginning and the end of run
	peers    map[string]string // node name → fabric address, this node not among them
	snap     store.Snapshot
	dc       store.DC
	detector *lease.Detector // nil while not DC
	term     uint64          // of the detector
	granted  time.Duration   // on Clock, when the last grant came
	recheck  *time.Timer     // the detector's next deadline
	nodes    []string        // configured, this one included
	expected map[string]expectation
}

// expectation is what the detector was last told of a node.
type expectation struct {
	record lease.Record
	gone   bool
}

func newHeart(n *Node) *heart {
	alarm := n.cfg.Alarm
	if alarm == nil {
		alarm = newTimerAlarm()
	}
	return &heart{n: n, log: n.log, fabric: n.cfg.Fabric, timing: n.cfg.Timing, next: alarm, mark: make(chan struct{}, 1)}
}

// markOffice records in the log, once for each office, that this node's own
// services have their right from its DC lease: the next DC then waits no longer than for that.
func (h *heart) markOffice(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.mark:
		}
		if err := h.n.store.MarkDC(ctx); err != nil && ctx.Err() == nil {
			h.log.Debug("office not marked; a successor waits longer", "err", err)
		}
	}
}

// run beats until ctx is done. With leaving set, the last beats say good-bye.
func (h *heart) run(ctx context.Context) {
	look := time.NewTicker(h.timing.DetectWithin)
	defer look.Stop()
	h.recheck = time.NewTimer(time.Hour)
	defer h.recheck.Stop()
	h.begin()
	var wait sync.WaitGroup
	defer wait.Wait()
	defer h.end()
	go h.fabric.Serve(transport.ChannelBeat, func(d transport.Datagram) { h.do(func() { h.receive(d) }) })
	wait.Go(func() {
		h.next.Run(func() {
			h.n.store.Renew() // waits for nobody who has the lock
			h.do(h.tick)
		})
	})
	last := time.Now()
	for {
		dc, snap := h.levels()
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			now := time.Now()
			h.n.meter.woke(now.Sub(last), h.timing.DetectWithin)
			last = now
		case <-dc:
			h.do(h.office)
		case <-snap:
			h.do(h.read)
		case <-h.n.hurry: // a promise changed: tell the DC now
			h.do(func() { h.promise(); h.beat() })
		case <-h.recheck.C:
			h.do(func() {})
		case <-h.n.dead.more:
			h.do(h.bury)
		}
	}
}

// begin takes the first look at everything, and beats.
func (h *heart) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.beating = true
	h.snap, h.dc = h.n.store.Snapshot(), h.n.store.DC()
	h.learn()
	h.office()
	h.beat()
}

// end lets nothing more happen.
func (h *heart) end() {
	h.mu.Lock()
	h.beating = false
	h.mu.Unlock()
	h.next.Close()
}

// do does something under the lock, then what follows from it.
func (h *heart) do(something func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.beating {
		return
	}
	something()
	h.detect()
}

// levels are what to wait for: changes of the office and of the CIB.
func (h *heart) levels() (dc, snap <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.dc.Next, h.snap.Next
}

// tick is due every beat at the latest.
func (h *heart) tick() {
	h.office()
	h.beat()
	h.n.right.tick()
}

// read takes the newest CIB.
func (h *heart) read() {
	h.snap = h.n.store.Snapshot()
	h.learn()
}

// learn takes from the CIB what the protocol depends on.
func (h *heart) learn() {
	h.peers, h.nodes = h.n.addresses(), nodeNames(h.snap.CIB)
	h.promise()
	h.n.changed()
	if h.detector == nil {
		return
	}
	h.detector.Fencing(controller.Fencing(h.snap.CIB))
	for _, name := range h.nodes {
		now := expectation{recordOf(h.snap.CIB, name), controller.Gone(h.snap.CIB, name)}
		h.detector.Expect(name, now.record, now.gone)
		if before, known := h.expected[name]; known && before != now && !now.gone {
			// It may be granted a lease now: do not let it wait for its next beat.
			h.send(h.peers[name], lease.Encode(lease.Hello{DC: h.n.cfg.Name, Term: h.term}))
		}
		h.expected[name] = now
	}
	for name := range h.expected {
		if !slices.Contains(h.nodes, name) { // removed from the cluster: no more leases
			h.detector.Forget(name)
			delete(h.expected, name)
		}
	}
}

// promise says in every beat what this node will do when its lease ends.
func (h *heart) promise() {
	h.n.right.promise(lease.Record{
		Policy:  endPolicy(h.snap.CIB),
		GiveUp:  h.n.giveUp(h.snap.CIB),
		Restart: time.Duration(h.n.restart.Load()),
	}, h.snap.Index)
}

// nextBeat makes the next beat.
func (h *heart) nextBeat() lease.Beat {
	b := h.n.right.beat(h.snap.Index)
	b.Leaving = h.n.leaving.Load()
	h.n.meter.beat(b.Seq, h.n.cfg.Clock())
	return b
}

// beat asks the DC to go on, and everybody while there is no answer.
func (h *heart) beat() {
	h.next.Set(h.timing.Beat)
	b := h.nextBeat()
	if h.detector != nil { // this node's right is its DC lease; beat and grant keep its record
		if m, ok := h.detector.Beat(h.n.cfg.Clock(), b, true); ok {
			if g, ok := m.(lease.Grant); ok {
				h.n.right.granted(g)
			}
		}
		return
	}
	if h.n.right.owing() {
		return // first what was promised for the lease's end, then a new one
	}
	msg := lease.Encode(b)
	dc, _ := h.n.right.dc()
	addr, known := h.peers[dc]
	leader := h.dc.Addr
	if known && h.answered() && (leader == "" || leader == addr) {
		h.send(addr, msg)
		return
	}
	for _, addr := range h.peers {
		h.send(addr, msg)
	}
}

// answered says that the DC has lately granted a beat.
func (h *heart) answered() bool { return h.n.cfg.Clock()-h.granted < 2*h.timing.Beat }

func (h *heart) send(addr string, msg []byte) {
	if addr == "" {
		return // this node itself, or one whose address is not known yet
	}
	if err := h.fabric.Send(addr, transport.ChannelBeat, msg); err != nil && !errors.Is(err, net.ErrClosed) {
		h.log.Debug("datagram not sent", "addr", addr, "err", err)
	}
}

// receive takes one datagram; what cannot be read is dropped like a lost one.
func (h *heart) receive(d transport.Datagram) {
	messages, err := lease.Decode(d.Payload)
	if err != nil {
		h.log.Debug("datagram dropped", "from", d.From, "err", err)
		return
	}
	for _, m := range messages {
		h.take(m, d.From)
	}
}

func (h *heart) take(m lease.Message, from string) {
	switch m := m.(type) {
	case lease.Beat:
		h.answer(m, from)
	case lease.Grant:
		h.granted = h.n.cfg.Clock()
		h.n.meter.granted(m.Seq, h.granted)
		h.n.right.granted(m)
	case lease.Hello:
		if h.n.right.hello(m) {
			h.granted = 0 // everybody is asked until this DC has answered
			h.beat()
		}
	case lease.Renew:
		h.promiseTo(m, from)
	case lease.Renewed:
		h.n.store.Promised(m)
	}
}

// promiseTo answers the leader's question for this voter's promise. If the leader is
// the DC this node beats to, the next beat goes with the answer: one wake-up for
// both ends, and the alarm need not ring.
func (h *heart) promiseTo(m lease.Renew, from string) {
	promise, ok := h.n.store.Promise(m)
	if !ok {
		return
	}
	dc, term := h.n.right.dc()
	if h.detector != nil || term != m.Term || h.peers[dc] != from || !h.answered() || h.n.right.owing() {
		h.send(from, lease.Encode(promise))
		return
	}
	h.next.Set(h.timing.Beat * 3 / 2)
	h.send(from, lease.Encode(promise, h.nextBeat()))
}

// answer grants a node its lease if this node is DC and may.
func (h *heart) answer(b lease.Beat, from string) {
	h.bury()
	if h.detector == nil {
		return
	}
	now := h.n.cfg.Clock()
	msg, ok := h.detector.Beat(now, b, h.n.store.LeaseEnd(h.term) > now)
	if !ok {
		return
	}
	addr, known := h.peers[b.Node]
	if !known {
		addr = from
	}
	h.send(addr, lease.Encode(msg))
}

// bury takes what was fenced from the detector's living, before another beat is believed.
func (h *heart) bury() {
	for _, run := range h.n.dead.take() {
		if h.detector != nil {
			h.detector.Fenced(run.node, run.incarnation)
		}
	}
}

// office follows the store: begins, continues or ends being DC.
func (h *heart) office() {
	h.dc = h.n.store.DC()
	now := h.n.cfg.Clock()
	end := time.Duration(0)
	if h.dc.Active {
		end = h.n.store.LeaseEnd(h.dc.Term)
	}
	active := end > now
	if h.detector != nil && (!active || h.term != h.dc.Term) {
		h.log.Info("DC lease ended", "term", h.term)
		h.detector = nil
		h.n.director.post(controller.Deposed{Cause: "the DC lease ended"})
		h.n.right.follow()
	}
	if !active {
		return
	}
	h.n.right.lead(h.dc.Term, end)
	if h.detector != nil {
		return
	}
	h.takeOffice(now)
}

// takeOffice begins: from here every node is watched, and asked for a beat at once.
func (h *heart) takeOffice(now time.Duration) {
	elected, former := h.dc.Elected, h.dc.Former
	if h.term == h.dc.Term {
		// The lease lapsed and is back in the same term: the leases this node gave
		// until then may still run, and the new detector has not heard of them.
		elected, former = now, ""
	}
	h.term = h.dc.Term
	h.detector = lease.NewDetector(h.timing, h.n.cfg.Name, h.term, elected, former)
	h.n.heard.Store(&map[string]hearing{}) // what was heard in an earlier office says nothing
	h.snap, h.expected = h.n.store.Snapshot(), map[string]expectation{}
	h.learn()
	h.n.director.post(controller.Elected{Term: h.term, UUID: h.n.officeUUID(), CIB: h.snap.CIB, Index: h.snap.Index})
	h.beat()
	hello := lease.Encode(lease.Hello{DC: h.n.cfg.Name, Term: h.term})
	for _, name := range slices.Sorted(maps.Keys(h.peers)) {
		h.send(h.peers[name], hello)
	}
	nudge(h.mark)
}

// detect asks the detector what happened and sets the timer for what will. Every
// beat that was received has been taken before: a DC that was held up must not blame the nodes.
// The timer is for what is due before the next tick; set for a deadline that every beat
// moves on, it would cost more than they do.
func (h *heart) detect() {
	if h.detector == nil {
		return
	}
	now := h.n.cfg.Clock()
	events := h.detector.Tick(now)
	h.n.publishHeard(h.detector, now, h.nodes) // before anybody acts on the events
	for _, e := range events {
		h.n.director.post(h.event(e))
	}
	if at, ok := h.detector.Next(); ok && at-now < h.timing.Beat {
		h.recheck.Reset(max(0, at-now))
	}
}

// event translates what the detector found for the controller.
func (h *heart) event(e lease.Event) controller.Event {
	switch e.Kind {
	case lease.NodeReady:
		return controller.NodeReady{Node: e.Node, Incarnation: incarnationText(e.Incarnation),
			Policy: e.Record.Policy.String(), GiveUp: spanText(e.Record.GiveUp), Restart: spanText(e.Record.Restart)}
	case lease.NodeRecord:
		return controller.NodeRecord{Node: e.Node, Incarnation: incarnationText(e.Incarnation),
			Policy: e.Record.Policy.String(), GiveUp: spanText(e.Record.GiveUp), Restart: spanText(e.Record.Restart)}
	case lease.NodeLost:
		h.log.Debug("nothing heard", "node", e.Node, "silent", e.Silent)
		return controller.NodeLost{Node: e.Node}
	case lease.NodeProven:
		h.log.Info("loss proven: what the node ran is silent", "node", e.Node, "silent", e.Silent)
		return controller.NodeProven{Node: e.Node}
	case lease.NodeLeft:
		return controller.NodeLeft{Node: e.Node}
	}
	return controller.Tick{}
}

// nodeNames are the configured full nodes.
func nodeNames(c *cib.CIB) []string {
	var out []string
	for e := range c.Section("nodes").Each("node") {
		if t := e.Get("type"); t == "" || t == "member" || t == "normal" {
			out = append(out, e.Get("uname"))
		}
	}
	return out
}

// recordOf reads what the CIB has committed about a node's promises.
func recordOf(c *cib.CIB, node string) lease.Record {
	for s := range c.Status().Each("node_state") {
		if s.Get("uname") == node {
			p, _ := lease.ParsePolicy(s.Get("no-quorum-policy"))
			return lease.Record{Policy: p, GiveUp: spanOf(s.Get(controller.AttrGiveUp)), Restart: spanOf(s.Get("restart-grant"))}
		}
	}
	return lease.Record{}
}

// spanText and spanOf are durations as node_state attributes hold them; 0 is "".
func spanText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func spanOf(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0
	}
	return d
}

// endPolicy is what a node is to do when its lease ends: nothing while the cluster is in
// maintenance, since nothing is managed then, else no-quorum-policy.
func endPolicy(c *cib.CIB) lease.Policy {
	if inMaintenance(c) {
		return lease.PolicyIgnore
	}
	return noQuorumPolicy(c)
}

// inMaintenance is the cluster option maintenance-mode.
func inMaintenance(c *cib.CIB) bool {
	on, _ := cib.ParseBool(option(c, "maintenance-mode"))
	return on
}

// noQuorumPolicy is the cluster option; anything unreadable is the default, stop.
func noQuorumPolicy(c *cib.CIB) lease.Policy {
	p, err := lease.ParsePolicy(option(c, "no-quorum-policy"))
	if err != nil {
		return lease.PolicyStop
	}
	return p
}

// option is a cluster option as configured, "" when it is not.
func option(c *cib.CIB, name string) string {
	for set := range c.Section("crm_config").Each("cluster_property_set") {
		for nv := range set.Each("nvpair") {
			if nv.Get("name") == name {
				return nv.Get("value")
			}
		}
	}
	return ""
}
