package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/score"
	"systole/resources"
)

// ChangeKind is a kind of event that a simulation pretends.
type ChangeKind uint8

// The kinds, in the order in which crm_simulate applies them.
const (
	Quorum ChangeKind = iota
	Watchdog
	NodeUp
	NodeDown
	NodeFail
	TicketGrant
	TicketRevoke
	TicketStandby
	TicketActivate
	Operation
)

// Change is one event to pretend before scheduling. Value is the node, the ticket, the
// boolean of Quorum and Watchdog, or the operation specification.
type Change struct {
	Kind  ChangeKind
	Value string
}

// Note is one thing that an injection did, in words and as the tools' XML says it.
type Note struct {
	Text string
	XML  *cib.Element
}

// Inject pretends events. Its errors name the node, ticket or operation that is at fault
// and carry the exit status a tool ends with.
func Inject(root *cib.Element, changes []Change, at time.Time) (*cib.Element, []Note, error) {
	w := newWorld(root, at)
	var notes []Note
	for _, c := range changes {
		more, err := w.inject(c)
		notes = append(notes, more...)
		if err != nil {
			return nil, notes, err
		}
	}
	return w.finish(), notes, nil
}

func (w *world) inject(c Change) ([]Note, error) {
	switch c.Kind {
	case Quorum:
		w.root = w.root.With("have-quorum", c.Value)
		return []Note{{"Setting quorum: " + c.Value, modifyCluster("quorum", c.Value)}}, nil
	case Watchdog:
		w.setProperty("have-watchdog", c.Value)
		return []Note{{"Setting watchdog: " + c.Value, modifyCluster("watchdog", c.Value)}}, nil
	case NodeUp, NodeDown, NodeFail:
		return w.changeNode(c)
	case TicketGrant, TicketRevoke, TicketStandby, TicketActivate:
		return w.changeTicket(c), nil
	}
	return w.injectOperation(c.Value)
}

func modifyCluster(name, value string) *cib.Element { return cib.New("cluster_info", name, value) }

// setProperty sets a cluster option in the first property set.
func (w *world) setProperty(name, value string) {
	conf := w.root.Child("configuration")
	if conf == nil {
		conf = cib.New("configuration")
	}
	section := conf.Child("crm_config")
	if section == nil {
		section = cib.New("crm_config")
	}
	set := section.Child("cluster_property_set")
	if set == nil {
		set = cib.New("cluster_property_set", "id", "cib-bootstrap-options")
	}
	pairs := append([]*cib.Element(nil), set.Children()...)
	found := false
	for i, p := range pairs {
		if p.Get("name") == name {
			pairs[i], found = p.With("value", value), true
		}
	}
	if !found {
		pairs = append(pairs, cib.New("nvpair", "id", set.ID()+"-"+name, "name", name, "value", value))
	}
	w.root = withChild(w.root, withChild(conf, withChild(section, set.WithChildren(pairs...))))
}

func (w *world) changeNode(c Change) ([]Note, error) {
	words := map[ChangeKind][2]string{
		NodeUp:   {"Bringing node " + c.Value + " online", "Online"},
		NodeDown: {"Taking node " + c.Value + " offline", "Offline"},
		NodeFail: {"Failing node " + c.Value, "Failing"},
	}[c.Kind]
	s := w.node(c.Value, "")
	if s == nil {
		return nil, exit.Errorf(exit.NoSuch, "node %s is neither configured nor in the status section; name one that is", c.Value)
	}
	switch c.Kind {
	case NodeUp:
		s.set("in_ccm", "true", "crmd", "online", "join", "member", "expected", "member")
	case NodeDown:
		s.forget()
		s.set("in_ccm", "false", "crmd", "offline", "join", "down", "expected", "down")
	case NodeFail:
		s.set("in_ccm", "false", "crmd", "online", "join", "member", "expected", "member")
	}
	s.set("crm-debug-origin", origin)
	return []Note{{words[0], cib.New("modify_node", "action", words[1], "node", c.Value)}}, nil
}

func (w *world) changeTicket(c Change) []Note {
	how := map[ChangeKind]struct{ text, action, attr, value string }{
		TicketGrant:    {"Granting ticket " + c.Value, "Granting", "granted", "true"},
		TicketRevoke:   {"Revoking ticket " + c.Value, "Revoking", "granted", "false"},
		TicketStandby:  {"Making ticket " + c.Value + " standby", "Standby", "standby", "true"},
		TicketActivate: {"Activating ticket " + c.Value, "Activating", "standby", "false"},
	}[c.Kind]
	tickets := cib.New("tickets")
	at := -1
	for i, e := range w.rest {
		if e.Name() == "tickets" {
			tickets, at = e, i
		}
	}
	states := append([]*cib.Element(nil), tickets.Children()...)
	found := false
	for i, t := range states {
		if t.ID() == c.Value {
			states[i], found = t.With(how.attr, how.value), true
		}
	}
	if !found {
		states = append(states, cib.New("ticket_state", "id", c.Value, how.attr, how.value))
	}
	tickets = tickets.WithChildren(states...)
	if at < 0 {
		w.rest = append(w.rest, tickets)
	} else {
		w.rest[at] = tickets
	}
	return []Note{{how.text, cib.New("modify_ticket", "action", how.action, "ticket", c.Value)}}
}

