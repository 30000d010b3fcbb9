package tools

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/display"
	"systole/crm/exit"
	"systole/crm/model"
	"systole/crm/shell/change"
	"systole/crm/shell/ra"
	"systole/crm/status"
)

// state reads the CIB as it is now.
func (p *program) state() (*cib.CIB, *status.Status, error) {
	c, err := p.src.ReadLocal(p.ctx)
	if err != nil {
		return nil, nil, err
	}
	return c, status.Unpack(c.Root(), p.now), nil
}

// found looks a resource up; the error is crm_resource's.
func found(s *status.Status, id string) (*status.Resource, error) {
	if r := change.FindResource(s, id); r != nil {
		return r, nil
	}
	return nil, exit.Errorf(exit.NoSuch, "Resource '%s' not found\nError performing operation: No such object", id)
}

func (a *resourceCall) list(p *program) error {
	_, s, err := p.state()
	if err != nil {
		return err
	}
	v := resourceView(s, "")
	if p.xml != nil {
		for _, e := range v.Elements() {
			p.xml.add(e)
		}
		return nil
	}
	var b bytes.Buffer
	if err := v.Text(&b); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		p.Printf("%s", withoutNodes(s, line))
	}
	return nil
}

// withoutNodes takes the nodes out of a primitive's line, where crm_resource,
// unlike crm_mon, does not name them.
func withoutNodes(s *status.Status, line string) string {
	head, state, ok := strings.Cut(line, ":\t ")
	if !ok {
		return line
	}
	words := strings.Split(strings.TrimSuffix(state, "\n"), " ")
	words = slices.DeleteFunc(words, func(w string) bool { _, isNode := s.Node(w); return isNode })
	return head + ":\t " + strings.Join(words, " ") + "\n"
}

// resourceView shows resources only, stopped ones too.
func resourceView(s *status.Status, id string) *display.View {
	return &display.View{Status: s, Updated: s.Now, Options: display.Options{Show: display.ShowResources, Inactive: true, Resource: id, Location: time.Local}}
}

func (a *resourceCall) listRaw(p *program) error {
	_, s, err := p.state()
	if err != nil {
		return err
	}
	for i := range s.Resources {
		if r := &s.Resources[i]; r.Kind == model.Primitive && len(r.Children) == 0 {
			if p.xml != nil {
				p.xml.add(cib.New("resource", "id", r.ID))
			} else {
				p.Println(r.ID)
			}
		}
	}
	return nil
}

// queryXML prints the state and the XML of a resource.
func (a *resourceCall) queryXML(p *program, expanded bool) error {
	c, s, err := p.state()
	if err != nil {
		return err
	}
	r, err := found(s, a.resource)
	if err != nil {
		return err
	}
	e, _ := change.Resource(c.Root(), r.BaseID)
	if e == nil {
		e = cib.New("primitive", "id", a.resource)
	}
	if expanded && r.Config != nil && r.Config.Source != nil {
		e = r.Config.Source
	}
	if p.xml != nil {
		p.xml.add(cib.New("resource_config").Append(cib.New("xml").WithText(e.String())))
		return nil
	}
	if !a.quiet && r.Kind != model.Group {
		p.Printf("%s", stateLines(s, r, a.resource))
	}
	if expanded && r.Instance != "" {
		e = e.With("clone", r.Instance)
	}
	p.Printf("Resource XML:\n%s\n", e)
	return nil
}

// stateLines is the resource's state as crm_resource writes it: without bullets,
// and of a clone's member only the first instance.
func stateLines(s *status.Status, r *status.Resource, asked string) string {
	if r.Instance != "" {
		line := fmt.Sprintf("%s\t(%s):\t %s", asked, agentName(r), r.Role)
		for _, n := range r.Active {
			line += " " + s.Nodes[n].Name
		}
		return line + "\n"
	}
	var b bytes.Buffer
	if resourceView(s, r.BaseID).Text(&b) != nil {
		return ""
	}
	var out strings.Builder
	for line := range strings.Lines(b.String()) {
		text := strings.TrimLeft(strings.TrimLeft(line, " "), "* ")
		if strings.HasPrefix(line, " ") && !strings.HasPrefix(text, "Clone Set:") && !strings.HasPrefix(text, "Resource Group:") {
			out.WriteString(text)
		}
	}
	return out.String()
}

// locate says where a resource is active.
func (a *resourceCall) locate(p *program) error {
	_, s, err := p.state()
	if err != nil {
		return err
	}
	r, err := found(s, a.resource)
	if err != nil {
		return err
	}
	if r.ID != a.resource && r.Instance != "" { // all instances of a clone's member
		r = &s.Resources[s.Top(r.Index)]
	}
	places := slices.Collect(places(s, r))
	e := cib.New("resource-search", "resource", a.resource)
	for _, pl := range places {
		node := cib.New("node").WithText(pl.node)
		if pl.promoted {
			node = node.With("state", "promoted")
		}
		e = e.Append(node)
		switch {
		case p.xml != nil:
		case a.quiet:
			p.Println(pl.node)
		case pl.promoted:
			p.Printf("resource %s is running on: %s Promoted\n", a.resource, pl.node)
		default:
			p.Printf("resource %s is running on: %s\n", a.resource, pl.node)
		}
	}
	if p.xml != nil {
		p.xml.add(e)
	} else if len(places) == 0 {
		fmt.Fprintf(p.Err, "resource %s is NOT running\n", a.resource)
	}
	return nil
}

