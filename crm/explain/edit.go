package explain

import (
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/command"
)

// edit is one change of a document, as one command makes it.
type edit struct {
	// cost orders edits: what a person did in passing first, what the configuration was designed with last.
	cost    int
	command string
	text    string
	make    func(root *cib.Element) *cib.Element
	// node is set for an edit that is about one node only.
	node string
}

// The costs.
const (
	undo      = iota // take back a stop, a standby, a ban, a failure
	prefer           // give or take points
	resize           // more instances
	drop             // a constraint fewer
	drastic          // a property of the whole cluster
	dangerous        // gives up a protection
)

// change replaces every element that f answers with another; f returns nil to remove one.
func change(root *cib.Element, f func(*cib.Element) *cib.Element) *cib.Element {
	out := f(root)
	if out == nil || out != root {
		return out
	}
	children, changed := []*cib.Element(nil), false
	for i, c := range root.Children() {
		d := change(c, f)
		if d != c && !changed {
			children, changed = append(children, root.Children()[:i]...), true
		}
		if changed && d != nil {
			children = append(children, d)
		}
	}
	if !changed {
		return root
	}
	return root.WithChildren(children...)
}

// in changes one section of a document, made if it is missing.
func in(root *cib.Element, path []string, f func(*cib.Element) *cib.Element) *cib.Element {
	if len(path) == 0 {
		return f(root)
	}
	for i, c := range root.Children() {
		if c.Name() == path[0] {
			return root.ReplaceChild(i, in(c, path[1:], f))
		}
	}
	return root.Append(in(cib.New(path[0]), path[1:], f))
}

var (
	resources   = []string{"configuration", "resources"}
	constraints = []string{"configuration", "constraints"}
	crmConfig   = []string{"configuration", "crm_config"}
	nodes       = []string{"configuration", "nodes"}
)

// withoutConstraint deletes a constraint, and nothing else.
func withoutConstraint(id string) func(*cib.Element) *cib.Element {
	return func(root *cib.Element) *cib.Element {
		return in(root, constraints, func(e *cib.Element) *cib.Element {
			return e.WithChildren(slices.DeleteFunc(slices.Clone(e.Children()), func(c *cib.Element) bool { return c.ID() == id })...)
		})
	}
}

// withConstraint adds a constraint, or puts it in the place of the one with its id.
func withConstraint(c *cib.Element) func(*cib.Element) *cib.Element {
	return func(root *cib.Element) *cib.Element {
		return in(root, constraints, func(e *cib.Element) *cib.Element {
			if i := e.IndexFunc(func(old *cib.Element) bool { return old.ID() == c.ID() }); i >= 0 {
				return e.ReplaceChild(i, c)
			}
			return e.Append(c)
		})
	}
}

// cleared takes away what move and ban made for a resource; an empty node is all of it.
func cleared(resource, node string) func(*cib.Element) *cib.Element {
	return func(root *cib.Element) *cib.Element {
		return in(root, constraints, func(e *cib.Element) *cib.Element {
			return e.WithChildren(slices.DeleteFunc(slices.Clone(e.Children()), func(c *cib.Element) bool {
				return madeByHand(c, resource) && (node == "" || constraintNode(c) == node)
			})...)
		})
	}
}

func madeByHand(c *cib.Element, resource string) bool {
	return c.Name() == "rsc_location" && c.Get("rsc") == resource &&
		(c.ID() == "cli-prefer-"+resource || strings.HasPrefix(c.ID(), "cli-ban-"+resource+"-on-"))
}

// constraintNode is the node of a constraint of move or ban, in its simple form or its rule.
func constraintNode(c *cib.Element) string {
	if n, ok := c.Lookup("node"); ok {
		return n
	}
	for x := range c.Child("rule").Each("expression") {
		if x.Get("attribute") == "#uname" {
			return x.Get("value")
		}
	}
	return ""
}

// withMeta sets a meta attribute of a resource; what is inside it loses its own, which would outweigh it.
func withMeta(id, name, value string, rivals ...string) func(*cib.Element) *cib.Element {
	return func(root *cib.Element) *cib.Element {
		return in(root, resources, func(section *cib.Element) *cib.Element {
			return change(section, func(e *cib.Element) *cib.Element {
				if e.ID() != id || !isResource(e.Name()) {
					return e
				}
				e = withoutMeta(e, append(rivals, name))
				return withPair(e, "meta_attributes", unusedID(root, id+"-meta_attributes"), name, value)
			})
		})
	}
}

