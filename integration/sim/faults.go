package sim

import (
	"context"

	"slices"
	"time"

	"systole/integration/sim/fabric"
)

// fault is one kind of misfortune.
type fault string

// The faults, and how often each is drawn.
const (
	powerCut    fault = "power cut"
	blackout    fault = "power cut of all"
	daemonKill  fault = "daemon killed"
	quickKill   fault = "daemon killed, back at once"
	planned     fault = "planned restart"
	isolation   fault = "isolated"
	oneWay      fault = "one-way cut"
	partition   fault = "partition"
	healing     fault = "healed"
	weather     fault = "network weather"
	hungDisk    fault = "hung disk"
	slowDisk    fault = "slow disk"
	agents      fault = "agents' mood"
	devices     fault = "fencing devices' mood"
	handOver    fault = "hand-over"
	forgetful   fault = "voter restarted while the DC is cut from another"
	lateAnswer  fault = "answers to the DC held back over a vote"
	slowVote    fault = "the DC heard again while voters write their votes"
	lostSilence fault = "DC cut off at once"
	lateOrder   fault = "an order held back until its node is lost and back"
)

var deck = []struct {
	fault  fault
	weight int
}{
	{powerCut, 4}, {blackout, 1}, {daemonKill, 2}, {quickKill, 4}, {planned, 2}, {isolation, 4}, {oneWay, 4}, {partition, 3}, {healing, 10},
	{weather, 4}, {hungDisk, 3}, {slowDisk, 2}, {agents, 2}, {devices, 2}, {handOver, 2}, {forgetful, 4}, {lateAnswer, 2}, {slowVote, 2}, {lostSilence, 3}, {lateOrder, 2},
}

// storm throws faults until its time is over, and says how many.
func (c *cluster) storm(ctx context.Context) (faults int) {
	weights := make([]int, len(deck))
	total := 0
	for i, d := range deck {
		if c.opts.only != nil && !c.opts.only(d.fault) {
			continue
		}
		weights[i] = d.weight * c.rng.IntN(3) // the mix is the seed's
		if d.fault == healing || c.opts.only != nil {
			weights[i] = d.weight
		}
		total += weights[i]
	}
	for end := time.Now().Add(c.opts.Time); time.Now().Before(end) && !c.failed(); {
		draw := c.rng.IntN(total)
		i := 0
		for draw >= weights[i] {
			draw -= weights[i]
			i++
		}
		if c.strike(ctx, deck[i].fault) {
			c.world.note(string(deck[i].fault))
			faults++
		}
		time.Sleep(time.Duration(200+c.rng.IntN(2500)) * time.Millisecond)
	}
	return faults
}

