package clitext

import (
	"slices"
	"strconv"
	"strings"

	"systole/crm/cib"
)

// node reads `node [$id=ID|ID:] UNAME[:TYPE] [attributes…] [utilization…]`.
func (b *builder) node(s *scan) (*cib.Element, error) {
	id := ""
	if _, value, ok := s.idOption(); ok {
		id = value
	} else if _, text, ok := s.label(); ok {
		id = text
	}
	w, err := s.need("the name of the node")
	if err != nil {
		return nil, err
	}
	uname, typ, typed := strings.Cut(w.text, ":")
	if !validID(uname) {
		return nil, errorAt(w, "not the name of a node; write NAME or NAME:TYPE")
	}
	if id == "" {
		id = uname
		if b.old != nil {
			id = b.old.ID() // a node known by its name keeps its id
		}
	}
	e := cib.New("node", "id", id, "uname", uname)
	if typed {
		canonical, ok := fold(typ, "normal", "member", "ping", "remote")
		if !ok {
			return nil, errorAt(w, "unknown type of node; use normal, member, ping or remote")
		}
		e = e.With("type", canonical)
	}
	e = description(s, e)
	keywords := []string{"attributes", "utilization"}
	for s.more() {
		w := s.next()
		if w.quoted || !slices.Contains(keywords, w.text) {
			return nil, errorAt(w, "not expected here; write attributes or utilization before the values")
		}
		set, err := b.nvset(s, setTags[w.text], uname, keywords...)
		if err != nil {
			return nil, err
		}
		e = e.Append(set)
	}
	return e, nil
}

func printNode(p *printer, e *cib.Element) []string {
	words := []string{p.keyword}
	uname := e.Get("uname")
	if e.ID() != uname {
		words = append(words, e.ID()+":")
	}
	if t, ok := e.Lookup("type"); ok {
		uname += ":" + t
	}
	parts := append([]string{strings.Join(append(words, uname), " ")}, printDescription(e)...)
	for _, c := range e.Children() {
		switch c.Name() {
		case "instance_attributes":
			parts = append(parts, printSet(p, "attributes", c, e.Get("uname")))
		case "utilization":
			parts = append(parts, printSet(p, "utilization", c, e.Get("uname")))
		}
	}
	return parts
}

func (b *builder) property(s *scan) (*cib.Element, error) {
	return b.options(s, "cluster_property_set", "cib-bootstrap-options")
}

func (b *builder) rscDefaults(s *scan) (*cib.Element, error) {
	return b.options(s, "meta_attributes", "rsc-options")
}

func (b *builder) opDefaults(s *scan) (*cib.Element, error) {
	return b.options(s, "meta_attributes", "op-options")
}

// optionsID finds which set of options a statement is about.
func optionsID(s *scan, fallback string) string {
	if _, value, ok := s.idOption(); ok {
		return value
	}
	if w := s.peek(); !w.quoted && strings.HasSuffix(w.text, ":") && !isScore(strings.TrimSuffix(w.text, ":")) {
		if _, text, ok := s.label(); ok {
			return text
		}
	}
	return fallback
}

// options reads a set of properties or defaults. What an existing set has
// already stays, unless the statement sets it.
func (b *builder) options(s *scan, tag, id string) (*cib.Element, error) {
	id = optionsID(s, id)
	if !validID(id) {
		return nil, errorAt(s.words[0], "%q cannot be the id of a set; use letters, digits, - _ and .", id)
	}
	e := cib.New(tag, "id", id)
	e, err := b.nvsetBody(s, e)
	if err != nil || b.old == nil {
		return e, err
	}
	return mergeSet(b.old, e), nil
}

// mergeSet puts the score, rules and pairs of e over those of old.
func mergeSet(old, e *cib.Element) *cib.Element {
	if v, ok := e.Lookup("score"); ok {
		old = old.With("score", v)
	}
	children := slices.Clone(old.Children())
	if e.Child("rule") != nil {
		children = slices.DeleteFunc(children, func(c *cib.Element) bool { return c.Name() == "rule" })
	}
	for _, c := range e.Children() {
		if c.Name() == "rule" {
			children = slices.Insert(children, 0, c)
			continue
		}
		i := slices.IndexFunc(children, func(o *cib.Element) bool {
			return o.Name() == "nvpair" && o.Get("name") == c.Get("name") && o.Get("id-ref") == c.Get("id-ref")
		})
		if i < 0 {
			children = append(children, c)
			continue
		}
		if id := children[i].ID(); id != "" {
			c = c.With("id", id)
		}
		children[i] = c
	}
	return old.WithChildren(children...)
}

func printProperty(p *printer, e *cib.Element) []string {
	parts := []string{p.keyword + " " + e.ID() + ":"}
	p.take(e.ID())
	if score := printScore(e); score != "" {
		parts = append(parts, score+":")
	}
	for r := range e.Each("rule") {
		parts = append(parts, printRule(p, r, e.ID()))
	}
	for nv := range e.Each("nvpair") {
		parts = append(parts, printPair(p, nv, e.ID()))
	}
	return parts
}

