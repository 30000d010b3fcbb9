// Package kernel reads and writes the kernel's IPVS table in the network
// namespace of the calling thread. Services, servers and timeouts are written
// by moby/ipvs; what that lacks (reading everything, sync daemons, typed tunnels,
// zeroing) is spoken here in generic netlink, with linux/ip_vs.h as the source.
// Connections are read from /proc/net/ip_vs_conn and ip_vs_conn_sync.
//
// A Handle is for one goroutine at a time.
package kernel

import (
	"errors"

	"systole/agents/ipvs/table"
)

// ErrNoIPVS: the kernel has no IPVS, and loading its module did not help.
var ErrNoIPVS = errors.New("the kernel has no IPVS: load the module ip_vs (modprobe ip_vs), or boot a kernel that has it")

// Open loads the module if need be and connects.
func Open() (*Handle, error) { return open() }

// Close releases the sockets.
func (h *Handle) Close() { h.close() }

// Services is the whole table, sorted by key, servers in the kernel's order.
func (h *Handle) Services() ([]table.Entry, error) { return h.services() }

// Apply does one operation. errors.Is tells ErrExists and ErrNotFound.
func (h *Handle) Apply(op table.Op) error { return h.apply(op) }

// ApplyAll does many operations, many times faster than one after the other.
// Its error says that some of a batch were refused; read the table again and Apply what is left to
// learn which, and why.
func (h *Handle) ApplyAll(ops []table.Op) error { return h.applyAll(ops) }

// Clear deletes every service and server, whoever made them.
func (h *Handle) Clear() error { return h.clear() }

// Zero sets the counters of one service to 0, or of all when key is nil.
func (h *Handle) Zero(key *table.Key) error { return h.zero(key) }

// Timeouts of connections.
func (h *Handle) Timeouts() (table.Timeouts, error) { return h.timeouts() }

// SetTimeouts sets those that are not 0.
func (h *Handle) SetTimeouts(t table.Timeouts) error { return h.setTimeouts(t) }

// Daemons are the sync daemons that run, the master first.
func (h *Handle) Daemons() ([]table.Daemon, error) { return h.daemons() }

// StartDaemon starts a sync daemon; ErrExists if one of the state runs already.
func (h *Handle) StartDaemon(d table.Daemon) error { return h.startDaemon(d) }

// StopDaemon stops the sync daemon of a state; ErrNotFound if none runs.
func (h *Handle) StopDaemon(s table.DaemonState) error { return h.stopDaemon(s) }

// Info is the version and the size of the connection table.
func (h *Handle) Info() (table.Info, error) { return h.info() }

// What the kernel answers when the thing is there already, or is not there.
var (
	ErrExists   = errors.New("it exists already")
	ErrNotFound = errors.New("there is no such entry")
)

// Connections is the connection table. It is one pass over /proc and may miss
// or repeat what changes meanwhile.
func Connections() ([]table.Connection, error) { return connections() }
