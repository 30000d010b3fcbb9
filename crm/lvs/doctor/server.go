package doctor

import (
	"context"
	"net/http"
	"time"

	"systole/crm/api"
	"systole/crm/cluster"
)

// ServerOptions of [NewServer].
type ServerOptions struct {
	// Node is this node's name.
	Node string
	// Members lists the nodes of the cluster.
	Members func() []cluster.Member
	// Peers is an HTTP client whose URL host is a node name, over ProtoRPC.
	Peers *http.Client
}

// Server answers what this node is, and asks the others on behalf of a tool. It has no state.
type Server struct{ o ServerOptions }

// NewServer makes a Server; mount its handlers.
func NewServer(o ServerOptions) *Server { return &Server{o} }

// Where the handlers are mounted: inside what crm/cluster has.
const (
	PeerPrefix  = cluster.PeerPrefix + "lvs/"
	AdminPrefix = api.PathCluster + "lvs/"

	pathFacts = "facts"
)

const (
	// maxBody bounds questions and facts: a table of a thousand servers has some 100 kB.
	maxBody = 16 << 20
	// peerTimeout bounds one node's survey.
	peerTimeout = 10 * time.Second
)

// PeerHandler answers other nodes below PeerPrefix.
func (s *Server) PeerHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+PeerPrefix+pathFacts, api.Endpoint(maxBody, func(ctx context.Context, q Questions) (Facts, error) { return Look(ctx, s.o.Node, q), nil }))
	return mux
}

// AdminHandler answers [Client] below AdminPrefix, to root only: a survey sends packets.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+AdminPrefix+pathFacts, api.RootOnly("survey the nodes", api.Endpoint(maxBody, s.everyone)))
	return mux
}

// everyone asks all nodes; a witness runs nothing.
func (s *Server) everyone(ctx context.Context, q Questions) ([]Facts, error) {
	var names []string
	for _, m := range s.o.Members() {
		if !m.Witness {
			names = append(names, m.Name)
		}
	}
	return Together(ctx, names, q, func(ctx context.Context, node string, q Questions) (Facts, error) {
		ctx, cancel := context.WithTimeout(ctx, peerTimeout)
		defer cancel()
		if node == s.o.Node {
			return Look(ctx, node, q), nil
		}
		return s.peer(ctx, node, q)
	}), nil
}

func (s *Server) peer(ctx context.Context, node string, q Questions) (f Facts, err error) {
	err = api.AskNode(ctx, s.o.Peers, node, PeerPrefix+pathFacts, maxBody, q, &f)
	return f, err
}

// Cluster asks all nodes through a running daemon.
func Cluster(c *api.Client) Ask {
	return func(ctx context.Context, q Questions) (all []Facts, err error) {
		err = c.Do(ctx, http.MethodPost, AdminPrefix+pathFacts, q, &all)
		return all, err
	}
}
