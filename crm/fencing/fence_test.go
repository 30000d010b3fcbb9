package fencing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/cib"
	"systole/resources"
)

// power is a rack of outlets: what devices did to whom, in order.
type power struct {
	calls []string
	fail  map[string]int // "device action" → how often it fails first
	list  map[string]string
	began time.Time
	lies  bool // does nothing and says it did; its status tells the truth
}

func (p *power) Run(_ context.Context, c Call) (resources.Result, string) {
	if c.Action == "list" {
		return resources.Result{Stdout: []byte(p.list[c.Device.ID])}, "a"
	}
	if c.Action == "status" {
		if p.lies {
			return resources.Result{}, "a"
		}
		return resources.Result{Code: 2}, "a"
	}
	call := fmt.Sprintf("%s %s %s", c.Device.ID, c.Action, c.Port)
	if !p.began.IsZero() {
		call += fmt.Sprintf(" +%v", time.Since(p.began))
	}
	p.calls = append(p.calls, call)
	key := c.Device.ID + " " + c.Action
	if p.fail[key] > 0 {
		p.fail[key]--
		return resources.Result{Code: resources.ErrGeneric, Reason: "unreachable"}, "a"
	}
	return resources.Result{}, "a"
}

func parse(t testing.TB, devices, topology string) *cib.CIB {
	t.Helper()
	c, err := cib.ParseCIB([]byte(`<cib><configuration><crm_config/><nodes><node id="1" uname="n1"/><node id="2" uname="n2"><instance_attributes id="x"><nvpair id="y" name="rack" value="r1"/></instance_attributes></node></nodes><resources>` +
		devices + `</resources><constraints/>` + topology + `</configuration><status/></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// device is a primitive with parameters "name=value".
func device(id string, params ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<primitive id="%s" class="stonith" type="fence_x"><instance_attributes id="%s-i">`, id, id)
	for i, p := range params {
		name, value, _ := strings.Cut(p, "=")
		fmt.Fprintf(&b, `<nvpair id="%s-%d" name="%s" value="%s"/>`, id, i, name, value)
	}
	b.WriteString(`</instance_attributes></primitive>`)
	return b.String()
}

func TestAnyDeviceThatKnowsTheTarget(t *testing.T) {
	c := parse(t, device("other", "pcmk_host_list=n1")+device("mine", "pcmk_host_map=n2:port7"), "")
	p := &power{}
	delegate, err := Fence(t.Context(), c, Request{Target: "n2", Action: "reboot"}, p)
	if err != nil || delegate != "a" || !slices.Equal(p.calls, []string{"mine reboot port7"}) {
		t.Errorf("got %v by %q, calls %v", err, delegate, p.calls)
	}
}

func TestDynamicList(t *testing.T) {
	c := parse(t, device("d1")+device("d2"), "")
	p := &power{list: map[string]string{"d1": "n1,\n", "d2": "17,n2\n"}}
	if _, err := Fence(t.Context(), c, Request{Target: "n2", Action: "off"}, p); err != nil || !slices.Equal(p.calls, []string{"d2 off n2"}) {
		t.Errorf("got %v, calls %v", err, p.calls)
	}
}

func TestNoDeviceIsNoProof(t *testing.T) {
	for _, devices := range []string{"", device("d", "pcmk_host_list=n1"), device("silent")} {
		if _, err := Fence(t.Context(), parse(t, devices, ""), Request{Target: "n2", Action: "reboot"}, &power{}); !errors.Is(err, ErrNoDevice) {
			t.Errorf("devices %q: got %v", devices, err)
		}
	}
}

func TestLevelsInOrderAndAllOfALevel(t *testing.T) {
	devices := device("ipmi", "pcmk_host_check=none") + device("left", "pcmk_host_check=none") + device("right", "pcmk_host_check=none")
	topology := `<fencing-topology><fencing-level id="2" target="n2" index="2" devices="left,right"/><fencing-level id="1" target="n2" index="1" devices="ipmi"/></fencing-topology>`
	p := &power{fail: map[string]int{"ipmi reboot": 2}}
	if _, err := Fence(t.Context(), parse(t, devices, topology), Request{Target: "n2", Action: "reboot"}, p); err != nil {
		t.Fatal(err)
	}
	want := []string{"ipmi reboot n2", "ipmi reboot n2", "left off n2", "right off n2", "left on n2", "right on n2"}
	if !slices.Equal(p.calls, want) {
		t.Errorf("calls %v, want %v", p.calls, want)
	}
}

// Half a power cut is none.
func TestHalfALevelFails(t *testing.T) {
	devices := device("left", "pcmk_host_check=none") + device("right", "pcmk_host_check=none")
	topology := `<fencing-topology><fencing-level id="1" target-attribute="rack" target-value="r1" index="1" devices="left,right"/></fencing-topology>`
	p := &power{fail: map[string]int{"right off": 9}}
	_, err := Fence(t.Context(), parse(t, devices, topology), Request{Target: "n2", Action: "reboot"}, p)
	if err == nil || !strings.Contains(err.Error(), "unreachable") {
		t.Errorf("got %v", err)
	}
	if slices.Contains(p.calls, "left on n2") {
		t.Error("switched on again what was only half switched off")
	}
}

// A device that says "off" and then "on" has not fenced anybody.
func TestLyingDevice(t *testing.T) {
	c := parse(t, device("liar", "pcmk_host_check=none"), "")
	_, err := Fence(t.Context(), c, Request{Target: "n2", Action: "off"}, &power{lies: true})
	if err == nil || !strings.Contains(err.Error(), "says now that it is on") {
		t.Errorf("got %v", err)
	}
}

func TestDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parse(t, device("d", "pcmk_host_check=none", "pcmk_delay_base=n1:1s;n2:5s", "pcmk_delay_max=9s"), "")
		p := &power{began: time.Now()}
		if _, err := Fence(t.Context(), c, Request{Target: "n2", Action: "off", Delay: 2 * time.Second, Share: 0.5}, p); err != nil {
			t.Fatal(err)
		}
		if want := []string{"d off n2 +9s"}; !slices.Equal(p.calls, want) { // 2 + 5 + half of 4
			t.Errorf("calls %v, want %v", p.calls, want)
		}
	})
}

func TestHistory(t *testing.T) {
	var h History
	at := time.Unix(100, 0)
	h.Begin(Event{Target: "n1", Action: "off"})("a", nil, at)
	end := h.Begin(Event{Target: "n2", Action: "reboot"})
	if l := h.List("n2"); len(l) != 1 || l[0].State != Pending {
		t.Errorf("while it runs: %+v", l)
	}
	h.Forget("")
	end("", errors.New("no power"), at)
	if l := h.List(""); len(l) != 1 || l[0].State != Failed || l[0].Reason != "no power" {
		t.Errorf("afterwards: %+v", l)
	}
}

// FuzzHostMap: whatever is configured, reading it never panics and a node's port is never empty.
func FuzzHostMap(f *testing.F) {
	f.Add("n1:1;n2:2,3", "n1")
	f.Add(":;;a", "a")
	f.Fuzz(func(t *testing.T, m, node string) {
		d := Device{Params: map[string]string{"pcmk_host_map": m, "pcmk_delay_base": m, "pcmk_host_list": m}}
		if node != "" && d.Port(node) == "" {
			t.Errorf("map %q: no port for %q", m, node)
		}
		if d.Delay(node, 0.5) < 0 {
			t.Errorf("base %q: negative delay", m)
		}
		d.Knows(node)
	})
}
