package model

import (
	"fmt"
	"strconv"

	"systole/crm/cib"
)

// Decode reads the configuration section of a cib element. It never fails: what cannot
// be understood is left out and named in Problems, as the field has always done, because a
// cluster must not stop deciding over one bad constraint.
func Decode(root *cib.Element) *Config {
	conf := root.Child("configuration")
	c := &Config{Source: root, Templates: map[string]*cib.Element{}, Tags: map[string][]string{}}
	c.Options = Sets(conf.Child("crm_config"), "cluster_property_set")
	for n := range conf.Child("nodes").Each("node") {
		c.Nodes = append(c.Nodes, NodeConfig{
			ID: n.ID(), Name: n.Get("uname"), Type: n.Get("type"), Score: n.Get("score"), Source: n,
			Attributes: Sets(n, "instance_attributes"), Utilization: Sets(n, "utilization"),
		})
	}
	c.ResourceDefaults = Sets(conf.Child("rsc_defaults"), "meta_attributes")
	c.OpDefaults = Sets(conf.Child("op_defaults"), "meta_attributes")
	c.decodeResources(conf.Child("resources"))
	for t := range conf.Child("tags").Each("tag") {
		for ref := range t.Each("obj_ref") {
			c.Tags[t.ID()] = append(c.Tags[t.ID()], ref.ID())
		}
	}
	c.decodeConstraints(conf.Child("constraints"))
	c.decodeFencing(conf.Child("fencing-topology"))
	return c
}

// Sets are the attribute sets with the tag under an element.
func Sets(parent *cib.Element, tag string) []AttrSet {
	var sets []AttrSet
	for e := range parent.Each(tag) {
		sets = append(sets, AttrSet{e})
	}
	return sets
}

func (c *Config) problem(format string, args ...any) {
	c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
}

func (c *Config) decodeResources(resources *cib.Element) {
	for t := range resources.Each("template") {
		c.Templates[t.ID()] = t
	}
	if resources == nil {
		return
	}
	ops := newIDIndex(resources)
	for _, e := range resources.Children() {
		if r := c.decodeResource(e, ops); r != nil {
			c.Resources = append(c.Resources, r)
		}
	}
}

func (c *Config) decodeResource(e *cib.Element, ops idIndex) *Resource {
	r := &Resource{ID: e.ID(), Template: e.Get("template")}
	switch e.Name() {
	case "primitive":
		e = c.expandTemplate(e)
		r.Class, r.Provider, r.Type = e.Get("class"), e.Get("provider"), e.Get("type")
	case "group":
		r.Kind = Group
	case "clone", "master":
		r.Kind, r.OldPromotable = Clone, e.Name() == "master"
	case "bundle":
		r.Kind, r.Bundle = Bundle, decodeBundle(e)
		if r.Bundle == nil {
			c.problem("bundle %s: no known container engine, left out", r.ID)
			return nil
		}
	default:
		return nil
	}
	if r.ID == "" {
		c.problem("%s without id (line %d) left out", e.Name(), e.Line())
		return nil
	}
	r.Source = e
	r.Meta, r.Params, r.Utilization = Sets(e, "meta_attributes"), Sets(e, "instance_attributes"), Sets(e, "utilization")
	for op := range ops.resolve(e.Child("operations")).Each("op") {
		op = ops.resolve(op)
		r.Ops = append(r.Ops, Op{ID: op.ID(), Name: op.Get("name"), Interval: op.Get("interval"), Source: op})
	}
	if r.Kind != Primitive {
		for _, child := range e.Children() {
			if m := c.decodeResource(child, ops); m != nil {
				r.Members = append(r.Members, m)
			}
		}
	}
	if r.Kind == Clone && len(r.Members) == 0 {
		c.problem("clone %s has nothing to clone, left out", r.ID)
		return nil
	}
	return r
}

// expandTemplate merges a primitive's template into it: the template's content first, so
// that the primitive's own sets come later and win, and the operations of both, the primitive's own winning by name and role.
func (c *Config) expandTemplate(e *cib.Element) *cib.Element {
	ref := e.Get("template")
	if ref == "" {
		return e
	}
	t := c.Templates[ref]
	if t == nil {
		c.problem("%s: no template %s", e.ID(), ref)
		return e
	}
	merged := cib.New(e.Name(), "id", e.ID())
	for _, a := range t.Attrs() {
		if a.Name != "id" {
			merged = merged.With(a.Name, a.Value)
		}
	}
	own := e.Child("operations")
	var children []*cib.Element
	for _, child := range t.Children() {
		if child.Name() != "operations" || own == nil {
			children = append(children, child)
		}
	}
	for _, child := range e.Children() {
		if child == own {
			child = mergeOps(own, t.Child("operations"))
		}
		children = append(children, child)
	}
	return merged.WithChildren(children...)
}

