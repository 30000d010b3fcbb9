// Package change is what the tools do to a CIB, as functions from one document
// to the next: attributes of resources, nodes and the cluster, the constraints
// of move, ban and clear, tickets. It reads no clock and touches nothing; the
// caller commits what comes out. Ids and places are Pacemaker's, because other
// tools find things by them.
package change

import (
	"slices"

	"systole/crm/cib"
)

// replace puts e in the place of old, wherever that is below root. It finds old
// by identity.
func replace(root, old, e *cib.Element) *cib.Element {
	for path, x := range cib.Walk(root) {
		if x == old {
			return slices.Clone(path).Set(root, e)
		}
	}
	return root
}

// ensure follows tags below an element, making what is missing, and gives the
// root with the innermost one.
func ensure(root *cib.Element, tags ...string) (*cib.Element, *cib.Element) {
	e := root
	for _, tag := range tags {
		c := e.Child(tag)
		if c == nil {
			c = cib.New(tag)
			grown := e.Append(c)
			root = replaceOrRoot(root, e, grown)
		}
		e = c
	}
	return root, e
}

func replaceOrRoot(root, old, e *cib.Element) *cib.Element {
	if root == old {
		return e
	}
	return replace(root, old, e)
}

// resources yields every resource of a document with its container, members before none.
func resources(root *cib.Element) func(yield func(e, in *cib.Element) bool) {
	return func(yield func(e, in *cib.Element) bool) {
		var walk func(e, in *cib.Element) bool
		walk = func(e, in *cib.Element) bool {
			if !IsResource(e.Name()) {
				return true
			}
			if !yield(e, in) {
				return false
			}
			for _, c := range e.Children() {
				if !walk(c, e) {
					return false
				}
			}
			return true
		}
		if section := root.Path("configuration", "resources"); section != nil {
			for _, e := range section.Children() {
				if !walk(e, nil) {
					return
				}
			}
		}
	}
}

// IsResource tells the tags of resources.
func IsResource(tag string) bool {
	switch tag {
	case "primitive", "group", "clone", "master", "bundle":
		return true
	}
	return false
}

// Resource finds a configured resource and its container (nil at the top);
// both are nil when there is none. An instance number after a colon is ignored.
func Resource(root *cib.Element, id string) (e, in *cib.Element) {
	for try := range 2 {
		if try == 1 {
			i := slices.Index([]byte(id), ':')
			if i < 0 {
				return nil, nil
			}
			id = id[:i]
		}
		for r, container := range resources(root) {
			if r.ID() == id {
				return r, container
			}
		}
	}
	return nil, nil
}

// Primitives are the primitives in a resource, itself included.
func Primitives(e *cib.Element) []*cib.Element {
	if e.Name() == "primitive" {
		return []*cib.Element{e}
	}
	var out []*cib.Element
	for _, c := range e.Children() {
		if IsResource(c.Name()) {
			out = append(out, Primitives(c)...)
		}
	}
	return out
}

// Node finds a node by its name or id.
func Node(root *cib.Element, name string) *cib.Element {
	nodes := root.Path("configuration", "nodes")
	for n := range nodes.Each("node") {
		if n.Get("uname") == name {
			return n
		}
	}
	for n := range nodes.Each("node") {
		if n.ID() == name {
			return n
		}
	}
	return nil
}
