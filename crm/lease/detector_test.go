package lease

import (
	"slices"
	"testing"
	"time"
)

// dcTest is a detector of term 7, elected at hour, with the node n.
type dcTest struct {
	t *testing.T
	*Detector
	seq uint64
}

var stopping = Record{Policy: PolicyStop}

func newDCTest(t *testing.T, former string) *dcTest {
	d := &dcTest{t: t, Detector: NewDetector(Default(), "x", 7, hour, former)}
	d.Expect("n", stopping, false)
	return d
}

// beat gives the next beat of n to the detector.
func (d *dcTest) beat(now time.Duration, term uint64, r Record) (Message, bool) {
	d.seq++
	return d.Beat(now, Beat{Node: "n", Incarnation: 1, Seq: d.seq, Term: term, Record: r}, true)
}

// kinds ticks and returns what was said of n.
func (d *dcTest) kinds(now time.Duration) []string {
	var out []string
	for _, e := range d.Tick(now) {
		if e.Node != "n" {
			d.t.Errorf("an event of %q", e.Node)
		}
		out = append(out, e.Kind.String())
	}
	return out
}

// run ticks every millisecond and returns the instants of the events.
func (d *dcTest) run(from, to time.Duration) map[string]time.Duration {
	out := make(map[string]time.Duration)
	for now := from; now <= to; now += ms {
		for _, k := range d.kinds(now) {
			out[k] = now
		}
	}
	return out
}

func (d *dcTest) want(got []string, want ...string) {
	d.t.Helper()
	if !slices.Equal(got, want) {
		d.t.Errorf("events %q, want %q", got, want)
	}
}

func TestDetectorHearsANode(t *testing.T) {
	d := newDCTest(t, "")
	if m, ok := d.beat(hour, 6, stopping); !ok || m != (Hello{DC: "x", Term: 7}) {
		t.Errorf("a beat of an older term is answered by %v, want a Hello", m)
	}
	d.want(d.kinds(hour))
	if got := d.Unsettled(); !slices.Equal(got, []string{"n"}) {
		t.Errorf("unsettled %v, want n: it has not acknowledged the term", got)
	}
	m, ok := d.beat(hour, 7, stopping)
	if want := (Grant{DC: "x", Term: 7, Node: "n", Incarnation: 1, Seq: 2, Length: Default().NodeLease}); !ok || m != want {
		t.Errorf("granted %+v, want %+v", m, want)
	}
	d.want(d.kinds(hour), "ready")
	if len(d.Unsettled()) > 0 {
		t.Error("not settled")
	}
	d.seq--
	if _, ok := d.beat(hour, 7, stopping); ok {
		t.Error("a repeated beat is answered")
	}
	if _, ok := d.Beat(hour, Beat{Node: "n", Incarnation: 1, Seq: 3, Term: 7, Record: stopping}, false); ok {
		t.Error("answered without a valid lease")
	}
	if _, ok := d.Beat(hour, Beat{Node: "stranger", Incarnation: 1, Seq: 3, Term: 7}, true); ok {
		t.Error("a stranger is answered")
	}
}

func TestDetectorLoss(t *testing.T) {
	D, G, F := Default().DetectWithin, Default().GiveUp, Default().FormerDC
	never := Default().NeverHeard(0)
	frozen := Record{Policy: PolicyFreeze}
	for _, c := range []struct {
		name         string
		former       string
		prepare      func(d *dcTest)
		lost, proven time.Duration // after the election; 0 is never
	}{
		{"heard in this term", "", func(d *dcTest) { d.beat(hour+100*ms, 7, stopping) }, 100*ms + D, 100*ms + D + G},
		{"heard, but of an older term", "", func(d *dcTest) { d.beat(hour+ms, 6, stopping) }, ms + D, ms + D + G},
		{"never heard", "", func(d *dcTest) {}, D, D + G},
		{"the DC before", "n", func(d *dcTest) {}, F + G, F + G},
		{"the DC before, to be fenced", "n", func(d *dcTest) { d.Fencing(true) }, D - Default().Promise, 0},
		{"the DC before, heard since", "n", func(d *dcTest) { d.beat(hour+100*ms, 7, stopping) }, 100*ms + D, 100*ms + D + G},
		{"freeze proves nothing", "", func(d *dcTest) { d.Expect("n", frozen, false); d.beat(hour+100*ms, 7, frozen) }, 100*ms + D, 0},
		{"a longer give-up", "", func(d *dcTest) { d.Expect("n", Record{Policy: PolicyStop, GiveUp: time.Second}, false) }, D, D + time.Second},
		{"a restart grant", "", func(d *dcTest) {
			d.Expect("n", Record{Policy: PolicyStop, Restart: 9 * time.Second}, false)
		}, 11 * time.Second, 11*time.Second + G},
		{"gone", "", func(d *dcTest) { d.Expect("n", stopping, true) }, 0, 0},
		{"left", "", func(d *dcTest) {
			d.Beat(hour, Beat{Node: "n", Incarnation: 1, Seq: 1, Term: 7, Leaving: true}, true)
		}, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDCTest(t, c.former)
			c.prepare(d)
			got := d.run(hour, hour+20*time.Second)
			want := func(kind string, after time.Duration) {
				at, said := got[kind]
				if said != (after > 0) || said && (at < hour+after || at > hour+after+ms) {
					t.Errorf("%s %v after the election (said: %v), want %v", kind, at-hour, said, after)
				}
			}
			want("lost", c.lost)
			want("proven", c.proven)
			if never > D {
				t.Errorf("N4's wait %v is beyond D; the table above assumes the contrary", never)
			}
		})
	}
}