// place is a node a primitive is active on.
type place struct {
	node     string
	promoted bool
}

// places yields where the parts of a resource are active: of a clone the last
// instance first, of a group the nodes its first active member is on.
func places(s *status.Status, r *status.Resource) func(yield func(place) bool) {
	return func(yield func(place) bool) {
		if r.Kind == model.Group {
			for _, c := range r.Children {
				if m := &s.Resources[c]; m.IsActive() {
					places(s, m)(yield)
					return
				}
			}
			return
		}
		if len(r.Children) > 0 {
			for _, c := range slices.Backward(r.Children) {
				for pl := range places(s, &s.Resources[c]) {
					if !yield(pl) {
						return
					}
				}
			}
			return
		}
		for _, n := range r.Active {
			if !yield(place{s.Nodes[n].Name, r.Role == status.RolePromoted}) {
				return
			}
		}
	}
}

// operations lists the history.
func (a *resourceCall) operations(p *program, all bool) error {
	c, s, err := p.state()
	if err != nil {
		return err
	}
	for ns := range c.Status().Each("node_state") {
		if a.node != "" && ns.Get("uname") != a.node {
			continue
		}
		for h := range ns.Path("lrm", "lrm_resources").Each("lrm_resource") {
			r := change.FindResource(s, h.ID())
			if a.resource != "" && h.ID() != a.resource && (r == nil || r.BaseID != a.resource) {
				continue
			}
			ops := slices.Collect(h.Each("lrm_rsc_op"))
			status.SortOps(ops)
			for _, op := range ops {
				p.operation(s, r, h, op, ns.Get("uname"))
			}
		}
	}
	return nil
}

// operation prints one entry of the history.
func (p *program) operation(s *status.Status, r *status.Resource, h, op *cib.Element, node string) {
	agent := strings.Join(slices.DeleteFunc([]string{h.Get("class"), h.Get("provider"), h.Get("type")}, func(x string) bool { return x == "" }), ":")
	state := "Stopped"
	if r != nil {
		state = r.Role.String()
		if len(r.Children) == 0 && !r.IsActive() {
			state = "Stopped"
		}
	}
	key := op.Get("operation_key")
	if key == "" {
		key = op.ID()
	}
	line := fmt.Sprintf("%s\t(%s):\t %s: %s (node=%s, call=%s, rc=%s", h.ID(), agent, state, key, node, op.Get("call-id"), op.Get("rc-code"))
	if t, ok := epoch(op.Get("last-rc-change")); ok {
		line += fmt.Sprintf(", last-rc-change='%s'", t.Format(time.ANSIC))
		if ms := op.Get("exec-time"); ms != "" {
			line += ", exec=" + ms + "ms"
		}
	}
	line += "): " + statusText(op.Get("op-status"))
	if p.xml != nil {
		p.xml.add(cib.New("operation", "op", key, "node", node, "call", op.Get("call-id"), "rc", op.Get("rc-code"), "status", statusText(op.Get("op-status"))))
		return
	}
	p.Println(line)
}

// statusText is the field's word for an op-status.
func statusText(code string) string {
	return map[string]string{
		"-1": "pending", "0": "complete", "1": "Cancelled", "2": "Timed Out", "3": "NOT SUPPORTED", "4": "Error",
		"5": "Hard error", "6": "Fatal error", "7": "Not installed", "8": "Internal communication failure", "9": "Invalid", "10": "No fence device", "11": "CIB secrets unavailable",
	}[code]
}

// epoch reads seconds since 1970.
func epoch(text string) (time.Time, bool) {
	var n int64
	if _, err := fmt.Sscanf(text, "%d", &n); err != nil || n <= 0 {
		return time.Time{}, false
	}
	return time.Unix(n, 0), true
}

func (a *resourceCall) getParameter(p *program, name string) error {
	c, _, err := p.state()
	if err != nil {
		return err
	}
	e, _ := change.Resource(c.Root(), a.resource)
	if e == nil {
		return exit.Errorf(exit.NoSuch, "Resource '%s' not found\nError performing operation: No such object", a.resource)
	}
	value, ok := effective(c.Root(), e, a.tag(), name)
	if !ok {
		if p.xml != nil {
			return exit.Errorf(exit.OK, "Attribute '%s' not found for '%s'", name, a.resource)
		}
		fmt.Fprintf(p.Err, "Attribute '%s' not found for '%s'\n", name, a.resource)
		return nil // Pacemaker 2.1.5 ends with 0 here
	}
	if p.xml != nil {
		p.xml.add(cib.New("item", "name", name).WithText(value))
		return nil
	}
	p.Println(value)
	return nil
}

