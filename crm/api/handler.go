package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

// MaxBody bounds a request: the largest CIB worth replacing (10 MB) and its
// JSON escapes.
const MaxBody = 32 << 20

// Handler answers the requests of this package from a Backend. Cluster and
// Metrics may be nil.
type Handler struct {
	Backend Backend
	Access  Access
	// Cluster answers everything below PathCluster, with the path unchanged.
	Cluster http.Handler
	Metrics http.Handler
	Log     *slog.Logger
}

// Routes makes the http.Handler; serve it with [ConnContext].
func (h Handler) Routes() http.Handler {
	b := h.Backend
	mux := http.NewServeMux()
	answer := func(pattern string, f func(r *http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			out, err := f(r)
			h.reply(w, r, out, err)
		})
	}
	answer("GET "+PathCIB, func(r *http.Request) (any, error) {
		return b.CIB(r.Context(), r.FormValue("local") == "true")
	})
	answer("POST "+PathCIB, body(b.Propose))
	answer("GET "+PathStatus, func(r *http.Request) (any, error) { return b.Status(r.Context()) })
	answer("GET "+PathSettle, func(r *http.Request) (any, error) {
		timeout, err := time.ParseDuration(r.FormValue("timeout"))
		if err != nil {
			return nil, &Error{Code: CodeUsage, Message: fmt.Sprintf("timeout %q is not a duration such as 30s", r.FormValue("timeout"))}
		}
		return b.Settle(r.Context(), timeout)
	})
	mux.HandleFunc("GET "+PathWatch, h.watch)
	answer("GET "+PathAttrs, func(r *http.Request) (any, error) {
		return b.Attrs(r.Context(), r.FormValue("node"), r.FormValue("name"))
	})
	answer("POST "+PathAttrs, body(silent(b.UpdateAttr)))
	answer("POST "+PathResource, body(b.Resource))
	answer("POST "+PathForce, body(b.Force))
	answer("GET "+PathAgents, func(r *http.Request) (any, error) {
		return b.Agents(r.Context(), r.FormValue("class"), r.FormValue("provider"))
	})
	answer("GET "+PathAgentMeta, func(r *http.Request) (any, error) { return b.AgentMeta(r.Context(), r.FormValue("agent")) })
	answer("POST "+PathFence, body(b.Fence))
	answer("POST "+PathFenceConfirm, body(silent(func(ctx context.Context, r FenceRequest) error {
		return b.ConfirmFence(ctx, r.Target)
	})))
	answer("GET "+PathFenceHistory, func(r *http.Request) (any, error) {
		return b.FenceHistory(r.Context(), r.FormValue("target"))
	})
	answer("DELETE "+PathFenceHistory, func(r *http.Request) (any, error) {
		return nil, b.ForgetFenceHistory(r.Context(), r.FormValue("target"))
	})
	answer("GET "+PathFenceDevices, func(r *http.Request) (any, error) {
		return b.FenceDevices(r.Context(), r.FormValue("target"))
	})
	answer("GET "+PathTiming, func(r *http.Request) (any, error) { return b.Timing(r.Context()) })
	answer("GET "+PathHistory, func(r *http.Request) (any, error) { return b.History(r.Context()) })
	answer("GET "+PathHistoryVersion, func(r *http.Request) (any, error) {
		return b.HistoryShow(r.Context(), r.FormValue("version"))
	})
	answer("GET "+PathTransition, func(r *http.Request) (any, error) { return b.TransitionGraph(r.Context()) })
	answer("GET "+PathInputs, func(r *http.Request) (any, error) {
		if name := r.FormValue("name"); name != "" {
			return b.Input(r.Context(), name)
		}
		return b.Inputs(r.Context())
	})
	if h.Cluster != nil {
		mux.Handle(PathCluster, h.Cluster)
	}
	if h.Metrics != nil {
		mux.Handle("GET "+PathMetrics, h.Metrics)
	}
	return h.guard(mux)
}

// guard refuses whom Access does not allow before anything of the request is
// read, and bounds the body.
func (h Handler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := asked(r)
		if !h.Access.Allows(p) {
			h.reply(w, r, nil, &Error{Code: CodePrivilege, Message: fmt.Sprintf(
				"user %s may not use this cluster: run as root or as a member of group %q", p.User, h.Access.Group)})
			return
		}
		if h.Access.listed(p) {
			h.reply(w, r, nil, &Error{Code: CodePrivilege, Message: fmt.Sprintf(
				"user %s may not use this cluster: access lists are in force and are not evaluated by this version; run as root or hacluster, or set enable-acl=false", p.User)})
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, MaxBody)
		next.ServeHTTP(w, r.WithContext(WithPeer(r.Context(), p)))
	})
}

// reply writes bytes as they are, anything else as JSON, and errors as [Error].
func (h Handler) reply(w http.ResponseWriter, r *http.Request, out any, err error) {
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = &Error{Code: CodeError, Message: err.Error()}
			if errors.Is(err, context.DeadlineExceeded) {
				e.Code = CodeTimeout
			}
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(httpStatus(e.Code))
		out = e
	} else if raw, ok := out.([]byte); ok {
		w.Header().Set("Content-Type", "application/xml")
		_, err := w.Write(raw)
		h.note(r, err)
		return
	} else {
		w.Header().Set("Content-Type", "application/json")
	}
	h.note(r, json.NewEncoder(w).Encode(out))
}

// note tells of an answer that could not be delivered; the client has gone.
func (h Handler) note(r *http.Request, err error) {
	if err != nil {
		h.Log.Debug("answer not delivered", "path", r.URL.Path, "err", err)
	}
}

func (h Handler) watch(w http.ResponseWriter, r *http.Request) {
	after, err := strconv.ParseUint(r.FormValue("after"), 10, 64)
	if err != nil && r.FormValue("after") != "" {
		h.reply(w, r, nil, &Error{Code: CodeUsage, Message: fmt.Sprintf("after=%q is not an index", r.FormValue("after"))})
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	enc, flush := json.NewEncoder(w), http.NewResponseController(w)
	for event, err := range h.Backend.Watch(r.Context(), after) {
		if err != nil || enc.Encode(event) != nil || flush.Flush() != nil {
			return
		}
	}
}

// body decodes the request's body for f, strictly: a field we do not know is a
// request we would misunderstand.
func body[In, Out any](f func(context.Context, In) (Out, error)) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) {
		in, err := Decode[In](r.Body)
		if err != nil {
			return nil, err
		}
		return f(r.Context(), in)
	}
}

// Decode reads one JSON value of a request; unknown fields and anything after
// the value are errors, with code 64.
func Decode[T any](from io.Reader) (T, error) {
	var in T
	dec := json.NewDecoder(from)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return in, &Error{Code: CodeUsage, Message: "request body: " + err.Error()}
	}
	if dec.More() {
		return in, &Error{Code: CodeUsage, Message: "request body: more than one value"}
	}
	return in, nil
}

// silent makes an answer of a function that only succeeds or fails.
func silent[In any](f func(context.Context, In) error) func(context.Context, In) (struct{}, error) {
	return func(ctx context.Context, in In) (struct{}, error) { return struct{}{}, f(ctx, in) }
}
