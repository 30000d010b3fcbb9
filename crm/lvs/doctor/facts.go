// Package doctor finds what breaks an LVS site: it asks every node what it is
// (facts), compares that with what the directors' tables say it should be
// (diagnose, pure), and names each fault with its remedy.
//
// What the site is comes from the kernel's tables, so it need not be the
// cluster that made them. Nothing is changed anywhere.
package doctor

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"systole/agents/ipvs/kernel"
	"systole/agents/ipvs/table"
	"systole/agents/realserver/survey"
)

// Questions are what a node is asked.
type Questions struct {
	survey.Questions
	// Connect are services to be tried, as a client of theirs.
	Connect []Trial `json:"connect,omitempty"`
}

// Trial is a TCP service to be tried a number of times.
type Trial struct {
	To    netip.AddrPort `json:"to"`
	Times int            `json:"times"`
}

// Facts are what one node answers.
type Facts struct {
	Node  string `json:"node"`
	Error string `json:"error,omitempty"` // why it is not, or not wholly, known
	survey.Facts
	Services []Service `json:"services,omitempty"` // of its IPVS table
	Tried    []Tried   `json:"tried,omitempty"`
}

// Service is a virtual service of a table.
type Service struct {
	Service string         `json:"service"` // as messages name it
	Addr    netip.AddrPort `json:"addr,omitzero"`
	TCP     bool           `json:"tcp,omitempty"`
	Servers []RealServer   `json:"servers"`
}

// RealServer is a real server of a service.
type RealServer struct {
	Addr    netip.AddrPort   `json:"addr"`
	Forward table.Forward    `json:"forward"`
	Tunnel  table.TunnelType `json:"tunnel,omitempty"`
	Weight  int              `json:"weight"`
}

// Tried is what came of a trial.
type Tried struct {
	To     netip.AddrPort `json:"to"`
	Times  int            `json:"times"`
	Failed int            `json:"failed"`
	Error  string         `json:"error,omitempty"` // the last one
}

// Look finds out the facts of this node.
func Look(ctx context.Context, node string, q Questions) Facts {
	f := Facts{Node: node}
	var err error
	if f.Facts, err = survey.Look(ctx, q.Questions); err != nil {
		f.Error = err.Error()
	}
	if f.Modules["ip_vs"] == "loaded" { // asking would load it
		if services, err := services(); err != nil {
			f.Error = err.Error()
		} else {
			f.Services = services
		}
	}
	for _, t := range q.Connect {
		// To an address of its own a node connects past the link, or not at all.
		if len(f.devices(t.To.Addr())) == 0 {
			f.Tried = append(f.Tried, try(ctx, t))
		}
	}
	return f
}

func services() ([]Service, error) {
	h, err := kernel.Open()
	if err != nil {
		return nil, err
	}
	defer h.Close()
	entries, err := h.Services()
	if err != nil {
		return nil, err
	}
	var all []Service
	for _, e := range entries {
		s := Service{Service: e.Key.String(), Addr: e.Addr, TCP: e.Protocol == table.TCP}
		for _, r := range e.Servers {
			s.Servers = append(s.Servers, RealServer{r.Addr, r.Forward, r.Tunnel.Type, r.Weight})
		}
		all = append(all, s)
	}
	return all, nil
}

// Bounds of trying a service.
const (
	tryWait = 2 * time.Second
	tryMost = 16
)

// try connects as often as asked, at once.
func try(ctx context.Context, t Trial) Tried {
	r := Tried{To: t.To, Times: min(t.Times, tryMost)}
	var mu sync.Mutex
	var wait sync.WaitGroup
	dialer := net.Dialer{Timeout: tryWait}
	for range r.Times {
		wait.Go(func() {
			conn, err := dialer.DialContext(ctx, "tcp", t.To.String())
			if err == nil {
				conn.Close()
				return
			}
			mu.Lock()
			defer mu.Unlock()
			r.Failed++
			r.Error = err.Error()
		})
	}
	wait.Wait()
	return r
}
