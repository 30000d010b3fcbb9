package node

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/controller"
	"systole/crm/fencing"
	"systole/crm/transport"
)

// server is one HTTP server with its listener.
type server struct {
	name    string
	listen  net.Listener
	handler http.Handler
	peer    func(context.Context, net.Conn) context.Context
	log     *slog.Logger
}

// servers are all that this node answers on.
func (n *Node) servers() []server {
	access := n.cfg.Access
	access.Lists = func() bool {
		on, _ := cib.ParseBool(option(n.CIB(), "enable-acl"))
		return on
	}
	a := api.Handler{Backend: backend{n}, Access: access, Cluster: n.admin.Admin, Metrics: n.cfg.Metrics, Log: n.log}.Routes()
	out := []server{
		{"rpc", n.cfg.Fabric.Listener(transport.ProtoRPC), n.rpcRoutes(), transport.ConnContext, n.log},
		{"api", n.cfg.Fabric.Listener(transport.ProtoAPI), a, api.ConnContext, n.log},
	}
	if n.cfg.Local != nil {
		out = append(out, server{"local api", n.cfg.Local, a, api.ConnContext, n.log})
	}
	if n.admin.Joining != nil {
		out = append(out, server{"join", n.cfg.Fabric.Listener(transport.ProtoJoin), n.admin.Joining, transport.ConnContext, n.log})
	}
	return out
}

// run serves until ctx is done.
func (s server) run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           s.handler,
		ConnContext:       s.peer,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(lines{s.log}, "", 0),
	}
	ended := context.AfterFunc(ctx, func() { srv.Close() })
	defer ended()
	err := srv.Serve(s.listen)
	srv.Close()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) || ctx.Err() != nil {
		return nil
	}
	return err
}

// lines adapts net/http's log.
type lines struct{ log *slog.Logger }

func (l lines) Write(b []byte) (int, error) {
	l.log.Debug("http", "text", string(b))
	return len(b), nil
}

// rpcRoutes are what nodes ask of each other (DESIGN.md §4).
func (n *Node) rpcRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /rpc/order", func(w http.ResponseWriter, r *http.Request) {
		m, err := api.Decode[orderMessage](http.MaxBytesReader(w, r.Body, maxMessage))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		if peer := transport.RequestPeer(r); peer != m.DC {
			http.Error(w, "an order in the name of "+m.DC+" came from "+peer, http.StatusForbidden)
			return
		}
		if refused := n.accept(r.Context(), m); refused != nil {
			status := http.StatusPreconditionFailed
			if refused.Term > 0 {
				status = http.StatusConflict
			}
			answer(w, status, refused)
			return
		}
		answer(w, http.StatusOK, struct{}{})
	})
	mux.HandleFunc("POST /rpc/propose", func(w http.ResponseWriter, r *http.Request) {
		e, err := api.Decode[command.Entry](http.MaxBytesReader(w, r.Body, maxMessage))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, http.StatusOK, n.proposeHere(r.Context(), e))
	})
	mux.HandleFunc("POST /rpc/index", func(w http.ResponseWriter, r *http.Request) {
		index, err := n.store.ReadIndex(r.Context())
		if err != nil {
			answer(w, http.StatusPreconditionFailed, &refusal{Reason: err.Error(), Later: true})
			return
		}
		answer(w, http.StatusOK, index)
	})
	mux.HandleFunc("POST /rpc/done", func(w http.ResponseWriter, r *http.Request) {
		done, err := api.Decode[controller.Done](http.MaxBytesReader(w, r.Body, maxMessage))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		n.director.post(done)
		answer(w, http.StatusOK, struct{}{})
	})
	mux.HandleFunc("POST /rpc/fence", func(w http.ResponseWriter, r *http.Request) {
		call, err := api.Decode[fencing.Call](http.MaxBytesReader(w, r.Body, maxMessage))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		answer(w, http.StatusOK, n.fenceHere(r.Context(), call))
	})
	if n.admin.Peers != nil {
		mux.Handle(n.admin.Prefix, n.admin.Peers)
	}
	return mux
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the asker has gone; it will ask again
}
