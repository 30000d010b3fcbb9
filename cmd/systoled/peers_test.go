package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"systole/conf"
	"systole/crm/cluster"
	"systole/crm/secret"
	"systole/crm/transport"
)

// peersPatience bounds one question to the peers' port; it is never reached.
const peersPatience = time.Minute

// TestOnlyMembersReachSecrets: the peers' port of the daemon as it is built gives
// secrets to a member of the cluster, and takes them from one; from anybody else
// not even the question is heard.
func TestOnlyMembersReachSecrets(t *testing.T) {
	d := startWitness(t)
	addr := d.fabric.Addr()
	foreign := newClusterDir(t, addr) // names and address are the same, the CA is not
	other, err := cluster.OpenDir(foreign)
	if err != nil {
		t.Fatal(err)
	}
	rpc, join := "systole-"+string(transport.ProtoRPC), "systole-"+string(transport.ProtoJoin)
	withTLS := func(proto string, certificates ...tls.Certificate) func() (net.Conn, error) {
		return func() (net.Conn, error) {
			dialer := &net.Dialer{Timeout: peersPatience}
			return tls.DialWithDialer(dialer, "tcp", addr, &tls.Config{NextProtos: []string{proto}, Certificates: certificates, InsecureSkipVerify: true})
		}
	}
	member := withTLS(rpc, d.dir.Credentials().Certificate)
	db := secret.Key{Resource: "db", Parameter: "password"}
	entries := func(value string, version uint64) []secret.Entry {
		return []secret.Entry{{Key: db, Value: cluster.Secret(value), Version: version, Writer: "n2"}}
	}
	encoded := base64.StdEncoding.EncodeToString

	if got := askPeer(t, member, "take", entries("first", 1)); !strings.Contains(got, "200 OK") {
		t.Fatalf("a member is not heard: %q", got)
	}
	for _, c := range []struct {
		name string
		dial func() (net.Conn, error)
	}{
		{"without TLS", func() (net.Conn, error) { return net.DialTimeout("tcp", addr, peersPatience) }},
		{"without a certificate", withTLS(rpc)},
		{"as one who joins", withTLS(join)},
		{"with a certificate of another cluster's CA", withTLS(rpc, other.Credentials().Certificate)},
		{"as one who joins, with a certificate of another cluster's CA", withTLS(join, other.Credentials().Certificate)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for verb, in := range map[string][]secret.Entry{"since": {}, "take": entries("forged", 2)} {
				if got := askPeer(t, c.dial, verb, in); strings.Contains(got, "200 OK") || strings.Contains(got, encoded([]byte("first"))) {
					t.Errorf("%s: answered %q", verb, got)
				}
			}
		})
	}
	if got := askPeer(t, member, "since", []secret.Entry{}); !strings.Contains(got, encoded([]byte("first"))) || strings.Contains(got, encoded([]byte("forged"))) {
		t.Errorf("after all that a member is told %q", got)
	}
}

// askPeer asks for one of the secrets' paths and returns all that comes back; who
// is refused reads the little, or nothing, that there is.
func askPeer(t *testing.T, dial func() (net.Conn, error), verb string, in []secret.Entry) string {
	t.Helper()
	c, err := dial()
	if err != nil {
		return ""
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(peersPatience)); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequest(http.MethodPost, "http://n1"+secret.PeerPrefix+verb, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Close = true
	_ = r.Write(c) // fails when the other end has hung up
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// startWitness runs the daemon of a cluster of one node, which runs no resources,
// until the test ends.
func startWitness(t *testing.T) *daemon {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	bind := netip.MustParseAddrPort(l.Addr().String())
	l.Close()
	c := conf.Default()
	c.Witness, c.Bind, c.ClusterDir, c.RunDir = true, bind, newClusterDir(t, bind.String()), t.TempDir()
	d := &daemon{conf: c, log: slog.New(slog.DiscardHandler)}
	if err := d.openCluster(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.fabric.Close() })
	local, err := d.listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { local.Close() })
	ctx, stop := context.WithCancelCause(context.Background())
	if err := d.build(local, "", stop); err != nil {
		stop(nil)
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- d.serve(ctx, stop) }()
	t.Cleanup(func() {
		stop(ended("the test"))
		if err := <-served; err != nil {
			t.Errorf("the daemon: %v", err)
		}
	})
	return d
}

// newClusterDir makes a cluster of node n1.
func newClusterDir(t *testing.T, addr string) string {
	t.Helper()
	dir := t.TempDir()
	if _, err := cluster.Init(cluster.InitOptions{Dir: dir, Cluster: "test", Node: "n1", Addr: addr, User: "tester", Now: time.Now()}); err != nil {
		t.Fatal(fmt.Errorf("make a cluster: %w", err))
	}
	return dir
}
