package cluster

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/crm/api"
	"systole/crm/transport"
)

// three makes n1 (DC, voter), n2 (voter) and n3 (no voter), all with what they should hold.
func three(t *testing.T) (w *world, a, b, c *testNode) {
	t.Helper()
	w = newWorld(t)
	a = w.begin()
	b, c = w.join("n2", a), w.join("n3", a)
	w.set("n2", func(m *Member) { m.Voter = true })
	for _, n := range []*testNode{a, b, c} {
		if err := n.server.keep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return w, a, b, c
}

func wantAllConnected(t *testing.T, nodes ...*testNode) {
	t.Helper()
	for _, from := range nodes {
		for _, to := range nodes {
			if from == to {
				continue
			}
			if err := from.reaches(to); err != nil {
				t.Errorf("%s to %s: %v", from.name, to.name, err)
			}
			if err := from.fabric.Send(to.fabric.Addr(), transport.ChannelBeat, []byte(from.name)); err != nil {
				t.Error(err)
			}
			select {
			case d := <-to.fabric.Datagrams(transport.ChannelBeat):
				if string(d.Payload) != from.name {
					t.Errorf("%s got a beat of %q, want of %s", to.name, d.Payload, from.name)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("no beat from %s to %s", from.name, to.name)
			}
		}
	}
}

func TestCertificatesRenewThemselves(t *testing.T) {
	w, a, b, c := three(t)
	before := map[string]string{}
	for _, n := range []*testNode{a, b, c} {
		before[n.name] = n.dir.Certificate().SerialNumber.String()
	}
	w.pass(certLife - renewBefore - time.Hour)
	for _, n := range []*testNode{a, b, c} {
		if err := n.server.keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n.dir.Certificate().SerialNumber.String() != before[n.name] {
			t.Errorf("%s renewed too early", n.name)
		}
	}
	w.pass(2 * time.Hour)
	for _, n := range []*testNode{a, b, c} {
		if err := n.server.keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n.dir.Certificate().SerialNumber.String() == before[n.name] {
			t.Errorf("%s did not renew", n.name)
		}
		if got := n.dir.Certificate().NotAfter.Sub(w.now()); got < certLife-time.Hour {
			t.Errorf("%s: the new certificate lasts %v", n.name, got)
		}
		if again, err := OpenDir(n.dir.Path()); err != nil || !again.Certificate().Equal(n.dir.Certificate()) {
			t.Errorf("%s: the new certificate is not on disk: %v", n.name, err)
		}
	}
	wantAllConnected(t, a, b, c)
}

// A node that was off for years comes back with a certificate long expired, is
// let in, and gets a new one; meanwhile its status says so.
func TestExpiredCertificateIsRenewed(t *testing.T) {
	w, a, b, c := three(t)
	w.pass(3 * certLife)
	if got := c.server.Warnings(t.Context()); !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "The certificate of node n3 ends on") }) {
		t.Errorf("warnings: %q", got)
	}
	if err := c.server.keep(t.Context()); err != nil { // n3 has no CA key: it asks n1, itself expired
		t.Fatal(err)
	}
	if c.dir.Certificate().NotAfter.Before(w.now()) {
		t.Error("n3 still has its expired certificate")
	}
	wantAllConnected(t, a, b, c)
}

func TestWarnThirtyDaysAhead(t *testing.T) {
	w, a, _, _ := three(t)
	rows := []struct {
		left time.Duration
		want bool
	}{{warnBefore + time.Hour, false}, {warnBefore - time.Hour, true}, {-time.Hour, true}}
	for _, r := range rows {
		st, err := a.server.status(t.Context(), struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		got := warnings(st, a.dir.Trust(), a.dir.Certificate(), a.dir.Certificate().NotAfter.Add(-r.left))
		has := slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "its renewal does not work") })
		if has != r.want {
			t.Errorf("%v before the end: warnings %q", r.left, got)
		}
	}
	_ = w
}

func TestRotateKeys(t *testing.T) {
	_, a, b, c := three(t)
	old := a.dir.Trust()
	report, err := b.server.rotate(t.Context(), RotateRequest{}) // asked on n2, done by the DC
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Done) != 1 || !strings.Contains(report.Done[0], "Replaced the cluster key on all nodes (generation 4)") {
		t.Errorf("report: %q", report.Done)
	}
	for _, n := range []*testNode{a, b, c} {
		tr := n.dir.Trust()
		if len(tr.Keys) != 1 || string(tr.Keys[0]) == string(old.Keys[0]) {
			t.Errorf("%s: %d keys, the old one still used: %v", n.name, len(tr.Keys), string(tr.Keys[0]) == string(old.Keys[0]))
		}
		if len(tr.Authorities) != 1 || string(tr.Authorities[0]) != string(old.Authorities[0]) {
			t.Errorf("%s: the CA changed too", n.name)
		}
	}
	wantAllConnected(t, a, b, c)
}

