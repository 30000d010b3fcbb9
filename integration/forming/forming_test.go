package forming

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"systole/integration/netlab"
	"systole/integration/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }

const (
	// patience bounds what a busy machine may take for something that is to happen.
	patience = 2 * time.Minute
	// calm keeps a busy machine from losing nodes and DC that nobody has struck.
	calm = 3 * time.Second
)

// life is the cluster and the test that leads it.
type life struct {
	*testing.T
	c *stage.Cluster
}

// crm runs a command that must succeed.
func (l *life) crm(n *netlab.Node, args ...string) string {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), patience)
	defer cancel()
	out, err := l.c.Crm(ctx, n, args...)
	if err != nil {
		l.Fatalf("crm %s on %s: %v\n%s", strings.Join(args, " "), n.Name, err, out)
	}
	return out
}

// refused runs a command that must fail with the exit status and say something.
func (l *life) refused(code int, words string, n *netlab.Node, args ...string) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), patience)
	defer cancel()
	out, err := l.c.Crm(ctx, n, args...)
	e, ok := errors.AsType[*netlab.ExitError](err)
	if !ok || e.Code != code || !strings.Contains(out+err.Error(), words) {
		l.Errorf("crm %s on %s: got %v, %q; want status %d and %q", strings.Join(args, " "), n.Name, err, out, code, words)
	}
}

// status is what crm cluster status tells of a node's view.
type status struct {
	DC     string
	Term   uint64
	Quorum bool
	Nodes  []struct {
		Name   string
		Online bool
		Voter  bool
	}
	Warnings       []string
	Administration struct {
		TrustGeneration uint64 `json:"trust_generation"`
		HasCAKey        bool   `json:"has_ca_key"`
		Warnings        []string
	}
}

