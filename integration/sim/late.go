package sim

import (
	"context"
	"errors"
	"slices"
	"time"

	"systole/crm/cib"
	"systole/crm/command"
)

// lateOrder has a service ordered to start on a machine while streams to it stand still. The
// machine is lost, the service starts elsewhere, the machine comes back in the same
// run and holds a lease again: then the order arrives.
func (c *cluster) lateOrder(ctx context.Context) bool {
	dc, kept, away := c.split()
	if dc == nil {
		return false
	}
	late := append(kept, away...)[0]
	i := slices.IndexFunc(c.rscs, func(r string) bool { return guarded(r) && !slices.Contains(c.world.where(r), late.name) })
	if i < 0 {
		return false
	}
	defer c.calm()()
	release := c.net.Hold(dc.addr(), late.addr())
	defer release()
	if c.want(ctx, c.rscs[i], late.name) != nil {
		return false
	}
	time.Sleep(time.Duration(50+c.rng.IntN(100)) * time.Millisecond)
	c.net.Isolate(late.addr())
	time.Sleep(c.timing.DetectWithin + c.timing.GiveUp)
	c.want(ctx, c.rscs[i], "")
	time.Sleep(time.Duration(100+c.rng.IntN(200)) * time.Millisecond)
	c.net.HealAll()
	time.Sleep(time.Duration(100+c.rng.IntN(200)) * time.Millisecond)
	return true
}

// want has a resource run on one machine, or on any again with "".
func (c *cluster) want(ctx context.Context, rsc, on string) error {
	dc := c.dc()
	if dc == nil {
		return errors.New("no DC")
	}
	op := command.Op{Kind: cib.OpReplace, Section: "constraints", Data: `<constraints/>`}
	if on != "" {
		op.Data = `<constraints><rsc_location id="here" rsc="` + rsc + `" node="` + on + `" score="INFINITY"/></constraints>`
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, err := dc.up().Store().Propose(ctx, command.Entry{
		Kind: command.KindCIB, Time: time.Now(), User: "admin", Client: "sim", Origin: "sim", Change: &command.Change{Ops: []command.Op{op}},
	})
	if err != nil {
		return err
	}
	return reply.Err()
}
