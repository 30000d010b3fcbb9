package shell

import (
	"systole/crm/cluster"
	"systole/crm/lease"
	"systole/crm/store"
	"systole/crm/transport"
)

// silent is a fabric that only knows its address: a store that is rebuilt talks to nobody.
type silent struct {
	transport.Fabric
	addr string
}

func (s silent) Addr() string { return s.addr }

// rebuild makes the closed store of this node a cluster of itself alone, and
// names the nodes that no longer count.
func rebuild(path string, id cluster.Identity) (dropped []string, err error) {
	r, err := store.Recover(store.Config{
		Dir: path, Node: id.Node, Incarnation: id.ID, Fabric: silent{addr: id.Addr}, Timing: lease.Default(), Clock: store.Boottime,
	})
	if err != nil {
		return nil, err
	}
	for _, s := range r.Dropped {
		dropped = append(dropped, s.Node)
	}
	return dropped, nil
}