func (s status) online() string {
	var names []string
	for _, n := range s.Nodes {
		if n.Online {
			names = append(names, n.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (l *life) status(n *netlab.Node) (s status, err error) {
	ctx, cancel := context.WithTimeout(l.Context(), 10*time.Second)
	defer cancel()
	out, err := l.c.Crm(ctx, n, "cluster", "status", "--output", "json")
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal([]byte(out), &s)
}

// await asks a node for its status until it is as wanted.
func (l *life) await(n *netlab.Node, what string, ok func(status) bool) status {
	l.Helper()
	for end := time.Now().Add(patience); ; {
		s, err := l.status(n)
		if err == nil && ok(s) {
			return s
		}
		if time.Now().After(end) {
			l.Fatalf("%s: not within %v; on %s: %+v, %v\n%s", what, patience, n.Name, s, err, l.logs())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// logs are the last lines of all daemons.
func (l *life) logs() string {
	var b strings.Builder
	for _, n := range l.c.Nodes {
		text, err := os.ReadFile(filepath.Join(n.Dir, "systoled.log"))
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&b, "--- %s (%v)\n%s\n", n.Name, err, strings.Join(lines[max(0, len(lines)-15):], "\n"))
	}
	return b.String()
}

// join makes the node a member again, through another.
func (l *life) join(n, through *netlab.Node) {
	l.Helper()
	token := filepath.Join(n.Dir, "token")
	if err := os.WriteFile(token, []byte(l.crm(through, "cluster", "token", "--quiet")), 0o600); err != nil {
		l.Fatal(err)
	}
	l.crm(n, "cluster", "join", through.Addr.String(), "--token-file", token)
	l.refused(108, "holds a cluster already", n, "cluster", "join", through.Addr.String(), "--token-file", token)
	if err := l.c.StartDaemon(n); err != nil {
		l.Fatal(err)
	}
}

// ended waits until no daemon is left on a node, as its init would before it starts another.
func (l *life) ended(n *netlab.Node) {
	l.Helper()
	for end := time.Now().Add(patience); ; {
		left, err := n.KillAll("systoled", 0)
		if err != nil {
			l.Fatal(err)
		}
		if left == 0 {
			return
		}
		if time.Now().After(end) {
			l.Fatalf("systoled on %s does not end\n%s", n.Name, l.logs())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// forget empties a node's cluster directory, as the manual says after a recovery.
func (l *life) forget(n *netlab.Node) {
	l.Helper()
	if err := os.RemoveAll(filepath.Join(n.Dir, "cluster")); err != nil {
		l.Fatal(err)
	}
}

func TestLifeOfACluster(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "f") // short: it holds sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cluster, err := stage.Start(t.Context(), stage.Options{Dir: dir, Bin: stage.Bin(), DetectWithin: calm})
	if cluster != nil {
		t.Cleanup(cluster.Lab.Close)
	}
	if err != nil {
		t.Fatal(err)
	}
	l := &life{t, cluster}
	a, b, c := cluster.Nodes[0], cluster.Nodes[1], cluster.Nodes[2]
	l.dieAndReturn(a, b)
	l.crm(a, "configure", "property", "stonith-enabled=false")
	l.rekey(a, b, c)
	l.leaveAndReturn(a, c)
	backup := filepath.Join(a.Dir, "backup")
	l.crm(a, "cluster", "backup", backup)
	l.loseAndRecover(a, b, c)
	l.restore(c, backup)
}

// dieAndReturn kills a daemon and starts it again. Fencing is on, as it is by
// default, and nobody has a device: the node is missed, and taken back.
func (l *life) dieAndReturn(a, b *netlab.Node) {
	l.await(a, "all three are there", func(s status) bool { return s.online() == "a b c" })
	if err := l.c.SignalDaemon(b, syscall.SIGKILL); err != nil {
		l.Fatal(err)
	}
	l.await(a, "b is missed", func(s status) bool { return s.online() == "a c" })
	if err := l.c.StartDaemon(b); err != nil {
		l.Fatal(err)
	}
	l.await(a, "b is back", func(s status) bool { return s.online() == "a b c" })
}

// rekey replaces keys and CA under a running cluster: no election, nobody lost.
func (l *life) rekey(a, b, c *netlab.Node) {
	before := l.await(a, "all three vote", func(s status) bool {
		return s.online() == "a b c" && !slices.ContainsFunc(s.Nodes, func(n struct {
			Name   string
			Online bool
			Voter  bool
		}) bool {
			return !n.Voter
		})
	})
	l.crm(b, "cluster", "rotate-keys")
	l.crm(c, "cluster", "rotate-keys", "--ca")
	after := l.await(c, "the status after the rotations", func(s status) bool { return s.online() == "a b c" })
	if after.Term != before.Term || after.DC != before.DC {
		l.Errorf("DC %s in term %d before the rotations, %s in term %d after", before.DC, before.Term, after.DC, after.Term)
	}
	if got := after.Administration.TrustGeneration; got != 7 {
		l.Errorf("trust generation %d, want 7 after two rotations of three steps", got)
	}
}

// leaveAndReturn takes a node out in good order, and in again.
func (l *life) leaveAndReturn(a, c *netlab.Node) {
	l.crm(c, "-F", "cluster", "leave")
	s := l.await(a, "c is out", func(s status) bool { return s.online() == "a b" && len(s.Nodes) == 2 })
	if !slices.ContainsFunc(append(s.Warnings, s.Administration.Warnings...), func(w string) bool { return strings.Contains(w, "Two nodes vote") }) {
		l.Errorf("no warning that two nodes vote: %q", s.Warnings)
	}
	l.ended(c)
	l.refused(102, "is it running?", c, "cluster", "status")
	l.join(c, a)
	l.await(a, "c is back", func(s status) bool { return s.online() == "a b c" })
}

// loseAndRecover loses the majority for good and goes on with one node.
func (l *life) loseAndRecover(a, b, c *netlab.Node) {
	l.await(a, "c votes again", func(s status) bool { return len(s.Nodes) == 3 && s.Nodes[2].Voter })
	b.PowerCut()
	c.PowerCut()
	l.await(a, "the lost quorum names its remedy", func(s status) bool {
		return slices.ContainsFunc(append(s.Warnings, s.Administration.Warnings...), func(w string) bool {
			return strings.Contains(w, "crm cluster recover --lost b --lost c")
		})
	})
	if out := l.crm(a, "status"); !strings.Contains(out, "Quorum is lost: what other nodes run is shown as it was last known") {
		l.Errorf("crm status without quorum:\n%s", out)
	}
	if out := l.crm(a, "cluster", "status"); strings.Count(out, "OFFLINE") != 2 {
		l.Errorf("crm cluster status without quorum:\n%s", out)
	}
	if err := l.c.SignalDaemon(a, syscall.SIGKILL); err != nil {
		l.Fatal(err)
	}
	l.refused(107, "--lost c", a, "cluster", "recover", "--yes", "--lost", "b")
	l.refused(105, "x is not another voter", a, "cluster", "recover", "--yes", "--lost", "b", "--lost", "c", "--lost", "x")
	l.crm(a, "cluster", "recover", "--yes", "--lost", "b", "--lost", "c")
	if err := l.c.StartDaemon(a); err != nil {
		l.Fatal(err)
	}
	l.await(a, "a alone decides", func(s status) bool { return s.DC == "a" && s.Quorum && s.online() == "a" })

	// b comes back as it was: refused, whatever it does. Emptied, it joins.
	if err := l.c.Boot(b); err != nil {
		l.Fatal(err)
	}
	l.await(b, "b has no quorum by itself", func(s status) bool { return !s.Quorum })
	if s, err := l.status(a); err != nil || s.online() != "a" {
		l.Errorf("with the old b running, a sees online: %q, %v", s.online(), err)
	}
	l.await(b, "b is told that the cluster went on without it", func(s status) bool {
		w := strings.Join(append(s.Warnings, s.Administration.Warnings...), " ")
		return strings.Contains(w, "Node b was removed") && !strings.Contains(w, "recover")
	})
	if err := l.c.SignalDaemon(b, syscall.SIGKILL); err != nil {
		l.Fatal(err)
	}
	l.forget(b)
	l.join(b, a)
	l.await(a, "b is a member again", func(s status) bool { return s.online() == "a b" })
}

// restore begins a new cluster on one node with the old one's configuration.
func (l *life) restore(n *netlab.Node, backup string) {
	if err := n.Boot(); err != nil {
		l.Fatal(err)
	}
	l.forget(n)
	l.crm(n, "cluster", "restore", backup, "--bind", n.Addr.String())
	if err := l.c.StartDaemon(n); err != nil {
		l.Fatal(err)
	}
	l.await(n, "the restored cluster decides", func(s status) bool { return s.DC == n.Name && s.online() == n.Name && len(s.Nodes) == 1 })
	if out := l.crm(n, "configure", "show"); !strings.Contains(out, "stonith-enabled=false") {
		l.Errorf("the restored configuration:\n%s", out)
	}
}
