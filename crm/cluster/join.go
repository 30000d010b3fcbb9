package cluster

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"systole/crm/api"
	"systole/crm/exit"
	"systole/crm/transport"
)

// JoinOptions of [Join].
type JoinOptions struct {
	Dir     string // cluster directory; must hold no cluster yet
	Host    string // "host" or "host:port" of any node of the cluster
	Token   string
	Node    string // this node's name
	Addr    string // "ip:port" others reach it at; empty: the address towards Host, with DefaultPort
	Version string // of the program
	Witness bool
	User    string // who does it, for the audit record
	Now     func() time.Time
}

// joinRequest is what a new node asks for, inside TLS to a server whose CA has
// the token's fingerprint.
type joinRequest struct {
	TokenID  string    `json:"token_id"`
	Secret   Secret    `json:"secret"`
	Issuer   string    `json:"issuer"`
	Node     string    `json:"node"`
	Addr     string    `json:"addr"`
	Request  []byte    `json:"request"` // certificate request, DER
	Version  string    `json:"version"`
	Protocol int       `json:"protocol"`
	Now      time.Time `json:"now"`
}

// joinReply makes the node a member, or sends it to the node that can: the one
// that made the token.
type joinReply struct {
	Redirect    string          `json:"redirect,omitempty"` // "ip:port"
	Cluster     string          `json:"cluster"`
	Certificate []byte          `json:"certificate"`
	Trust       json.RawMessage `json:"trust"`
	Members     []Member        `json:"members"`
}

// Bounds of a join: the request is about 1 KiB, the reply grows with the members.
const (
	maxJoinRequest = 16 << 10
	maxJoinReply   = 1 << 20
	joinTimeout    = 30 * time.Second
	joinPath       = "/join"
)

// maxClockSkew is what a join tolerates. Leases do not mind, but rules, logs and
// certificates' dates become confusing.
const maxClockSkew = 5 * time.Minute

// Join gets this node's certificate and the cluster's trust with a token.
// Nothing is started; systoled enters the cluster when it finds the files.
func Join(ctx context.Context, o JoinOptions) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	t, err := parseToken(o.Token)
	if err != nil {
		return Report{}, refuse(api.CodeUsage, "%v", err)
	}
	host := withPort(o.Host)
	if o.Addr == "" {
		if o.Addr, err = towards(ctx, host); err != nil {
			return Report{}, err
		}
	}
	if err := checkNode(o.Node, o.Addr); err != nil {
		return Report{}, err
	}
	d, err := makeDir(o.Dir) // before the token is spent
	if err != nil {
		return Report{}, err
	}
	key, err := newKey()
	if err != nil {
		return Report{}, err
	}
	csr, err := request(o.Node, key)
	if err != nil {
		return Report{}, err
	}
	reply, err := ask(ctx, host, t, joinRequest{
		TokenID: hex.EncodeToString(t.id[:]), Secret: t.secret, Issuer: t.issuer, Node: o.Node, Addr: o.Addr,
		Request: csr, Version: o.Version, Protocol: Protocol, Now: o.Now(),
	})
	if err != nil {
		return Report{}, err
	}
	trust, err := parseTrust(reply.Trust)
	if err != nil {
		return Report{}, fmt.Errorf("answer of %s: %w", host, err)
	}
	if err := d.setMembers(reply.Members); err != nil {
		return Report{}, err
	}
	id := Identity{
		Cluster: reply.Cluster, ClusterID: trust.ClusterID, Node: o.Node, ID: randomHex(8), Addr: o.Addr,
		Witness: o.Witness, Joined: o.Now().UTC().Truncate(time.Second),
	}
	if err := d.settle(id, trust, reply.Certificate, key, nil); err != nil {
		return Report{}, err
	}
	if err := d.audit(Audit{o.Now().UTC(), o.User, "join", fmt.Sprintf("cluster %s as node %s", reply.Cluster, o.Node)}); err != nil {
		return Report{}, err
	}
	return Report{Done: []string{
		fmt.Sprintf("Node %s belongs to cluster %s now; its files are in %s.", o.Node, reply.Cluster, o.Dir),
		fmt.Sprintf("Start it: systemctl enable --now systoled. The others then reach it at %s, TCP and UDP.", o.Addr),
	}}, nil
}

// ask sends the request, following one redirect.
func ask(ctx context.Context, host string, t token, r joinRequest) (joinReply, error) {
	reply, err := askOne(ctx, host, t.ca, r)
	if err == nil && reply.Redirect != "" {
		issuer := reply.Redirect
		reply, err = askOne(ctx, issuer, t.ca, r)
		if err == nil && reply.Redirect != "" {
			err = refuse(api.CodeUnavailable, "%s and %s send each other the token of node %s: make a new one with \"crm cluster token\"", host, issuer, t.issuer)
		}
	}
	return reply, err
}

