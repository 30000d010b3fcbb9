package verify

import (
	"context"
	"maps"
	"slices"
	"strings"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/options"
	"systole/crm/status"
	"systole/resources"
)

// resources checks every primitive against its agent, and meta attributes.
func (c *checker) resources(ctx context.Context, agents Agents) {
	c.attributes("rsc_defaults", "meta attribute", c.conf.Child("rsc_defaults"), options.MetaAttributes())
	c.attributes("op_defaults", "operation attribute", c.conf.Child("op_defaults"), options.OperationAttributes())
	for _, e := range c.order {
		c.attributes(e.ID(), "meta attribute", e, options.MetaAttributes())
		switch e.Name() {
		case "primitive":
			c.primitive(ctx, e, agents)
		case "clone", "master", "group":
			if !slices.ContainsFunc(e.Children(), func(m *cib.Element) bool { return isResource(m.Name()) }) {
				c.add(cib.Error, e.ID(), "the %s has no resource; put one in or delete it", e.Name())
			}
		}
	}
}

// attributes warns of names in an element's meta attributes that nobody reads.
func (c *checker) attributes(object, kind string, e *cib.Element, known []string) {
	for set := range e.Each("meta_attributes") {
		for nv := range set.Each("nvpair") {
			name := nv.Get("name")
			if name == "" || slices.Contains(known, name) {
				continue
			}
			if near := clitext.Nearest(name, known); near != "" {
				c.add(cib.Warning, object, "%s %q is unknown; did you mean %s?", kind, name, near)
			} else {
				c.add(cib.Warning, object, "%s %q is unknown; the cluster ignores it", kind, name)
			}
		}
	}
}

// primitive checks one primitive; what its template says counts as its own.
func (c *checker) primitive(ctx context.Context, e *cib.Element, agents Agents) {
	spec := e
	if t, ok := e.Lookup("template"); ok {
		spec = c.ids[t]
		if spec == nil || spec.Name() != "template" {
			c.add(cib.Error, e.ID(), "there is no rsc_template %q; define it, or name another", t)
			return
		}
	}
	id := resources.AgentID{Class: resources.Class(spec.Get("class")), Provider: spec.Get("provider"), Type: spec.Get("type")}
	c.operations(e)
	if agents == nil {
		return
	}
	m, err := agents.Metadata(ctx, id)
	switch {
	case exit.Of(err) == exit.NotInstalled:
		severity := cib.Error
		if id.Class != resources.ClassOCF && id.Class != resources.ClassStonith || agents.Elsewhere(ctx, id) {
			severity = cib.Warning
		}
		c.add(severity, e.ID(), "%v", err)
		return
	case err != nil:
		c.add(cib.Warning, e.ID(), "cannot check parameters: %v", err)
		return
	}
	c.parameters(e, spec, id, m)
	c.advised(e, m)
}

// parameters checks names, presence and values of parameters.
func (c *checker) parameters(e, spec *cib.Element, id resources.AgentID, m *resources.Metadata) {
	given := map[string]string{}
	for _, from := range []*cib.Element{spec, e} {
		for set := range from.Each("instance_attributes") {
			c.collect(set, given)
		}
	}
	known := map[string]*resources.Parameter{}
	for i := range m.Parameters {
		known[m.Parameters[i].Name] = &m.Parameters[i]
	}
	if id.Class == resources.ClassStonith {
		for _, p := range options.DeviceParameters() {
			known[p.Name] = &p
		}
		for _, name := range []string{"stonith-timeout", "provides", "crm_feature_set"} {
			known[name] = &resources.Parameter{Name: name, Type: resources.ParamString}
		}
	}
	if id.Class == resources.ClassSystemd || id.Class == resources.ClassLSB || id.Class == resources.ClassService {
		return // these take no parameters, and what is given is ignored
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		p := known[name]
		if p == nil {
			if near := clitext.Nearest(name, slices.Collect(maps.Keys(known))); near != "" {
				c.add(cib.Error, e.ID(), "%s has no parameter %q; did you mean %s?", id, name, near)
			} else {
				c.add(cib.Error, e.ID(), "%s has no parameter %q; crm ra info %s lists them", id, name, id)
			}
			continue
		}
		if err := p.Check(given[name]); err != nil {
			c.add(cib.Warning, e.ID(), "parameter %s: %v", name, err)
		}
	}
	for _, p := range m.Parameters {
		if _, ok := given[p.Name]; p.Required && !ok && !deviceGets(id, p.Name) {
			c.add(cib.Error, e.ID(), "parameter %s is required by %s and missing; add params %s=…", p.Name, id, p.Name)
		}
	}
}

// deviceGets tells parameters that the cluster gives a fence agent itself.
func deviceGets(id resources.AgentID, name string) bool {
	return id.Class == resources.ClassStonith && (name == "action" || name == "port" || name == "plug" || name == "nodename")
}

// collect gathers the values of a set, following references.
func (c *checker) collect(set *cib.Element, into map[string]string) {
	if ref, ok := set.Lookup("id-ref"); ok {
		if set = c.ids[ref]; set == nil {
			return
		}
	}
	for nv := range set.Each("nvpair") {
		name, value := nv.Get("name"), nv.Get("value")
		if ref, ok := nv.Lookup("id-ref"); ok && c.ids[ref] != nil {
			value = c.ids[ref].Get("value")
			if name == "" {
				name = c.ids[ref].Get("name")
			}
		}
		if name != "" {
			into[name] = value
		}
	}
}

// operations checks what can be told without the agent.
func (c *checker) operations(e *cib.Element) {
	for op := range e.Child("operations").Each("op") {
		for _, attr := range []string{"interval", "timeout"} {
			value := op.Get(attr)
			if _, ok := status.Millis(value); !ok && value != "" {
				c.told[op.ID()] = true
				c.add(cib.Error, e.ID(), "op %s: %s %q is not a time; write 10s, 5min or a number of seconds", op.Get("name"), attr, value)
			}
		}
	}
}

// advised compares operations with what the agent advises.
func (c *checker) advised(e *cib.Element, m *resources.Metadata) {
	for op := range e.Child("operations").Each("op") {
		name := op.Get("name")
		if !m.Offers(name) && name != "" {
			c.add(cib.Warning, e.ID(), "op %s: the agent has no such action", name)
			continue
		}
		given, ok := status.Millis(op.Get("timeout"))
		if !ok || op.Get("timeout") == "" {
			continue
		}
		for _, a := range m.Actions {
			want, ok := status.Millis(a.Timeout)
			if a.Name == name && a.Timeout != "" && ok && given < want && (a.Role == "" || strings.EqualFold(a.Role, op.Get("role"))) {
				c.add(cib.Warning, e.ID(), "op %s: timeout %s is shorter than the %s the agent advises", name, op.Get("timeout"), a.Timeout)
				break
			}
		}
	}
}