func (w *world) injectOperation(text string) ([]Note, error) {
	notes := []Note{{"Injecting " + text + " into the configuration", cib.New("inject_spec", "spec", text)}}
	spec, err := ParseOpSpec(text)
	if err != nil {
		return nil, exit.Errorf(exit.Usage, "%v", err)
	}
	s := w.node(spec.Node, "")
	if s == nil {
		return nil, exit.Errorf(exit.NoSuch, "operation %q: node %s is not known; name one that is", text, spec.Node)
	}
	rsc := w.primitive(spec.Resource)
	if rsc == nil {
		return nil, exit.Errorf(exit.NoSuch, "operation %q: no primitive %s is configured", text, spec.Resource)
	}
	name := spec.Resource
	if _, known := s.index[name]; !known {
		if base := baseName(name); s.known(base) || w.anonymous(base) {
			name = base
		}
	}
	like := cib.New("lrm_resource", "id", name, "class", rsc.Get("class"))
	if p := rsc.Get("provider"); p != "" {
		like = like.With("provider", p)
	}
	notes = append(notes, w.countFailure(s, name, spec.Task, spec.Interval, spec.RC)...)
	w.record(s, outcome{
		resource: like.With("type", rsc.Get("type")),
		task:     spec.Task,
		interval: spec.Interval,
		rc:       spec.RC,
		reason:   "Simulated action result",
	})
	return notes, nil
}

func (s *nodeState) known(id string) bool { _, ok := s.index[id]; return ok }

// baseName strips a clone instance's number.
func baseName(id string) string {
	if i := strings.LastIndexByte(id, ':'); i > 0 {
		if _, err := strconv.Atoi(id[i+1:]); err == nil {
			return id[:i]
		}
	}
	return id
}

// primitive finds a configured primitive by its id or an instance's name.
func (w *world) primitive(id string) *cib.Element {
	p, _ := find(w.root.Path("configuration", "resources"), baseName(id), nil)
	return p
}

// anonymous tells whether instances of a primitive share one name in the history: those of
// every clone that is not globally-unique.
func (w *world) anonymous(id string) bool {
	_, path := find(w.root.Path("configuration", "resources"), id, nil)
	for _, e := range path {
		if e.Name() == "clone" || e.Name() == "master" {
			return metaOf(e, "globally-unique") != "true"
		}
	}
	return false
}

func metaOf(e *cib.Element, name string) string {
	for set := range e.Each("meta_attributes") {
		for p := range set.Each("nvpair") {
			if p.Get("name") == name {
				return p.Get("value")
			}
		}
	}
	return ""
}

// find looks for a primitive below e and tells the elements on the way to it.
func find(e *cib.Element, id string, path []*cib.Element) (*cib.Element, []*cib.Element) {
	if e == nil {
		return nil, nil
	}
	for _, c := range e.Children() {
		if c.Name() == "primitive" && c.ID() == id {
			return c, path
		}
		if p, way := find(c, id, append(path[:len(path):len(path)], c)); p != nil {
			return p, way
		}
	}
	return nil, nil
}

// countFailure raises a fail count, as the cluster does for an unexpected result. A probe
// that finds nothing is no failure.
func (w *world) countFailure(s *nodeState, rsc, task string, interval time.Duration, rc resources.Code) []Note {
	if rc == resources.OK || rc == resources.NotRunning && interval == 0 {
		return nil
	}
	suffix := rsc + "#" + task + "_" + strconv.FormatInt(interval.Milliseconds(), 10)
	s.attribute("fail-count-"+suffix, func(old string) string {
		return score.ParseOr(old, 0).Add(1).String()
	})
	s.attribute("last-failure-"+suffix, func(string) string { return w.seconds() })
	note := func(name, value string) Note {
		return Note{
			Text: fmt.Sprintf("Injecting attribute %s=%s into /node_state '%s'", name, value, s.element.ID()),
			XML:  cib.New("inject_attr", "name", name, "value", value, "node_path", "/node_state", "cib_node", s.element.ID()),
		}
	}
	return []Note{note("fail-count-"+suffix, "value++"), note("last-failure-"+suffix, w.seconds())}
}
