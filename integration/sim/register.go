package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/store"
)

// register is one node attribute that clients write and read through whoever leads.
type register struct {
	mu  sync.Mutex
	ops []porcupine.Operation
}

// access is a write, or a read with what it found.
type access struct {
	write string // "" for a read
	found string
	maybe bool
}

var model = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		a := output.(access)
		if a.write != "" {
			return true, a.write
		}
		return state.(string) == a.found, state
	},
}

func (r *register) note(client int, call time.Time, a access) {
	back := time.Now().UnixNano()
	if a.maybe {
		back = call.Add(24 * time.Hour).UnixNano() // it may still be done
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, porcupine.Operation{ClientId: client, Output: a, Call: call.UnixNano(), Return: back})
}

// linearizable judges the history; what takes too long to judge passes.
func (r *register) linearizable() (ops int, ok bool) {
	return len(r.ops), porcupine.CheckOperationsTimeout(model, r.ops, 20*time.Second) != porcupine.Illegal
}

// client writes and reads until ctx is done, at whoever believes to lead.
func (c *cluster) client(ctx context.Context, id int) {
	rng := rand.New(rand.NewPCG(c.opts.Seed, uint64(id)))
	for n := 0; ctx.Err() == nil; n++ {
		time.Sleep(time.Duration(50+rng.IntN(300)) * time.Millisecond)
		if c.quiet.Load() {
			continue
		}
		var at *store.Store
		for _, name := range c.names {
			if d := c.machines[name].up(); d != nil && d.Store().DC().Elected != 0 && (at == nil || rng.IntN(2) == 0) {
				at = d.Store()
			}
		}
		if at == nil {
			continue
		}
		if rng.IntN(2) == 0 {
			c.register.read(ctx, id, at)
		} else {
			c.register.write(ctx, id, at, fmt.Sprintf("%d-%d", id, n))
		}
	}
}

const patience = 500 * time.Millisecond

func (r *register) read(ctx context.Context, id int, at *store.Store) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	call := time.Now()
	snap, err := at.Read(ctx)
	if err != nil {
		return
	}
	a := access{}
	if e := snap.CIB.FindID("reg-v"); e != nil {
		a.found = e.Get("value")
	}
	r.note(id, call, a)
}

func (r *register) write(ctx context.Context, id int, at *store.Store, v string) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	call := time.Now()
	reply, err := at.Propose(ctx, command.Entry{
		Kind: command.KindCIB, Time: time.Now(), User: "client", Client: "sim", Origin: "sim",
		Change: &command.Change{Ops: []command.Op{{
			Kind: cib.OpModify, Section: "crm_config", AllowCreate: true,
			Data: `<cluster_property_set id="reg"><nvpair id="reg-v" name="register" value="` + v + `"/></cluster_property_set>`,
		}}},
	})
	if err == nil {
		err = reply.Err()
	}
	switch {
	case err == nil:
		r.note(id, call, access{write: v})
	case errors.Is(err, store.ErrMaybe):
		r.note(id, call, access{write: v, maybe: true})
	}
}
