// Package haresources imports Heartbeat's configuration: haresources, where
// each line is a node and what prefers to run there, and ha.cf.
//
// The result has the shape that Heartbeat's own converter gave it (names,
// location score 100, stickiness from auto_failback), with the element names
// and agents of today. Packages of two directors get more than it did:
// ldirectord becomes an IPVS director, drbddisk a promotable clone that the rest of its line follows.
package haresources

import (
	"fmt"
	"slices"
	"strings"

	"systole/crm/importer"
	"systole/crm/score"
)

// Source is what there is to import.
type Source struct {
	Resources importer.File
	// Cluster is ha.cf; without text there is none.
	Cluster importer.File
	// Open gives the files that resources name (ldirectord::FILE); nil gives none.
	Open func(name string) ([]importer.File, error)
}

// Import translates haresources and ha.cf. It is a function of its source.
func Import(src Source) importer.Result {
	t := &translator{src: src, report: &importer.Report{}, types: map[string]int{}}
	t.src.Resources = t.report.Add(src.Resources)
	if src.Cluster.Text != "" {
		t.cluster(t.report.Add(src.Cluster))
	}
	t.resources()
	t.pings()
	t.properties()
	t.report.Settle()
	return importer.Result{Config: t.config, Report: t.report}
}

type translator struct {
	src    Source
	report *importer.Report
	config importer.Config

	nodes     []string       // of ha.cf
	types     map[string]int // how many resources of a type have an id already
	lineNames []string       // the resource or group of each line, for constraints on all
	groups    int
	failback  string
	fencing   bool
	fences    int
	ping      []string
	ipfail    bool
}

// logical is a line of haresources with its continuations.
type logical struct {
	at    []importer.Place
	words []string
}

