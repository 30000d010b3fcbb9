package clitext

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// opAttrs are the attributes an op element may have itself; others become its
// instance attributes (the RELAX NG schema of Pacemaker 2.1, element op).
var opAttrs = []string{"id", "name", "interval", "timeout", "start-delay", "interval-origin", "enabled", "record-pending", "role", "on-fail", "description"}

var primitiveWords = []string{"params", "meta", "utilization", "operations", "op", "op_params", "op_meta"}

func (b *builder) template(s *scan) (*cib.Element, error)  { return b.resource(s, "template") }
func (b *builder) primitive(s *scan) (*cib.Element, error) { return b.resource(s, "primitive") }

// resource reads a primitive or a template of primitives.
func (b *builder) resource(s *scan, tag string) (*cib.Element, error) {
	id, err := b.ident(s, tag)
	if err != nil {
		return nil, err
	}
	e := cib.New(tag, "id", id)
	typ, err := s.need("the resource agent (class:provider:type)")
	if err != nil {
		return nil, err
	}
	if e, err = b.agent(e, typ); err != nil {
		return nil, err
	}
	e = description(s, e)
	return b.primitiveSections(s, e)
}

// agent reads class:provider:type, class:type, type or @template.
func (b *builder) agent(e *cib.Element, w word) (*cib.Element, error) {
	if name, ok := strings.CutPrefix(w.text, "@"); ok && e.Name() == "primitive" {
		if t := cib.FindID(b.draft.conf, name); t == nil || t.Name() != "template" {
			return nil, errorAt(w, "there is no rsc_template %q; define it first", name)
		}
		return e.With("template", name), nil
	}
	parts := strings.Split(w.text, ":")
	if slices.Contains(parts, "") {
		return nil, errorAt(w, "not a resource agent; write class:provider:type, class:type or type")
	}
	switch {
	case len(parts) == 1:
		class, provider := b.draft.resolve(parts[0])
		e = e.With("class", class)
		if provider != "" {
			e = e.With("provider", provider)
		}
		return e.With("type", parts[0]), nil
	case len(parts) == 2 && parts[0] == "ocf":
		_, provider := b.draft.resolve(parts[1])
		return e.With("class", "ocf").With("provider", provider).With("type", parts[1]), nil
	case parts[0] != "ocf" || len(parts) == 2:
		return e.With("class", parts[0]).With("type", strings.Join(parts[1:], ":")), nil
	}
	return e.With("class", "ocf").With("provider", parts[1]).With("type", strings.Join(parts[2:], ":")), nil
}

func (b *builder) primitiveSections(s *scan, e *cib.Element) (*cib.Element, error) {
	id := e.ID()
	ops := operations{base: id, at: -1}
	if s.more() && !s.is(primitiveWords...) {
		set, err := b.nvset(s, "instance_attributes", id, primitiveWords...)
		if err != nil {
			return nil, err
		}
		e = e.Append(set)
	}
	for s.more() {
		w := s.next()
		var err error
		switch w.text {
		case "operations":
			err = ops.header(b, s)
		case "op":
			err = ops.op(b, s)
		case "op_params", "op_meta":
			err = ops.set(b, s, w)
		case "params", "meta", "utilization":
			var set *cib.Element
			if set, err = b.nvset(s, setTags[w.text], id, primitiveWords...); err == nil {
				e = e.Append(set)
			}
		default:
			err = errorAt(w, "not expected here; what may follow is %s", strings.Join(primitiveWords, ", "))
		}
		if err != nil {
			return nil, err
		}
		if ops.used() && ops.at < 0 {
			ops.at = len(e.Children())
		}
	}
	if ops.at >= 0 {
		e = e.WithChildren(slices.Insert(slices.Clone(e.Children()), ops.at, ops.element())...)
	}
	return e, nil
}

// operations collects the op statements of one primitive.
type operations struct {
	base  string // what ids of ops are made of
	at    int    // where the element goes among the children; -1 without one
	attrs []string
	ops   []*cib.Element
}

func (o *operations) used() bool { return o.attrs != nil || o.ops != nil }

func (o *operations) element() *cib.Element {
	return cib.New("operations", o.attrs...).WithChildren(o.ops...)
}

// header reads $id=… or $id-ref=… after the word operations.
func (o *operations) header(b *builder, s *scan) error {
	w, err := s.need("$id= or $id-ref=")
	if err != nil {
		return err
	}
	name, value, _ := w.pair()
	switch strings.TrimPrefix(name, "$") {
	case "id":
		if err := b.claim(w, value); err != nil {
			return err
		}
		o.attrs, o.base = []string{"id", value}, value
	case "id-ref":
		o.attrs = []string{"id-ref", b.reference("operations", value)}
	default:
		return errorAt(w, "after operations only $id=NAME or $id-ref=NAME may follow")
	}
	return nil
}