// N4: with a slow detector an unheard node's lease may outlast D.
func TestDetectorWaitsForLeasesOfEarlierDCs(t *testing.T) {
	timing := Default()
	timing.NodeLease = 2 * time.Second
	d := &dcTest{t: t, Detector: NewDetector(timing, "x", 7, hour, "")}
	d.Expect("n", stopping, false)
	d.beat(hour+ms, 6, stopping)
	got := d.run(hour, hour+5*time.Second)
	if want := hour + timing.NeverHeard(0) + timing.GiveUp; got["proven"] < want || got["proven"] > want+ms {
		t.Errorf("proven at %v, want %v", got["proven"], want)
	}
}

func TestDetectorRecordsBeforeItGrants(t *testing.T) {
	d := newDCTest(t, "")
	frozen := Record{Policy: PolicyFreeze}
	if _, ok := d.beat(hour, 7, frozen); ok {
		t.Error("granted before the record was committed")
	}
	d.want(d.kinds(hour), "ready", "record")
	if _, ok := d.beat(hour+50*ms, 7, frozen); ok {
		t.Error("granted before the record was committed")
	}
	d.want(d.kinds(hour + 50*ms))
	d.beat(hour+250*ms, 7, frozen)
	d.want(d.kinds(hour+250*ms), "record") // again: the first proposal may be lost
	d.Expect("n", frozen, false)
	if _, ok := d.beat(hour+260*ms, 7, frozen); !ok {
		t.Error("not granted although committed")
	}
	// back to stop, and back again before that is committed
	d.beat(hour+300*ms, 7, stopping)
	d.want(d.kinds(hour+300*ms), "record")
	if _, ok := d.beat(hour+310*ms, 7, frozen); ok {
		t.Error("granted while another record is under way")
	}
	d.Expect("n", stopping, false)
	d.beat(hour+320*ms, 7, frozen)
	d.want(d.kinds(hour+320*ms), "record")
	d.Expect("n", frozen, false)
	if _, ok := d.beat(hour+330*ms, 7, frozen); !ok {
		t.Error("not granted in the end")
	}
}

func TestDetectorBoundsRestartGrants(t *testing.T) {
	d := newDCTest(t, "")
	d.beat(hour, 7, Record{Policy: PolicyStop, Restart: time.Hour})
	for _, e := range d.Tick(hour) {
		if e.Kind == NodeRecord && e.Record.Restart != MaxRestart {
			t.Errorf("asks to record a restart of %v", e.Record.Restart)
		}
	}
	d.Expect("n", Record{Policy: PolicyStop, Restart: MaxRestart}, false)
	m, ok := d.beat(hour+ms, 7, Record{Policy: PolicyStop, Restart: time.Hour})
	if g, _ := m.(Grant); !ok || g.Length != MaxRestart {
		t.Errorf("granted %+v", m)
	}
}

func TestDetectorAfterProof(t *testing.T) {
	d := newDCTest(t, "")
	d.beat(hour, 7, stopping)
	d.run(hour, hour+time.Second)
	if _, ok := d.beat(hour+2*time.Second, 7, stopping); ok {
		t.Error("granted after its death was proven")
	}
	d.Expect("n", stopping, false) // the CIB before the proof was committed
	if _, ok := d.beat(hour+2*time.Second, 7, stopping); ok {
		t.Error("granted by a CIB that lags behind")
	}
	d.want(d.kinds(hour + 2*time.Second))
	d.Expect("n", stopping, true)
	if _, ok := d.beat(hour+2*time.Second, 7, stopping); ok {
		t.Error("granted although the CIB says it is gone")
	}
	d.want(d.kinds(hour+2*time.Second), "ready")
	d.Expect("n", stopping, false)
	if _, ok := d.beat(hour+2*time.Second, 7, stopping); !ok {
		t.Error("not granted after it has joined again")
	}
}

