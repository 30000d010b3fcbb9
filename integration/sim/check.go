package sim

import (
	"context"
	"hash/maphash"
	"slices"
	"time"
)

// watch checks at every step what no agent sees: one DC lease at a time, a DC that
// knows everything acknowledged, and equal CIBs at equal index. Exclusive resources are checked where they change, in world.
func (c *cluster) watch(ctx context.Context) {
	seed := maphash.MakeSeed()
	bytes := make(map[uint64]uint64)    // index → hash of the CIB
	reached := make(map[*daemon]uint64) // index checked last
	var office uint64                   // newest term with a DC
	alone := make(map[*daemon]time.Time)
	for ctx.Err() == nil && !c.failed() {
		var leased *machine
		for _, n := range c.names {
			m := c.machines[n]
			d := m.up()
			if d == nil {
				continue
			}
			st := d.Store()
			if dc := st.DC(); dc.Active && dc.Term > office {
				office = dc.Term
				c.register.read(ctx, 50, st) // whoever takes office has applied what was acknowledged
			}
			if m.leads() {
				// Asked again: in a hand-over one follows the other within this very instant.
				if leased != nil && leased.leads() {
					c.fail("two DC leases: %s and %s", leased.name, n)
				}
				leased = m
			}
			if d.Remaining() > 0 {
				alone[d] = time.Time{}
			} else if alone[d].IsZero() {
				alone[d] = time.Now()
			} else if time.Since(alone[d]) > policyWithin {
				c.policyObeyed(m)
			}
			snap := st.Snapshot()
			if reached[d] == snap.Index {
				continue
			}
			reached[d] = snap.Index
			h := maphash.Bytes(seed, snap.CIB.Root().AppendXML(nil))
			if old, ok := bytes[snap.Index]; ok && old != h {
				c.fail("two CIBs at index %d, one on %s", snap.Index, n)
			}
			bytes[snap.Index] = h
		}
		time.Sleep(time.Millisecond)
	}
}

// leads says whether the machine's daemon has a DC lease now.
func (m *machine) leads() bool {
	d := m.up()
	return d != nil && d.Store().LeaseEnd(d.Store().DC().Term) > m.clock()
}

// policyWithin is how long a node without a lease may take to stop what it runs: its
// stops, one after the other, at their slowest.
const policyWithin = 8 * time.Second

// policyObeyed requires that nothing is active on a machine.
func (c *cluster) policyObeyed(m *machine) {
	for _, r := range c.rscs {
		if slices.Contains(c.world.where(r), m.name) {
			c.fail("%s still runs on %s, %v after its lease has ended", r, m.name, policyWithin)
		}
	}
}

// converge requires, once all is healed, that everything is served again and that the
// cluster comes to rest.
func (c *cluster) converge(ctx context.Context) {
	began := time.Now()
	rest := func() bool {
		dc := c.dc()
		if dc == nil || !c.served() {
			return false
		}
		d := dc.up()
		for _, n := range c.names {
			up := c.machines[n].up()
			if up == nil || up.Remaining() == 0 || up.Store().Snapshot().Index != d.Store().Snapshot().Index {
				return false
			}
		}
		return d.Controller().Settled()
	}
	if c.failed() {
		return
	}
	if !c.until(convergeWithin, rest) {
		c.fail("healed for %v and not at rest: %s", convergeWithin, c.describe())
		return
	}
	c.world.note("converged")
	c.trace.add("", "converged after %v", time.Since(began))
}

// convergeWithin is generous: a fencing may have to fail and be repeated, a failed
// start to expire; it is a bound for "ever".
const convergeWithin = 90 * time.Second

// finish reads the register once more, at rest, and judges its history.
func (c *cluster) finish(ctx context.Context) {
	if c.failed() {
		return
	}
	if dc := c.dcWithin(10 * time.Second); dc != nil {
		c.register.read(ctx, 99, dc.up().Store())
	}
	if n, ok := c.register.linearizable(); !ok {
		c.fail("the history of %d reads and writes is not linearizable", n)
	}
}