// op reads one operation: its name, attributes, and unknown ones as parameters.
func (o *operations) op(b *builder, s *scan) error {
	name, err := s.need("the name of the operation")
	if err != nil {
		return err
	}
	if name.quoted || slices.Contains(primitiveWords, name.text) || name.eq >= 0 {
		return errorAt(name, "expected the name of an operation, such as op monitor interval=10s")
	}
	e := cib.New("op", "name", name.text)
	var params []word
	for s.more() && !s.is(primitiveWords...) {
		w := s.next()
		key, value, ok := w.pair()
		if !ok {
			return errorAt(w, "expected name=value after op %s", name.text)
		}
		known := strings.TrimPrefix(key, "$")
		switch {
		case known == "id":
			if err := b.claim(w, value); err != nil {
				return err
			}
			e = e.With("id", value)
		case slices.Contains(opAttrs, known):
			e = e.With(known, value)
		default:
			params = append(params, w)
		}
	}
	if _, ok := e.Lookup("interval"); !ok {
		e = e.With("interval", "0")
	}
	if e.ID() == "" {
		e = e.With("id", b.fresh(o.base+"-"+name.text+"-"+e.Get("interval")))
	}
	if params != nil {
		set, err := b.nvset(&scan{words: params}, "instance_attributes", e.ID())
		if err != nil {
			return err
		}
		e = e.Append(set)
	}
	o.ops = append(o.ops, e)
	return nil
}

// set reads op_params or op_meta into the operation before it.
func (o *operations) set(b *builder, s *scan, w word) error {
	if len(o.ops) == 0 {
		return errorAt(w, "no operation to give this to; write op NAME before it")
	}
	last := len(o.ops) - 1
	set, err := b.nvset(s, setTags[w.text], o.ops[last].ID(), primitiveWords...)
	if err != nil {
		return err
	}
	o.ops[last] = o.ops[last].Append(set)
	return nil
}

// printPrimitive writes a primitive or template.
func printPrimitive(p *printer, e *cib.Element) []string {
	head := p.keyword + " " + e.ID() + " " + agentName(e)
	p.take(e.ID())
	parts := append([]string{head}, printDescription(e)...)
	for _, c := range e.Children() {
		switch c.Name() {
		case "operations":
			parts = append(parts, printOperations(p, c, e.ID())...)
		case "instance_attributes":
			parts = append(parts, printSet(p, "params", c, e.ID()))
		case "meta_attributes":
			parts = append(parts, printSet(p, "meta", c, e.ID()))
		case "utilization":
			parts = append(parts, printSet(p, "utilization", c, e.ID()))
		}
	}
	return parts
}

// agentName writes the agent as crmsh does: the type alone for ocf:heartbeat.
func agentName(e *cib.Element) string {
	if t, ok := e.Lookup("template"); ok {
		return "@" + t
	}
	class, provider, typ := e.Get("class"), e.Get("provider"), e.Get("type")
	switch {
	case class == "ocf" && provider == "heartbeat":
		return typ
	case provider == "":
		return class + ":" + typ
	}
	return class + ":" + provider + ":" + typ
}

func printDescription(e *cib.Element) []string {
	if d, ok := e.Lookup("description"); ok {
		return []string{"description=" + quote(d)}
	}
	return nil
}

func printOperations(p *printer, e *cib.Element, base string) []string {
	var parts []string
	if ref, ok := e.Lookup("id-ref"); ok {
		return []string{"operations $id-ref=" + quote(ref)}
	}
	if id := e.ID(); id != "" {
		parts = append(parts, "operations $id="+quote(id))
		p.take(id)
		base = id
	}
	for op := range e.Each("op") {
		words := []string{"op", op.Get("name")}
		for _, a := range op.Attrs() {
			if a.Name != "id" && a.Name != "name" {
				words = append(words, a.Name+"="+quote(a.Value))
			}
		}
		if !p.made(base+"-"+op.Get("name")+"-"+op.Get("interval"), op.ID()) {
			words = append(words, "id="+quote(op.ID()))
		}
		parts = append(parts, strings.Join(words, " "))
		for _, c := range op.Children() {
			switch c.Name() {
			case "instance_attributes":
				parts = append(parts, printSet(p, "op_params", c, op.ID()))
			case "meta_attributes":
				parts = append(parts, printSet(p, "op_meta", c, op.ID()))
			}
		}
	}
	return parts
}
