package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// Client asks one daemon. It is safe for concurrent use and keeps connections open.
type Client struct {
	http *http.Client
	name string // of the other end, for errors
}

// NewClient makes a client of the daemon behind a unix socket; an empty path
// means $SYSTOLE_SOCKET, then [Socket]. Nothing is dialled before the first
// request; a daemon that does not answer gives an [Error] with CodeNotConnected.
func NewClient(socket string) *Client {
	if socket == "" {
		socket = os.Getenv(SocketEnv)
	}
	if socket == "" {
		socket = Socket
	}
	return NewClientDialer(socket, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	})
}

// NewClientDialer makes a client that reaches the daemon by dial; name appears in errors.
func NewClientDialer(name string, dial func(context.Context) (net.Conn, error)) *Client {
	t := &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression: true,
		MaxIdleConns:       4,
		IdleConnTimeout:    30 * time.Second,
	}
	return &Client{http: &http.Client{Transport: t}, name: name}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// CIB reads the CIB. A local read is answered from the node's own copy and may
// be old; otherwise the read sees everything committed before it was asked for.
func (c *Client) CIB(ctx context.Context, local bool) (CIBReply, error) {
	return get[CIBReply](ctx, c, PathCIB, "local", strconv.FormatBool(local))
}

// Propose commits one entry. A refusal by the CIB itself (old version, no such
// object…) is a reply with a Code, not an error.
func (c *Client) Propose(ctx context.Context, p Proposal) (ProposeReply, error) {
	return post[ProposeReply](ctx, c, PathCIB, p)
}

// Status asks for the daemon's view of the cluster.
func (c *Client) Status(ctx context.Context) (Status, error) {
	return get[Status](ctx, c, PathStatus)
}

// Settle waits until the DC has nothing to do for everything committed before
// the call, or for the timeout (0 means the DC's own bound of an hour).
func (c *Client) Settle(ctx context.Context, timeout time.Duration) (Settled, error) {
	return get[Settled](ctx, c, PathSettle, "timeout", timeout.String())
}

// UpdateAttr changes one attribute; it returns once an immediate query sees it.
func (c *Client) UpdateAttr(ctx context.Context, u AttrUpdate) error {
	return c.Do(ctx, http.MethodPost, PathAttrs, u, nil)
}

// Attrs lists attributes by node and name; empty strings match all.
func (c *Client) Attrs(ctx context.Context, node, name string) ([]Attr, error) {
	return get[[]Attr](ctx, c, PathAttrs, "node", node, "name", name)
}

// Resource forgets history, probes again or records a failure.
func (c *Client) Resource(ctx context.Context, r ResourceRequest) (ResourceReply, error) {
	return post[ResourceReply](ctx, c, PathResource, r)
}

// Force runs an agent's action on the daemon's node, past the cluster.
func (c *Client) Force(ctx context.Context, r ForceRequest) (ForceReply, error) {
	return post[ForceReply](ctx, c, PathForce, r)
}

// Agents lists what is installed on the daemon's node: with an empty class the
// classes, with "ocf" and no provider the providers' agents as "provider:type",
// with both the types.
func (c *Client) Agents(ctx context.Context, class, provider string) ([]string, error) {
	return get[[]string](ctx, c, PathAgents, "class", class, "provider", provider)
}

// AgentMeta is the metadata document of an agent such as "ocf:heartbeat:Dummy".
func (c *Client) AgentMeta(ctx context.Context, agent string) ([]byte, error) {
	return c.raw(ctx, PathAgentMeta, "agent", agent)
}

// Fence fences a node and waits for the outcome; failure is an error.
func (c *Client) Fence(ctx context.Context, r FenceRequest) (FenceEvent, error) {
	return post[FenceEvent](ctx, c, PathFence, r)
}

// ConfirmFence states, on the word of a human, that the target is down.
func (c *Client) ConfirmFence(ctx context.Context, target string) error {
	return c.Do(ctx, http.MethodPost, PathFenceConfirm, FenceRequest{Target: target}, nil)
}

// FenceHistory lists fencings, newest first; an empty target means all.
func (c *Client) FenceHistory(ctx context.Context, target string) ([]FenceEvent, error) {
	return get[[]FenceEvent](ctx, c, PathFenceHistory, "target", target)
}

