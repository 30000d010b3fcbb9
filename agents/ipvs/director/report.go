package director

import "time"

// Virtual is a service's state, for people and tools (stable JSON).
type Virtual struct {
	Service   string   `json:"service"` // "tcp 192.0.2.10:80"
	Scheduler string   `json:"scheduler"`
	Quorum    bool     `json:"quorum"`
	Alive     int      `json:"alive"`           // sum of the weights that live
	Needed    int      `json:"needed"`          // the quorum
	Panic     bool     `json:"panic,omitempty"` // checks are not believed
	Sorry     string   `json:"sorry,omitempty"` // the sorry server that answers
	Servers   []Server `json:"servers"`
}

// Server is a real server's state.
type Server struct {
	Server  string `json:"server"` // "10.0.0.11:80"
	Node    string `json:"node,omitempty"`
	Forward string `json:"forward"`
	State   string `json:"state"`
	// Reason is what the check that decides said last.
	Reason     string    `json:"reason,omitempty"`
	Since      time.Time `json:"since,omitzero"`
	Configured int       `json:"configured"`
	Weight     int       `json:"weight"` // in the table
	InTable    bool      `json:"in_table"`
	Drained    string    `json:"drained,omitempty"` // by whom: cluster, operator
	Active     uint32    `json:"active"`
	Inactive   uint32    `json:"inactive"`
}

// States of a server.
const (
	StateUp      = "up"
	StateDown    = "down"
	StateUnknown = "unknown" // not checked yet
	StateLeaving = "leaving" // in the kernel, not in the configuration
)

func (s *Server) note(reason string, since time.Time) { s.Reason, s.Since = reason, since }