// tag reads `tag ID[:] RSC…`.
func (b *builder) tag(s *scan) (*cib.Element, error) {
	w, err := s.need("the name of the tag")
	if err != nil {
		return nil, err
	}
	id := strings.TrimSuffix(w.text, ":")
	if !validID(id) {
		return nil, errorAt(w, "%q cannot be an id; use letters, digits, - _ and .", id)
	}
	if err := b.claim(w, id); err != nil {
		return nil, err
	}
	e := cib.New("tag", "id", id)
	for s.more() {
		w := s.next()
		if !validID(w.text) {
			return nil, errorAt(w, "not an id; a tag names resources or constraints")
		}
		e = e.Append(cib.New("obj_ref", "id", w.text))
	}
	if len(e.Children()) == 0 {
		return nil, errorAt(s.peek(), "tag %s names nothing; add at least one id", id)
	}
	return e, nil
}

func printTag(p *printer, e *cib.Element) []string {
	words := []string{p.keyword, e.ID()}
	for o := range e.Each("obj_ref") {
		words = append(words, o.ID())
	}
	return []string{strings.Join(words, " ")}
}

// topology reads `fencing_topology [TARGET] DEVICES…`; DEVICES are joined by
// commas, TARGET is NODE:, attr:NAME=VALUE or pattern:REGEX. Without a target
// the levels are written for every node there is.
func (b *builder) topology(s *scan) (*cib.Element, error) {
	e := cib.New("fencing-topology")
	var targets [][]string // attribute pairs; nil before the first
	index := 0
	for s.more() {
		w := s.next()
		if t := topologyTarget(w); t != nil {
			targets, index = [][]string{t}, 0
			continue
		}
		if targets == nil {
			for n := range b.draft.conf.Child("nodes").Each("node") {
				targets = append(targets, []string{"target", n.Get("uname")})
			}
			if targets == nil {
				return nil, errorAt(w, "there are no nodes yet to make levels for; write NODE: before the devices")
			}
		}
		if strings.Contains(","+w.text+",", ",,") {
			return nil, errorAt(w, "a device is missing beside a comma; write devices of one level as a,b without blanks")
		}
		index++
		for _, t := range targets {
			e = e.Append(cib.New("fencing-level", append(slices.Clone(t), "index", strconv.Itoa(index), "devices", w.text)...))
		}
	}
	if index == 0 {
		return nil, errorAt(s.peek(), "no fencing device named; name at least one")
	}
	levels := slices.Clone(e.Children())
	if len(targets) > 1 { // written level by level, kept node by node
		slices.SortStableFunc(levels, func(x, y *cib.Element) int {
			at := func(l *cib.Element) int {
				return slices.IndexFunc(targets, func(t []string) bool { return t[1] == l.Get("target") })
			}
			return at(x) - at(y)
		})
	}
	for i, l := range levels {
		levels[i] = l.With("id", b.fresh("fencing"))
	}
	return e.WithChildren(levels...), nil
}

// topologyTarget gives the attributes of a target word, nil for devices.
func topologyTarget(w word) []string {
	if attr, ok := strings.CutPrefix(w.text, "attr:"); ok {
		if name, value, ok := strings.Cut(attr, "="); ok {
			return []string{"target-attribute", name, "target-value", value}
		}
	}
	if re, ok := strings.CutPrefix(w.text, "pattern:"); ok {
		return []string{"target-pattern", re}
	}
	if node, ok := strings.CutSuffix(w.text, ":"); ok && !w.quoted {
		return []string{"target", node}
	}
	return nil
}

func printTopology(p *printer, e *cib.Element) []string {
	type group struct{ target, devices string }
	var groups []group
	for l := range e.Each("fencing-level") {
		target := l.Get("target") + ":"
		switch {
		case l.Get("target-pattern") != "":
			target = printPlainWord("pattern:" + l.Get("target-pattern"))
		case l.Get("target-attribute") != "":
			target = printPlainWord("attr:" + l.Get("target-attribute") + "=" + l.Get("target-value"))
		}
		if n := len(groups) - 1; n >= 0 && groups[n].target == target {
			groups[n].devices += " " + l.Get("devices")
			continue
		}
		groups = append(groups, group{target, l.Get("devices")})
	}
	var nodes []string
	for n := range p.conf.Child("nodes").Each("node") {
		nodes = append(nodes, n.Get("uname")+":")
	}
	same := len(groups) == len(nodes) && len(groups) > 0
	parts := []string{p.keyword}
	for i, g := range groups {
		same = same && g.target == nodes[i] && g.devices == groups[0].devices
		parts = append(parts, g.target+" "+g.devices)
	}
	if same {
		return []string{p.keyword + " " + groups[0].devices}
	}
	return parts
}

// printPlainWord writes a word that is not name=value, in quotation marks only where it must be.
func printPlainWord(s string) string {
	if strings.ContainsAny(s, " \t\"'\\") {
		return quote(s)
	}
	return s
}

// printName writes the name of an attribute or node.
func printName(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return needsQuote(r) && !strings.ContainsRune("#:+,/@%!^*|~", r) }) {
		return quote(s)
	}
	return s
}
