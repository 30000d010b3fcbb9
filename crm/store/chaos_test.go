package store

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"systole/crm/cib"
	"systole/integration/sim/fabric"
)

var (
	chaosSeed  = flag.Uint64("chaos.seed", 1, "first seed of TestChaos")
	chaosCount = flag.Int("chaos.count", 6, "seeds of TestChaos")
)

// TestChaos throws faults at clusters with drifting clocks. At every millisecond at
// most one node may hold a DC lease; compare-and-set through whoever leads must be
// linearizable; in the end all nodes must agree.
func TestChaos(t *testing.T) {
	for seed := *chaosSeed; seed < *chaosSeed+uint64(*chaosCount); seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaos(t, seed, rules{}) })
		})
	}
}

type storm struct {
	*cluster
	rng    *rand.Rand
	faults map[string]int

	opsMu sync.Mutex
	ops   []porcupine.Operation
}

func chaos(t *testing.T, seed uint64, r rules) {
	s := &storm{rng: rand.New(rand.NewPCG(seed, 7)), faults: make(map[string]int)}
	n := 3 + 2*s.rng.IntN(2)
	s.cluster = grow(t, n, r)
	for _, nd := range s.nodes {
		nd.rate = 0.9 + 0.2*s.rng.Float64()
		nd.crash()
		nd.reboot()
	}
	s.dcWithin(time.Minute)

	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { s.watch(ctx) })
	for client := range 3 {
		rng := rand.New(rand.NewPCG(seed, uint64(100+client)))
		wg.Go(func() { s.client(ctx, client, rng) })
	}
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		s.fault()
		time.Sleep(time.Duration(s.rng.IntN(1500)) * time.Millisecond)
	}
	stop()
	wg.Wait()

	s.heal()
	dc := s.dcWithin(10 * time.Second)
	s.read(context.Background(), 99, dc)
	s.settle()
	s.sameCIB()
	if verdict := porcupine.CheckOperationsTimeout(register, s.ops, time.Minute); verdict != porcupine.Ok {
		t.Errorf("seed %d: the history of %d operations is not linearizable (%v)", seed, len(s.ops), verdict)
	}
	t.Logf("%d nodes, %d operations, faults %v", n, len(s.ops), s.faults)
}

// watch looks for two leases.
func (s *storm) watch(ctx context.Context) {
	for ctx.Err() == nil {
		if l := s.leased(); len(l) > 1 {
			s.t.Errorf("two DC leases, %s and %s:\n%s", l[0].name, l[1].name, s.describe())
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// fault does something to somebody.
func (s *storm) fault() {
	up := s.running()
	victim := up[s.rng.IntN(len(up))]
	other := up[s.rng.IntN(len(up))]
	switch kind := s.rng.IntN(10); kind {
	case 0, 1:
		if len(up) > len(s.nodes)/2+1 || s.rng.IntN(3) == 0 && len(up) > 1 {
			s.note("crash")
			victim.crash()
		}
	case 2, 3:
		for _, n := range s.nodes {
			if n.Store == nil {
				s.note("reboot")
				n.reboot()
				return
			}
		}
	case 4:
		s.note("isolate")
		s.net.Isolate(victim.addr())
	case 5:
		s.note("one-way cut")
		s.net.Cut(victim.addr(), other.addr())
	case 6:
		s.note("heal")
		s.net.HealAll()
		victim.memory.Hang(false)
	case 7:
		s.note("network")
		s.net.SetFaults(fabric.Faults{
			Delay: time.Duration(s.rng.IntN(20)) * time.Millisecond, Jitter: time.Duration(1+s.rng.IntN(30)) * time.Millisecond,
			Loss: float64(s.rng.IntN(10)) / 100,
		})
	case 8:
		s.note("hung disk")
		victim.memory.Hang(true)
		time.AfterFunc(time.Duration(s.rng.IntN(3000))*time.Millisecond, func() { victim.memory.Hang(false) })
	case 9:
		if victim.DC().Active {
			s.note("hand-over")
			go victim.HandOver(context.Background())
		}
	}
}

func (s *storm) note(kind string) { s.faults[kind]++ }

func (s *storm) heal() {
	s.net.HealAll()
	s.net.SetFaults(fabric.Faults{})
	for _, n := range s.nodes {
		n.memory.Hang(false)
		if n.Store == nil {
			n.reboot()
		}
	}
}

// The register that clients compare and set: one option, and the epoch that every
// change of it raises.
type (
	casInput struct {
		read   bool
		expect int
		value  string
	}
	casOutput struct {
		epoch int
		value string
		ok    bool
		maybe bool
	}
	casState struct {
		epoch int
		value string
	}
)

var register = porcupine.Model{
	Init: func() any { return casState{} },
	Step: func(state, input, output any) (bool, any) {
		st, in, out := state.(casState), input.(casInput), output.(casOutput)
		if in.read {
			if st.epoch == 0 {
				st = casState{out.epoch, out.value} // the first read tells where we began
			}
			return st.epoch == out.epoch && st.value == out.value, st
		}
		done := casState{st.epoch + 1, in.value}
		switch {
		case out.maybe && st.epoch == in.expect:
			return true, done
		case out.maybe:
			return true, st
		case out.ok:
			return st.epoch == in.expect && done.epoch == out.epoch, done
		default:
			return st.epoch != in.expect, st
		}
	},
}

func (s *storm) record(client int, call time.Time, in casInput, out casOutput) {
	back := time.Since(s.born).Nanoseconds()
	if out.maybe {
		back = int64(time.Hour) // it may still happen
	}
	s.opsMu.Lock()
	defer s.opsMu.Unlock()
	s.ops = append(s.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call.Sub(s.born).Nanoseconds(), Return: back})
}

// client reads and then sets what it has read, for ever.
func (s *storm) client(ctx context.Context, id int, rng *rand.Rand) {
	for n := 0; ctx.Err() == nil; n++ {
		time.Sleep(time.Duration(rng.IntN(60)) * time.Millisecond)
		var at *node
		for _, nd := range s.running() {
			if nd.DC().Elected != 0 && (at == nil || rng.IntN(2) == 0) { // a deposed one, sometimes
				at = nd
			}
		}
		if at == nil {
			continue
		}
		epoch, ok := s.read(ctx, id, at)
		if !ok || rng.IntN(3) == 0 {
			continue
		}
		s.cas(ctx, id, at.Store, epoch, fmt.Sprintf("%d-%d", id, n))
	}
}

func (s *storm) read(ctx context.Context, id int, n *node) (epoch int, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	call := time.Now()
	snap, err := n.Read(ctx)
	if err != nil {
		return 0, false
	}
	out := casOutput{epoch: snap.CIB.Version().Epoch, value: value(snap.CIB, "x")}
	s.record(id, call, casInput{read: true}, out)
	return out.epoch, true
}

func (s *storm) cas(ctx context.Context, id int, st *Store, expect int, v string) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	e := set("x", v)
	e.Change.Expected = &cib.Version{Epoch: expect}
	call := time.Now()
	reply, err := st.Propose(ctx, e)
	in := casInput{expect: expect, value: v}
	switch {
	case errors.Is(err, ErrMaybe):
		s.record(id, call, in, casOutput{maybe: true})
	case err != nil: // it is certain that nothing happened
	case reply.Err() != nil:
		s.record(id, call, in, casOutput{})
	default:
		s.record(id, call, in, casOutput{ok: true, epoch: reply.Version.Epoch})
	}
}
