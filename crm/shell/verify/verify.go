// Package verify finds what is wrong with a configuration before it is
// committed, and says for each thing which object it is and what to do: what
// the document's own validation finds, and what only knowledge of agents,
// options and the meaning of constraints can.
package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/resources"
)

// Agents answers for resource agents ([systole/crm/shell/ra.Agents]).
type Agents interface {
	// Metadata of an agent that is not installed is an error with status 5.
	Metadata(ctx context.Context, id resources.AgentID) (*resources.Metadata, error)
	// Elsewhere tells that an agent missing here may well be installed where the
	// configuration will be used.
	Elsewhere(ctx context.Context, id resources.AgentID) bool
}

// Finding is one thing wrong.
type Finding struct {
	Severity cib.Severity
	Object   string // id of the object; "" for the whole
	Msg      string // what is wrong and what to do
}

// String is "error: vip: …".
func (f Finding) String() string {
	if f.Object == "" {
		return fmt.Sprintf("%s: %s", f.Severity, f.Msg)
	}
	return fmt.Sprintf("%s: %s: %s", f.Severity, f.Object, f.Msg)
}

// HasErrors tells whether any finding forbids the configuration.
func HasErrors(fs []Finding) bool {
	for _, f := range fs {
		if f.Severity == cib.Error {
			return true
		}
	}
	return false
}

// Error joins the errors among findings into one error with status 78; nil without any.
func Error(fs []Finding) error {
	var errs []error
	for _, f := range fs {
		if f.Severity == cib.Error {
			errs = append(errs, errors.New(strings.TrimPrefix(f.String(), "error: ")))
		}
	}
	if errs == nil {
		return nil
	}
	return exit.With(exit.Config, errors.Join(errs...))
}

// Check verifies a whole CIB. A nil agents leaves out what needs metadata.
func Check(ctx context.Context, root *cib.Element, agents Agents) []Finding {
	c := &checker{known: map[Finding]bool{}, told: map[string]bool{}, root: root, conf: root.Child("configuration"), ids: cib.IndexIDs(root.Child("configuration"))}
	if c.conf == nil {
		c.document()
		return c.found
	}
	c.index()
	c.resources(ctx, agents)
	c.constraints()
	c.cycles()
	c.properties()
	c.fencing()
	c.document()
	return c.found
}

// checker collects findings about one configuration.
type checker struct {
	root, conf *cib.Element
	ids        map[string]*cib.Element
	found      []Finding
	known      map[Finding]bool // the same may be noticed twice
	// told are elements of which enough has been said here: the document's own
	// validation need not say it again in other words.
	told map[string]bool

	rsc    map[string]*cib.Element // resources, also members
	parent map[string]*cib.Element // container of a member
	tags   map[string]*cib.Element
	nodes  map[string]bool // by uname
	order  []*cib.Element  // resources in document order
}

func (c *checker) add(s cib.Severity, object, format string, args ...any) {
	f := Finding{s, object, fmt.Sprintf(format, args...)}
	if !c.known[f] {
		c.known[f] = true
		c.told[object] = c.told[object] || s == cib.Error
		c.found = append(c.found, f)
	}
}

// document takes over what the document's own validation says of objects that
// the checks before found no error in.
func (c *checker) document() {
	for _, p := range cib.Validate(c.root) {
		where := p.Path
		if i := strings.LastIndex(where, "[@id='"); i >= 0 {
			where = strings.TrimSuffix(where[i+len("[@id='"):], "']")
		}
		if !c.told[where] {
			c.add(p.Severity, where, "%s", p.Msg)
		}
	}
}

// index finds resources, tags and nodes.
func (c *checker) index() {
	c.rsc, c.parent, c.tags, c.nodes = map[string]*cib.Element{}, map[string]*cib.Element{}, map[string]*cib.Element{}, map[string]bool{}
	for _, e := range children(c.conf.Child("resources")) {
		c.indexResource(e, nil)
	}
	for t := range c.conf.Child("tags").Each("tag") {
		c.tags[t.ID()] = t
	}
	for n := range c.conf.Child("nodes").Each("node") {
		c.nodes[n.Get("uname")] = true
	}
	for _, e := range c.order { // guests and remote connections are nodes too
		if n := metaValue(e, "remote-node"); n != "" {
			c.nodes[n] = true
		}
		if e.Get("type") == "remote" {
			c.nodes[e.ID()] = true
		}
	}
}

func (c *checker) indexResource(e, in *cib.Element) {
	if !isResource(e.Name()) {
		return
	}
	c.rsc[e.ID()], c.parent[e.ID()] = e, in
	c.order = append(c.order, e)
	if in != nil {
		c.nesting(e, in)
	}
	for _, m := range e.Children() {
		c.indexResource(m, e)
	}
}

// nesting refuses containers in containers that cannot hold them.
func (c *checker) nesting(e, in *cib.Element) {
	allowed := map[string]bool{
		"group primitive": true, "clone primitive": true, "clone group": true, "master primitive": true, "master group": true, "bundle primitive": true,
	}
	if !allowed[in.Name()+" "+e.Name()] {
		c.add(cib.Error, in.ID(), "a %s cannot hold the %s %s; a clone holds one primitive or group, a group and a bundle hold primitives", in.Name(), e.Name(), e.ID())
	}
}

func isResource(tag string) bool {
	switch tag {
	case "primitive", "group", "clone", "master", "bundle":
		return true
	}
	return false
}

func children(e *cib.Element) []*cib.Element {
	if e == nil {
		return nil
	}
	return e.Children()
}

func metaValue(e *cib.Element, name string) string {
	for set := range e.Each("meta_attributes") {
		for nv := range set.Each("nvpair") {
			if nv.Get("name") == name {
				return nv.Get("value")
			}
		}
	}
	return ""
}
