package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"systole/crm/api"
	"systole/crm/transport"
)

// ServerOptions of [NewServer].
type ServerOptions struct {
	Dir  *Dir
	Host Host
	// Reload is called with new credentials, in order: give them to the fabric
	// (Secure.Reload) and the keys to membership (SetKeys).
	Reload func(transport.Credentials) error
	// Peers is an HTTP client whose URL host is a node name, over ProtoRPC
	// (transport.RoundTripper); it must find the nodes of Dir.Members too.
	Peers *http.Client
	// Now is the wall clock; nil means time.Now.
	Now func() time.Time
	Log *slog.Logger
}

// Server is the running side: handlers, and one loop that keeps certificate and
// trust in order. Its state is the [Dir]'s.
type Server struct {
	o         ServerOptions
	changing  sync.Mutex  // one change of the cluster's trust at a time; handlers that find it taken refuse
	removed   atomic.Bool // the other nodes refuse this one
	reloading sync.Mutex  // keeps Reload calls in the order of what they hand over
}

// NewServer makes a Server; mount its handlers and call Run.
func NewServer(o ServerOptions) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Server{o: o}
}

// JoinHandler answers on ProtoJoin; peers there have no certificate.
func (s *Server) JoinHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+joinPath, api.Endpoint(maxJoinRequest, func(ctx context.Context, r joinRequest) (joinReply, error) {
		return s.welcome(ctx, r, s.o.Now())
	}))
	return mux
}

// PeerPrefix is where PeerHandler is mounted.
const PeerPrefix = "/rpc/cluster/"

// maxPeerBody bounds what nodes send each other here: a trust of many CAs and removals.
const maxPeerBody = 1 << 20

// PeerHandler answers below PeerPrefix on ProtoRPC, to other nodes; serve it
// with transport.ConnContext.
func (s *Server) PeerHandler() http.Handler {
	mux := http.NewServeMux()
	answer := func(verb string, h http.Handler) { mux.Handle("POST "+PeerPrefix+verb, h) }
	answer(verbHello, api.Endpoint(maxPeerBody, s.hello))
	answer(verbTrust, api.Endpoint(maxPeerBody, s.tellTrust))
	answer(verbAdopt, api.Endpoint(maxPeerBody, s.takeTrust))
	answer(verbRenew, api.Endpoint(maxPeerBody, s.renewFor))
	answer(verbCAKey, api.Endpoint(maxPeerBody, s.giveCAKey))
	answer(verbEnter, api.Endpoint(maxPeerBody, s.admit))
	answer(verbDepart, api.Endpoint(maxPeerBody, s.depart))
	// The rest are people's wishes, passed on by the node they spoke to.
	answer(verbToken, api.Endpoint(maxPeerBody, s.token))
	answer(verbRemove, api.Endpoint(maxPeerBody, s.remove))
	answer(verbRotate, api.Endpoint(maxPeerBody, s.rotate))
	return withPeer(mux)
}

// AdminHandler is api.Handler.Cluster: it answers [Admin].
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+pathStatus, api.Endpoint(maxPeerBody, s.status))
	for path, h := range map[string]http.Handler{
		pathToken:  api.Endpoint(maxPeerBody, s.token),
		pathLeave:  api.Endpoint(maxPeerBody, s.leave),
		pathRemove: api.Endpoint(maxPeerBody, s.remove),
		pathRotate: api.Endpoint(maxPeerBody, s.rotate),
		pathBackup: api.Endpoint(maxPeerBody, s.backup),
	} {
		mux.Handle("POST "+path, api.RootOnly("change the cluster", h))
	}
	return mux
}

// The verbs of PeerHandler.
const (
	verbHello  = "hello"
	verbTrust  = "trust"
	verbAdopt  = "adopt"
	verbRenew  = "renew"
	verbCAKey  = "ca-key"
	verbEnter  = "enter"
	verbDepart = "depart"
	verbToken  = "token"
	verbRemove = "remove"
	verbRotate = "rotate-keys"
)

type peerName struct{}

// withPeer puts the name the certificate vouches for into the context.
func withPeer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), peerName{}, transport.RequestPeer(r))))
	})
}

// asker is the node that asks through PeerHandler, "" otherwise.
func asker(ctx context.Context) string {
	name, _ := ctx.Value(peerName{}).(string)
	return name
}

// peer asks another node.
func (s *Server) peer(ctx context.Context, node, verb string, in, out any) error {
	return api.AskNode(ctx, s.o.Peers, node, PeerPrefix+verb, maxPeerBody, in, out)
}

// An election takes well under dcPatience; whoever asks during one waits, and is
// not sent away to try again.
const (
	dcPatience = 5 * time.Second
	dcLook     = 20 * time.Millisecond
)

// awaitDC is the DC and whether this node is it; "" if there is none for all of dcPatience.
func (s *Server) awaitDC(ctx context.Context) (name string, self bool) {
	ctx, cancel := context.WithTimeout(ctx, dcPatience)
	defer cancel()
	look := time.NewTicker(dcLook)
	defer look.Stop()
	for {
		if name, self = s.o.Host.DC(); name != "" {
			return name, self
		}
		select {
		case <-ctx.Done():
			return "", false
		case <-look.C:
		}
	}
}

// onDC answers a wish here if this node is the DC, else asks the DC.
func onDC[In, Out any](ctx context.Context, s *Server, verb string, in In, here func(context.Context, In) (Out, error)) (Out, error) {
	var out Out
	dc, self := s.awaitDC(ctx)
	switch {
	case self:
		return here(ctx, in)
	case dc == "" || asker(ctx) != "": // passed on already: the DC has changed meanwhile
		return out, refuse(api.CodeNoDC, "there is no DC at the moment: try again in a few seconds; if it stays so, see \"crm cluster status\"")
	}
	return out, s.peer(ctx, dc, verb, in, &out)
}

// reload hands the directory's present credentials on.
func (s *Server) reload() error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	return s.o.Reload(s.o.Dir.Credentials())
}

// record writes the audit line of a wish; who wished it is in the context.
func (s *Server) record(ctx context.Context, action, format string, args ...any) error {
	user := api.PeerFrom(ctx).User
	if a := asker(ctx); a != "" {
		user = "someone on " + a
	}
	return s.o.Dir.audit(Audit{s.o.Now().UTC(), user, action, fmt.Sprintf(format, args...)})
}
