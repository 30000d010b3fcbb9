package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"systole/crm/api"
	"systole/crm/exit"
	"systole/crm/transport"
)

func TestThreeNodesForm(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	b := w.join("n2", a)
	c := w.join("n3", b) // through another than the DC
	for _, from := range []*testNode{a, b, c} {
		for _, to := range []*testNode{a, b, c} {
			if from != to {
				if err := from.reaches(to); err != nil {
					t.Errorf("%s to %s: %v", from.name, to.name, err)
				}
			}
		}
	}
	if b.dir.Identity().ClusterID != a.dir.Identity().ClusterID || b.dir.Identity().Cluster != "test" {
		t.Errorf("identity of n2: %+v", b.dir.Identity())
	}
	if _, ca := c.dir.issuer(); ca != nil {
		t.Error("a node that does not vote holds the CA key")
	}
	w.set("n3", func(m *Member) { m.Voter = true })
	if err := c.server.keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, ca := c.dir.issuer(); ca == nil {
		t.Error("a voter did not fetch the CA key")
	}
}

// A token of n1 presented to n2 is sent on to n1, which alone can spend it.
func TestTokenIsSpentWhereItWasMade(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	b := w.join("n2", a)
	token := a.token()
	if _, err := w.tryJoin("n3", b, token); err != nil {
		t.Fatal(err)
	}
	_, err := w.tryJoin("n4", b, token)
	wantRefusal(t, err, api.CodePrivilege, "was used by n3", "make a new one")
}

func TestJoinRefusals(t *testing.T) {
	w, foreign := newWorld(t), newWorld(t)
	a, x := w.begin(), foreign.begin()
	w.join("n2", a)
	good := a.token()
	wrongSecret, err := parseToken(good)
	if err != nil {
		t.Fatal(err)
	}
	wrongSecret.secret = random(tokenSecret)
	gone := wrongSecret
	gone.issuer = "n9"
	rows := []struct {
		name   string
		token  string
		node   string
		change func(*JoinOptions)
		code   int
		words  string
	}{
		{"damaged token", good[:len(good)-2], "n3", nil, api.CodeUsage, "not a whole join token"},
		{"no token", "", "n3", nil, api.CodeUsage, "not a whole join token"},
		{"wrong secret", wrongSecret.text(), "n3", nil, api.CodePrivilege, "token is wrong"},
		{"token of another cluster", x.token(), "n3", nil, api.CodeConfig, "does not belong to the cluster of this token"},
		{"token of a removed node", gone.text(), "n3", nil, api.CodeNoSuch, "node n9, which made the join token"},
		{"name in use", good, "n2", nil, api.CodeExists, "crm cluster remove n2"},
		{"bad name", good, "-n3", nil, api.CodeUsage, "cannot be a node's name"},
		{"address in use", good, "n3", func(o *JoinOptions) { o.Addr = a.fabric.Addr() }, api.CodeExists, "node n1 has the address"},
		{"no address", good, "n3", func(o *JoinOptions) { o.Addr = "0.0.0.0:1" }, api.CodeUsage, "give the ip:port"},
		{"clock", good, "n3", func(o *JoinOptions) { o.Now = func() time.Time { return w.now().Add(-3 * time.Hour) } }, api.CodeConfig, "differ by 3h0m0s"},
		{"nobody there", good, "n3", func(o *JoinOptions) { o.Host = freeAddr(t) }, api.CodeNotConnected, "does systoled run there"},
		{"in a cluster already", good, "n3", func(o *JoinOptions) { o.Dir = a.dir.Path() }, api.CodeExists, "holds a cluster already"},
	}
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			change := r.change
			if change == nil {
				change = func(*JoinOptions) {}
			}
			dir, err := w.tryJoin(r.node, a, r.token, change)
			wantRefusal(t, err, r.code, r.words)
			if dir != a.dir.Path() {
				if _, err := OpenDir(dir); !errors.Is(err, ErrNoCluster) {
					t.Errorf("after the refusal the directory is: %v", err)
				}
			}
		})
	}
	// None of these mistakes has cost the token.
	if _, err := w.tryJoin("n3", a, good); err != nil {
		t.Errorf("the good token: %v", err)
	}
}

