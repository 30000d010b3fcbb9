package store

import (
	"fmt"

	"github.com/hashicorp/raft"
)

// Configuration reads the servers of the closed store of cfg, as the newest entry of
// its log has them, committed or not: who would have to be asked before [Recover].
func Configuration(cfg Config) ([]Server, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	f, err := openFiles(&cfg)
	if err != nil {
		return nil, err
	}
	defer f.close()
	id, err := raftID(&cfg, f)
	if err != nil {
		return nil, err
	}
	_, trans := raft.NewInmemTransport(raft.ServerAddress(cfg.Fabric.Addr()))
	defer trans.Close()
	d := newDisk(f.log, f.stable, cfg.Clock, func(error) {})
	c, err := raft.GetConfiguration(raftConfig(&cfg, id, nil), newMachine(func(error) {}), d, d, f.snaps, trans)
	if err != nil {
		return nil, fmt.Errorf("read the configuration of the store in %s: %w", cfg.Dir, err)
	}
	return servers(c), nil
}