// strike makes one fault happen; false when there is nobody to suffer it.
func (c *cluster) strike(ctx context.Context, f fault) bool {
	up := c.upNames()
	if len(up) == 0 {
		return false
	}
	victim := c.machines[up[c.rng.IntN(len(up))]]
	if dc := c.dc(); dc != nil && c.rng.IntN(3) == 0 {
		victim = dc
	}
	other := c.machines[c.names[c.rng.IntN(len(c.names))]]
	later := func(most time.Duration) time.Time { return time.Now().Add(time.Duration(c.rng.Int64N(int64(most)))) }
	c.trace.add(victim.name, "fault: %s (%s)", f, other.name)
	switch f {
	case powerCut:
		victim.comeBack(later(8 * time.Second))
		victim.powerOff()
	case blackout:
		for _, n := range c.names {
			m := c.machines[n]
			m.comeBack(later(4 * time.Second))
			m.powerOff()
		}
	case daemonKill:
		victim.comeBack(later(4 * time.Second))
		victim.kill()
	case quickKill:
		victim.comeBack(later(300 * time.Millisecond))
		victim.kill()
	case planned:
		go c.restart(ctx, victim)
	case isolation:
		c.net.Isolate(victim.addr())
	case oneWay:
		if victim == other {
			return false
		}
		c.net.Cut(victim.addr(), other.addr())
	case partition:
		var left, right []string
		for _, n := range c.names {
			if c.rng.IntN(2) == 0 {
				left = append(left, n+":1")
			} else {
				right = append(right, n+":1")
			}
		}
		c.net.Partition(left, right)
	case healing:
		c.net.HealAll()
		victim.disk.Hang(false)
	case weather:
		c.net.SetFaults(fabric.Faults{
			Delay: time.Duration(c.rng.IntN(15)) * time.Millisecond, Jitter: time.Duration(1+c.rng.IntN(25)) * time.Millisecond,
			Loss: float64(c.rng.IntN(8)) / 100, Duplicate: float64(c.rng.IntN(10)) / 100,
		})
	case hungDisk:
		c.hang(victim, 0, time.Duration(c.rng.IntN(4000))*time.Millisecond)
	case slowDisk:
		for i := range 10 {
			c.hang(victim, time.Duration(i*200)*time.Millisecond, time.Duration(c.rng.IntN(120))*time.Millisecond)
		}
	case agents:
		c.world.mu.Lock()
		c.world.slow = time.Duration(c.rng.IntN(800)) * time.Millisecond
		c.world.flaky = float64(c.rng.IntN(20)) / 100
		c.world.mu.Unlock()
	case devices:
		c.world.mu.Lock()
		c.world.fence = fenceMood{fails: float64(c.rng.IntN(80)) / 100, slow: time.Duration(c.rng.IntN(2000)) * time.Millisecond}
		c.world.mu.Unlock()
	case handOver:
		dc := c.dc()
		if dc == nil {
			return false
		}
		if d := dc.up(); d != nil {
			go d.Store().HandOver(ctx)
		}
	case forgetful:
		return c.forgetful()
	case lateAnswer:
		return c.lateAnswer(false)
	case slowVote:
		return c.lateAnswer(true)
	case lateOrder:
		return c.lateOrder(ctx)
	case lostSilence:
		dc := c.dc()
		if dc == nil {
			return false
		}
		c.net.Isolate(dc.addr())
	}
	return true
}

// The next two are aimed at the moment between two leaders. A DC is cut from all
// voters but those it needs; the others campaign after HB. Until D they may win, if
// nothing is written meanwhile: so the clients are quiet.

// forgetful restarts the voters the DC needs, again and again around that moment.
func (c *cluster) forgetful() bool {
	dc, kept, away := c.split()
	if dc == nil {
		return false
	}
	defer c.calm()()
	began := time.Now()
	c.part(dc, away)
	time.Sleep(c.timing.Heartbeat - time.Duration(c.rng.IntN(60))*time.Millisecond)
	for time.Since(began) < c.timing.DetectWithin {
		for _, k := range kept {
			k.comeBack(time.Now())
			k.kill()
		}
		time.Sleep(time.Duration(10+c.rng.IntN(50)) * time.Millisecond)
	}
	time.Sleep(time.Duration(300+c.rng.IntN(500)) * time.Millisecond)
	c.net.HealAll()
	return true
}

// lateAnswer holds back what the voters answer, and soon what the DC asks. Answers
// come nearly when it steps down; then it either is heard again too, by voters whose
// disks are slow, or not.
func (c *cluster) lateAnswer(slow bool) bool {
	dc, kept, away := c.split()
	if dc == nil {
		return false
	}
	defer c.calm()()
	hb := c.timing.Heartbeat
	began := time.Now()
	c.part(dc, away)
	time.Sleep(time.Duration(c.rng.IntN(40)) * time.Millisecond)
	for _, k := range kept {
		c.net.Cut(k.addr(), dc.addr())
		if slow {
			c.hang(k, time.Until(began.Add(hb)), time.Duration(100+c.rng.IntN(100))*time.Millisecond)
		}
	}
	time.Sleep(time.Duration(c.rng.IntN(40)) * time.Millisecond) // asked again, once or twice
	c.part(dc, kept)
	time.Sleep(time.Until(began.Add(hb - time.Duration(c.rng.IntN(50))*time.Millisecond)))
	for _, k := range kept {
		c.net.Heal(k.addr(), dc.addr())
	}
	if slow {
		time.Sleep(time.Until(began.Add(hb + time.Duration(20+c.rng.IntN(100))*time.Millisecond)))
		for _, k := range kept {
			c.net.Heal(dc.addr(), k.addr())
		}
	}
	time.Sleep(time.Duration(400+c.rng.IntN(300)) * time.Millisecond)
	c.net.HealAll()
	return true
}