func TestRotateCA(t *testing.T) {
	_, a, b, c := three(t)
	old := a.dir.Trust()
	// Asked on n2: the answer comes over a connection under the CA that goes.
	if _, err := b.server.rotate(t.Context(), RotateRequest{CA: true}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []*testNode{a, b, c} {
		tr := n.dir.Trust()
		if len(tr.Authorities) != 1 || string(tr.Authorities[0]) == string(old.Authorities[0]) {
			t.Errorf("%s believes in %d CAs, the old one among them: %v", n.name, len(tr.Authorities), string(tr.Authorities[0]) == string(old.Authorities[0]))
		}
		issuer, ca := n.dir.issuer()
		if err := n.dir.Certificate().CheckSignatureFrom(issuer); err != nil {
			t.Errorf("%s: certificate is not of the new CA: %v", n.name, err)
		}
		if (ca != nil) != (n != c) {
			t.Errorf("%s holds the new CA key: %v", n.name, ca != nil)
		}
		if _, err := OpenDir(n.dir.Path()); err != nil {
			t.Errorf("%s: after the rotation: %v", n.name, err)
		}
	}
	wantAllConnected(t, a, b, c)
	if _, err := a.world.tryJoin("n4", b, b.token()); err != nil {
		t.Errorf("a join after the rotation: %v", err)
	}
}

func TestRotationStopsForAnAbsentNode(t *testing.T) {
	_, a, b, c := three(t)
	c.stop()
	_, err := a.server.rotate(t.Context(), RotateRequest{})
	wantRefusal(t, err, api.CodeTemporary, "node n3", "stopped after step 1 of 3 (install)", "old and new keys both work")
	wantAllConnected(t, a, b)
	if got := a.server.Warnings(t.Context()); !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, "was not finished") }) {
		t.Errorf("warnings: %q", got)
	}
	report, err := a.server.rotate(t.Context(), RotateRequest{Force: true})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(report.Done, "\n"), "node n3 does not answer; it fetches the new keys") {
		t.Errorf("report: %q", report.Done)
	}
	// n3 comes back with keys nobody uses any more, and fetches the new ones.
	back := a.world.start(c.dir.Path())
	wantAllConnected(t, a, b, back)
}

// A CA rotation that stops after its first step has not touched the CA that
// issues; neither going on with it nor going back to keys only loses it.
func TestInterruptedCARotationKeepsACA(t *testing.T) {
	for _, again := range []RotateRequest{{Force: true}, {CA: true, Force: true}} {
		w, a, b, c := three(t)
		c.stop()
		_, err := a.server.rotate(t.Context(), RotateRequest{CA: true})
		wantRefusal(t, err, api.CodeTemporary, "step 1 of 3")
		if _, err := w.tryJoin("n4", a, a.token()); err != nil {
			t.Errorf("a join after the interruption: %v", err)
		}
		if _, err := a.server.rotate(t.Context(), again); err != nil {
			t.Fatal(err)
		}
		if _, err := w.tryJoin("n5", a, a.token()); err != nil {
			t.Errorf("a join after %+v: %v", again, err)
		}
		if n := len(a.dir.Trust().Authorities); n != 1 {
			t.Errorf("after %+v: %d CAs", again, n)
		}
		wantAllConnected(t, a, b)
	}
}

