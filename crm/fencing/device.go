package fencing

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/isotime"
)

// Device is one configured stonith primitive.
type Device struct {
	ID    string
	Agent string // "fence_ipmilan"
	// Params are the configured parameters, pcmk_* ones included.
	Params map[string]string
	// Banned are the nodes a location constraint forbids to use it.
	Banned []string
}

// Devices are the stonith primitives of a CIB by id, in document order; those
// with target-role=Stopped are left out, as nobody may use them.
func Devices(c *cib.CIB) []Device {
	var out []Device
	resources := c.Section("resources")
	if resources == nil {
		return nil
	}
	for e := range cib.All(resources) {
		if e.Name() != "primitive" || e.Get("class") != "stonith" || values(e, "meta_attributes")["target-role"] == "Stopped" {
			continue
		}
		out = append(out, Device{ID: e.ID(), Agent: e.Get("type"), Params: values(e, "instance_attributes"), Banned: banned(c, e.ID())})
	}
	return out
}

// values are the pairs of an element's attribute sets; the first of a name counts.
func values(e *cib.Element, tag string) map[string]string {
	out := map[string]string{}
	for set := range e.Each(tag) {
		for nv := range set.Each("nvpair") {
			if _, ok := out[nv.Get("name")]; !ok {
				out[nv.Get("name")] = nv.Get("value")
			}
		}
	}
	return out
}

func banned(c *cib.CIB, id string) []string {
	var out []string
	for l := range c.Section("constraints").Each("rsc_location") {
		if l.Get("rsc") == id && l.Get("score") == "-INFINITY" && l.Get("node") != "" {
			out = append(out, l.Get("node"))
		}
	}
	return out
}

// Knows says whether a device can fence a target by its configuration.
type Knows uint8

// The answers. Ask means that only the device itself can say.
const (
	No Knows = iota
	Yes
	AskList   // by its list of ports
	AskStatus // by asking for the target's status
)

// Knows answers from pcmk_host_list, pcmk_host_map and pcmk_host_check.
func (d Device) Knows(target string) Knows {
	list, mapped := hostList(d.Params["pcmk_host_list"]), hostMap(d.Params["pcmk_host_map"])
	check := d.Params["pcmk_host_check"]
	if check == "" {
		check = "dynamic-list"
		if len(list) > 0 || len(mapped) > 0 {
			check = "static-list"
		}
	}
	switch check {
	case "none":
		return Yes
	case "status":
		return AskStatus
	case "static-list":
		if _, ok := mapped[target]; ok || slices.Contains(list, target) {
			return Yes
		}
		return No
	}
	return AskList
}

// Port is what the device calls the target: pcmk_host_map's name, else the node's.
func (d Device) Port(target string) string {
	if p := hostMap(d.Params["pcmk_host_map"])[target]; p != "" {
		return p
	}
	return target
}

// hostList reads "a b,c;d".
func hostList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' || r == ',' || r == ';' || r == '\n' || r == '\t' })
}

// hostMap reads "node:port;node:port1,port2".
func hostMap(s string) map[string]string {
	out := map[string]string{}
	for _, pair := range strings.FieldsFunc(s, func(r rune) bool { return r == ';' || r == ' ' || r == '\n' || r == '\t' }) {
		if node, port, ok := strings.Cut(pair, ":"); ok {
			out[node] = port
		}
	}
	return out
}

// Defaults of the tunables (pacemaker-fenced(7)).
const (
	DefaultTimeout = 60 * time.Second
	defaultRetries = 2
)

// Action is the device's own word for an action (pcmk_reboot_action…).
func (d Device) Action(action string) string {
	if a := d.Params["pcmk_"+action+"_action"]; a != "" {
		return a
	}
	return action
}

// Timeout of an action (pcmk_reboot_timeout…); whole is the request's default.
func (d Device) Timeout(action string, whole time.Duration) time.Duration {
	if t := interval(d.Params["pcmk_"+action+"_timeout"]); t > 0 {
		return t
	}
	if whole > 0 {
		return whole
	}
	return DefaultTimeout
}

// Tries is how often an action is tried (pcmk_reboot_retries…), at least once.
func (d Device) Tries(action string) int {
	n, err := strconv.Atoi(d.Params["pcmk_"+action+"_retries"])
	if err != nil {
		return defaultRetries
	}
	return max(1, n)
}

// Delay is how long to wait before the device is used on the target:
// pcmk_delay_base, for all or by node ("a:1s;b:5s"), and a share of what is
// left up to pcmk_delay_max. The share is drawn from [0, 1) by the caller: two
// nodes that shoot at each other must not draw the same.
func (d Device) Delay(target string, share float64) time.Duration {
	base := d.Params["pcmk_delay_base"]
	if strings.Contains(base, ":") {
		base = hostMap(base)[target]
	}
	delay := interval(base)
	if most := interval(d.Params["pcmk_delay_max"]); most > delay {
		delay += time.Duration(share * float64(most-delay))
	}
	return delay
}

func interval(s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := isotime.ParseInterval(s)
	if err != nil || d < 0 {
		return 0
	}
	return d
}
