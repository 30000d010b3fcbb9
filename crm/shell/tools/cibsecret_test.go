package tools

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/cluster"
	"systole/crm/secret"
)

// keeper is as much of a node as secrets need: a CIB and a vault.
type keeper struct {
	api.Backend
	now *cib.CIB
}

func (d *keeper) CIB(context.Context, bool) (api.CIBReply, error) {
	return api.CIBReply{XML: d.now.String(), Version: d.now.Version().String(), Linearizable: true}, nil
}

func (d *keeper) Propose(_ context.Context, p api.Proposal) (api.ProposeReply, error) {
	var ops []cib.Op
	for _, o := range p.Operations {
		data, err := cib.Parse([]byte(o.XML))
		if err != nil {
			return api.ProposeReply{}, err
		}
		ops = append(ops, cib.Op{Kind: cib.OpKind(o.Op), Data: data})
	}
	next, err := d.now.Apply(ops, nil, cib.Stamp{})
	if err != nil {
		return api.ProposeReply{Code: 1, Message: err.Error()}, nil
	}
	d.now = next
	return api.ProposeReply{Version: next.Version().String()}, nil
}

// newKeeper serves one on a socket, with the CIB of stories.
func newKeeper(t *testing.T) (*keeper, *story) {
	t.Helper()
	first, err := cib.ParseCIB([]byte(twoNodes))
	if err != nil {
		t.Fatal(err)
	}
	vault, _, err := secret.Open(t.TempDir(), [][]byte{make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	secrets := secret.NewServer(secret.ServerOptions{Vault: vault, Node: "a", Log: slog.New(slog.DiscardHandler),
		Members: func() []cluster.Member { return []cluster.Member{{Name: "a"}} }})
	d := &keeper{now: first}
	dir, err := os.MkdirTemp("", "api") // a short name: socket paths are bounded
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ConnContext: api.ConnContext, Handler: api.Handler{Backend: d, Cluster: secrets.AdminHandler(),
		Access: api.Access{UID: os.Getuid()}, Log: slog.New(slog.DiscardHandler)}.Routes()}
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-served })
	return d, &story{t: t, env: map[string]string{"SYSTOLE_SOCKET": l.Addr().String(), "CRM_meta_on_node": "a"}}
}

func (d *keeper) parameter(t *testing.T, rsc, name string) string {
	t.Helper()
	for set := range d.now.FindID(rsc).Each("instance_attributes") {
		for nv := range set.Each("nvpair") {
			if nv.Get("name") == name {
				return nv.Get("value")
			}
		}
	}
	return ""
}

func TestSecretStory(t *testing.T) {
	d, s := newKeeper(t)
	s.play(Cibsecret,
		step{"", 64, "say what to do"},
		step{"tell web p", 64, "no command"},
		step{"set web", 64, "write set RESOURCE PARAMETER"},
		step{"get web passwd", 105, "no secret passwd"},
		step{"set nobody passwd x", 105, "'nobody' not found"},
		step{"set web passwd", 64, "no value"}, // standard input is empty
		step{"set web passwd swordfish", 0, ""},
		step{"check web passwd", 0, ""},
		step{"get web passwd", 0, "swordfish\n"},
		step{"set web passwd herring", 0, ""},
		step{"get web passwd", 0, "herring\n"},
		step{"sync", 0, ""},
	)
	if got := d.parameter(t, "web", "passwd"); got != secret.Reference {
		t.Errorf("the CIB has %q", got)
	}
	s.play(Cibsecret, step{"delete web passwd", 0, ""}, step{"check web passwd", 105, "no secret"}, step{"delete web passwd", 105, "no secret"})
	if got := d.parameter(t, "web", "passwd"); got != "" {
		t.Errorf("after delete the CIB has %q", got)
	}
	if strings.Contains(d.now.String(), "swordfish") || strings.Contains(d.now.String(), "herring") {
		t.Error("a secret is in the CIB")
	}
}

func TestStash(t *testing.T) {
	d, s := newKeeper(t)
	s.play(Cibsecret,
		step{"set web state x", 108, "use stash"},
		step{"-C stash web state", 64, "cannot be used with -C"},
		step{"stash web nothing", 105, "no parameter nothing"},
		step{"stash web state", 0, ""},
		step{"stash web state", 108, "a secret already"},
		step{"get web state", 0, "/run/web\n"},
	)
	if got := d.parameter(t, "web", "state"); got != secret.Reference {
		t.Errorf("stashed, the CIB has %q", got)
	}
	s.play(Cibsecret, step{"unstash web state", 0, ""}, step{"get web state", 105, "no secret"})
	if got := d.parameter(t, "web", "state"); got != "/run/web" {
		t.Errorf("unstashed, the CIB has %q", got)
	}
	// Apart from the CIB.
	s.play(Cibsecret, step{"-C set idle key x", 0, ""}, step{"-C check idle key", 0, ""}, step{"check idle key", 78, "does not refer"}, step{"-C delete idle key", 0, ""})
}

func TestSecretArgs(t *testing.T) {
	for in, want := range map[string]string{
		"set db passwd x": "set db passwd x", "db set passwd x": "set db passwd x", "db check passwd": "check db passwd", "sync": "sync", "get set passwd": "get set passwd",
	} {
		if got := strings.Join(SecretArgs(strings.Fields(in)), " "); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}
