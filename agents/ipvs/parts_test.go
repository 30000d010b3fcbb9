package ipvs

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"systole/agents/ipvs/config"
	"systole/agents/ipvs/control"
	"systole/agents/ipvs/director"
	"systole/resources"
)

func TestReadFeed(t *testing.T) {
	var tables []map[string]director.Weight
	read := func(text string) error {
		tables = nil
		return readFeed(strings.NewReader(text), func(m map[string]director.Weight) { tables = append(tables, m) })
	}
	if err := read("a drain\nb 5\nc -\n\nb 0\n\nhalf 1\n"); err != nil {
		t.Fatal(err)
	}
	want := []map[string]director.Weight{{"a": {Drain: true}, "b": {Set: true, N: 5}, "c": {}}, {"b": {Set: true}}}
	if d := cmp.Diff(want, tables); d != "" {
		t.Errorf("want -, got +:\n%s", d)
	}
	for _, bad := range []string{"a\n", "a b c\n", "a -1\n", "a 65536\n", "a x\n"} {
		if read(bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func FuzzReadFeed(f *testing.F) {
	f.Add("web-1 drain\nweb-2 -\n\n")
	f.Add("a 65535\n\n\nb 0\n\n")
	f.Add("a  7\t\n\r\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		readFeed(strings.NewReader(text), func(m map[string]director.Weight) {
			for node, w := range m {
				if node == "" || w.N < 0 || w.N > 65535 || w.Set && w.Drain {
					t.Errorf("%q: node %q has %+v", text, node, w)
				}
			}
		})
	})
}

// A promotion does not wait for its score: what depends on it would wait too.
func TestScore(t *testing.T) {
	for _, c := range []struct {
		st    control.Status
		delay time.Duration
		want  string
	}{
		{control.Status{Role: control.Standby, Promotable: true}, 0, "1 after 0s"},
		{control.Status{Role: control.Standby, Promotable: true, Warm: true}, 0, "100 after 0s"},
		{control.Status{Role: control.Active, Promotable: true, Warm: true}, promotedDelay, "105 after 1s"},
		{control.Status{Role: control.Active}, 0, ""},
	} {
		got := ""
		i := instance{scoreDelay: c.delay, cfg: Config{Score: func(_ context.Context, _ resources.Op, score int, delay time.Duration) error {
			got = fmt.Sprintf("%d after %v", score, delay)
			return nil
		}}}
		if note := i.score(t.Context(), c.st); note != "" || got != c.want {
			t.Errorf("%+v: score %q, note %q; want %q", c.st, got, note, c.want)
		}
	}
}