// With fencing on, the end of a lease proves nothing, and nothing stands in the
// way of a lost node that returns before anybody has fenced it.
func TestDetectorWithFencing(t *testing.T) {
	d := newDCTest(t, "")
	d.Fencing(true)
	d.beat(hour, 7, stopping)
	if got := d.run(hour, hour+time.Minute); got["lost"] == 0 || got["proven"] != 0 {
		t.Errorf("findings: %v, want lost and not proven", got)
	}
	if at, ok := d.Next(); ok {
		t.Errorf("a look is due at %v although nothing can change", at)
	}
	if _, ok := d.beat(hour+time.Minute, 7, stopping); !ok {
		t.Error("a node that was lost and not fenced gets no lease when it returns")
	}
	d.want(d.kinds(hour+time.Minute), "ready")

	d = newDCTest(t, "")
	d.Fencing(true)
	d.beat(hour, 7, stopping)
	d.run(hour, hour+time.Minute)
	d.Fencing(false)
	if got := d.run(hour+time.Minute, hour+2*time.Minute); got["proven"] == 0 {
		t.Errorf("findings after fencing was switched off: %v, want proven", got)
	}
}

func TestDetectorFenced(t *testing.T) {
	d := newDCTest(t, "")
	d.beat(hour, 7, stopping)
	d.kinds(hour)
	d.Fenced("n", 1)
	if len(d.Unsettled()) > 0 {
		t.Error("a fenced node is unsettled")
	}
	d.Expect("n", stopping, true)
	d.beat(hour+ms, 7, stopping)
	d.want(d.kinds(hour + ms)) // a beat of the dead, still travelling
	d.Beat(hour+2*ms, Beat{Node: "n", Incarnation: 2, Seq: 1, Term: 7, Record: stopping}, true)
	d.want(d.kinds(hour+2*ms), "ready")
	d.Fenced("n", 1) // told late: the new run is not meant
	d.Beat(hour+3*ms, Beat{Node: "n", Incarnation: 2, Seq: 2, Term: 7, Record: stopping}, true)
	if got := d.Unsettled(); len(got) > 0 {
		t.Errorf("unsettled %v after a fencing of the run before", got)
	}
}

// The CIB may say that a fenced node is gone before the detector hears of the fencing; the
// node is welcome back all the same, although the CIB does not change again.
func TestDetectorIsToldOfAFencingLate(t *testing.T) {
	d := newDCTest(t, "")
	d.beat(hour, 7, stopping)
	d.kinds(hour)
	d.Expect("n", stopping, true)
	d.Fenced("n", 1)
	d.beat(hour+ms, 7, stopping)
	d.want(d.kinds(hour + ms)) // of the dead
	d.Beat(hour+2*ms, Beat{Node: "n", Incarnation: 2, Seq: 1, Term: 7, Record: stopping}, true)
	d.want(d.kinds(hour+2*ms), "ready")
}

// A node that is back before it was missed: the first beat of its new run acknowledges nothing.
func TestDetectorHearsANewRun(t *testing.T) {
	d := newDCTest(t, "")
	d.beat(hour, 7, stopping)
	d.want(d.kinds(hour), "ready")
	again := func(term uint64, seq uint64) {
		d.Beat(hour+ms, Beat{Node: "n", Incarnation: 2, Seq: seq, Term: term, Record: stopping}, true)
	}
	again(0, 1)
	d.want(d.kinds(hour + ms))
	if got := d.Unsettled(); len(got) != 1 {
		t.Errorf("unsettled %v, want the new run", got)
	}
	again(7, 2)
	d.want(d.kinds(hour+ms), "ready")
}

func TestDetectorBlamesItselfFirst(t *testing.T) {
	d := newDCTest(t, "")
	d.beat(hour, 7, stopping)
	d.kinds(hour)
	d.want(d.kinds(hour + time.Minute)) // held up for a minute: the node is given two beats
	d.want(d.kinds(hour + time.Minute + 2*Default().Beat - ms))
	d.want(d.kinds(hour+time.Minute+2*Default().Beat), "lost")
	d.beat(hour+time.Minute+2*Default().Beat, 7, stopping)
	d.want(d.kinds(hour+time.Minute+2*Default().Beat), "ready")
}

func TestDetectorNext(t *testing.T) {
	d := newDCTest(t, "")
	d.beat(hour, 7, stopping)
	d.kinds(hour)
	at, ok := d.Next()
	if !ok || at != hour+Default().DetectWithin {
		t.Errorf("next %v, %v", at, ok)
	}
	d.run(hour, at)
	if at, ok = d.Next(); !ok || at != hour+Default().DetectWithin+Default().GiveUp {
		t.Errorf("after the loss next %v, %v", at, ok)
	}
	d.run(at-ms, at)
	if _, ok = d.Next(); ok {
		t.Error("something is expected of a proven node")
	}
}
