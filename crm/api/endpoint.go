package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

// Endpoint answers one kind of request outside the paths of [Handler]: those of
// nodes to each other, and people's wishes on behalf of a package of its own. In
// goes one JSON value of at most limit bytes, out comes one, or an [Error].
func Endpoint[In, Out any](limit int64, f func(context.Context, In) (Out, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, err := Decode[In](http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			answer(w, nil, err)
			return
		}
		var after []func()
		out, err := f(context.WithValue(r.Context(), afterKey{}, &after), in)
		answer(w, out, err)
		if after != nil {
			_ = http.NewResponseController(w).Flush() // else the answer leaves when this returns
		}
		for _, do := range after {
			do()
		}
	})
}

type afterKey struct{}

// AfterAnswer does something, such as ending the daemon, when the answer of the
// [Endpoint] whose context this is has left; at once in any other context.
func AfterAnswer(ctx context.Context, do func()) {
	if after, ok := ctx.Value(afterKey{}).(*[]func()); ok {
		*after = append(*after, do)
		return
	}
	do()
}

// RootOnly keeps the members of the daemon's group from something: they
// administer resources. What says it, as "change the cluster".
func RootOnly(what string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := PeerFrom(r.Context()); p.Node == "" && p.UID != 0 && p.UID != os.Getuid() {
			answer(w, nil, &Error{Code: CodePrivilege, Message: fmt.Sprintf("user %s may not %s: run as root", p.User, what)})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, out any, err error) {
	status := http.StatusOK
	if err != nil {
		e, ok := errors.AsType[*Error](err)
		if !ok {
			e = &Error{Code: CodeError, Message: err.Error()}
		}
		status, out = http.StatusConflict, e // the body says which refusal it is
	}
	body, err := json.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body))) // complete even if nothing comes after it
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that has gone needs no answer
}

// AskNode puts a question to an [Endpoint] of another node. peers is a client
// whose URL host is a node name. A nil out takes no answer; one of more than
// limit bytes is refused.
func AskNode(ctx context.Context, peers *http.Client, node, path string, limit int64, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("ask %s: %w", node, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+node+path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("ask %s: %w", node, err)
	}
	resp, err := peers.Do(req)
	if err != nil {
		return fmt.Errorf("node %s does not answer: %w", node, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	return ReadAnswer("node "+node, resp, limit, out)
}

// ReadAnswer reads what an [Endpoint] answered, or the Error it refused with. No
// error of its own quotes the answer, which may hold a secret.
func ReadAnswer(from string, resp *http.Response, limit int64, out any) error {
	b, err := io.ReadAll(io.LimitReader(resp.Body, limit))
	if err != nil {
		return &Error{Code: CodeNotConnected, Message: fmt.Sprintf("answer of %s: %v", from, err)}
	}
	if resp.StatusCode != http.StatusOK {
		e := &Error{}
		if json.Unmarshal(b, e) != nil || e.Message == "" {
			return &Error{Code: CodeProtocol, Message: fmt.Sprintf("%s answers %s: it may run another release", from, resp.Status)}
		}
		return e
	}
	if out != nil && json.Unmarshal(b, out) != nil {
		return &Error{Code: CodeProtocol, Message: fmt.Sprintf("the answer of %s cannot be read: it may run another release", from)}
	}
	return nil
}
