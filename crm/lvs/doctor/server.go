package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	mux.HandleFunc("POST "+PeerPrefix+pathFacts, func(w http.ResponseWriter, r *http.Request) {
		serve(w, r, func(ctx context.Context, q Questions) (Facts, error) { return Look(ctx, s.o.Node, q), nil })
	})
	return mux
}

// AdminHandler answers [Client] below AdminPrefix, to root only: a survey sends packets.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+AdminPrefix+pathFacts, func(w http.ResponseWriter, r *http.Request) {
		if api.PeerFrom(r.Context()).UID != 0 {
			refuse(w, &api.Error{Code: api.CodePrivilege, Message: "only root may survey the nodes"})
			return
		}
		serve(w, r, s.everyone)
	})
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
	body, err := json.Marshal(q)
	if err != nil {
		return f, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+node+PeerPrefix+pathFacts, bytes.NewReader(body))
	if err != nil {
		return f, err
	}
	resp, err := s.o.Peers.Do(req)
	if err != nil {
		return f, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return f, fmt.Errorf("it answered %s: it may run another release", resp.Status)
	}
	return f, json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&f)
}

func serve[Out any](w http.ResponseWriter, r *http.Request, f func(context.Context, Questions) (Out, error)) {
	var q Questions
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&q); err != nil {
		refuse(w, &api.Error{Code: api.CodeUsage, Message: "the questions cannot be read: " + err.Error()})
		return
	}
	out, err := f(r.Context(), q)
	if err != nil {
		refuse(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a client that has gone needs no answer
}

func refuse(w http.ResponseWriter, err error) {
	e, ok := errors.AsType[*api.Error](err)
	if !ok {
		e = &api.Error{Code: api.CodeError, Message: err.Error()}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict) // the body says which refusal it is
	_ = json.NewEncoder(w).Encode(e)
}

// Cluster asks all nodes through a running daemon.
func Cluster(c *api.Client) Ask {
	return func(ctx context.Context, q Questions) (all []Facts, err error) {
		err = c.Do(ctx, http.MethodPost, AdminPrefix+pathFacts, q, &all)
		return all, err
	}
}