func TestRemovedNodeIsRefused(t *testing.T) {
	w, a, b, c := three(t)
	_, err := b.server.remove(t.Context(), RemoveRequest{Node: "n3"})
	wantRefusal(t, err, api.CodeUnsafe, "node n3 is online", "crm cluster leave")
	_, err = b.server.remove(t.Context(), RemoveRequest{Node: "n8"})
	wantRefusal(t, err, api.CodeNoSuch, "there is no node n8")
	_, err = b.server.remove(t.Context(), RemoveRequest{Node: "n1"})
	wantRefusal(t, err, api.CodeUnsafe, "node n1 is the DC")

	w.set("n3", func(m *Member) { m.Online = false })
	if _, err := b.server.remove(t.Context(), RemoveRequest{Node: "n3"}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []*testNode{a, b} {
		if err := c.reaches(to); !errors.Is(err, transport.ErrRevoked) {
			t.Errorf("the removed n3 dials %s: %v", to.name, err)
		}
	}
	err = c.server.Enter(t.Context(), Entrant{Name: "n3", Addr: c.dir.Identity().Addr, RaftID: "r", Protocol: Protocol})
	if !errors.Is(err, transport.ErrRevoked) {
		t.Errorf("the removed n3 asks to enter: %v", err)
	}
	if err := c.server.keep(t.Context()); !errors.Is(err, transport.ErrRevoked) {
		t.Errorf("the removed n3 looks after itself: %v", err)
	}
	if got := strings.Join(c.server.Warnings(t.Context()), "\n"); !strings.Contains(got, "Node n3 was removed from the cluster") {
		t.Errorf("warnings of the removed n3: %s", got)
	}
	wantAllConnected(t, a, b)
	again := w.join("n3", a)
	wantAllConnected(t, a, b, again)
}

func TestDistrustReplacesEverything(t *testing.T) {
	w, a, b, c := three(t)
	w.set("n2", func(m *Member) { m.Online = false })
	old := a.dir.Trust()
	if _, err := a.server.remove(t.Context(), RemoveRequest{Node: "n2", Distrust: true}); err != nil {
		t.Fatal(err)
	}
	tr := a.dir.Trust()
	if string(tr.Keys[0]) == string(old.Keys[0]) || string(tr.Authorities[0]) == string(old.Authorities[0]) || len(tr.Authorities) != 1 {
		t.Error("the CA key n2 may have kept is still good")
	}
	if err := b.reaches(a); err == nil {
		t.Error("the distrusted n2 still reaches n1")
	}
	wantAllConnected(t, a, c)
}

func TestLeave(t *testing.T) {
	w, a, b, c := three(t)
	if _, err := a.server.leave(t.Context(), struct{}{}); err != nil { // the DC leaves
		t.Fatal(err)
	}
	dc, _ := (*testHost)(b).DC()
	want := []string{"n1 drain", "n1 hand over", dc + " remove n1", "n1 stop: this node left the cluster"}
	if got := w.done[len(w.done)-4:]; !slices.Equal(got, want) {
		t.Errorf("done: %q, want %q", got, want)
	}
	if _, err := OpenDir(a.dir.Path()); !errors.Is(err, ErrNoCluster) || !strings.Contains(err.Error(), "left cluster test") {
		t.Errorf("directory of n1: %v", err)
	}
	for _, name := range []string{fileNode, fileCAKey, fileTrust} {
		if _, err := os.Stat(a.dir.file(name)); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
	if err := os.Mkdir(a.dir.StorePath(), 0o700); err != nil {
		t.Fatal(err)
	}
	a.stop()
	if _, err := w.tryJoin("n1", b, b.token(), func(o *JoinOptions) { o.Dir = a.dir.Path() }); err != nil {
		t.Errorf("n1 joins again: %v", err)
	}
	if _, err := os.Stat(a.dir.StorePath()); err == nil {
		t.Error("the store of the former membership is still there")
	}
	wantAllConnected(t, b, c)
}

func TestLastNodeCannotLeave(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	_, err := a.server.leave(t.Context(), struct{}{})
	wantRefusal(t, err, api.CodeUnsafe, "the last one of cluster test")
}

func TestTrustOrder(t *testing.T) {
	base := Trust{ClusterID: "x", Generation: 5, Keys: []Secret{random(32)}, Authorities: [][]byte{{1}}}
	next := base.revoking("n2")
	if !next.newerThan(base) || base.newerThan(next) || base.newerThan(base) {
		t.Error("generations do not order")
	}
	if next.Revoked["n2"] != 5 || len(base.Revoked) != 0 {
		t.Errorf("revoked: %v; the original now has %v", next.Revoked, base.Revoked)
	}
	// Two DCs made the same generation: exactly one of the two is newer.
	other := base.revoking("n3")
	if other.newerThan(next) == next.newerThan(other) {
		t.Error("two documents of one generation do not order")
	}
	if _, err := (&Dir{trust: Trust{ClusterID: "y"}}).adopt(next); err == nil {
		t.Error("the trust of another cluster was taken")
	}
}

// At each step of a rotation, and between neighbouring steps, what one node
// seals every other opens; also when rotations were interrupted before.
func TestRotationNeverLosesAKey(t *testing.T) {
	now := time.Now()
	for interrupted := range 4 {
		tr := Trust{ClusterID: "x", Generation: 1, Keys: []Secret{random(32)}, Authorities: [][]byte{{1}}}
		steps := []func(Trust) Trust{
			func(t Trust) Trust { return t.installing(random(32), nil) },
			func(t Trust) Trust { return t.using(false, now) },
			Trust.removing,
		}
		run := func(n int) {
			for i := range n {
				next := steps[i](tr)
				for _, pair := range [][2]Trust{{tr, next}, {next, tr}} {
					if !slices.ContainsFunc(pair[1].Keys, func(k Secret) bool { return string(k) == string(pair[0].Keys[0]) }) {
						t.Errorf("after %d interrupted steps, step %d: the key one side seals with, the other lacks", interrupted, i)
					}
				}
				if len(next.Keys) > maxKeys {
					t.Errorf("%d keys", len(next.Keys))
				}
				tr = next
			}
		}
		run(min(interrupted, 2))
		run(min(interrupted, 2))
		run(3)
		if len(tr.Keys) != 1 {
			t.Errorf("%d keys at the end", len(tr.Keys))
		}
	}
}

func TestSecretPrintsNothing(t *testing.T) {
	s := Secret("topsecret")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, struct{ S Secret }{s}); strings.Contains(got, "topsecret") || strings.Contains(got, "746f70") {
			t.Errorf("%s prints %s", verb, got)
		}
	}
	var back Secret
	if err := back.UnmarshalText([]byte("!topsecret!")); err == nil || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("error: %v", err)
	}
}
