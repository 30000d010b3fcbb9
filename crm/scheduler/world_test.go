package scheduler_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/scheduler"
	"systole/crm/status"
)

var now = time.Unix(1_800_000_000, 0).UTC()

// world is a CIB in the making: a configuration in the language of crm configure, and what the nodes say.
type world struct {
	conf   *cib.Element
	quorum bool
	nodes  []*worldNode
	call   int
	agents map[string]*cib.Element // primitives by name
	params map[string]map[string]string
}

type worldNode struct {
	name    string
	state   []string // attribute pairs of node_state
	attrs   [][2]string
	history map[string][]*cib.Element // operations by resource
}

// fataler is what a test of either kind can do.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// parseWorld reads a text whose lines starting with @ tell of nodes and operations:
//
//	@no-quorum
//	@node NAME [lost|unproven|gone|left]
//	@attr NODE NAME VALUE
//	@op NODE RESOURCE TASK[=INTERVAL_MS] RC [pending]
//
// Everything else is configuration.
func parseWorld(t fataler, text string) *world {
	t.Helper()
	var conf, facts []string
	for line := range strings.Lines(text) {
		if f, ok := strings.CutPrefix(line, "@"); ok {
			facts = append(facts, f)
		} else {
			conf = append(conf, line)
		}
	}
	d := clitext.NewDraft(nil)
	if err := d.Load(strings.Join(conf, ""), clitext.LoadUpdate); err != nil {
		t.Fatalf("configuration: %v", err)
	}
	w := newWorld(d.Configuration())
	for _, f := range facts {
		if err := w.fact(strings.Fields(f)); err != nil {
			t.Fatalf("@%s: %v", f, err)
		}
	}
	return w
}

func newWorld(conf *cib.Element) *world {
	w := &world{conf: conf, quorum: true, agents: map[string]*cib.Element{}, params: map[string]map[string]string{}}
	w.index(conf.Child("resources"))
	return w
}

func (w *world) index(e *cib.Element) {
	if e == nil {
		return
	}
	for _, c := range e.Children() {
		if c.Name() == "primitive" {
			w.agents[c.ID()] = c
			params := map[string]string{}
			for nv := range c.Child("instance_attributes").Each("nvpair") {
				params[nv.Get("name")] = nv.Get("value")
			}
			w.params[c.ID()] = params
		}
		w.index(c)
	}
}

func (w *world) fact(f []string) error {
	switch {
	case len(f) == 1 && f[0] == "no-quorum":
		w.quorum = false
	case len(f) >= 2 && f[0] == "node":
		w.node(f[1], append(f[2:], "")[0])
	case len(f) == 4 && f[0] == "attr":
		n := w.find(f[1])
		n.attrs = append(n.attrs, [2]string{f[2], f[3]})
	case len(f) >= 5 && f[0] == "op":
		task, ms, _ := strings.Cut(f[3], "=")
		return w.op(f[1], f[2], task, ms, f[4], append(f[5:], "")[0])
	default:
		return fmt.Errorf("unknown fact")
	}
	return nil
}

func (w *world) find(name string) *worldNode {
	for _, n := range w.nodes {
		if n.name == name {
			return n
		}
	}
	return w.node(name, "")
}

func (w *world) node(name, kind string) *worldNode {
	n := &worldNode{name: name, history: map[string][]*cib.Element{}}
	online := []string{"in_ccm", "true", "crmd", "online", "join", "member", "expected", "member"}
	switch kind {
	case "lost":
		n.state = []string{"in_ccm", "false", "crmd", "offline", "join", "down", "expected", "member"}
	case "unproven":
		n.state = []string{"in_ccm", "false", "crmd", "offline", "join", "down", "expected", "member", "unproven", "true"}
	case "left":
		n.state = []string{"in_ccm", "false", "crmd", "offline", "join", "down", "expected", "down"}
	case "gone":
	default:
		n.state = online
	}
	w.nodes = append(w.nodes, n)
	return n
}