func TestTokenExpires(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	token := a.token()
	w.pass(DefaultTokenLife + time.Second)
	_, err := w.tryJoin("n2", a, token)
	wantRefusal(t, err, int(exit.Expired), "the join token expired at")
	w.pass(25 * time.Hour)
	a.token() // forgets what is older than a day
	_, err = w.tryJoin("n2", a, token)
	wantRefusal(t, err, api.CodePrivilege, "not known here")
	if _, err := a.server.token(t.Context(), TokenRequest{ValidSeconds: int(MaxTokenLife/time.Second) + 1}); err == nil {
		t.Error("a token of more than a day was made")
	}
}

func TestSpentTokenStaysSpentAfterRestart(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	token := a.token()
	if _, err := w.tryJoin("n2", a, token); err != nil {
		t.Fatal(err)
	}
	dir, err := OpenDir(a.dir.Path())
	if err != nil {
		t.Fatal(err)
	}
	tk, err := parseToken(token)
	if err != nil {
		t.Fatal(err)
	}
	err = dir.spendToken(dir.tokens[0].ID, tk.secret, "n3", w.now())
	wantRefusal(t, err, api.CodePrivilege, "was used by n2")
}

func TestIncompatibleReleaseIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	_, err := a.server.welcome(t.Context(), joinRequest{Node: "n2", Version: "9.0", Protocol: Protocol + 1, Now: w.now()}, w.now())
	wantRefusal(t, err, int(exit.Protocol), "node n2 (release 9.0)", "install the same release")
	b := w.join("n2", a)
	err = b.server.Enter(t.Context(), Entrant{Name: "n2", Addr: "1.2.3.4:1", RaftID: "x", Version: "0.1", Protocol: ProtocolMin - 1})
	wantRefusal(t, err, int(exit.Protocol), "node n2 (release 0.1) cannot enter")
}

// Two machines with one name: the second, with a certificate of its own, is told.
func TestSecondMachineOfANameIsRefused(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	b := w.join("n2", a)
	id := b.dir.Identity()
	err := b.server.Enter(t.Context(), Entrant{Name: "n2", Addr: "127.0.0.1:1", RaftID: "n2/other", Protocol: Protocol})
	wantRefusal(t, err, api.CodeExists, "two machines have one name", id.Addr)
	// The same machine with a new store is let in, and so is one that asks under its own name only.
	if err := b.server.Enter(t.Context(), Entrant{Name: "n2", Addr: id.Addr, RaftID: "n2/new", Protocol: Protocol}); err != nil {
		t.Errorf("n2 with a new store: %v", err)
	}
	err = b.server.Enter(t.Context(), Entrant{Name: "n7", Addr: id.Addr, RaftID: "n7/1", Protocol: Protocol})
	wantRefusal(t, err, api.CodeConfig, "node n2 asks to be taken in as n7")
}

// A node that a recovery dropped is in the CIB still, and joins again.
func TestNodeWithoutRaftServerJoinsAgain(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	w.set("n2", func(m *Member) { m.Addr, m.RaftID, m.Online = "", "", false })
	b := w.join("n2", a)
	if m, _ := find(w.list(), "n2"); m.RaftID == "" || b.name != "n2" {
		t.Errorf("n2 after joining: %+v", m)
	}
}

func TestEnterWaitsForADC(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	b := w.join("n2", a)
	w.dc = ""
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := b.server.Enter(ctx, Entrant{Name: "n2", Addr: b.dir.Identity().Addr, RaftID: "r", Protocol: Protocol})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestSecretsStayInTheirFiles(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	token := a.token()
	b := w.join("n2", a)
	for _, n := range []*testNode{a, b} {
		entries, err := os.ReadDir(n.dir.Path())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %o", e.Name(), info.Mode().Perm())
			}
		}
		if info, _ := os.Stat(n.dir.Path()); info.Mode().Perm() != 0o700 {
			t.Errorf("the directory has mode %o", info.Mode().Perm())
		}
		tk, _ := parseToken(token)
		for _, secret := range []string{token, string(n.dir.trust.Keys[0]), string(tk.secret)} {
			if strings.Contains(n.log.String(), secret) {
				t.Errorf("the log of %s holds a secret", n.name)
			}
		}
		tokens, _ := os.ReadFile(n.dir.file(fileTokens))
		if text, _ := tk.secret.MarshalText(); strings.Contains(string(tokens), string(text)) {
			t.Errorf("%s holds a token's secret", fileTokens)
		}
	}
}

