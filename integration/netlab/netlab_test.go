package netlab

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestMain runs the tests inside the lab; outside it there is nothing to test.
func TestMain(m *testing.M) {
	code, inside := Enter(false)
	if inside {
		code = m.Run()
	}
	os.Exit(code)
}

func twoNodes(t *testing.T) (*Lab, *Node, *Node) {
	t.Helper()
	lab, err := New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lab.Close)
	var nodes [2]*Node
	for i := range nodes {
		n, err := lab.Add(string(rune('a'+i)), i+1)
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Boot(); err != nil {
			t.Fatal(err)
		}
		nodes[i] = n
	}
	return lab, nodes[0], nodes[1]
}

func run(t *testing.T, n *Node, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := n.Run(ctx, nil, argv...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out)
}

var vip = netip.MustParseAddr("10.77.0.100")

func addVIP(t *testing.T, n *Node) {
	t.Helper()
	if err := n.AddAddress(netip.PrefixFrom(vip, 24)); err != nil {
		t.Fatal(err)
	}
}

// One test, since there is one network namespace with one bridge.
func TestLab(t *testing.T) {
	lab, a, b := twoNodes(t)
	wire := lab.NewWire(vip)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- wire.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	if got := run(t, a, "hostname"); got != "a" {
		t.Errorf("host name of a: %q", got)
	}
	ownProgram(t, a)
	addVIP(t, a)
	await(t, "a to answer for the address", func() bool { n, _ := wire.Owner(); return n == "a" })
	if v := wire.Violations(); len(v) > 0 {
		t.Errorf("one owner, but: %v", v)
	}

	a.PowerCut()
	if a.Running() {
		t.Error("a runs after its power was cut")
	}
	addVIP(t, b)
	await(t, "b to answer after a's power cut", func() bool { n, _ := wire.Owner(); return n == "b" })
	if err := a.Boot(); err != nil {
		t.Fatal(err)
	}
	if out := run(t, a, "cat", "/proc/net/fib_trie"); strings.Contains(out, vip.String()) {
		t.Errorf("a kept its address over a power cut: %s", out)
	}
	if v := wire.Violations(); len(v) > 0 {
		t.Errorf("never two owners, but: %v", v)
	}

	cutOneWay(t, wire, b)

	// The watch must see two owners when there are two.
	addVIP(t, a)
	await(t, "two owners to be noticed", func() bool { return len(wire.Violations()) > 0 })
}

func cutOneWay(t *testing.T, wire *Wire, n *Node) {
	t.Helper()
	if err := n.Cut(Sending); err != nil {
		t.Fatal(err)
	}
	// What it had sent may still be on its way to the watch.
	var cut time.Time
	await(t, "silence once its sending is cut", func() bool {
		_, cut = wire.Owner()
		time.Sleep(100 * time.Millisecond)
		_, at := wire.Owner()
		return at.Equal(cut)
	})
	if err := n.Mend(); err != nil {
		t.Fatal(err)
	}
	await(t, "the mended node to be heard", func() bool { _, at := wire.Owner(); return at.After(cut) })
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	const patience = 30 * time.Second
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("waited %v for %s", patience, what)
}

// ownProgram: what a command is given wins over what the node has, for finding the program too.
func ownProgram(t *testing.T, n *Node) {
	t.Helper()
	own := t.TempDir()
	if err := os.WriteFile(filepath.Join(own, "hostname"), []byte("#!/bin/sh\nenv | grep ^PATH=\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	path := "PATH=" + own + ":/usr/bin:/bin"
	out, err := n.Run(t.Context(), []string{path}, "hostname")
	if err != nil || strings.TrimSpace(out) != path {
		t.Errorf("got %q, %v; want %q once", out, err, path)
	}
}
