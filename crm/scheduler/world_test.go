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
	panics bool // the partition has had quorum
	nodes  []*worldNode
	call   int
	state  []*cib.Element          // what the status section holds beside the nodes: tickets
	agents map[string]*cib.Element // primitives by name
	params map[string]map[string]string
}

type worldNode struct {
	name    string
	state   []string // attribute pairs of node_state
	attrs   [][2]string
	history map[string][]*cib.Element // operations by resource
	locks   map[string]string         // resource to the instant its shutdown lock began, in seconds
}

// fataler is what a test of either kind can do.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// parseWorld reads a text whose lines starting with @ tell of nodes and operations:
//
//	@no-quorum [lost]
//	@removed NAME
//	@node NAME [lost|unproven|gone|left|remote]
//	@attr NODE NAME VALUE
//	@op NODE RESOURCE TASK[=INTERVAL_MS] RC [pending|changed|reloadable|from=NODE|to=NODE]
//	@lock NODE RESOURCE SECONDS_AGO
//	@ticket NAME [granted|revoked|standby]
//
// "changed" says the parameters were others then, "reloadable" that only such as the agent can reload were; "from" and "to"
// name the other node of a migration. Quorum "lost" was there once, a resource removed from the configuration has a history
// only. Everything else is configuration; "node NAME ..." gives a node its attributes.
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
		if c.Name() == "bundle" {
			for i := range 3 {
				w.agents[fmt.Sprintf("%s-docker-%d", c.ID(), i)] = cib.New("primitive", "class", "ocf", "provider", "heartbeat", "type", "docker")
				w.agents[fmt.Sprintf("%s-%d", c.ID(), i)] = cib.New("primitive", "class", "ocf", "provider", "pacemaker", "type", "remote")
			}
		}
		if guest := c.Child("meta_attributes"); c.Name() == "primitive" {
			for nv := range guest.Each("nvpair") {
				if nv.Get("name") == "remote-node" {
					w.agents[nv.Get("value")] = cib.New("primitive", "class", "ocf", "provider", "pacemaker", "type", "remote")
				}
			}
		}
		w.index(c)
	}
}

