package lease

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// Claim 2 of DESIGN.md, tried: two DCs, one after the other, and a node, each with a
// clock of its own rate; beats, grants and hellos are lost, delayed and reordered;
// the node changes its mind, restarts, and asks for restart grants. Whenever a DC
// calls its loss proven, the node's lease has ended G before, on real time.
func TestProofComesAfterTheLease(t *testing.T) {
	proofs := 0
	for seed := range uint64(400) {
		proofs += claim(t, seed)
	}
	if proofs < 100 {
		t.Errorf("%d proofs in all: too few to mean anything", proofs)
	}
}

type world struct {
	rng   *rand.Rand
	now   time.Duration // real
	queue []inFlight
	node  *NodeLease
	inc   uint64
	cib   Record // committed
	gone  bool
}

type inFlight struct {
	at time.Duration
	to string
	m  Message
}

func (w *world) clock(rate float64) time.Duration { return hour + time.Duration(float64(w.now)*rate) }

// send loses, delays and doubles.
func (w *world) send(to string, m Message) {
	for range 1 + w.rng.IntN(5)/4 {
		if w.rng.IntN(4) > 0 {
			w.queue = append(w.queue, inFlight{w.now + time.Duration(w.rng.IntN(120))*ms, to, m})
		}
	}
}

func claim(t *testing.T, seed uint64) (proofs int) {
	w := &world{rng: rand.New(rand.NewPCG(seed, 3)), inc: 1, cib: stopping}
	rates := map[string]float64{}
	for _, who := range []string{"n", "x", "y"} {
		rates[who] = 0.9 + 0.2*w.rng.Float64()
	}
	clock := func(who string) time.Duration { return w.clock(rates[who]) }
	timing := Default()
	w.node = NewNodeLease(timing, "n", w.inc, stopping)
	dcs := map[string]*Detector{"x": NewDetector(timing, "x", 7, clock("x"), "")}
	dcs["x"].Expect("n", w.cib, false)
	leader, valid := "x", true
	change := time.Duration(1+w.rng.IntN(3)) * time.Second
	deaf := time.Duration(1+w.rng.IntN(5)) * time.Second // from here on the node is cut off
	var commits []func()

	for ; w.now < 14*time.Second; w.now += ms {
		switch {
		case w.now == change-time.Duration(w.rng.IntN(300))*ms && leader == "x":
			valid = false // x lost its lease before y could be elected
		case w.now == change:
			leader, valid = "y", true
			delete(dcs, "x")
			dcs["y"] = NewDetector(timing, "y", 8, clock("y"), "")
			dcs["y"].Expect("n", w.cib, w.gone)
			w.send("n", Hello{DC: "y", Term: 8})
		}
		d, now := dcs[leader], clock("n")
		if w.now%timing.Beat == 0 {
			if w.rng.IntN(30) == 0 {
				w.node.Promise(Record{Policy: []Policy{PolicyStop, PolicyFreeze}[w.rng.IntN(2)], Restart: []time.Duration{0, time.Second}[w.rng.IntN(2)]})
			}
			if w.rng.IntN(60) == 0 {
				w.inc++
				end, act := w.node.End(), w.node.Policy()
				w.node = NewNodeLease(timing, "n", w.inc, stopping)
				w.node.Adopt(end, act)
			}
			b := w.node.Beat(now, 1)
			w.send("x", b)
			w.send("y", b)
		}
		for i := 0; i < len(w.queue); i++ {
			f := w.queue[i]
			if f.at > w.now {
				continue
			}
			w.queue = append(w.queue[:i], w.queue[i+1:]...)
			i--
			switch m := f.m.(type) {
			case Beat:
				if f.to == leader && (w.now < deaf) {
					if a, ok := d.Beat(clock(leader), m, valid); ok {
						w.send("n", a)
					}
				}
			case Grant:
				w.node.Granted(now, m)
			case Hello:
				w.node.Hello(m)
			}
		}
		if w.rng.IntN(20) == 0 && len(commits) > 0 {
			commits[0]()
			commits = commits[1:]
			d.Expect("n", w.cib, w.gone)
		}
		for _, e := range d.Tick(clock(leader)) {
			switch e.Kind {
			case NodeRecord:
				commits = append(commits, func() { w.cib = e.Record })
			case NodeReady:
				commits = append(commits, func() { w.gone = false })
			case NodeProven:
				proofs++
				ended := time.Duration(float64(w.node.End()-hour) / rates["n"]) // real
				if w.now < ended+time.Duration(float64(timing.GiveUp)/1.1) {
					t.Fatalf("seed %d: proven at %v, the lease ended at %v", seed, w.now, ended)
				}
				if !w.node.Policy().Proves() {
					t.Fatalf("seed %d: proven at %v, but the node acts on %v", seed, w.now, w.node.Policy())
				}
				commits = append(commits, func() { w.gone = true })
			}
		}
	}
	return proofs
}

func ExampleCheck() {
	for _, v := range Check(Default(), Measured{Fsync: 120 * time.Millisecond, Voters: 4}) {
		fmt.Println(v)
	}
	// Output:
	// I6: HB ≥ 4·f + h + w does not hold: 300ms < 530ms
	// I9: stall bound ≥ 10·f does not hold: 250ms < 1.2s
	// I11: 4 voters survive no more losses than 3; add one voter, or a witness
	// I12: N ≥ HB + slot + h + r + 2f + w does not hold: 400ms < 610ms; healthy nodes may stop for a moment when the DC is lost
}