func TestOpenDirSaysWhatIsWrong(t *testing.T) {
	broken := func(t *testing.T, change func(path string)) error {
		w := newWorld(t)
		path := t.TempDir()
		if _, err := Init(InitOptions{Dir: path, Cluster: "test", Node: "n1", Addr: "10.0.0.1:7737", Now: w.now()}); err != nil {
			t.Fatal(err)
		}
		change(path)
		_, err := OpenDir(path)
		return err
	}
	write := func(name, text string) func(string) {
		return func(path string) {
			if err := os.WriteFile(filepath.Join(path, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	rows := []struct {
		name   string
		change func(string)
		words  string
	}{
		{"nothing", func(string) {}, ""},
		{"no cluster", func(p string) { os.Remove(filepath.Join(p, fileIdentity)) }, "crm cluster init"},
		{"open directory", func(p string) { os.Chmod(p, 0o755) }, "chmod 700"},
		{"open file", func(p string) { os.Chmod(filepath.Join(p, fileTrust), 0o644) }, "chmod 600"},
		{"missing trust", func(p string) { os.Remove(filepath.Join(p, fileTrust)) }, "trust.json is missing"},
		{"missing certificate", func(p string) { os.Remove(filepath.Join(p, fileNode)) }, "node.pem is missing"},
		{"damaged identity", write(fileIdentity, "{"), "identity.json is damaged"},
		{"damaged trust", write(fileTrust, `{"cluster_id":"x"}`), "trust.json is damaged"},
		{"damaged certificate", write(fileNode, "x"), "node.pem is damaged"},
		{"damaged CA key", write(fileCAKey, "x"), "ca.key is damaged"},
		{"damaged tokens", write(fileTokens, "x"), "tokens.json is damaged"},
	}
	for _, r := range rows {
		err := broken(t, r.change)
		switch {
		case r.words == "" && err != nil:
			t.Errorf("%s: %v", r.name, err)
		case r.words != "" && (err == nil || !strings.Contains(err.Error(), r.words)):
			t.Errorf("%s: got %v, want %q", r.name, err, r.words)
		}
	}
}

func TestInitRefusals(t *testing.T) {
	w := newWorld(t)
	base := InitOptions{Dir: t.TempDir(), Cluster: "c", Node: "n1", Addr: "10.0.0.1:7737", Now: w.now()}
	for _, r := range []struct {
		change func(*InitOptions)
		code   int
	}{
		{func(o *InitOptions) { o.Cluster = "a b" }, api.CodeUsage},
		{func(o *InitOptions) { o.Node = "<n1>" }, api.CodeUsage},
		{func(o *InitOptions) { o.Addr = "host:1" }, api.CodeUsage},
		{func(o *InitOptions) { o.Addr = "[::]:1" }, api.CodeUsage},
	} {
		o := base
		r.change(&o)
		_, err := Init(o)
		wantRefusal(t, err, r.code)
	}
	if err := os.Mkdir(filepath.Join(base.Dir, "raft"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := Init(base)
	wantRefusal(t, err, api.CodeExists, "may be the only copy")
}

func TestNodeCertificate(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	cert := a.dir.Certificate()
	if name, generation, err := transport.NodeOf(cert); name != "n1" || generation != 1 || err != nil {
		t.Errorf("certificate is for %q, generation %d, %v", name, generation, err)
	}
	if cert.IsCA || cert.KeyUsage&x509.KeyUsageCertSign != 0 {
		t.Error("a node's certificate can sign others")
	}
	if first, err := a.dir.FirstCIB(); err != nil || !strings.Contains(string(first), `uname="n1"`) {
		t.Errorf("first CIB: %s, %v", first, err)
	}
	if err := a.dir.Bootstrapped(); err != nil {
		t.Fatal(err)
	}
	again, err := OpenDir(a.dir.Path())
	if err != nil || again.Identity().Bootstrap {
		t.Errorf("after Bootstrapped: %+v, %v", again, err)
	}
}
