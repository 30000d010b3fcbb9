package store

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// Recovery says what Recover did.
type Recovery struct {
	ID      string   // this node's raft id, the only voter now
	Index   uint64   // last entry that became the cluster's state
	Dropped []Server // servers that no longer count
}

// Recover makes the closed store of cfg a cluster of itself alone, whatever the other
// voters think ("crm cluster recover", and the survivor of two nodes after confirmed
// fencing). Everything in its log becomes committed, so orders are planned anew, not
// replayed. Never do it while another voter of the old configuration may still run.
// The others join again as new servers, with empty stores.
func Recover(cfg Config) (Recovery, error) {
	if err := cfg.check(); err != nil {
		return Recovery{}, err
	}
	f, err := openFiles(&cfg)
	if err != nil {
		return Recovery{}, err
	}
	defer f.close()
	id, err := raftID(&cfg, f)
	if err != nil {
		return Recovery{}, err
	}
	if last, err := f.log.LastIndex(); err != nil || last == 0 {
		if snaps, err := f.snaps.List(); err != nil || len(snaps) == 0 {
			return Recovery{}, fmt.Errorf("recover: the store in %s is empty: choose a node that was a member", cfg.Dir)
		}
	}
	addr := raft.ServerAddress(cfg.Fabric.Addr())
	_, trans := raft.NewInmemTransport(addr)
	defer trans.Close()
	rc := raftConfig(&cfg, id, nil)
	d := newDisk(f.log, f.stable, cfg.Clock, func(error) {})
	old, err := raft.GetConfiguration(rc, newMachine(func(error) {}), d, d, f.snaps, trans)
	if err != nil {
		return Recovery{}, fmt.Errorf("recover: read the old configuration: %w", err)
	}
	var entryErr error
	m := newMachine(func(err error) { entryErr = err })
	self := raft.Server{ID: id, Address: addr}
	if err := raft.RecoverCluster(rc, m, d, d, f.snaps, trans, raft.Configuration{Servers: []raft.Server{self}}); err != nil {
		return Recovery{}, fmt.Errorf("recover: %w", err)
	}
	if entryErr != nil {
		return Recovery{}, fmt.Errorf("recover: %w", entryErr)
	}
	r := Recovery{ID: string(id), Index: m.state().index}
	for _, v := range servers(old) {
		if v.ID != string(id) {
			r.Dropped = append(r.Dropped, v)
		}
	}
	return r, nil
}
