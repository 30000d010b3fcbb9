package display

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"systole/crm/cib"
	"systole/crm/scheduler"
	"systole/crm/status"
)

// view reads a CIB under testdata, changed by pairs of old and new text.
func view(t *testing.T, name string, changes ...string) *View {
	t.Helper()
	src, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(src)
	for i := 0; i+1 < len(changes); i += 2 {
		if !strings.Contains(text, changes[i]) {
			t.Fatalf("%s does not contain %q", name, changes[i])
		}
		text = strings.ReplaceAll(text, changes[i], changes[i+1])
	}
	root, err := cib.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)
	return &View{Status: status.Unpack(root, now), Updated: now, Options: Options{Show: DefaultText}}
}

func TestReadable(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                 "0s",
		3 * time.Millisecond:              "3ms",
		1500 * time.Millisecond:           "1.500s",
		65 * time.Second:                  "1m5s",
		26*time.Hour + 7*time.Millisecond: "1d2h7ms",
		time.Second:                       "1000ms",
		time.Minute:                       "60s",
		time.Hour:                         "60m",
		2 * time.Hour:                     "2h",
	} {
		if got := readable(d); got != want {
			t.Errorf("readable(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestOneLine(t *testing.T) {
	v := view(t, "mixed.xml")
	if text, ok := v.OneLine(); ok || text != "CLUSTER WARN: offline node: box-1 offline node: delta offline node: node10" {
		t.Errorf("got %q, %v", text, ok)
	}
	small := view(t, "well.xml")
	if text, ok := small.OneLine(); !ok || text != "CLUSTER OK: 2 nodes online, 1 resource instance configured" {
		t.Errorf("got %q, %v", text, ok)
	}
	for _, none := range []string{"", ` dc-uuid=""`} {
		if text, ok := view(t, "well.xml", ` dc-uuid="1"`, none).OneLine(); ok || text != "CLUSTER WARN: No DC" {
			t.Errorf("with%s: got %q, %v", none, text, ok)
		}
	}
}

func TestFencingSections(t *testing.T) {
	at := time.Date(2026, 11, 20, 7, 30, 0, 0, time.UTC)
	events := []FenceEvent{
		{Action: "reboot", Target: "c", Client: "systoled", Origin: "a", State: FencePending},
		{Action: "off", Target: "b", Client: "crm", Origin: "a", Delegate: "a", State: FenceFailed, Reason: "no device", Completed: at},
		{Action: "reboot", Target: "b", Client: "crm", Origin: "a", Delegate: "a", State: FenceDone, Completed: at},
		{Action: "reboot", Target: "b", Client: "crm", Origin: "a", Delegate: "a", State: FenceDone, Completed: at.Add(-time.Hour)},
	}
	for _, c := range []struct {
		show Show
		full bool
		want string
	}{
		{ShowFencingFailed, false, "Failed Fencing Actions:\n  * off of b by a for crm@a last failed at 2026-11-20 07:30:00Z (no device)\n"},
		{ShowFencingPending, false, "Pending Fencing Actions:\n  * reboot of c pending: client=systoled, origin=a\n"},
		{ShowFencingSucceeded, false, "Fencing History:\n  * reboot of b by a for crm@a last successful at 2026-11-20 07:30:00Z\n"},
		{ShowFencingSucceeded, true, "Fencing History:\n  * reboot of b by a for crm@a successful at 2026-11-20 07:30:00Z\n  * reboot of b by a for crm@a successful at 2026-11-20 06:30:00Z\n"},
	} {
		v := view(t, "well.xml")
		v.Fencing, v.Options.Show, v.Options.FencingFull = events, c.show, c.full
		var b strings.Builder
		if err := v.Text(&b); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, b.String()); diff != "" {
			t.Errorf("sections %b (-want +got):\n%s", c.show, diff)
		}
	}
	v := view(t, "well.xml")
	v.Fencing, v.Options.Show = events, ShowFencing
	var b strings.Builder
	if err := v.XML(&b, Root{}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<fence_event action="reboot" target="c" client="systoled" origin="a" status="pending"/>`,
		`status="failed" exit-reason="no device" delegate="a" completed="2026-11-20 07:30:00Z"/>`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
}

func TestNodeStates(t *testing.T) {
	const well = `in_ccm="true" crmd="online" join="member" expected="member"`
	for _, c := range []struct{ from, to, want string }{
		{`<node id="2" uname="b"/>`, `<node id="2" uname="b"><instance_attributes id="i"><nvpair id="i1" name="standby" value="on"/></instance_attributes></node>`, "Node b: standby"},
		{`<node id="2" uname="b"/>`, `<node id="2" uname="b"><instance_attributes id="i"><nvpair id="i1" name="maintenance" value="true"/></instance_attributes></node>`, "Node b: maintenance"},
		{`uname="b" ` + well, `uname="b" in_ccm="false" crmd="offline" join="down" expected="down"`, "OFFLINE: [ b ]"},
		{`name="node-health-strategy" value="none"`, `name="node-health-strategy" value="custom"`, "Node a: online (health is YELLOW)"},
	} {
		v := view(t, "well.xml", c.from, c.to)
		var b strings.Builder
		if err := v.Text(&b); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(b.String(), "  * "+c.want+"\n") {
			t.Errorf("with %s: no %q in\n%s", c.to, c.want, b.String())
		}
	}
}

func TestNodeStateWords(t *testing.T) {
	v := view(t, "well.xml")
	for want, n := range map[string]status.Node{
		"UNCLEAN (online)":                {Unclean: true, Online: true, Pending: true},
		"UNCLEAN (pending)":               {Unclean: true, Pending: true},
		"UNCLEAN (offline)":               {Unclean: true, Standby: true},
		"pending":                         {Pending: true, Standby: true},
		"standby (on-fail)":               {Online: true, StandbyOnFail: true, Standby: true},
		"standby (with active resources)": {Online: true, Standby: true, Active: []status.ResID{0}},
		"standby":                         {Online: true, Standby: true, Maintenance: true},
		"OFFLINE (standby)":               {Standby: true},
		"maintenance":                     {Online: true, Maintenance: true},
		"OFFLINE (maintenance)":           {Maintenance: true},
		"online":                          {Online: true},
		"OFFLINE":                         {},
	} {
		if got := v.nodeState(&n); got != want {
			t.Errorf("%+v: %q, want %q", n, got, want)
		}
	}
}

func TestHTMLEscapes(t *testing.T) {
	v := view(t, "well.xml", `cluster-infrastructure" value="corosync"`, `cluster-infrastructure" value="a&lt;b"`)
	var b strings.Builder
	if err := v.HTML(&b, Page{Title: "x < y", Refresh: "5"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<title>x &lt; y</title>", "Stack: a&lt;b", `content="5"`, "<h2>Node List</h2>"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestChangeElements(t *testing.T) {
	for _, c := range []struct {
		change scheduler.Change
		want   string
	}{
		{scheduler.Change{Verb: "Start", Subject: "r", Detail: "n1"}, `<rsc_action action="start" resource="r" node="n1"/>`},
		{scheduler.Change{Verb: "Stop", Subject: "r", Detail: "Promoted n1", Reason: "no quorum", Blocked: true}, `<rsc_action action="stop" resource="r" role="Promoted" node="n1" reason="no quorum" blocked="true"/>`},
		{scheduler.Change{Verb: "Move", Subject: "r", Detail: "n1 -> n2"}, `<rsc_action action="move" resource="r" source="n1" dest="n2"/>`},
		{scheduler.Change{Verb: "Restart", Subject: "r", Detail: "n1"}, `<rsc_action action="restart" resource="r" source="n1"/>`},
		{scheduler.Change{Verb: "Promote", Subject: "r", Detail: "Unpromoted -> Promoted n1"}, `<rsc_action action="promote" resource="r" role="Unpromoted" next-role="Promoted" source="n1"/>`},
		{scheduler.Change{Verb: "Promote", Subject: "r", Detail: "Stopped -> Promoted n1"}, `<rsc_action action="promote" resource="r" role="Stopped" next-role="Promoted" dest="n1"/>`},
		{scheduler.Change{Verb: "Move", Subject: "r", Detail: "Promoted n1 -> Unpromoted n2"}, `<rsc_action action="move" resource="r" role="Promoted" source="n1" next-role="Unpromoted" dest="n2"/>`},
		{scheduler.Change{Verb: "Fence (off)", Subject: "n1 (resource: vm)", Resource: status.NoRes, Reason: "guest is unclean"}, `<node_action task="Fence (off)" node="n1" reason="guest is unclean"/>`},
	} {
		if diff := cmp.Diff(c.want, changeElement(c.change).String()); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.change, diff)
		}
	}
}