func (w *world) fact(f []string) error {
	switch {
	case f[0] == "no-quorum":
		w.quorum, w.panics = false, len(f) == 2
	case len(f) == 2 && f[0] == "removed":
		w.agents[f[1]] = cib.New("primitive", "class", "ocf", "provider", "pacemaker", "type", "Dummy")
		w.params[f[1]] = map[string]string{}
	case len(f) >= 2 && f[0] == "node":
		w.node(f[1], append(f[2:], "")[0])
	case len(f) == 4 && f[0] == "attr":
		n := w.find(f[1])
		n.attrs = append(n.attrs, [2]string{f[2], f[3]})
	case len(f) == 4 && f[0] == "lock":
		ago, err := strconv.ParseInt(f[3], 10, 64)
		if err != nil {
			return err
		}
		w.find(f[1]).locks[f[2]] = strconv.FormatInt(now.Unix()-ago, 10)
	case len(f) == 3 && f[0] == "ticket":
		w.state = append(w.state, cib.New("ticket_state", "id", f[1],
			"granted", strconv.FormatBool(f[2] != "revoked"), "standby", strconv.FormatBool(f[2] == "standby")))
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
	n := &worldNode{name: name, history: map[string][]*cib.Element{}, locks: map[string]string{}}
	online := []string{"in_ccm", "true", "crmd", "online", "join", "member", "expected", "member"}
	switch kind {
	case "lost":
		n.state = []string{"in_ccm", "false", "crmd", "offline", "join", "down", "expected", "member"}
	case "unproven":
		n.state = []string{"in_ccm", "false", "crmd", "offline", "join", "down", "expected", "member", "unproven", "true"}
	case "left":
		n.state = []string{"in_ccm", "false", "crmd", "offline", "join", "down", "expected", "down"}
	case "gone":
	case "remote":
		n.state = []string{"remote_node", "true", "in_ccm", "true"}
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
	if ms != "" && rc == "8" {
		target = "8" // a promoted instance's monitor
	}
	opStatus := "0"
	if extra == "pending" {
		opStatus = "-1"
	}
	params := maps.Clone(w.params[base])
	if params != nil && ms != "" {
		params["CRM_meta_timeout"] = "20000" // a recurring operation's timeout counts
	}
	ms = orZero(ms)
	entry := cib.New("lrm_rsc_op", "id", resource+"_"+task+"_"+ms,
		"operation", task, "interval", ms, "call-id", strconv.Itoa(w.call), "rc-code", rc, "op-status", opStatus,
		"crm_feature_set", "3.19.0", "op-digest", status.DigestOf(params), "last-rc-change", strconv.FormatInt(now.Unix()-1000+int64(w.call), 10),
		"transition-key", "1:1:"+target+":11111111-2222-3333-4444-555555555555",
		"transition-magic", opStatus+":"+rc+";1:1:"+target+":11111111-2222-3333-4444-555555555555")
	if w.params[base] == nil {
		entry = entry.Without("op-digest") // root knows
	}
	switch kind, other, _ := strings.Cut(extra, "="); kind {
	case "changed":
		entry = entry.With("op-digest", "0")
	case "reloadable":
		entry = entry.With("op-digest", "0").With("op-force-restart", " none ").With("op-restart-digest", status.DigestOf(nil))
	case "from":
		entry = entry.With("migrate_source", other).With("migrate_target", node)
	case "to":
		entry = entry.With("migrate_source", node).With("migrate_target", other)
	}
	n.history[resource] = append(n.history[resource], entry)
	return nil
}

func orZero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// described is a node as the configuration has it, or else with its name alone.
func (w *world) described(name string) *cib.Element {
	for e := range w.conf.Child("nodes").Each("node") {
		if e.Get("uname") == name {
			return e.With("id", name)
		}
	}
	return cib.New("node", "id", name, "uname", name)
}

// root is the whole CIB. Where the cluster itself decides an agent's parameters, as for containers and connections, history
// says they were what they are now.
func (w *world) root() *cib.Element {
	root := w.document()
	s := status.Unpack(root, now)
	ev := s.Evaluator()
	for _, n := range w.nodes {
		ev.BundleHost = func(status.ResID) (string, bool) { return n.name, true }
		at := slices.IndexFunc(s.Nodes, func(node status.Node) bool { return node.Name == n.name })
		for name, ops := range n.history {
			rsc := slices.IndexFunc(s.Resources, func(r status.Resource) bool { return r.ID == name })
			for i, op := range ops {
				if op.Get("op-digest") == "" && at >= 0 && rsc >= 0 {
					ops[i] = op.With("op-digest", ev.CompareDigests(s.Resources[rsc].Index, s.Nodes[at].Index, op).All)
				}
			}
		}
	}
	return w.document()
}

func (w *world) document() *cib.Element {
	nodes := cib.New("nodes")
	states := cib.New("status")
	for _, n := range w.nodes {
		if !slices.Contains(n.state, "remote_node") {
			nodes = nodes.Append(w.described(n.name))
		}
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
			if since := n.locks[name]; since != "" {
				e = e.With("shutdown-lock", since)
			}
			resources = resources.Append(e.Append(n.history[name]...))
		}
		state := cib.New("node_state", append([]string{"id", n.name, "uname", n.name}, n.state...)...)
		states = states.Append(state.Append(cib.New("transient_attributes", "id", n.name).Append(set),
			cib.New("lrm", "id", n.name).Append(resources)))
	}
	if len(w.state) > 0 {
		states = states.Append(cib.New("tickets").Append(w.state...))
	}
	conf := cib.New("configuration")
	for _, section := range []string{"crm_config", "nodes", "resources", "constraints", "fencing-topology", "op_defaults", "rsc_defaults", "tags"} {
		if section == "nodes" {
			conf = conf.Append(nodes)
		} else if e := w.conf.Child(section); e != nil {
			conf = conf.Append(e)
		}
	}
	root := cib.New("cib", "admin_epoch", "0", "epoch", "1", "num_updates", "1", "crm_feature_set", "3.19.0",
		"have-quorum", strconv.FormatBool(w.quorum), "validate-with", "pacemaker-3.9").Append(conf, states)
	if w.panics {
		root = root.With("no-quorum-panic", "1")
	}
	return root
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
		if a.Task == "cancel" {
			return "cancel " + a.Key + "@" + r.Status.Nodes[a.Node].Name
		}
		return a.Key + "@" + r.Status.Nodes[a.Node].Name
	}
	for i := range r.Plan.Actions {
		a := &r.Plan.Actions[i]
		if !a.InGraph {
			continue
		}
		fmt.Fprintf(&b, "  %s", name(a))
		if delay := r.Graph.Action(a.ID).Attribute("CRM_meta_priority_fencing_delay"); delay != "" && delay != "0" {
			fmt.Fprintf(&b, " delayed by %s s", delay)
		}
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