// logicalLines joins lines that end with a backslash.
func logicalLines(f importer.File) []logical {
	var out []logical
	var l logical
	for i, text := range f.Lines() {
		text = strings.TrimSpace(text)
		if l.at == nil && (text == "" || text[0] == '#') {
			out = append(out, logical{at: []importer.Place{{File: f.Name, Line: i + 1}}, words: strings.Fields(text)})
			continue
		}
		l.at = append(l.at, importer.Place{File: f.Name, Line: i + 1})
		head, more := strings.CutSuffix(text, `\`)
		l.words = append(l.words, strings.Fields(head)...)
		if !more {
			out, l = append(out, l), logical{}
		}
	}
	if l.at != nil {
		out = append(out, l)
	}
	return out
}

func (t *translator) taken(l logical) {
	for _, at := range l.at {
		t.report.Taken(at)
	}
}

func (t *translator) unsupported(l logical, format string, args ...any) {
	t.taken(l)
	t.report.Unsupported(l.at[0], format, args...)
}

func (t *translator) resources() {
	var constraints []logical
	for _, l := range logicalLines(t.src.Resources) {
		switch {
		case len(l.words) == 0:
			t.taken(l)
		case l.words[0] == "#rsc_order" || l.words[0] == "#rsc_colocation":
			constraints = append(constraints, l)
		case l.words[0][0] == '#':
			t.report.Comment(l.at[0])
		default:
			t.line(l)
		}
	}
	for _, l := range constraints {
		t.constraint(l)
	}
}

// line is one node and the resources that prefer it.
func (t *translator) line(l logical) {
	node := l.words[0]
	if len(t.nodes) > 0 && !contains(t.nodes, node) {
		t.report.Changed(l.at[0], "ha.cf names no node %s: nothing will run there until a node of this name joins", node)
	}
	words, id, clone := explicitID(l.words[1:])
	t.taken(l)
	if len(words) == 0 {
		t.unsupported(l, "no resource after the node")
		return
	}
	p := pack{translator: t, line: l}
	for _, w := range words {
		p.add(w)
	}
	p.finishDirector()
	if len(p.members) == 0 {
		if len(p.clones) == 0 {
			t.report.Unsupported(l.at[0], "nothing of this line has a counterpart")
		}
		return
	}
	name := p.members[0].id
	if clone == "" && id != "" && len(p.members) == 1 {
		p.members[0].id, name = id, id
	}
	for i, m := range p.members {
		if !m.defined {
			m.id = t.config.Define(m.object())
		}
		p.members[i] = m
		if i == 0 {
			name = m.id
		}
	}
	if len(p.members) > 1 {
		name = t.group(p.members, id)
	}
	if clone != "" {
		name = t.config.Define(importer.Object{Kind: "clone", ID: clone, Words: []string{name, "meta", importer.Set("clone-max", fmt.Sprint(max(len(t.nodes), 2))), "clone-node-max=1"}})
	}
	t.lineNames = append(t.lineNames, name)
	t.config.Define(importer.Object{Kind: "location", ID: "rsc_location_" + name,
		Words: []string{name, "rule", "$id=" + importer.Quote("preferred_location_"+name), "100:", "#uname", "eq", importer.Quote(node)}})
	for _, clone := range p.clones {
		t.config.Follow(name, clone)
	}
}

// group numbers groups as the old converter did: from 1 in steps of 10.
func (t *translator) group(members []resource, id string) string {
	if id == "" {
		id = fmt.Sprintf("group_%d", 1+10*t.groups)
	}
	t.groups++
	var words []string
	for _, m := range members {
		words = append(words, m.id)
	}
	return t.config.Define(importer.Object{Kind: "group", ID: id, Words: words})
}

// explicitID takes #NAME or #clone:NAME off the end of a line; what follows it is a comment.
func explicitID(words []string) (rest []string, id, clone string) {
	for i, w := range words {
		if name, ok := strings.CutPrefix(w, "#clone:"); ok {
			return words[:i], "", name
		}
		if name, ok := strings.CutPrefix(w, "#"); ok {
			return words[:i], name, ""
		}
	}
	return words, "", ""
}

// constraint is a comment that the old converter read: #rsc_order FROM ACTION
// before|after TO, #rsc_colocation FROM TO SCORE.
func (t *translator) constraint(l logical) {
	w := l.words
	switch {
	case w[0] == "#rsc_order" && len(w) == 5 && (w[3] == "before" || w[3] == "after") && slices.Contains([]string{"start", "stop", "promote", "demote"}, w[2]):
		first, then := w[1], w[4]
		if w[3] == "after" {
			first, then = then, first
		}
		if t.known(l, first, then) {
			t.config.Define(importer.Object{Kind: "order", ID: "rsc_order_" + w[1] + "_" + w[4], Words: []string{"Mandatory:", first + ":" + w[2], then + ":" + w[2]}})
		}
	case w[0] == "#rsc_colocation" && len(w) == 4:
		score, err := score.Parse(w[3])
		if err != nil {
			t.unsupported(l, "%v", err)
		} else if t.known(l, w[1], w[2]) {
			t.config.Define(importer.Object{Kind: "colocation", ID: "rsc_colocation_" + w[1] + "_" + w[2], Words: []string{score.String() + ":", w[1], w[2]}})
		}
	default:
		t.unsupported(l, "want #rsc_order FROM start|stop before|after TO, or #rsc_colocation FROM TO SCORE")
	}
}

// known requires that resources are defined.
func (t *translator) known(l logical, ids ...string) bool {
	for _, id := range ids {
		if !t.config.Defined(id) {
			t.unsupported(l, "there is no resource %s", id)
			return false
		}
	}
	t.taken(l)
	return true
}

// properties are what the old converter set, and how sticky resources are.
func (t *translator) properties() {
	stickiness := "0"
	if t.failback == "off" {
		stickiness = "INFINITY"
	}
	t.config.Define(importer.Object{Kind: "property", ID: "cib-bootstrap-options", Words: []string{
		importer.Break, "symmetric-cluster=true", "no-quorum-policy=stop",
		importer.Break, importer.Set("stonith-enabled", fmt.Sprint(t.fencing)), "stonith-action=reboot", "startup-fencing=true",
		importer.Break, "stop-orphan-resources=true", "stop-orphan-actions=true", "cluster-delay=60s",
	}})
	t.config.Define(importer.Object{Kind: "rsc_defaults", ID: "rsc-options", Words: []string{importer.Set("resource-stickiness", stickiness)}})
	t.config.Define(importer.Object{Kind: "op_defaults", ID: "op-options", Words: []string{"timeout=20s"}})
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}