// calm quiets the clients and the network; what it returns lets them go on.
func (c *cluster) calm() func() {
	c.quiet.Store(true)
	c.net.SetFaults(fabric.Faults{Delay: 300 * time.Microsecond})
	time.Sleep(500 * time.Millisecond)
	return func() { c.quiet.Store(false) }
}

// part cuts one machine from others.
func (c *cluster) part(m *machine, from []*machine) {
	for _, f := range from {
		c.net.Partition([]string{m.addr()}, []string{f.addr()})
	}
}

// split finds a DC with all voters up, and divides the others: just enough to keep it
// in office, and the rest.
func (c *cluster) split() (dc *machine, kept, away []*machine) {
	dc = c.dc()
	if dc == nil || len(c.upNames()) < len(c.names) {
		return nil, nil, nil
	}
	c.net.HealAll()
	order := c.rng.Perm(len(c.names))
	for _, i := range order {
		m := c.machines[c.names[i]]
		switch {
		case m == dc:
		case len(kept) < len(c.names)/2:
			kept = append(kept, m)
		default:
			away = append(away, m)
		}
	}
	if len(away) == 0 {
		return nil, nil, nil
	}
	return dc, kept, away
}

// hang makes a machine's disk hang for a while.
func (c *cluster) hang(m *machine, from, span time.Duration) {
	time.AfterFunc(from, func() { m.disk.Hang(true) })
	time.AfterFunc(from+span, func() { m.disk.Hang(false) })
}

// restart is what an administrator does: a grant first, then the daemon ends and comes back.
func (c *cluster) restart(ctx context.Context, m *machine) {
	d := m.up()
	if d == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if err := d.Restart(ctx, 5*time.Second); err != nil || m.up() != d {
		return
	}
	c.world.note("restart grants used")
	m.comeBack(time.Now().Add(time.Duration(c.clientRand()%6000) * time.Millisecond))
	m.kill()
}

func (c *cluster) clientRand() int64 {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	return c.world.rng.Int64N(1 << 40)
}

func (m *machine) comeBack(at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.due = at
}

// revive boots machines, and starts daemons, that are due.
func (c *cluster) revive(ctx context.Context) {
	for ctx.Err() == nil {
		for _, n := range c.names {
			m := c.machines[n]
			m.mu.Lock()
			due := m.daemon == nil && m.ending == 0 && !m.due.IsZero() && !time.Now().Before(m.due)
			m.mu.Unlock()
			if due {
				c.wake(m)
			}
		}
		time.Sleep(time.Millisecond)
	}
}

// wake starts what is missing of a machine.
func (c *cluster) wake(m *machine) {
	c.world.mu.Lock()
	on := m.on
	c.world.mu.Unlock()
	c.trace.add(m.name, "comes back (was on: %v)", on)
	if on {
		m.start(nil)
	} else {
		m.powerOn(nil)
	}
}

// heal ends every fault.
func (c *cluster) heal(ctx context.Context) {
	c.trace.add("", "everything is healed")
	c.net.HealAll()
	c.net.SetFaults(fabric.Faults{Delay: 200 * time.Microsecond})
	c.world.mu.Lock()
	c.world.slow, c.world.flaky, c.world.fence = 0, 0, fenceMood{}
	c.world.mu.Unlock()
	for _, n := range c.names {
		m := c.machines[n]
		m.disk.Hang(false)
		if m.up() == nil {
			m.comeBack(time.Now())
		}
	}
}

// upNames are the machines with a daemon.
func (c *cluster) upNames() []string {
	return slices.DeleteFunc(slices.Clone(c.names), func(n string) bool { return c.machines[n].up() == nil })
}
