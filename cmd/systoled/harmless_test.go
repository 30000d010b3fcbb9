package main

import (
	"os"
	"path/filepath"
	"testing"

	"systole/agents"
	"systole/agents/ocf"
	"systole/resources"
)

func TestHarmless(t *testing.T) {
	root := t.TempDir()
	id := func(provider, typ string) resources.AgentID {
		return resources.AgentID{Class: resources.ClassOCF, Provider: provider, Type: typ}
	}
	registry := agents.New(agents.Config{OCF: ocf.Config{Root: root}})
	defer registry.Close()
	guarded, open := harmless(true, registry.Runs), harmless(false, registry.Runs)
	for _, c := range []struct {
		what string
		got  bool
		want bool
	}{
		{"native address, guard", guarded(id("systole", "IPaddr2")), true},
		{"native address, no guard", open(id("systole", "IPaddr2")), false},
		{"twin in the place of the script, guard", guarded(id("heartbeat", "IPaddr2")), true},
		{"twin, no guard", open(id("heartbeat", "IPaddr2")), false},
		{"director, reached through an address", open(id("systole", "ipvs")), true},
		{"real server, quiet about its address", open(id("systole", "realserver")), true},
		{"somebody else's director", guarded(id("heartbeat", "ipvs")), false},
		{"nothing known of it", guarded(id("heartbeat", "Filesystem")), false},
	} {
		if c.got != c.want {
			t.Errorf("%s: harmless %v, want %v", c.what, c.got, c.want)
		}
	}
	dir := filepath.Join(root, "resource.d", "heartbeat")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "IPaddr2"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if guarded(id("heartbeat", "IPaddr2")) {
		t.Error("the installed script tells no guard of its addresses")
	}
}