func TestWantedSettings(t *testing.T) {
	for _, c := range []struct {
		text string
		sync bool
		want []string
	}{
		{"virtual tcp 192.0.2.10:80 forward=dr; real 10.0.0.1", false, nil},
		{"virtual tcp 192.0.2.10:80; real 10.0.0.1", false, []string{"net.ipv4.ip_forward=1", "net.ipv4.conf.eth0.send_redirects=0", "net.ipv4.conf.eth0/5.send_redirects=0"}},
		{"virtual tcp [2001:db8::1]:80; real fd00::1", false, []string{"net.ipv6.conf.all.forwarding=1"}},
		{"virtual tcp 192.0.2.10:80 forward=dr persistent=9; real 10.0.0.1", true, []string{"net.ipv4.vs.expire_quiescent_template=1", "net.ipv4.vs.backup_only=1", "net.ipv4.vs.sync_threshold=2 50"}},
		{"sysctl net.ipv4.vs.sync_threshold='3 10'", true, []string{"net.ipv4.vs.backup_only=1", "net.ipv4.vs.sync_threshold=3 10"}}, // ours gives way
	} {
		cfg, err := config.Parse(c.text, config.Defaults{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range wantedSettings(cfg, c.sync, []string{"eth0", "eth0.5"}, func(string) bool { return false }) {
			got = append(got, dotted(s.path)+"="+s.value)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s, sync %v: %v, want %v", c.text, c.sync, got, c.want)
		}
	}
	got := wantedSettings(config.Config{}, false, nil, func(string) bool { return true })
	if want := []setting{{"net/ipv4/vs/conn_reuse_mode", "3"}, {"net/ipv4/vs/expire_nodest_conn", "1"}}; !slices.Equal(got, want) {
		t.Errorf("where the kernel has them: %v, want %v", got, want)
	}
}

func TestParameters(t *testing.T) {
	const some = "virtual tcp 192.0.2.10:80; real 10.0.0.1"
	for _, c := range []struct {
		name   string
		params map[string]string
		want   string // "" is right
	}{
		{"services", map[string]string{"services": some}, ""},
		{"sync alone", map[string]string{"sync_interface": "eth1"}, ""},
		{"nothing", nil, "nothing to do"},
		{"both", map[string]string{"services": some, "config": "/x"}, "one of them"},
		{"no file", map[string]string{"config": "/no/such/file"}, "parameter config: stat /no/such/file"},
		{"fault", map[string]string{"services": "real 10.0.0.1"}, "parameter services: line 1:"},
		{"check", map[string]string{"services": some, "check_defaults": "speed=1"}, "parameter check_defaults:"},
		{"sorry", map[string]string{"services": some, "sorry": "here"}, "parameter sorry:"},
		{"id", map[string]string{"services": some, "sync_interface": "eth1", "sync_id": "256"}, "from 0 to 255"},
		{"group", map[string]string{"services": some, "sync_interface": "eth1", "sync_group": "10.0.0.1"}, "multicast"},
		{"maxlen", map[string]string{"services": some, "sync_interface": "eth1", "sync_maxlen": "70000"}, "sync_maxlen"},
		{"two families with sync", map[string]string{"services": "virtual tcp 192.0.2.10:80 forward=tun; real fd00::1", "sync_interface": "eth1"}, "must be of one family"},
		{"two families", map[string]string{"services": "virtual tcp 192.0.2.10:80 forward=tun; real fd00::1"}, ""},
	} {
		res := New(Config{Dir: t.TempDir()}).Execute(t.Context(), resources.Op{Resource: "r", Action: resources.ActionValidateAll, Params: c.params})
		if (res.Code == resources.OK) != (c.want == "") || !strings.Contains(res.Reason, c.want) || c.want != "" && res.Code != resources.ErrConfigured {
			t.Errorf("%s: code %d, %q; want %q", c.name, res.Code, res.Reason, c.want)
		}
	}
}

// Where nothing was started, a probe and a stop need neither kernel nor process.
func TestNothingThere(t *testing.T) {
	a := New(Config{Dir: t.TempDir()})
	op := resources.Op{Resource: "r", Action: resources.ActionMonitor, Params: map[string]string{"services": "virtual tcp 192.0.2.10:80; real 10.0.0.1"}}
	if res := a.Execute(t.Context(), op); res.Code != resources.NotRunning {
		t.Errorf("probe: %+v", res)
	}
	op.Action, op.Params = resources.ActionStop, nil
	if res := a.Execute(t.Context(), op); res.Code != resources.OK {
		t.Errorf("stop: %+v", res)
	}
}

func TestMetadata(t *testing.T) {
	m, err := resources.ParseMetadata(Metadata.XML())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range config.Options() {
		if !strings.Contains(m.Long, "  "+o.Name+": "+o.Short) {
			t.Errorf("the manual has no option %s of %s", o.Name, o.Line)
		}
	}
}

func TestPaths(t *testing.T) {
	if got := control.Socket("", "a/b"); got != "/run/resource-agents/ipvs-a_b.sock" {
		t.Error(got)
	}
}

// The feed's program is followed, what it said holds when it ends, and it is started again.
func TestFeed(t *testing.T) {
	if _, err := os.Stat("/bin/sh"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	tables, states := make(chan map[string]director.Weight), make(chan string)
	ended := make(chan struct{})
	f := feed{
		argv: []string{"/bin/sh", "-c", "echo a drain; echo; echo a $NUMBER; echo"}, env: []string{"NUMBER=5"},
		table: func(m map[string]director.Weight) { send(ctx, tables, m) },
		state: func(s string) { send(ctx, states, s) },
	}
	go func() { defer close(ended); f.run(ctx) }()
	next := func(want director.Weight) {
		t.Helper()
		if s := <-states; s != "connected" {
			t.Fatalf("the state is %q", s)
		}
		if m := <-tables; m["a"] != want {
			t.Fatalf("the table is %v, want %+v", m, want)
		}
	}
	for range 2 {
		next(director.Weight{Drain: true})
		next(director.Weight{Set: true, N: 5})
		if s := <-states; !strings.Contains(s, "the last table holds; again in") {
			t.Fatalf("after its end: %q", s)
		}
	}
	cancel()
	<-ended
}