// unusedID is an id, with more at its end if something has it already.
func unusedID(root *cib.Element, id string) string {
	for cib.FindID(root, id) != nil {
		id += "-1"
	}
	return id
}

func withoutMeta(e *cib.Element, names []string) *cib.Element {
	return change(e, func(x *cib.Element) *cib.Element {
		if x.Name() != "meta_attributes" {
			return x
		}
		return x.WithChildren(slices.DeleteFunc(slices.Clone(x.Children()), func(p *cib.Element) bool {
			return p.Name() == "nvpair" && slices.Contains(names, p.Get("name"))
		})...)
	})
}

func isResource(tag string) bool {
	switch tag {
	case "primitive", "group", "clone", "master", "bundle":
		return true
	}
	return false
}

// withPair sets a name in the attribute sets of an element: where it is already, else in the first set that always holds.
func withPair(e *cib.Element, tag, defaultID, name, value string) *cib.Element {
	first := -1
	for i, set := range e.Children() {
		if set.Name() != tag || set.Get("id-ref") != "" {
			continue
		}
		for j, p := range set.Children() {
			if p.Name() == "nvpair" && p.Get("name") == name {
				return e.ReplaceChild(i, set.ReplaceChild(j, p.With("value", value)))
			}
		}
		if first < 0 && set.Child("rule") == nil {
			first = i
		}
	}
	if first < 0 {
		pair := cib.New("nvpair", "id", defaultID+"-"+name, "name", name, "value", value)
		return e.Append(cib.New(tag, "id", defaultID).Append(pair))
	}
	set := e.Children()[first]
	pair := cib.New("nvpair", "id", set.ID()+"-"+name, "name", name, "value", value)
	return e.ReplaceChild(first, set.Append(pair))
}

// withProperty sets a property of the cluster.
func withProperty(name, value string) func(*cib.Element) *cib.Element {
	return func(root *cib.Element) *cib.Element {
		return in(root, crmConfig, func(e *cib.Element) *cib.Element {
			return withPair(e, "cluster_property_set", "cib-bootstrap-options", name, value)
		})
	}
}

// withNodeAttribute sets a permanent attribute of a node.
func withNodeAttribute(node, name, value string) func(*cib.Element) *cib.Element {
	return func(root *cib.Element) *cib.Element {
		return in(root, nodes, func(section *cib.Element) *cib.Element {
			return change(section, func(e *cib.Element) *cib.Element {
				if e.Name() != "node" || e.Get("uname") != node {
					return e
				}
				return withPair(e, "instance_attributes", "nodes-"+e.ID(), name, value)
			})
		})
	}
}

// withTransient sets an attribute of a node that lasts until it restarts.
func withTransient(node, name, value string) func(*cib.Element) *cib.Element {
	return func(root *cib.Element) *cib.Element {
		return in(root, []string{"status"}, func(section *cib.Element) *cib.Element {
			return change(section, func(e *cib.Element) *cib.Element {
				if e.Name() != "node_state" || e.Get("uname") != node {
					return e
				}
				return in(e, []string{"transient_attributes"}, func(t *cib.Element) *cib.Element {
					return withPair(t, "instance_attributes", "status-"+e.ID(), name, value)
				})
			})
		})
	}
}

// withTicket grants a ticket and takes it out of standby.
func withTicket(id string) func(*cib.Element) *cib.Element {
	return func(root *cib.Element) *cib.Element {
		return in(root, []string{"status", "tickets"}, func(e *cib.Element) *cib.Element {
			for i, t := range e.Children() {
				if t.ID() == id {
					return e.ReplaceChild(i, t.With("granted", "true").With("standby", "false"))
				}
			}
			return e.Append(cib.New("ticket_state", "id", id, "granted", "true", "standby", "false"))
		})
	}
}

// cleanedUp forgets the failures of a resource on a node, as the cluster does it.
func cleanedUp(resource, node string, now time.Time) func(*cib.Element) *cib.Element {
	return func(root *cib.Element) *cib.Element {
		doc, err := cib.FromRoot(root)
		if err != nil {
			return root
		}
		next, _ := command.Apply(doc, command.Entry{Kind: command.KindCleanup, Time: now,
			Cleanup: &command.Cleanup{Node: node, Resource: resource, FailedOnly: true}})
		return next.Root()
	}
}