func (w *world) op(node, resource, task, ms, rc, extra string) error {
	n := w.find(node)
	base, _, _ := strings.Cut(resource, ":")
	if w.agents[base] == nil {
		return fmt.Errorf("no primitive %s", base)
	}
	w.call++
	target := "0"
	if task == "monitor" && ms == "" {
		target = "7"
	}
	opStatus := "0"
	if extra == "pending" {
		opStatus = "-1"
	}
	params := maps.Clone(w.params[base])
	if ms != "" {
		params["CRM_meta_timeout"] = "20000" // a recurring operation's timeout counts
	}
	ms = orZero(ms)
	n.history[resource] = append(n.history[resource], cib.New("lrm_rsc_op", "id", resource+"_"+task+"_"+ms,
		"operation", task, "interval", ms, "call-id", strconv.Itoa(w.call), "rc-code", rc, "op-status", opStatus,
		"crm_feature_set", "3.19.0", "op-digest", status.DigestOf(params), "last-rc-change", strconv.FormatInt(now.Unix()-1000+int64(w.call), 10),
		"transition-key", "1:1:"+target+":11111111-2222-3333-4444-555555555555",
		"transition-magic", opStatus+":"+rc+";1:1:"+target+":11111111-2222-3333-4444-555555555555"))
	return nil
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// root is the whole CIB.
func (w *world) root() *cib.Element {
	nodes := cib.New("nodes")
	states := cib.New("status")
	for _, n := range w.nodes {
		nodes = nodes.Append(cib.New("node", "id", n.name, "uname", n.name))
		if n.state == nil {
			continue
		}
		set := cib.New("instance_attributes", "id", "status-"+n.name)
		for i, a := range n.attrs {
			set = set.Append(cib.New("nvpair", "id", "status-"+n.name+"-"+strconv.Itoa(i), "name", a[0], "value", a[1]))
		}
		resources := cib.New("lrm_resources")
		for _, name := range slices.Sorted(maps.Keys(n.history)) {
			base, _, _ := strings.Cut(name, ":")
			a := w.agents[base]
			e := cib.New("lrm_resource", "id", name, "class", a.Get("class"), "type", a.Get("type"))
			if p := a.Get("provider"); p != "" {
				e = e.With("provider", p)
			}
			resources = resources.Append(e.Append(n.history[name]...))
		}
		state := cib.New("node_state", append([]string{"id", n.name, "uname", n.name}, n.state...)...)
		states = states.Append(state.Append(cib.New("transient_attributes", "id", n.name).Append(set),
			cib.New("lrm", "id", n.name).Append(resources)))
	}
	conf := cib.New("configuration")
	for _, section := range []string{"crm_config", "nodes", "resources", "constraints", "fencing-topology", "op_defaults", "rsc_defaults", "tags"} {
		if section == "nodes" {
			conf = conf.Append(nodes)
		} else if e := w.conf.Child(section); e != nil {
			conf = conf.Append(e)
		}
	}
	return cib.New("cib", "admin_epoch", "0", "epoch", "1", "num_updates", "1", "crm_feature_set", "3.19.0",
		"have-quorum", strconv.FormatBool(w.quorum), "validate-with", "pacemaker-3.9").Append(conf, states)
}

// lines are a plan as text: the summary, then the graph, each action with those it waits for.
func lines(r *scheduler.Result) string {
	var b strings.Builder
	for _, c := range r.Plan.Changes {
		fmt.Fprintf(&b, "%s %s", c.Verb, c.Subject)
		if c.Detail != "" {
			fmt.Fprintf(&b, " (%s)", c.Detail)
		}
		if c.Reason != "" {
			fmt.Fprintf(&b, " due to %s", c.Reason)
		}
		if c.Blocked {
			b.WriteString(" blocked")
		}
		b.WriteByte('\n')
	}
	name := func(a *scheduler.Action) string {
		if a.Node == status.NoNode {
			return a.Key
		}
		return a.Key + "@" + r.Status.Nodes[a.Node].Name
	}
	for i := range r.Plan.Actions {
		a := &r.Plan.Actions[i]
		if !a.InGraph {
			continue
		}
		fmt.Fprintf(&b, "  %s", name(a))
		var after []string
		for _, id := range a.Before {
			if first := &r.Plan.Actions[id-1]; first.InGraph {
				after = append(after, name(first))
			}
		}
		if len(after) > 0 {
			slices.Sort(after)
			fmt.Fprintf(&b, " after %s", strings.Join(after, " "))
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "nothing to do\n"
	}
	return b.String()
}
