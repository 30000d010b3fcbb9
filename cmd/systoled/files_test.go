package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"systole/crm/lease"
	"systole/crm/node"
)

// TestRightFile: what one run of the daemon saved last is what the next one loads, and
// a file that was only made says nothing.
func TestRightFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lease")
	f := &rightFile{path: path}
	if k, ok := f.Load(); ok {
		t.Errorf("without a file: %+v", k)
	}
	if err := f.open(); err != nil {
		t.Fatal(err)
	}
	if k, ok := (&rightFile{path: path}).Load(); ok {
		t.Errorf("never saved: %+v", k)
	}
	for _, want := range []node.Kept{{Incarnation: 7, End: time.Hour}, {Incarnation: 7, End: 2 * time.Hour, Policy: lease.PolicyIgnore, Index: 99}} {
		if err := f.Save(want); err != nil {
			t.Fatal(err)
		}
		if got, ok := (&rightFile{path: path}).Load(); !ok || got != want {
			t.Errorf("saved %+v, loaded %+v, %v", want, got, ok)
		}
	}
	if err := os.WriteFile(path+"2", []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if k, ok := (&rightFile{path: path + "2"}).Load(); ok {
		t.Errorf("a torn file: %+v", k)
	}
}
