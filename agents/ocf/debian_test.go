package ocf

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"systole/resources"
)

// TestDebianAgents runs real scripts of the packages resource-agents and
// pacemaker through their life, with everything they write in a directory of ours.
func TestDebianAgents(t *testing.T) {
	for _, a := range []struct{ provider, typ string }{{"heartbeat", "Dummy"}, {"pacemaker", "Dummy"}} {
		t.Run(a.provider+":"+a.typ, func(t *testing.T) {
			agent, run := installed(t, a.provider, a.typ)
			data, err := agent.MetaData(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if m, err := resources.ParseMetadata(data); err != nil || m.Name != a.typ || !m.Offers("start") {
				t.Errorf("metadata %+v, %v", m, err)
			}
			run(resources.ActionMonitor, resources.NotRunning)
			run(resources.ActionStart, resources.OK)
			run(resources.ActionMonitor, resources.OK)
			run(resources.ActionStart, resources.OK)
			run(resources.ActionStop, resources.OK)
			run(resources.ActionStop, resources.OK)
			run(resources.ActionMonitor, resources.NotRunning)
			if res := run("no-such-action", resources.ErrUnimplemented); res.Status != resources.StatusDone {
				t.Errorf("status %d", res.Status)
			}
		})
	}
}

// installed finds a script and a way to run it with state kept in a directory of the test.
func installed(t *testing.T, provider, typ string) (*Agent, func(resources.Action, resources.Code) resources.Result) {
	t.Helper()
	id := resources.AgentID{Class: resources.ClassOCF, Provider: provider, Type: typ}
	tmp := t.TempDir()
	agent, err := Config{RscTmp: tmp, Env: []string{"HA_LOGFACILITY=none"}}.Find(id)
	if err != nil {
		t.Skip("needs the script: ", err)
	}
	return agent, func(action resources.Action, want resources.Code) resources.Result {
		t.Helper()
		res := agent.Execute(t.Context(), resources.Op{
			Resource: "r1", Agent: id, Action: action, Timeout: 20 * time.Second, Node: "n1",
			Params: map[string]string{"state": filepath.Join(tmp, "state")},
		})
		if res.Code != want {
			t.Errorf("%s = %d (%s), want %d\n%s", action, res.Code, res.Reason, want, res.Output)
		}
		return res
	}
}

// TestDebianStateful promotes and demotes, with a crm_attribute that records
// how it was called: it must be the one of HA_SBIN_DIR.
func TestDebianStateful(t *testing.T) {
	agent, run := installed(t, "pacemaker", "Stateful")
	sbin := t.TempDir()
	calls := filepath.Join(sbin, "calls")
	if err := os.WriteFile(filepath.Join(sbin, "crm_attribute"), []byte("#!/bin/sh\necho \"$OCF_RESOURCE_INSTANCE $*\" >>"+calls+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	agent.cfg.SbinDir = sbin
	run(resources.ActionMonitor, resources.NotRunning)
	run(resources.ActionStart, resources.OK)
	run(resources.ActionMonitor, resources.OK)
	run(resources.ActionPromote, resources.OK)
	run(resources.ActionMonitor, resources.RunningPromoted)
	run(resources.ActionDemote, resources.OK)
	run(resources.ActionMonitor, resources.OK)
	run(resources.ActionStop, resources.OK)
	if log, err := os.ReadFile(calls); err != nil || len(log) == 0 {
		t.Errorf("our crm_attribute was not called: %q, %v", log, err)
	} else {
		t.Logf("promotion scores set by:\n%s", log)
	}
}
