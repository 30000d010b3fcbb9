package agents

import (
	"bytes"
	"context"
	"encoding/xml"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"systole/agents/fence"
	"systole/agents/lsb"
	"systole/agents/ocf"
	"systole/agents/systemd"
	"systole/resources"
)

// TestMain: the test binary is also the multi-call binary and what it starts.
func TestMain(m *testing.M) {
	if ran, code := RunChild(); ran {
		os.Exit(code)
	}
	if name := filepath.Base(os.Args[0]); slices.Contains(Native(), name) {
		os.Exit(Main(context.Background(), name, os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// scripts is a registry over a directory with one agent of each foreign class.
func scripts(t *testing.T) *Registry {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "resource.d", "heartbeat")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(dir, "Here"), filepath.Join(root, "script"), filepath.Join(root, "fence_here")} {
		if err := os.WriteFile(name, []byte("#!/bin/sh\nexit 0\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r := New(Config{
		OCF:     ocf.Config{Root: root, RscTmp: filepath.Join(root, "tmp")},
		LSB:     lsb.Config{Dir: root},
		Fence:   fence.Config{SbinDir: root},
		Systemd: systemd.Config{Dial: func(context.Context) (systemd.Bus, error) { return nil, systemd.ErrNoSystemd }},
	})
	t.Cleanup(r.Close)
	return r
}

func id(s string) resources.AgentID {
	f := strings.Split(s, ":")
	if len(f) == 2 {
		return resources.AgentID{Class: resources.Class(f[0]), Type: f[1]}
	}
	return resources.AgentID{Class: resources.Class(f[0]), Provider: f[1], Type: f[2]}
}

func TestLookup(t *testing.T) {
	r := scripts(t)
	for _, known := range []string{"ocf:heartbeat:Here", "ocf:systole:IPaddr2", "ocf:heartbeat:Dummy", "ocf:pacemaker:Stateful", "lsb:script", "service:script", "systemd:any", "stonith:fence_here"} {
		if _, err := r.Lookup(id(known)); err != nil {
			t.Errorf("%s: %v", known, err)
		}
	}
	for _, unknown := range []string{"ocf:heartbeat:Missing", "ocf:systole:Here", "ocf:linbit:Dummy", "nonsense:x", "ocf:heartbeat:", "lsb:none", "service:none", "systemd:a/b", "stonith:fence_none", "stonith:script"} {
		if _, err := r.Lookup(id(unknown)); err == nil {
			t.Errorf("%s was found", unknown)
		}
	}
}

func TestNativeTwinSaysSo(t *testing.T) {
	r := scripts(t)
	a, err := r.Lookup(id("ocf:heartbeat:Dummy"))
	if err != nil {
		t.Fatal(err)
	}
	res := a.Execute(t.Context(), resources.Op{Resource: "d", Action: resources.ActionMonitor})
	if res.Code != resources.NotRunning || !strings.Contains(res.Output, "ocf:systole:Dummy stands in for it") {
		t.Errorf("result %+v", res)
	}
	doc, err := a.MetaData(t.Context())
	if err != nil || !strings.Contains(string(doc), "ocf:systole:Dummy stands in for it") {
		t.Errorf("metadata %s, %v", doc, err)
	}
	if _, ok := r.Twin(id("ocf:heartbeat:Here")); ok {
		t.Error("a script without a twin has one")
	}
}

func TestLists(t *testing.T) {
	r := scripts(t)
	if got := r.Providers("Dummy"); !slices.Equal(got, []string{"systole"}) {
		t.Errorf("providers of Dummy: %v", got)
	}
	if got := r.Providers(""); !slices.Equal(got, []string{"heartbeat", "systole"}) {
		t.Errorf("providers: %v", got)
	}
	if got, err := r.List("ocf", "heartbeat"); err != nil || !slices.Equal(got, []string{"Here"}) {
		t.Errorf("heartbeat has %v, %v", got, err)
	}
	if got, err := r.List("ocf", ""); err != nil || !slices.Contains(got, "IPaddr2") || !slices.Contains(got, "Here") {
		t.Errorf("ocf has %v, %v", got, err)
	}
	for class, want := range map[string][]string{"lsb": {"fence_here", "script"}, "service": {"fence_here", "script"}, "stonith": {"fence_here"}, "systemd": nil} {
		if got, err := r.List(class, ""); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s has %v, %v; want %v", class, got, err, want)
		}
	}
	if _, err := r.List("nonsense", ""); err == nil {
		t.Error("a class that does not exist has a list")
	}
}

// Every native agent's document is well formed, complete and reads back.
func TestNativeMetadata(t *testing.T) {
	r := scripts(t)
	for _, name := range Native() {
		data, err := r.MetaData(t.Context(), resources.AgentID{Class: resources.ClassOCF, Provider: NativeProvider, Type: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := xml.Unmarshal(data, new(struct{})); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		m, err := resources.ParseMetadata(data)
		if err != nil || m.Name != name {
			t.Errorf("%s: metadata of %q, %v", name, m.Name, err)
			continue
		}
		for _, action := range []string{"start", "stop", "monitor", "validate-all", "meta-data"} {
			if !m.Offers(action) {
				t.Errorf("%s does not offer %s", name, action)
			}
		}
		for _, p := range m.Parameters {
			if p.Short == "" || p.Long == "" || p.Type == "" || p.Check(p.Default) != nil {
				t.Errorf("%s: parameter %+v is not described", name, p)
			}
		}
	}
}

func TestStandAlone(t *testing.T) {
	env := []string{"HA_RSCTMP=" + t.TempDir(), "OCF_RESOURCE_INSTANCE=d", "OCF_RESKEY_CRM_meta_on_node=n1", "OCF_RESKEY_CRM_meta_timeout=5000"}
	call := func(want resources.Code, typ string, args ...string) (string, string) {
		t.Helper()
		var out, errs bytes.Buffer
		if code := Main(t.Context(), typ, args, env, &out, &errs); code != int(want) {
			t.Errorf("%s %v = %d, want %d: %s", typ, args, code, want, errs.String())
		}
		return out.String(), errs.String()
	}
	call(resources.NotRunning, "Dummy", "monitor")
	call(resources.OK, "Dummy", "start")
	call(resources.OK, "Dummy", "monitor")
	call(resources.OK, "Dummy", "stop")
	if out, _ := call(resources.OK, "Dummy", "meta-data"); !strings.Contains(out, `<resource-agent name="Dummy"`) {
		t.Errorf("metadata %q", out)
	}
	env = append(env, "OCF_RESKEY_fail_start_on=n1")
	if _, errs := call(resources.ErrGeneric, "Dummy", "start"); !strings.Contains(errs, "ocf-exit-reason:told to fail on n1") {
		t.Errorf("standard error %q", errs)
	}
	call(resources.ErrUnimplemented, "Dummy", "promote")
	call(resources.ErrConfigured, "IPaddr2", "monitor")
	call(resources.ErrArgs, "Dummy")
	call(resources.OK, "Dummy", "usage")
	call(resources.ErrInstalled, "Missing", "monitor")
}

func TestFenceOfMissingAgent(t *testing.T) {
	if res := scripts(t).Fence(t.Context(), "fence_none", fence.Call{Action: "off"}); res.Status != resources.StatusNotInstalled {
		t.Errorf("result %+v", res)
	}
}
