package secret

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"systole/crm/api"
	"systole/crm/cluster"
)

// ServerOptions of [NewServer].
type ServerOptions struct {
	Vault *Vault
	// Node is this node's name.
	Node string
	// Members lists the nodes of the cluster.
	Members func() []cluster.Member
	// Peers is an HTTP client whose URL host is a node name, over ProtoRPC.
	Peers *http.Client
	Log   *slog.Logger
}

// Server spreads the vault's changes and takes in those of other nodes. Its
// state is the [Vault]'s.
type Server struct {
	o ServerOptions
}

// NewServer makes a Server; mount its handlers and call Run.
func NewServer(o ServerOptions) *Server { return &Server{o} }

// Where the handlers are mounted: inside what crm/cluster has.
const (
	PeerPrefix  = cluster.PeerPrefix + "secret/"
	AdminPrefix = api.PathCluster + "secret/"
)

// maxBody bounds what nodes send each other here.
const maxBody = 32 << 20

// Run asks the others for what this node has missed, soon after its start and
// then every keepInterval, until ctx is done.
func (s *Server) Run(ctx context.Context) error {
	for wait := firstInterval; ; wait = min(2*wait, keepInterval) {
		s.pull(ctx)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

const (
	firstInterval = 500 * time.Millisecond
	keepInterval  = 15 * time.Second
	// peerTimeout bounds one question to a node.
	peerTimeout = 5 * time.Second
)

// others are the nodes that keep secrets: a witness runs nothing.
func (s *Server) others() []cluster.Member {
	return slices.DeleteFunc(slices.Clone(s.o.Members()), func(m cluster.Member) bool { return m.Name == s.o.Node || m.Witness })
}

// each calls f for every other node, at once, and waits.
func (s *Server) each(ctx context.Context, f func(ctx context.Context, node string)) {
	var wait sync.WaitGroup
	for _, m := range s.others() {
		wait.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, peerTimeout)
			defer cancel()
			f(ctx, m.Name)
		})
	}
	wait.Wait()
}

// pull asks all others for newer entries. One that does not answer is asked again later.
func (s *Server) pull(ctx context.Context) {
	known := s.o.Vault.snapshot().versions()
	s.each(ctx, func(ctx context.Context, node string) {
		var newer []Entry
		err := s.peer(ctx, node, "since", known, &newer)
		if err == nil && len(newer) > 0 {
			_, err = s.o.Vault.take(newer)
		}
		if err != nil {
			s.o.Log.Debug("secrets not fetched", "peer", node, "err", err)
		}
	})
}

// push sends entries to all others and names those that did not take them.
func (s *Server) push(ctx context.Context, entries []Entry) (late []string) {
	var mu sync.Mutex
	s.each(ctx, func(ctx context.Context, node string) {
		if err := s.peer(ctx, node, "take", entries, nil); err != nil {
			mu.Lock()
			late = append(late, node)
			mu.Unlock()
		}
	})
	slices.Sort(late)
	return late
}

// PeerHandler answers other nodes below PeerPrefix.
func (s *Server) PeerHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+PeerPrefix+"since", endpoint(func(_ context.Context, known []Entry) ([]Entry, error) {
		return s.o.Vault.snapshot().beyond(known), nil
	}))
	mux.Handle("POST "+PeerPrefix+"take", endpoint(func(_ context.Context, entries []Entry) (struct{}, error) {
		changed, err := s.o.Vault.take(entries)
		if changed {
			s.o.Log.Info("secrets changed", "count", len(entries))
		}
		return struct{}{}, err
	}))
	return mux
}

// AdminHandler answers [Admin] below AdminPrefix, to root only.
func (s *Server) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST "+AdminPrefix+"set", rootOnly(endpoint(s.set)))
	mux.Handle("POST "+AdminPrefix+"get", rootOnly(endpoint(s.get)))
	mux.Handle("POST "+AdminPrefix+"sync", rootOnly(endpoint(s.sync)))
	return mux
}

// Change asks for a secret to be set or deleted.
type Change struct {
	Key
	Value  cluster.Secret `json:"value,omitempty"`
	Delete bool           `json:"delete,omitempty"`
}

// Spread says which nodes do not have it yet; they fetch it when they are back.
type Spread struct {
	Late []string `json:"late,omitempty"`
}

// Value is a secret's value.
type Value struct {
	Value cluster.Secret `json:"value"`
}

func (s *Server) set(ctx context.Context, c Change) (Spread, error) {
	s.pull(ctx) // so that the version is above all that can be known
	if _, known := s.o.Vault.Get(c.Key); c.Delete && !known {
		return Spread{}, notSet(c.Key)
	}
	e, err := s.o.Vault.put(c.Key, c.Value, c.Delete, s.o.Node, time.Now())
	if err != nil {
		return Spread{}, &api.Error{Code: api.CodeUsage, Message: err.Error()}
	}
	s.o.Log.Info("secret changed", "rsc", c.Resource, "name", c.Parameter, "deleted", c.Delete, "user", api.PeerFrom(ctx).User)
	return Spread{s.push(ctx, []Entry{e})}, nil
}

func (s *Server) get(ctx context.Context, k Key) (Value, error) {
	v, ok := s.o.Vault.Get(k)
	if !ok {
		s.pull(ctx)
		if v, ok = s.o.Vault.Get(k); !ok {
			return Value{}, notSet(k)
		}
	}
	return Value{v}, nil
}

func (s *Server) sync(ctx context.Context, _ struct{}) (Spread, error) {
	s.pull(ctx)
	return Spread{s.push(ctx, s.o.Vault.snapshot().list())}, nil
}

func notSet(k Key) error {
	return &api.Error{Code: api.CodeNoSuch, Message: fmt.Sprintf("resource %s has no secret %s: crm resource secret set", k.Resource, k.Parameter)}
}

// peer asks another node.
func (s *Server) peer(ctx context.Context, node, verb string, in, out any) error {
	return api.AskNode(ctx, s.o.Peers, node, PeerPrefix+verb, maxBody, in, out)
}

// endpoint answers one request.
func endpoint[In, Out any](f func(context.Context, In) (Out, error)) http.Handler {
	return api.Endpoint(maxBody, f)
}

// rootOnly keeps the members of the daemon's group from reading secrets.
func rootOnly(next http.Handler) http.Handler { return api.RootOnly("see or change secrets", next) }

// Admin changes secrets through a running daemon; it is a thin client of
// [Server.AdminHandler].
type Admin struct{ API *api.Client }

// Set sets or deletes a secret on all nodes.
func (a Admin) Set(ctx context.Context, c Change) (Spread, error) {
	var out Spread
	err := a.API.Do(ctx, http.MethodPost, AdminPrefix+"set", c, &out)
	return out, err
}

// Get is a secret's value.
func (a Admin) Get(ctx context.Context, k Key) (Value, error) {
	var out Value
	err := a.API.Do(ctx, http.MethodPost, AdminPrefix+"get", k, &out)
	return out, err
}

// Sync sends everything to all nodes.
func (a Admin) Sync(ctx context.Context) (Spread, error) {
	var out Spread
	err := a.API.Do(ctx, http.MethodPost, AdminPrefix+"sync", struct{}{}, &out)
	return out, err
}

// String names the nodes that are late, "" when there are none.
func (s Spread) String() string {
	if len(s.Late) == 0 {
		return ""
	}
	return fmt.Sprintf("node %s does not answer; it fetches the secret when it is back", strings.Join(s.Late, ", "))
}
