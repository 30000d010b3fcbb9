package transition

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"systole/crm/cib"
)

// WriteXML writes the graph as the XML transition graph that Pacemaker's tools exchange
// (crm_simulate -G).
func WriteXML(w io.Writer, g *Graph) error {
	x := xmlWriter{Writer: bufio.NewWriter(w)}
	x.WriteString("<transition_graph")
	x.attr("cluster-delay", g.ClusterDelay)
	x.attr("fencing-timeout", g.FencingTimeout)
	x.attr("failed-stop-offset", g.FailedStopOffset)
	x.attr("failed-start-offset", g.FailedStartOffset)
	x.attr("batch-limit", strconv.Itoa(g.BatchLimit))
	x.attr("transition_id", strconv.Itoa(g.TransitionID))
	x.optional("migration-limit", g.MigrationLimitText)
	if g.RecheckBy != 0 {
		x.attr("recheck-by", strconv.FormatInt(g.RecheckBy, 10))
	}
	if g.Empty() {
		x.WriteString("/>\n")
		return x.Flush()
	}
	x.WriteString(">\n")
	actions := make(map[ActionID]*Action, len(g.Synapses))
	for i := range g.Synapses {
		actions[g.Synapses[i].Action.ID] = g.Synapses[i].Action
	}
	for i := range g.Synapses {
		x.synapse(i, &g.Synapses[i], actions)
	}
	x.WriteString("</transition_graph>\n")
	return x.Flush()
}

// xmlWriter keeps the first error inside its bufio.Writer, which Flush reports.
type xmlWriter struct{ *bufio.Writer }

func (x xmlWriter) synapse(number int, s *Synapse, actions map[ActionID]*Action) {
	x.WriteString("  <synapse")
	x.attr("id", strconv.Itoa(number))
	if s.Priority != 0 {
		x.attr("priority", strconv.Itoa(s.Priority))
	}
	x.WriteString(">\n    <action_set>\n")
	x.action(s.Action)
	x.WriteString("    </action_set>\n")
	if len(s.Inputs) == 0 {
		x.WriteString("    <inputs/>\n  </synapse>\n")
		return
	}
	x.WriteString("    <inputs>\n")
	for _, id := range s.Inputs {
		if a := actions[id]; a != nil {
			x.WriteString("      <trigger>\n        <" + a.Kind.String())
			x.identity(a)
			x.WriteString("/>\n      </trigger>\n")
		}
	}
	x.WriteString("    </inputs>\n  </synapse>\n")
}

func (x xmlWriter) action(a *Action) {
	tag := a.Kind.String()
	x.WriteString("      <" + tag)
	x.identity(a)
	x.optional("shutdown-lock", a.ShutdownLock)
	x.WriteString(">\n")
	if r := a.Resource; r != nil {
		x.WriteString("        <primitive")
		x.attr("id", r.ID)
		x.optional("long-id", r.LongID)
		x.attr("class", r.Class)
		x.optional("provider", r.Provider)
		x.attr("type", r.Type)
		x.WriteString("/>\n")
	}
	x.attributes(a.Attributes)
	if len(a.Downed) > 0 {
		x.WriteString("        <downed>\n")
		for _, id := range a.Downed {
			x.WriteString("          <node")
			x.attr("id", id)
			x.WriteString("/>\n")
		}
		x.WriteString("        </downed>\n")
	}
	x.WriteString("      </" + tag + ">\n")
}

// identity writes what an action and a reference to it have in common.
func (x xmlWriter) identity(a *Action) {
	x.attr("id", strconv.Itoa(int(a.ID)))
	x.attr("operation", a.Task)
	x.attr("operation_key", a.Key)
	x.optional("internal_operation_key", a.InternalKey)
	x.optional("on_node", a.Node)
	x.optional("on_node_uuid", a.NodeID)
	x.optional("router_node", a.Router)
}

// attributes writes names that XML cannot have as attribute names as param elements.
func (x xmlWriter) attributes(attrs []cib.Attr) {
	x.WriteString("        <attributes")
	var params []cib.Attr
	for _, at := range attrs {
		if validName(at.Name) {
			x.attr(at.Name, at.Value)
		} else {
			params = append(params, at)
		}
	}
	if len(params) == 0 {
		x.WriteString("/>\n")
		return
	}
	x.WriteString(">\n")
	for _, at := range params {
		x.WriteString("          <param")
		x.attr("name", at.Name)
		x.attr("value", at.Value)
		x.WriteString("/>\n")
	}
	x.WriteString("        </attributes>\n")
}

