package table

import (
	"maps"
	"slices"
)

// Verb is what an operation does.
type Verb uint8

// The verbs (IPVS_CMD_*).
const (
	AddService Verb = iota + 1
	SetService
	DeleteService
	AddServer
	SetServer
	DeleteServer
)

// Op is one change of the kernel's table. Server is unused for services.
type Op struct {
	Verb    Verb
	Service Service
	Server  Server
}

// Diff is the operations that turn the kernel's table into the one desired, in
// the order in which traffic suffers least: within a service servers are added and
// changed before others go, and services go last. Services in the kernel
// that are neither desired nor owned belong to somebody else and are left
// alone; an owned one that is no longer desired goes. It gives no operation
// for what is as it should be, so counters stay. The order of desired services
// is kept; a second Diff after the operations is empty.
func Diff(desired []Virtual, owned []Key, kernel []Entry) []Op {
	have := make(map[Key]Entry, len(kernel))
	for _, e := range kernel {
		have[e.Key] = e
	}
	var ops []Op
	wanted := make(map[Key]bool, len(desired))
	for _, v := range desired {
		wanted[v.Key] = true
		e, there := have[v.Key]
		switch {
		case !there:
			ops = append(ops, Op{Verb: AddService, Service: v.Service})
		case e.normal() != v.normal():
			ops = append(ops, Op{Verb: SetService, Service: v.Service})
		}
		ops = append(ops, diffServers(v, e.Servers)...)
	}
	for _, k := range slices.SortedFunc(slices.Values(owned), Key.Compare) {
		if e, there := have[k]; there && !wanted[k] {
			wanted[k] = true // owned may name it twice
			ops = append(ops, Op{Verb: DeleteService, Service: e.Service})
		}
	}
	return ops
}

func diffServers(v Virtual, kernel []ServerEntry) []Op {
	left := make(map[string]Server, len(kernel))
	for _, s := range kernel {
		left[s.Addr.String()] = s.Server
	}
	var ops []Op
	for _, want := range v.Servers {
		id := want.Addr.String()
		have, there := left[id]
		delete(left, id)
		if !there {
			ops = append(ops, Op{AddServer, v.Service, want})
		} else if !have.is(want) {
			ops = append(ops, Op{SetServer, v.Service, want})
		}
	}
	for _, id := range slices.Sorted(maps.Keys(left)) {
		ops = append(ops, Op{DeleteServer, v.Service, left[id]})
	}
	return ops
}

// normal is the service with every way to say the same made one.
func (s Service) normal() Service {
	s.Flags &= OnePacket | SchedMask
	if s.Mask == 0 || s.Persistent == 0 {
		s.Mask = FullMask(s.Family)
	}
	return s
}

// is tells whether the kernel's server is the one wanted. What the kernel calls local
// was asked for as something else.
func (s Server) is(want Server) bool {
	if s.Forward == LocalNode {
		s.Forward = want.Forward
	}
	if want.Forward != Tunneling {
		s.Tunnel, want.Tunnel = Tunnel{}, Tunnel{}
	}
	return s == want
}

// FullMask is the mask of one client.
func FullMask(f Family) uint32 {
	if f == IPv6 {
		return 128
	}
	return 0xffffffff
}
