package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
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
	mux.Handle("POST "+joinPath, endpoint(maxJoinRequest, func(ctx context.Context, r joinRequest) (joinReply, error) {
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
	answer(verbHello, endpoint(maxPeerBody, s.hello))
	answer(verbTrust, endpoint(maxPeerBody, s.tellTrust))
	answer(verbAdopt, endpoint(maxPeerBody, s.takeTrust))
	answer(verbRenew, endpoint(maxPeerBody, s.renewFor))
	answer(verbCAKey, endpoint(maxPeerBody, s.giveCAKey))
	answer(verbEnter, endpoint(maxPeerBody, s.admit))
	answer(verbDepart, endpoint(maxPeerBody, s.depart))
	// The rest are people's wishes, passed on by the node they spoke to.
	answer(verbToken, endpoint(maxPeerBody, s.token))
	answer(verbRemove, endpoint(maxPeerBody, s.remove))
	answer(verbRotate, endpoint(maxPeerBody, s.rotate))
	return withPeer(mux)
}

// AdminHandler is api.Handler.Cluster: it answers [Admin].
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+pathStatus, endpoint(maxPeerBody, s.status))
	for path, h := range map[string]http.Handler{
		pathToken:  endpoint(maxPeerBody, s.token),
		pathLeave:  endpoint(maxPeerBody, s.leave),
		pathRemove: endpoint(maxPeerBody, s.remove),
		pathRotate: endpoint(maxPeerBody, s.rotate),
		pathBackup: endpoint(maxPeerBody, s.backup),
	} {
		mux.Handle("POST "+path, rootOnly(h))
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

// rootOnly keeps the members of the daemon's group from changing the cluster
// itself: they administer resources.
func rootOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := api.PeerFrom(r.Context()); p.Node == "" && p.UID != 0 && p.UID != os.Getuid() {
			reply(w, nil, refuse(api.CodePrivilege, "user %s may not change the cluster: run as root", p.User))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// endpoint answers one request: a JSON value in, a JSON value or an api.Error out.
func endpoint[In, Out any](limit int64, f func(context.Context, In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := api.Decode[In](http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			reply(w, nil, err)
			return
		}
		out, err := f(r.Context(), in)
		reply(w, out, err)
	})
}

func reply(w http.ResponseWriter, out any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		e, ok := errors.AsType[*api.Error](err)
		if !ok {
			e = &api.Error{Code: api.CodeError, Message: err.Error()}
		}
		w.WriteHeader(http.StatusConflict) // the body says which refusal it is
		out = e
	}
	_ = json.NewEncoder(w).Encode(out) // a client that has gone needs no answer
}

// peer asks another node.
func (s *Server) peer(ctx context.Context, node, verb string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("ask %s: %w", node, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+node+PeerPrefix+verb, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask %s: %w", node, err)
	}
	resp, err := s.o.Peers.Do(req)
	if err != nil {
		return fmt.Errorf("node %s does not answer: %w", node, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	return readAnswer("node "+node, resp, maxPeerBody, out)
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