// validName accepts the XML 1.0 names made of ASCII, and any other letters.
func validName(s string) bool {
	for i, c := range s {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '_', c >= 0x80:
		case i > 0 && (c >= '0' && c <= '9' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return s != ""
}

func (x xmlWriter) optional(name, value string) {
	if value != "" {
		x.attr(name, value)
	}
}

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;",
	"\n", "&#10;", "\r", "&#13;", "\t", "&#9;")

func (x xmlWriter) attr(name, value string) {
	x.WriteByte(' ')
	x.WriteString(name)
	x.WriteString(`="`)
	escaper.WriteString(x.Writer, value)
	x.WriteByte('"')
}

// ParseXML reads a transition graph. Its drawing is empty: the XML form does not carry it.
// Errors name the synapse they are about.
func ParseXML(src []byte) (*Graph, error) {
	root, err := cib.Parse(src)
	if err != nil {
		return nil, fmt.Errorf("transition graph: %w", err)
	}
	return FromElement(root)
}

// FromElement reads a transition graph from its parsed XML.
func FromElement(root *cib.Element) (*Graph, error) {
	if root == nil || root.Name() != "transition_graph" {
		return nil, fmt.Errorf("transition graph: the root element is not transition_graph")
	}
	g := &Graph{Options: Options{
		ClusterDelay:       root.Get("cluster-delay"),
		FencingTimeout:     cmp.Or(root.Get("fencing-timeout"), root.Get("stonith-timeout")),
		FailedStopOffset:   root.Get("failed-stop-offset"),
		FailedStartOffset:  root.Get("failed-start-offset"),
		MigrationLimitText: root.Get("migration-limit"),
	}}
	var err error
	number := func(e *cib.Element, name string, def int64) int64 {
		text, there := e.Lookup(name)
		if !there {
			return def
		}
		n, e2 := strconv.ParseInt(text, 10, 64)
		if e2 != nil && err == nil {
			err = fmt.Errorf("transition graph: line %d: %s=%q of %s is not a number", e.Line(), name, text, e.Name())
		}
		return n
	}
	g.BatchLimit = int(number(root, "batch-limit", 0))
	g.TransitionID = int(number(root, "transition_id", 0))
	g.MigrationLimit = int(number(root, "migration-limit", -1))
	g.RecheckBy = number(root, "recheck-by", 0)
	for syn := range root.Each("synapse") {
		set := syn.Child("action_set")
		if set == nil || len(set.Children()) != 1 {
			return nil, fmt.Errorf("transition graph: line %d: synapse %s must hold exactly one action", syn.Line(), syn.ID())
		}
		a, e2 := actionFrom(set.Children()[0])
		if e2 != nil {
			return nil, e2
		}
		a.ID = ActionID(number(set.Children()[0], "id", 0))
		s := Synapse{Action: a, Priority: int(number(syn, "priority", 0))}
		for trigger := range syn.Child("inputs").Each("trigger") {
			for _, ref := range trigger.Children() {
				s.Inputs = append(s.Inputs, ActionID(number(ref, "id", 0)))
			}
		}
		g.Synapses = append(g.Synapses, s)
	}
	if err != nil {
		return nil, err
	}
	return g, nil
}

func actionFrom(e *cib.Element) (*Action, error) {
	a := &Action{
		Task:         e.Get("operation"),
		Key:          e.Get("operation_key"),
		InternalKey:  e.Get("internal_operation_key"),
		Node:         e.Get("on_node"),
		NodeID:       e.Get("on_node_uuid"),
		Router:       e.Get("router_node"),
		ShutdownLock: e.Get("shutdown-lock"),
	}
	for _, k := range []Kind{KindResource, KindPseudo, KindCluster} {
		if k.String() == e.Name() {
			a.Kind = k
		}
	}
	if a.Kind == 0 {
		return nil, fmt.Errorf("transition graph: line %d: %s is not an action (rsc_op, pseudo_event or crm_event)", e.Line(), e.Name())
	}
	if p := e.Child("primitive"); p != nil {
		a.Resource = &Resource{ID: p.ID(), LongID: p.Get("long-id"), Class: p.Get("class"), Provider: p.Get("provider"), Type: p.Get("type")}
	}
	if at := e.Child("attributes"); at != nil {
		a.Attributes = slices.Clone(at.Attrs())
		for p := range at.Each("param") {
			a.Attributes = append(a.Attributes, cib.Attr{Name: p.Get("name"), Value: p.Get("value")})
		}
		SortAttributes(a.Attributes)
	}
	for n := range e.Child("downed").Each("node") {
		a.Downed = append(a.Downed, n.ID())
	}
	return a, nil
}

// SortAttributes puts attributes into the order that [Action.Attribute] needs.
func SortAttributes(attrs []cib.Attr) {
	slices.SortStableFunc(attrs, func(a, b cib.Attr) int { return strings.Compare(a.Name, b.Name) })
}