func askOne(ctx context.Context, host string, ca transport.Fingerprint, r joinRequest) (reply joinReply, err error) {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return transport.DialJoin(ctx, host, ca)
		},
	}}
	body, err := json.Marshal(r)
	if err != nil {
		return reply, fmt.Errorf("join request: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://cluster"+joinPath, bytes.NewReader(body))
	if err != nil {
		return reply, fmt.Errorf("join request: %w", err)
	}
	resp, err := client.Do(req)
	switch {
	case errors.Is(err, transport.ErrWrongCA):
		return reply, refuse(api.CodeConfig, "%s: %v", host, transport.ErrWrongCA)
	case err != nil:
		return reply, refuse(api.CodeNotConnected, "cannot reach the cluster at %s (does systoled run there, and does a firewall let TCP and UDP through?): %v", host, errors.Unwrap(err))
	}
	defer resp.Body.Close()
	err = api.ReadAnswer(host, resp, maxJoinReply, &reply)
	return reply, err
}

// withPort adds the default port to a host without one.
func withPort(host string) string {
	if a, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return netip.AddrPortFrom(a, DefaultPort).String()
	}
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(DefaultPort))
}

// OwnAddr guesses the address at which others reach this machine: the one it
// would use towards the rest of the world, with DefaultPort.
func OwnAddr(ctx context.Context) (string, error) {
	addr, err := towards(ctx, "192.0.2.1:9") // TEST-NET-1: nobody is there, and nothing is sent
	if err != nil {
		return "", refuse(api.CodeUsage, "this machine's address is not clear (no default route): give it with --bind")
	}
	return addr, nil
}

// towards is this machine's address on the way to host. No packet is sent.
func towards(ctx context.Context, host string) (string, error) {
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, "udp", host)
	if err != nil {
		return "", refuse(api.CodeUnavailable, "no way to %s: %v", host, err)
	}
	defer c.Close()
	local := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
	return netip.AddrPortFrom(local, DefaultPort).String(), nil
}

// welcome answers a join request. What a person can mend is checked before the
// token is spent.
func (s *Server) welcome(ctx context.Context, r joinRequest, now time.Time) (joinReply, error) {
	if err := Compatible(r.Protocol); err != nil {
		return joinReply{}, refuse(int(exit.Protocol), "node %s (release %s) cannot join: %v", r.Node, r.Version, err)
	}
	if skew := r.Now.Sub(now).Abs(); skew > maxClockSkew {
		return joinReply{}, refuse(api.CodeConfig, "the clocks of %s and of this cluster differ by %v: set the clock there (chronyc makestep), then join again with the same token", r.Node, skew.Round(time.Second))
	}
	if err := checkNode(r.Node, r.Addr); err != nil {
		return joinReply{}, err
	}
	members, err := s.o.Host.Members(ctx)
	if err != nil {
		return joinReply{}, err
	}
	// A node that the CIB names and raft does not know was lost to a recovery, or
	// configured before it came: it may join.
	if m, ok := find(members, r.Node); ok && (m.RaftID != "" || m.Online) {
		return joinReply{}, refuse(api.CodeExists, "a node %s is in the cluster already, at %s: choose another --name, or if this is the same machine set up anew, run \"crm cluster remove %s\" on another node first", r.Node, m.Addr, r.Node)
	}
	for _, m := range members {
		if m.Addr == r.Addr && m.Name != r.Node {
			return joinReply{}, refuse(api.CodeExists, "node %s has the address %s: give another one with --bind", m.Name, r.Addr)
		}
	}
	id := s.o.Dir.Identity()
	if r.Issuer != id.Node {
		if m, ok := find(members, r.Issuer); ok && m.Addr != "" {
			return joinReply{Redirect: m.Addr}, nil
		}
		return joinReply{}, refuse(api.CodeNoSuch, "node %s, which made the join token, is not in the cluster any more: make a new one with \"crm cluster token\"", r.Issuer)
	}
	_, ca := s.o.Dir.issuer()
	if ca == nil {
		return joinReply{}, refuse(api.CodeUnavailable, "node %s has no CA key any more: make a new token with \"crm cluster token\" on the DC", id.Node)
	}
	if err := s.o.Dir.spendToken(r.TokenID, r.Secret, r.Node, now); err != nil {
		return joinReply{}, err
	}
	trust := s.o.Dir.Trust()
	der, err := ca.issue(r.Request, r.Node, trust.Generation, now)
	if err != nil {
		return joinReply{}, err
	}
	s.o.Log.Info("node joins", "node", r.Node, "addr", r.Addr)
	return joinReply{Cluster: id.Cluster, Certificate: der, Trust: trust.encode(), Members: members}, nil
}

func find(members []Member, name string) (Member, bool) {
	for _, m := range members {
		if m.Name == name {
			return m, true
		}
	}
	return Member{}, false
}
