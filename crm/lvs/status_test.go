package lvs

import (
	"testing"
	"time"

	"systole/agents/ipvs/control"
	"systole/agents/ipvs/director"
)

func TestStatusText(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	st := control.Status{
		Resource: "lvs", PID: 42, Since: now.Add(-time.Hour), Role: control.Active, Feed: "connected", Problem: "the kernel refuses",
		Daemons: []control.Daemon{{State: "master", Interface: "eth0", ID: 7}},
		Services: []director.Virtual{{
			Service: "tcp 192.0.2.10:80", Scheduler: "wrr", Alive: 0, Needed: 1, Sorry: "10.0.0.99:80", Servers: []director.Server{
				{Server: "10.0.0.11:80", Node: "web-1", Forward: "dr", State: director.StateDown, Reason: "connection refused", Since: now.Add(-90 * time.Second), Configured: 3},
				{Server: "10.0.0.12:80", Forward: "dr", State: director.StateUp, Configured: 3, InTable: true, Drained: "operator", Active: 5},
			},
		}},
		Events: []control.Event{{Time: now, Text: "10.0.0.11:80 is down"}},
	}
	const want = `lvs: active, process 42, started 1h0m0s ago
  problem: the kernel refuses
  cluster: connected
  sync daemon: master on eth0, id 7
  tcp 192.0.2.10:80 wrr: has no quorum (weights 0, needed 1), answered by the sorry server 10.0.0.99:80
    10.0.0.11:80 (web-1) dr: down, weight 0 of 3, 0 connections, not in the table: connection refused, 1m30s ago
    10.0.0.12:80 dr: up, weight 0 of 3, 5 connections, drained by the operator
  2026-01-02 03:04:05 10.0.0.11:80 is down
`
	if got := StatusText(st, now); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

func TestValidWeight(t *testing.T) {
	for text, want := range map[string]bool{"0": true, "65535": true, "65536": false, "-1": false, "": false, "drain": false} {
		if ValidWeight(text) != want {
			t.Errorf("weight %q", text)
		}
	}
}
