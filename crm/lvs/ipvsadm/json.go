package ipvsadm

import (
	"encoding/json"
	"io"
	"time"

	"systole/agents/ipvs/table"
)

// State is everything the kernel knows of IPVS, for programs (stable JSON).
type State struct {
	Version     string       `json:"version"`
	Timeouts    Timeouts     `json:"timeouts"`
	Daemons     []Daemon     `json:"daemons"`
	Services    []Service    `json:"services"`
	Connections []Connection `json:"connections,omitempty"`
}

// Timeouts are in seconds.
type Timeouts struct {
	TCP    int `json:"tcp"`
	TCPFin int `json:"tcpfin"`
	UDP    int `json:"udp"`
}

// Daemon is a sync daemon.
type Daemon struct {
	State     string `json:"state"`
	Interface string `json:"interface"`
	SyncID    int    `json:"syncid"`
}

// Service is a virtual service.
type Service struct {
	Service    string   `json:"service"` // "tcp 192.0.2.10:80", "fwmark 7"
	Scheduler  string   `json:"scheduler"`
	Flags      []string `json:"flags,omitempty"`
	Persistent int      `json:"persistent,omitempty"` // seconds
	Mask       string   `json:"mask,omitempty"`
	Engine     string   `json:"engine,omitempty"`
	OnePacket  bool     `json:"one_packet,omitempty"`
	Counters   Counters `json:"counters"`
	Servers    []Server `json:"servers"`
}

// Server is a real server.
type Server struct {
	Server     string   `json:"server"`
	Forward    string   `json:"forward"` // masq, tun, dr, local
	Tunnel     string   `json:"tunnel,omitempty"`
	Weight     int      `json:"weight"`
	Upper      uint32   `json:"upper,omitempty"`
	Lower      uint32   `json:"lower,omitempty"`
	Active     uint32   `json:"active"`
	Inactive   uint32   `json:"inactive"`
	Persistent uint32   `json:"persistent"`
	Counters   Counters `json:"counters"`
}

// Counters are totals, and rates per second.
type Counters struct {
	Conns         uint64 `json:"connections"`
	InPackets     uint64 `json:"in_packets"`
	OutPackets    uint64 `json:"out_packets"`
	InBytes       uint64 `json:"in_bytes"`
	OutBytes      uint64 `json:"out_bytes"`
	ConnRate      uint64 `json:"connection_rate"`
	InPacketRate  uint64 `json:"in_packet_rate"`
	OutPacketRate uint64 `json:"out_packet_rate"`
	InByteRate    uint64 `json:"in_byte_rate"`
	OutByteRate   uint64 `json:"out_byte_rate"`
}

// Connection is a line of the connection table.
type Connection struct {
	Protocol string `json:"protocol"`
	Client   string `json:"client"`
	Virtual  string `json:"virtual"`
	Server   string `json:"server"`
	State    string `json:"state"`
	Expires  int    `json:"expires"` // seconds
	Synced   bool   `json:"synced,omitempty"`
}

// State reads the kernel; connections only when they are wanted.
func (p Program) State(connections bool) (State, error) {
	k, done, err := p.Open()
	if err != nil {
		return State{}, err
	}
	defer done()
	info, err := k.Info()
	if err != nil {
		return State{}, err
	}
	entries, err := k.Services()
	if err != nil {
		return State{}, err
	}
	timeouts, err := k.Timeouts()
	if err != nil {
		return State{}, err
	}
	daemons, err := k.Daemons()
	if err != nil {
		return State{}, err
	}
	s := State{
		Version:  versionText(info),
		Timeouts: Timeouts{int(timeouts.TCP / time.Second), int(timeouts.TCPFin / time.Second), int(timeouts.UDP / time.Second)},
		Daemons:  []Daemon{}, Services: []Service{},
	}
	for _, d := range daemons {
		s.Daemons = append(s.Daemons, Daemon{d.State.String(), d.Interface, d.ID})
	}
	for _, e := range (printer{}).sorted(entries) {
		s.Services = append(s.Services, serviceState(e))
	}
	if connections {
		conns, err := p.Connections()
		if err != nil {
			return s, err
		}
		for _, c := range conns {
			s.Connections = append(s.Connections, Connection{c.Protocol, c.Client.String(), c.Virtual.String(), c.Server.String(), c.State, int(c.Expires / time.Second), c.Synced})
		}
	}
	return s, nil
}

func serviceState(e table.Entry) Service {
	s := Service{
		Service: e.Key.String(), Scheduler: string(e.Scheduler), Flags: e.Flags.SchedFlagNames(e.Scheduler), Engine: e.Engine,
		OnePacket: e.Flags&table.OnePacket != 0, Counters: Counters(e.Counters), Servers: []Server{}, Persistent: int(e.Persistent / time.Second),
	}
	if e.Persistent > 0 {
		s.Mask = e.MaskText()
	}
	for _, r := range e.Servers {
		x := Server{
			Server: r.Addr.String(), Forward: r.Forward.String(), Weight: r.Weight, Upper: r.Upper, Lower: r.Lower,
			Active: r.Active, Inactive: r.Inactive, Persistent: r.Persistent, Counters: Counters(r.Counters),
		}
		switch r.Forward {
		case table.LocalNode:
			x.Forward = "local"
		case table.Tunneling:
			x.Tunnel = tunnelInfo(r.Server)
		}
		s.Servers = append(s.Servers, x)
	}
	return s
}

// WriteJSON prints the state.
func (s State) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}