// tag is the kind of set that -m and -z choose.
func (a *resourceCall) tag() string {
	switch {
	case a.meta:
		return "meta_attributes"
	case a.utilization:
		return "utilization"
	}
	return "instance_attributes"
}

// effective is the value of an attribute: the resource's own, its template's, a
// meta attribute also its container's and the default.
func effective(root, e *cib.Element, tag, name string) (string, bool) {
	at := change.Attr{Tag: tag, Name: name}
	for e != nil {
		if f := change.Find(e, at); len(f) > 0 {
			return f[0].Value, true
		}
		if t := cib.FindID(root, e.Get("template")); t != nil {
			if f := change.Find(t, at); len(f) > 0 {
				return f[0].Value, true
			}
		}
		if tag != "meta_attributes" {
			return "", false
		}
		_, e = change.Resource(root, e.ID())
	}
	if defaults := root.Path("configuration", "rsc_defaults"); defaults != nil {
		if f := change.Find(defaults, at); len(f) > 0 {
			return f[0].Value, true
		}
	}
	return "", false
}

// why says whether resources run, and what holds them.
func (a *resourceCall) why(p *program) error {
	_, s, err := p.state()
	if err != nil {
		return err
	}
	if a.resource == "" {
		for _, id := range s.Listing {
			a.whyOne(p, s, &s.Resources[id], s.Resources[id].ID)
		}
		return nil
	}
	r, err := found(s, a.resource)
	if err != nil {
		return err
	}
	a.whyOne(p, s, r, a.resource)
	return nil
}

func (a *resourceCall) whyOne(p *program, s *status.Status, r *status.Resource, id string) {
	active := false
	for pl := range places(s, r) {
		active = active || a.node == "" || pl.node == a.node
	}
	verb, where := "is running", ""
	if !active {
		verb = "is not running"
	}
	if a.node != "" {
		where = " on host " + a.node
	}
	if p.xml != nil {
		p.xml.add(cib.New("reason").Append(cib.New("resource", "id", id, "running", fmt.Sprint(active))))
		return
	}
	p.Printf("Resource %s %s%s\n", id, verb, where)
	if role, ok := r.Meta["target-role"]; ok && strings.EqualFold(role, "stopped") {
		p.Printf("Configuration specifies '%s' should remain stopped\n", id)
	}
	if !r.Managed {
		p.Printf("Configuration specifies '%s' should be unmanaged\n", id)
	}
}

// agents answers questions about what is installed.
func (a *resourceCall) agents(p *program, command, param string) error {
	agents := ra.New(p.src)
	switch command {
	case "list-standards":
		classes, err := agents.Classes(p.ctx)
		if err != nil {
			return err
		}
		p.lines("standards", "standard", inOrder(classes, "ocf", "lsb", "service", "systemd", "stonith"))
		return nil
	case "list-ocf-providers":
		p.lines("providers", "provider", agents.Providers(p.ctx, ""))
		return nil
	case "list-ocf-alternatives":
		list := agents.Providers(p.ctx, param)
		if len(list) == 0 {
			return exit.Errorf(exit.NoSuch, "No OCF providers found for %s", param)
		}
		p.lines("providers", "provider", list)
		return nil
	case "list-agents":
		class, provider, _ := strings.Cut(param, ":")
		list, err := agents.List(p.ctx, class, provider)
		if err != nil || len(list) == 0 {
			return exit.Errorf(exit.NoSuch, "No agents found for standard=%s, provider=%s", class, orStar(provider))
		}
		p.lines("agents", "agent", list)
		return nil
	}
	id, err := agents.ParseID(p.ctx, param)
	if err != nil {
		return err
	}
	doc, err := agents.Document(p.ctx, id)
	if err != nil {
		return exit.Errorf(exit.Error, "Metadata query for %s failed: %w", param, err)
	}
	// The schema by which pcs judges an agent knows no private parameters.
	p.Printf("%s\n", strings.TrimRight(strings.ReplaceAll(string(doc), ` private="1"`, ""), "\n"))
	return nil
}

func orStar(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

// inOrder sorts words as given; words not named come last.
func inOrder(list []string, order ...string) []string {
	rank := func(s string) int {
		if i := slices.Index(order, s); i >= 0 {
			return i
		}
		return len(order)
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b string) int { return rank(a) - rank(b) })
	return list
}

// lines prints a list, one to a line.
func (p *program) lines(outer, inner string, list []string) {
	e := cib.New(outer)
	for _, x := range list {
		if p.xml == nil {
			p.Println(x)
		}
		e = e.Append(cib.New(inner).WithText(x))
	}
	if p.xml != nil {
		p.xml.add(e)
	}
}
