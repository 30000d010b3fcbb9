package ipvsadm

import (
	"errors"
	"slices"

	"systole/agents/ipvs/table"
)

// memory is a kernel's table in memory, with the kernel's refusals.
type memory struct {
	entries  []table.Entry
	timeouts table.Timeouts
	daemons  []table.Daemon
	zeroed   []string
}

var errThere, errNotThere = errors.New("it is there already"), errors.New("it is not there")

func (m *memory) find(k table.Key) int {
	return slices.IndexFunc(m.entries, func(e table.Entry) bool { return e.Key == k })
}

func (m *memory) Services() ([]table.Entry, error) { return m.entries, nil }

func (m *memory) Apply(op table.Op) error {
	i := m.find(op.Service.Key)
	if op.Verb == table.AddService {
		if i >= 0 {
			return errThere
		}
		m.entries = append(m.entries, table.Entry{Service: op.Service})
		return nil
	}
	if i < 0 {
		return errNotThere
	}
	e := &m.entries[i]
	j := slices.IndexFunc(e.Servers, func(s table.ServerEntry) bool { return s.Addr == op.Server.Addr })
	switch op.Verb {
	case table.SetService:
		e.Service = op.Service
	case table.DeleteService:
		m.entries = slices.Delete(m.entries, i, i+1)
	case table.AddServer:
		if j >= 0 {
			return errThere
		}
		e.Servers = append(e.Servers, table.ServerEntry{Server: op.Server})
	case table.SetServer, table.DeleteServer:
		if j < 0 {
			return errNotThere
		}
		if op.Verb == table.SetServer {
			e.Servers[j].Server = op.Server
		} else {
			e.Servers = slices.Delete(e.Servers, j, j+1)
		}
	}
	return nil
}

func (m *memory) Clear() error { m.entries = nil; return nil }

func (m *memory) Zero(k *table.Key) error {
	if k == nil {
		m.zeroed = append(m.zeroed, "all")
	} else {
		m.zeroed = append(m.zeroed, k.String())
	}
	return nil
}

func (m *memory) Timeouts() (table.Timeouts, error)  { return m.timeouts, nil }
func (m *memory) SetTimeouts(t table.Timeouts) error { m.timeouts = t; return nil }
func (m *memory) Daemons() ([]table.Daemon, error)   { return m.daemons, nil }
func (m *memory) StartDaemon(d table.Daemon) error   { m.daemons = append(m.daemons, d); return nil }
func (m *memory) StopDaemon(s table.DaemonState) error {
	m.daemons = slices.DeleteFunc(m.daemons, func(d table.Daemon) bool { return d.State == s })
	return nil
}

func (m *memory) Info() (table.Info, error) {
	return table.Info{Version: 0x010201, ConnSize: 4096}, nil
}