// ForgetFenceHistory removes finished fencings from the history.
func (c *Client) ForgetFenceHistory(ctx context.Context, target string) error {
	return c.Do(ctx, http.MethodDelete, PathFenceHistory+query("target", target), nil, nil)
}

// FenceDevices lists devices; with a target only those that can fence it.
func (c *Client) FenceDevices(ctx context.Context, target string) ([]FenceDevice, error) {
	return get[[]FenceDevice](ctx, c, PathFenceDevices, "target", target)
}

// Timing asks for derived and measured times.
func (c *Client) Timing(ctx context.Context) (Timing, error) {
	return get[Timing](ctx, c, PathTiming)
}

// History lists configuration changes, newest first.
func (c *Client) History(ctx context.Context) ([]Change, error) {
	return get[[]Change](ctx, c, PathHistory)
}

// HistoryShow reads the CIB as it was at a configuration version "admin_epoch.epoch".
func (c *Client) HistoryShow(ctx context.Context, version string) (CIBReply, error) {
	return get[CIBReply](ctx, c, PathHistoryVersion, "version", version)
}

// TransitionGraph is the DC's running or last graph in Pacemaker's XML.
func (c *Client) TransitionGraph(ctx context.Context) ([]byte, error) {
	return c.raw(ctx, PathTransition)
}

// Inputs lists the scheduler inputs saved on the daemon's node, newest first.
func (c *Client) Inputs(ctx context.Context) ([]InputFile, error) {
	return get[[]InputFile](ctx, c, PathInputs)
}

// Input reads one saved scheduler input, decompressed.
func (c *Client) Input(ctx context.Context, name string) ([]byte, error) {
	return c.raw(ctx, PathInputs, "name", name)
}

// Watch yields an event now and after every change past the index, until ctx
// is done or the connection breaks; the error comes last.
func (c *Client) Watch(ctx context.Context, after uint64) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		body, err := c.open(ctx, http.MethodGet, PathWatch+query("after", strconv.FormatUint(after, 10)), nil)
		if err != nil {
			yield(Event{}, err)
			return
		}
		defer body.Close()
		for dec := json.NewDecoder(body); ; {
			var e Event
			if err := dec.Decode(&e); err != nil {
				yield(Event{}, c.lost(err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Do sends in as JSON and decodes the answer into out; either may be nil. It
// is the door for packages that add requests of their own below [PathCluster].
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	body, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, body)
		return err
	}
	if err := json.NewDecoder(body).Decode(out); err != nil {
		return fmt.Errorf("answer of %s to %s %s: %w", c.name, method, path, err)
	}
	return nil
}

// open sends a request and returns the body of a successful answer.
func (c *Client) open(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("request %s %s: %w", method, path, err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://systole"+path, body)
	if err != nil {
		return nil, fmt.Errorf("request %s %s: %w", method, path, err)
	}
	if u := PeerFrom(ctx).User; u != "" {
		req.Header.Set(userHeader, u)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, c.lost(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	e := &Error{}
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(e) != nil || e.Message == "" {
		e = &Error{Code: CodeSoftware, Message: fmt.Sprintf("%s answered %s to %s %s", c.name, resp.Status, method, path)}
	}
	return nil, e
}

// raw reads an answer that is not JSON.
func (c *Client) raw(ctx context.Context, path string, pairs ...string) ([]byte, error) {
	body, err := c.open(ctx, http.MethodGet, path+query(pairs...), nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// lost makes the error of a daemon that cannot be reached, or went away.
func (c *Client) lost(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if errors.Is(err, os.ErrPermission) {
		return &Error{Code: CodePrivilege, Message: fmt.Sprintf("no permission to use %s: run as root or as a member of the daemon's group (haclient unless systole.conf says another)", c.name)}
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return &Error{Code: CodeNotConnected, Message: fmt.Sprintf("cannot reach systoled at %s (is it running? systemctl status systoled says why not): %v", c.name, err)}
}

func get[T any](ctx context.Context, c *Client, path string, pairs ...string) (T, error) {
	var out T
	err := c.Do(ctx, http.MethodGet, path+query(pairs...), nil, &out)
	return out, err
}

func post[T any](ctx context.Context, c *Client, path string, in any) (T, error) {
	var out T
	err := c.Do(ctx, http.MethodPost, path, in, &out)
	return out, err
}

// query makes "?k=v&…" of pairs, leaving out empty values.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}
