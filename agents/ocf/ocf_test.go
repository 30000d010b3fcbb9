package ocf

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/resources"
)

// script installs an agent of our own that prints its environment.
func script(t *testing.T, body string) (Config, resources.AgentID) {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "resource.d", "test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Agent"), []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return Config{Root: root, RscTmp: filepath.Join(root, "tmp")}, resources.AgentID{Class: resources.ClassOCF, Provider: "test", Type: "Agent"}
}

func environ(t *testing.T, op resources.Op) map[string]string {
	t.Helper()
	vars := map[string]string{}
	for _, s := range (Config{SbinDir: "/opt/sbin", Env: []string{"SYSTOLE_SOCKET=/s"}}).Environ(op) {
		name, value, _ := strings.Cut(s, "=")
		if _, twice := vars[name]; twice {
			t.Errorf("%s is set twice", name)
		}
		vars[name] = value
	}
	return vars
}

func check(t *testing.T, vars map[string]string, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got, ok := vars[name]; value == "<unset>" && ok || value != "<unset>" && got != value {
			t.Errorf("%s=%q (set: %t), want %q", name, got, ok, value)
		}
	}
}

func TestEnvironment(t *testing.T) {
	op := resources.Op{
		Resource: "vip", Agent: resources.AgentID{Class: resources.ClassOCF, Provider: "heartbeat", Type: "IPaddr2"},
		Action: resources.ActionMonitor, Timeout: 30 * time.Second, Node: "n1",
		Params: map[string]string{"ip": "10.0.0.1", "we=ird": "x"}, Meta: map[string]string{"interval": "0", "name": "monitor"},
	}
	check(t, environ(t, op), map[string]string{
		"OCF_RESOURCE_INSTANCE": "vip", "OCF_RESOURCE_TYPE": "IPaddr2", "OCF_RESOURCE_PROVIDER": "heartbeat",
		"OCF_RA_VERSION_MAJOR": "1", "OCF_RESKEY_ip": "10.0.0.1", "OCF_RESKEY_CRM_meta_timeout": "30000",
		"OCF_RESKEY_CRM_meta_interval": "<unset>", "OCF_RESKEY_CRM_meta_name": "<unset>", "OCF_RESKEY_CRM_meta_on_node": "n1",
		"HA_SBIN_DIR": "/opt/sbin", "HA_RSCTMP": "/run/resource-agents", "SYSTOLE_SOCKET": "/s", "OCF_CHECK_LEVEL": "<unset>",
		"OCF_RESKEY_CRM_meta_notify_start_resource": "<unset>", "PATH": "/opt/sbin:" + searchPath, "LC_ALL": "C",
	})
	op.Interval, op.CheckLevel, op.Instance = 10*time.Second, 20, "web"
	op.Meta = map[string]string{"promoted_max": "1", "clone": "0"}
	check(t, environ(t, op), map[string]string{
		"OCF_RESOURCE_INSTANCE": "web", "OCF_CHECK_LEVEL": "20", "OCF_RESKEY_CRM_meta_interval": "10000",
		"OCF_RESKEY_CRM_meta_name": "monitor", "OCF_RESKEY_CRM_meta_master_max": "1", "OCF_RESKEY_CRM_meta_clone": "0",
	})
}

func TestNotifyLists(t *testing.T) {
	op := resources.Op{Action: resources.ActionNotify, Meta: map[string]string{
		"notify_type": "post", "notify_master_resource": "db:0", "notify_master_uname": "n1", "notify_start_resource": "", "notify_all_uname": "n1 n2",
	}}
	vars := environ(t, op)
	const p = "OCF_RESKEY_CRM_meta_notify_"
	check(t, vars, map[string]string{
		p + "type": "post", p + "promoted_resource": "db:0", p + "promoted_uname": "n1", p + "start_resource": " ", p + "stop_uname": " ",
		p + "slave_resource": " ", p + "unpromoted_resource": " ", p + "inactive_resource": " ", p + "inactive_uname": "<unset>",
		p + "all_uname": "n1 n2", p + "available_uname": " ",
	})
}

func TestResults(t *testing.T) {
	for _, c := range []struct {
		body   string
		code   resources.Code
		status resources.Status
		reason string
	}{
		{"exit 0", resources.OK, resources.StatusDone, ""},
		{"echo ocf-exit-reason:first >&2; echo 'ocf-exit-reason: it is gone ' >&2; echo more >&2; exit 7", resources.NotRunning, resources.StatusDone, "it is gone"},
		{"exit 6", resources.ErrConfigured, resources.StatusDone, ""},
		{"kill -9 $$", resources.ErrGeneric, resources.StatusError, "ended by signal 9 (killed)"},
		{"sleep 60", resources.ErrGeneric, resources.StatusTimeout, ""},
	} {
		cfg, id := script(t, c.body)
		a, err := cfg.Find(id)
		if err != nil {
			t.Fatal(err)
		}
		limit := time.Minute
		if c.status == resources.StatusTimeout {
			limit = 200 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		res := a.Execute(ctx, resources.Op{Resource: "r", Agent: id, Action: resources.ActionMonitor})
		cancel()
		if res.Code != c.code || res.Status != c.status || res.Reason != c.reason {
			t.Errorf("%q: got code %d, status %d, reason %q; want %d, %d, %q", c.body, res.Code, res.Status, res.Reason, c.code, c.status, c.reason)
		}
	}
}

func TestFindAndList(t *testing.T) {
	cfg, id := script(t, "exit 0")
	for _, bad := range []resources.AgentID{
		{Class: "ocf", Provider: "test", Type: "Missing"}, {Class: "ocf", Provider: "..", Type: "x"}, {Class: "ocf", Provider: "test", Type: "../test/Agent"}, {Class: "ocf", Provider: "test"},
	} {
		if a, err := cfg.Find(bad); err == nil {
			t.Errorf("Find(%v) = %v", bad, a.path)
		}
	}
	if err := os.WriteFile(filepath.Join(cfg.Root, "resource.d", "test", "README"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := cfg.Types("test"); !slices.Equal(got, []string{"Agent"}) {
		t.Errorf("types %v", got)
	}
	if got := cfg.Providers(); !slices.Equal(got, []string{"test"}) {
		t.Errorf("providers %v", got)
	}
	if got := cfg.Types("none"); got != nil {
		t.Errorf("types of a provider that is not there: %v", got)
	}
	if _, err := cfg.Find(id); err != nil {
		t.Error(err)
	}
}

func FuzzExitReason(f *testing.F) {
	f.Add([]byte("x\nocf-exit-reason:why\n"))
	f.Add([]byte("ocf-exit-reason:"))
	f.Fuzz(func(t *testing.T, stderr []byte) {
		if r := ExitReason(stderr); strings.ContainsAny(r, "\n") {
			t.Errorf("reason %q has more than one line", r)
		}
	})
}
