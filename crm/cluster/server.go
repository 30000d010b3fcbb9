package cluster

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"systole/crm/transport"
)

// ServerOptions of [NewServer].
type ServerOptions struct {
	Dir  *Dir
	Host Host
	// Reload is called with new credentials, in order: give them to the fabric
	// (Secure.Reload) and the keys to membership (SetKeys).
	Reload func(transport.Credentials) error
	// Peers is an HTTP client whose URL host is a node name, over ProtoRPC (transport.RoundTripper).
	Peers *http.Client
	// Voters is how many nodes vote; 0 means DefaultVoters.
	Voters int
	// DeadVoter is how long a voter may be away before a non-voter replaces it; 0 means DefaultDeadVoter.
	DeadVoter time.Duration
	Log       *slog.Logger
}

// DefaultDeadVoter is longer than a reboot with a long firmware test.
const DefaultDeadVoter = 30 * time.Minute

// Server is the running side: handlers and one maintenance loop. The loop owns
// the directory's changing files; handlers ask it under a lock.
type Server struct{}

// NewServer makes a Server; mount its handlers and call Run.
func NewServer(o ServerOptions) *Server { return &Server{} }

// JoinHandler answers on ProtoJoin; peers there have no certificate.
func (s *Server) JoinHandler() http.Handler { return nil }

// PeerHandler answers below PeerPrefix on ProtoRPC, to other nodes; serve it with transport.ConnContext.
func (s *Server) PeerHandler() http.Handler { return nil }

// PeerPrefix is where PeerHandler is mounted.
const PeerPrefix = "/rpc/cluster/"

// AdminHandler is api.Handler.Cluster: it answers [Admin].
func (s *Server) AdminHandler() http.Handler { return nil }

// Enter asks the DC, through any of addrs, to take this node into the cluster,
// and tries again until that is done or ctx ends. Call it at start when the
// store is empty and the identity does not bootstrap, or when the address has changed.
func (s *Server) Enter(ctx context.Context, e Entrant) error { return nil }

// Run keeps certificate, trust and voters in order until ctx is done.
func (s *Server) Run(ctx context.Context) error { return nil }

// Warnings are whole sentences for status, each with its remedy.
func (s *Server) Warnings() []string { return nil }