func mergeOps(own, template *cib.Element) *cib.Element {
	seen := map[string]bool{}
	for op := range own.Each("op") {
		seen[templateOpKey(op)] = true
	}
	for op := range template.Each("op") {
		if !seen[templateOpKey(op)] {
			own = own.Append(op)
		}
	}
	return own
}

func templateOpKey(op *cib.Element) string {
	role := op.Get("role")
	switch role {
	case "", "Started", "Unpromoted", "Slave":
		role = "Unknown"
	}
	return op.Get("name") + "-" + role
}

// idIndex finds elements by id for id-ref, made only when one is met.
type idIndex struct {
	root *cib.Element
	byID map[string]*cib.Element
}

func newIDIndex(root *cib.Element) idIndex { return idIndex{root: root} }

func (x *idIndex) resolve(e *cib.Element) *cib.Element {
	if e == nil {
		return nil
	}
	ref, ok := e.Lookup("id-ref")
	if !ok {
		return e
	}
	if x.byID == nil {
		x.byID = map[string]*cib.Element{}
		x.add(x.root)
	}
	if target := x.byID[e.Name()+" "+ref]; target != nil {
		return target
	}
	return e
}

func (x *idIndex) add(e *cib.Element) {
	if id := e.ID(); id != "" {
		x.byID[e.Name()+" "+id] = e
	}
	for _, child := range e.Children() {
		x.add(child)
	}
}

func decodeBundle(e *cib.Element) *BundleSpec {
	for _, engine := range []string{"docker", "podman", "rkt"} {
		ct := e.Child(engine)
		if ct == nil {
			continue
		}
		b := &BundleSpec{
			Engine: engine, Container: ct, Image: ct.Get("image"), RunCommand: ct.Get("run-command"),
			Network: ct.Get("network"), Options: ct.Get("options"), Replicas: ct.Get("replicas"),
			ReplicasPerHost: ct.Get("replicas-per-host"), PromotedMax: ct.Get("promoted-max"),
		}
		if b.PromotedMax == "" {
			b.PromotedMax = ct.Get("masters")
		}
		if n := e.Child("network"); n != nil {
			b.IPRangeStart, b.ControlPort, b.AddHost = n.Get("ip-range-start"), n.Get("control-port"), n.Get("add-host")
			b.HostInterface, b.HostNetmask = n.Get("host-interface"), n.Get("host-netmask")
			for p := range n.Each("port-mapping") {
				b.Ports = append(b.Ports, PortMapping{p.ID(), p.Get("port"), p.Get("internal-port"), p.Get("range")})
			}
		}
		for m := range e.Child("storage").Each("storage-mapping") {
			b.Mounts = append(b.Mounts, StorageMapping{
				ID: m.ID(), SourceDir: m.Get("source-dir"), SourceDirRoot: m.Get("source-dir-root"),
				TargetDir: m.Get("target-dir"), Options: m.Get("options"),
			})
		}
		return b
	}
	return nil
}

func (c *Config) decodeFencing(topology *cib.Element) {
	for l := range topology.Each("fencing-level") {
		index, err := strconv.Atoi(l.Get("index"))
		if err != nil || index < 1 || index > 9 {
			c.problem("fencing level %s: index %q is not 1 to 9, left out", l.ID(), l.Get("index"))
			continue
		}
		c.FencingLevels = append(c.FencingLevels, FencingLevel{
			ID: l.ID(), Target: l.Get("target"), TargetPattern: l.Get("target-pattern"),
			TargetAttribute: l.Get("target-attribute"), TargetValue: l.Get("target-value"),
			Index: index, Devices: splitList(l.Get("devices")),
		})
	}
}

// splitList takes a list separated by commas or white space apart.
func splitList(s string) []string {
	var out []string
	start := -1
	for i := 0; i <= len(s); i++ {
		sep := i == len(s) || s[i] == ',' || s[i] == ' ' || s[i] == '\t' || s[i] == '\n'
		if sep && start >= 0 {
			out, start = append(out, s[start:i]), -1
		} else if !sep && start < 0 {
			start = i
		}
	}
	return out
}
