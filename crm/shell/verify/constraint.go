package verify

import (
	"slices"
	"strings"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/shell/options"
)

// constraints checks that everything a constraint or tag names is there.
func (c *checker) constraints() {
	for _, e := range children(c.conf.Child("constraints")) {
		for _, attr := range []string{"rsc", "with-rsc", "first", "then"} {
			if id, ok := e.Lookup(attr); ok {
				c.names(e, id)
			}
		}
		for set := range e.Each("resource_set") {
			for r := range set.Each("resource_ref") {
				c.names(e, r.ID())
			}
		}
		if n, ok := e.Lookup("node"); ok && !c.nodes[n] {
			c.add(cib.Warning, e.ID(), "there is no node %q%s", n, near(n, c.nodes))
		}
		for set := range e.Each("rule") {
			for x := range set.Each("expression") {
				if n := x.Get("value"); x.Get("attribute") == "#uname" && x.Get("operation") == "eq" && !c.nodes[n] {
					c.add(cib.Warning, e.ID(), "there is no node %q%s", n, near(n, c.nodes))
				}
			}
		}
	}
	for _, level := range children(c.conf.Child("fencing-topology")) {
		for _, dev := range strings.Split(level.Get("devices"), ",") {
			if d := c.rsc[dev]; d == nil {
				c.told[level.ID()] = true
				c.add(cib.Error, "fencing_topology", "there is no fence device %q; define it, or take it out of the level for %s", dev, level.Get("target"))
			}
		}
	}
}

// names checks one reference of a constraint.
func (c *checker) names(e *cib.Element, id string) {
	kind := strings.TrimPrefix(e.Name(), "rsc_")
	switch {
	case c.rsc[id] == nil && c.tags[id] == nil:
		known := map[string]bool{}
		for r := range c.rsc {
			known[r] = true
		}
		hint := near(id, known)
		if hint == "" {
			hint = "; define it, or delete the constraint"
		}
		c.add(cib.Error, e.ID(), "the %s constraint names the resource %q, which does not exist%s", kind, id, hint)
	case c.parent[id] != nil && c.parent[id].Name() == "group" && e.Name() != "rsc_order":
		c.add(cib.Warning, e.ID(), "%s is in the group %s; a constraint is better put on the group", id, c.parent[id].ID())
	case c.parent[id] != nil && c.parent[id].Name() != "group" && c.parent[id].Name() != "bundle":
		c.add(cib.Warning, e.ID(), "%s is in the %s %s; a constraint must be put on that", id, c.parent[id].Name(), c.parent[id].ID())
	}
}

func near(name string, known map[string]bool) string {
	var list []string
	for k := range known {
		list = append(list, k)
	}
	if n := clitext.Nearest(name, list); n != "" {
		return "; did you mean " + n + "?"
	}
	return ""
}

// properties checks the names and values of cluster properties. Sets other than
// the first one belong to agents, which keep there what they like.
func (c *checker) properties() {
	for set := range c.conf.Child("crm_config").Each("cluster_property_set") {
		if set.ID() != "cib-bootstrap-options" {
			continue
		}
		for nv := range set.Each("nvpair") {
			c.property(nv)
		}
	}
}

// written are properties the cluster or its tools write, which no table lists.
var written = []string{"last-lrm-refresh", "expected-quorum-votes"}

func (c *checker) property(nv *cib.Element) {
	name, value := nv.Get("name"), nv.Get("value")
	p, ok := options.Property(name)
	if !ok {
		switch n := clitext.Nearest(name, options.Properties()); {
		case slices.Contains(written, name) || name == "":
		case n != "":
			c.add(cib.Error, "property", "%q is no property of the cluster; did you mean %s?", name, n)
		default:
			c.add(cib.Warning, "property", "%q is no property the cluster knows; it has no effect (values of your own belong into a set of their own: property NAME: %s=…)", name, name)
		}
		return
	}
	if err := p.Check(value); err != nil {
		c.told[nv.ID()] = true
		c.add(cib.Error, "property", "%s: %v", name, err)
	}
}

// fencing warns of a cluster that must fence and cannot.
func (c *checker) fencing() {
	enabled := "true"
	for set := range c.conf.Child("crm_config").Each("cluster_property_set") {
		for nv := range set.Each("nvpair") {
			if nv.Get("name") == "stonith-enabled" {
				enabled = nv.Get("value")
			}
		}
	}
	device, service := false, false
	for _, e := range c.order {
		class := e.Get("class")
		if t := c.ids[e.Get("template")]; t != nil {
			class = t.Get("class")
		}
		device = device || class == "stonith"
		service = service || e.Name() == "primitive" && class != "stonith"
	}
	if service && !device && slices.Contains([]string{"true", "yes", "on", "1", "y"}, strings.ToLower(enabled)) {
		c.add(cib.Warning, "property", "stonith-enabled is true and there is no fence device: no resource will be started; configure a device (crm ra list stonith), or set stonith-enabled=false if nothing here can be damaged by running twice")
	}
}
