package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Init may be cut short at any file: the node is then in no cluster, and Init
// can be run again.
func TestInitCutShort(t *testing.T) {
	for _, name := range []string{fileFirstCIB, fileTrust, fileNode, fileCAKey, fileIdentity} {
		path := t.TempDir()
		obstacle := filepath.Join(path, name)
		if name == fileIdentity {
			// Init would see this one; what fails is its last rename, as if the power went.
			obstacle = ""
		}
		o := InitOptions{Dir: path, Cluster: "c", Node: "n1", Addr: "10.0.0.1:7737", Now: time.Now()}
		if obstacle != "" {
			if err := os.Mkdir(obstacle, 0o700); err != nil {
				t.Fatal(err)
			}
			if _, err := Init(o); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s cannot be written: got %v", name, err)
			}
			if err := os.Remove(obstacle); err != nil {
				t.Fatal(err)
			}
		} else {
			if _, err := Init(o); err != nil {
				t.Fatal(err)
			}
			if err := os.Remove(filepath.Join(path, fileIdentity)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := OpenDir(path); !errors.Is(err, ErrNoCluster) {
			t.Errorf("cut short at %s, the directory is: %v", name, err)
		}
		if _, err := Init(o); err != nil {
			t.Errorf("again after %s: %v", name, err)
		}
		if _, err := OpenDir(path); err != nil {
			t.Errorf("again after %s: %v", name, err)
		}
	}
}

// A trust or token that cannot be written is not believed or spent in memory either.
func TestFailedWriteChangesNothing(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	text := a.token()
	tk, err := parseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	before := a.dir.Trust()
	for _, name := range []string{fileTrust, fileTokens} {
		if err := os.Rename(a.dir.file(name), a.dir.file(name+".away")); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(a.dir.file(name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.dir.adopt(before.revoking("n2")); err == nil {
		t.Error("adopt: no error")
	}
	if got := a.dir.Trust(); got.Generation != before.Generation {
		t.Errorf("generation %d is believed and not on disk", got.Generation)
	}
	id := a.dir.tokens[0].ID
	if err := a.dir.spendToken(id, tk.secret, "n2", w.now()); err == nil {
		t.Error("spendToken: no error")
	}
	if a.dir.tokens[0].UsedBy != "" {
		t.Error("the token is spent in memory and not on disk")
	}
}

func TestFullDiskHasARemedy(t *testing.T) {
	err := full(fmt.Errorf("write x: %w", syscall.ENOSPC))
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room") {
		t.Errorf("got %v", err)
	}
	if err := full(syscall.EIO); strings.Contains(err.Error(), "make room") {
		t.Errorf("got %v", err)
	}
}

func TestOwnAddr(t *testing.T) {
	addr, err := OwnAddr(t.Context())
	if err != nil {
		wantRefusal(t, err, 64, "--bind") // a machine without a default route, such as a bare namespace
		return
	}
	if err := checkNode("n1", addr); err != nil {
		t.Errorf("%s: %v", addr, err)
	}
}
