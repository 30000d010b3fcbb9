package fence

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/resources"
)

const document = `<?xml version="1.0" ?>
<resource-agent name="fence_test" shortdesc="Test device">
<parameters>
<parameter name="action" required="1"><content type="string" default="reboot"/></parameter>
<parameter name="port"><content type="string"/></parameter>
<parameter name="plug" obsoletes="port"><content type="string"/></parameter>
</parameters>
<actions><action name="on" automatic="0"/><action name="off"/>ACTIONS<action name="status"/><action name="list"/><action name="monitor"/><action name="metadata"/></actions>
</resource-agent>`

// device installs a fence agent of our own, which records its input and then
// does what body says; $action is the action.
func device(t *testing.T, reboot bool, body string) (a *Agent, input func() []string) {
	t.Helper()
	dir := t.TempDir()
	doc := strings.Replace(document, "ACTIONS", map[bool]string{true: `<action name="reboot"/>`}[reboot], 1)
	log := filepath.Join(dir, "log")
	script := "#!/bin/sh\n[ $# = 0 ] || exit 99\ninput=$(cat)\naction=$(echo \"$input\" | sed -n s/^action=//p)\n" +
		"if [ $action = metadata ]; then cat <<'END'\n" + doc + "\nEND\nexit 0; fi\necho \"$input\" >>" + log + "\n" + body + "\n"
	if err := os.WriteFile(filepath.Join(dir, "fence_test"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	a, err := Config{SbinDir: dir, RunDir: filepath.Join(dir, "run")}.Find("fence_test")
	if err != nil {
		t.Fatal(err)
	}
	return a, func() []string {
		b, _ := os.ReadFile(log)
		os.Remove(log)
		return strings.Fields(string(b))
	}
}

func TestInput(t *testing.T) {
	a, input := device(t, true, "exit 0")
	params := map[string]string{
		"ip": "10.0.0.9", "username": "admin", "pcmk_host_list": "n1", "pcmk_delay_max": "5s", "provides": "x", "stonith-timeout": "9", "action": "off",
	}
	for _, c := range []struct {
		name string
		call Call
		more map[string]string
		want []string
	}{
		{"plug before port", Call{Action: "reboot", Target: "n1", Port: "7", NodeID: "3"}, nil,
			[]string{"nodename=n1", "nodeid=3", "ip=10.0.0.9", "username=admin", "action=reboot", "plug=7"}},
		{"configured plug", Call{Action: "off", Target: "n1"}, map[string]string{"plug": "fixed"},
			[]string{"nodename=n1", "ip=10.0.0.9", "plug=fixed", "username=admin", "action=off"}},
		{"dynamic plug", Call{Action: "off", Target: "n1"}, map[string]string{"plug": "dynamic"},
			[]string{"nodename=n1", "ip=10.0.0.9", "username=admin", "action=off", "plug=n1"}},
		{"host argument", Call{Action: "off", Target: "n1"}, map[string]string{"pcmk_host_argument": "uuid"},
			[]string{"nodename=n1", "ip=10.0.0.9", "username=admin", "action=off", "uuid=n1"}},
		{"no host argument", Call{Action: "off", Target: "n1"}, map[string]string{"pcmk_host_argument": "none"},
			[]string{"nodename=n1", "ip=10.0.0.9", "username=admin", "action=off"}},
		{"no target", Call{Action: "list"}, nil, []string{"ip=10.0.0.9", "username=admin", "action=list"}},
	} {
		c.call.Params = map[string]string{}
		for _, m := range []map[string]string{params, c.more} {
			for k, v := range m {
				c.call.Params[k] = v
			}
		}
		if res := a.Use(t.Context(), c.call); res.Code != resources.OK || res.Status != resources.StatusDone {
			t.Errorf("%s: %+v", c.name, res)
		}
		if got := input(); !slices.Equal(got, c.want) {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
	res := a.Use(t.Context(), Call{Action: "off", Target: "n1", Params: map[string]string{"ip": "x\naction=on"}})
	if res.Code != resources.ErrConfigured || len(input()) != 0 {
		t.Errorf("a value with a line break: %+v", res)
	}
}

func TestResults(t *testing.T) {
	for _, c := range []struct {
		body, action string
		code         resources.Code
		status       resources.Status
		reason       string
	}{
		{"exit 0", "off", resources.OK, resources.StatusDone, ""},
		{"exit 2", "status", 2, resources.StatusDone, ""},
		{"exit 2", "off", resources.ErrGeneric, resources.StatusDone, "exit 2: it said nothing"},
		{"echo '2026-01-01 00:00:00,000 ERROR: Failed: Unable to obtain plug status' >&2; exit 1", "off", resources.ErrGeneric, resources.StatusDone,
			"fence_test off: exit 1: Failed: Unable to obtain plug status"},
		{"sleep 60", "off", resources.ErrGeneric, resources.StatusTimeout, "did not end in time"},
	} {
		a, _ := device(t, true, c.body)
		if _, err := a.MetaData(t.Context()); err != nil {
			t.Fatal(err)
		}
		limit := time.Minute
		if c.status == resources.StatusTimeout {
			limit = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		res := a.Use(ctx, Call{Action: c.action, Target: "n1"})
		cancel()
		if res.Code != c.code || res.Status != c.status || !strings.Contains(res.Reason, c.reason) {
			t.Errorf("%s with %q: %+v", c.action, c.body, res)
		}
	}
}

func TestRebootWithoutReboot(t *testing.T) {
	actions := func(in []string) (as []string) {
		for _, line := range in {
			if a, ok := strings.CutPrefix(line, "action="); ok {
				as = append(as, a)
			}
		}
		return as
	}
	a, input := device(t, false, "[ $action = off ]")
	if res := a.Use(t.Context(), Call{Action: "reboot", Target: "n1"}); res.Code != resources.OK || !strings.Contains(res.Output, "switching it on again failed") {
		t.Errorf("off succeeded, on did not: %+v", res)
	}
	if got := actions(input()); !slices.Equal(got, []string{"off", "on"}) {
		t.Errorf("actions %q", got)
	}
	a, input = device(t, false, "[ $action = on ]")
	if res := a.Use(t.Context(), Call{Action: "reboot", Target: "n1"}); res.Code == resources.OK {
		t.Errorf("off failed: %+v", res)
	}
	if got := actions(input()); !slices.Equal(got, []string{"off"}) {
		t.Errorf("actions %q", got)
	}
}

func TestDeviceAsResource(t *testing.T) {
	a, input := device(t, true, "[ ! -e $(dirname $0)/broken ]")
	run := func(want resources.Code, op resources.Op) {
		t.Helper()
		op.Resource = "dev"
		if res := a.Execute(t.Context(), op); res.Code != want {
			t.Errorf("%s = %+v, want %d", op.Action, res, want)
		}
	}
	probe := resources.Op{Action: "monitor"}
	monitor := resources.Op{Action: "monitor", Interval: time.Minute}
	run(resources.NotRunning, probe)
	run(resources.OK, resources.Op{Action: "start"})
	run(resources.OK, probe)
	input()
	run(resources.OK, monitor)
	if got := input(); !slices.Equal(got, []string{"action=monitor"}) {
		t.Errorf("a monitor says %q", got)
	}
	broken := filepath.Join(a.cfg.SbinDir, "broken")
	if err := os.WriteFile(broken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run(resources.ErrGeneric, monitor)
	run(resources.OK, resources.Op{Action: "stop"})
	run(resources.NotRunning, probe)
	run(resources.ErrGeneric, resources.Op{Action: "start"})
	run(resources.NotRunning, probe)
	run(resources.ErrUnimplemented, resources.Op{Action: "promote"})
}

// What a recovery waits for goes before what keeps the machine busy; a look at the device does not.
func TestFencingIsUrgent(t *testing.T) {
	said := filepath.Join(t.TempDir(), "nice")
	a, _ := device(t, true, "nice >"+said+"; exit 0")
	niceOf := func(c Call) string {
		if res := a.Use(t.Context(), c); res.Code != resources.OK {
			t.Fatalf("%+v", res)
		}
		out, err := os.ReadFile(said)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}
	urgent, ordinary := "-10", "0"
	if out, _ := exec.Command("nice", "-n", "-39", "nice").Output(); strings.TrimSpace(string(out)) != "-20" {
		own, err := exec.Command("nice").Output() // no other is permitted: it stays as it is
		if err != nil {
			t.Fatal(err)
		}
		urgent = strings.TrimSpace(string(own))
		ordinary = urgent
	}
	if got := niceOf(Call{Action: "off", Target: "n1"}); got != urgent {
		t.Errorf("off runs at nice %s, want %s", got, urgent)
	}
	if got := niceOf(Call{Action: "monitor"}); got != ordinary {
		t.Errorf("monitor runs at nice %s, want %s", got, ordinary)
	}
}

func TestFindAndTypes(t *testing.T) {
	a, _ := device(t, true, "")
	if got := a.cfg.Types(); !slices.Equal(got, []string{"fence_test"}) {
		t.Errorf("types %q", got)
	}
	for _, bad := range []string{"fence_none", "log", "fence_/../fence_test", ""} {
		if _, err := a.cfg.Find(bad); err == nil {
			t.Errorf("found %q", bad)
		}
	}
}

// TestDebianAgent uses a real one, which keeps the state of its only plug in a file.
func TestDebianAgent(t *testing.T) {
	a, err := Config{RunDir: t.TempDir()}.Find("fence_dummy")
	if err != nil {
		t.Skip("needs the package fence-agents: ", err)
	}
	params := map[string]string{"status_file": filepath.Join(t.TempDir(), "status"), "pcmk_host_list": "n1"}
	use := func(action string, want resources.Code) resources.Result {
		t.Helper()
		res := a.Use(t.Context(), Call{Params: params, Action: action, Target: "n1"})
		if res.Code != want || res.Status != resources.StatusDone {
			t.Errorf("%s = %+v, want %d", action, res, want)
		}
		return res
	}
	use("on", resources.OK)
	use("status", resources.OK)
	use("off", resources.OK)
	use("status", 2)
	use("reboot", resources.OK)
	use("status", resources.OK)
	use("monitor", resources.OK)
}

func FuzzInput(f *testing.F) {
	f.Add("ip", "10.0.0.1", "n1")
	f.Add("a\nb", "c=d", "x\ny")
	f.Fuzz(func(t *testing.T, name, value, target string) {
		meta := &resources.Metadata{Name: "fence_test", Parameters: []resources.Parameter{{Name: "plug"}}}
		in, err := Input(meta, Call{Params: map[string]string{name: value}, Action: "off", Target: target})
		if err != nil {
			return
		}
		actions := 0
		for line := range strings.Lines(in) {
			if strings.HasPrefix(line, "action=") {
				actions++
			}
		}
		if actions != 1 {
			t.Errorf("%d actions in %q", actions, in)
		}
	})
}
