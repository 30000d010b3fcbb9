package shell

import (
	"systole/crm/cluster"
	"systole/crm/lease"
	"systole/crm/store"
	"systole/crm/transport"
)

// stopped opens this node's store while the daemon does not run.
func stopped(path string, id cluster.Identity) store.Config {
	return store.Config{
		Dir: path, Node: id.Node, Incarnation: id.ID,
		Fabric: transport.Offline(id.Addr), Timing: lease.Default(), Clock: store.Boottime,
	}
}

// servers are the raft servers the closed store of this node knows.
func servers(path string, id cluster.Identity) ([]cluster.Member, error) {
	all, err := store.Configuration(stopped(path, id))
	if err != nil {
		return nil, err
	}
	var members []cluster.Member
	for _, s := range all {
		members = append(members, cluster.Member{Name: s.Node, Addr: s.Addr, RaftID: s.ID, Voter: s.Voter})
	}
	return members, nil
}

// rebuild makes the closed store of this node a cluster of itself alone, and
// names the nodes that no longer count.
func rebuild(path string, id cluster.Identity) (dropped []string, err error) {
	r, err := store.Recover(stopped(path, id))
	if err != nil {
		return nil, err
	}
	for _, s := range r.Dropped {
		dropped = append(dropped, s.Node)
	}
	return dropped, nil
}
