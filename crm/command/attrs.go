package command

import (
	"strings"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/score"
)

func (a *Attrs) apply(c *cib.CIB, status *cib.Element) (*cib.Element, error) {
	if a.Node == "" {
		return status, exit.Errorf(exit.DataErr, "attribute entry without a node")
	}
	for _, change := range a.Changes {
		if change.Name == "" {
			return status, exit.Errorf(exit.DataErr, "attribute entry for %s: an attribute without a name", a.Node)
		}
	}
	return editNode(c, status, cib.Clean(a.Node), cib.Clean(a.ID), func(state *cib.Element) *cib.Element {
		for _, change := range a.Changes {
			state = change.apply(state)
		}
		return state
	}), nil
}

// apply does one change in the node's transient_attributes, in the set named or
// in the first one that has the attribute.
func (a AttrChange) apply(state *cib.Element) *cib.Element {
	if a.Delete && state.Child("transient_attributes") == nil {
		return state
	}
	return editChild(state, "transient_attributes", func(transient *cib.Element) *cib.Element {
		if transient.ID() == "" {
			transient = transient.With("id", state.ID())
		}
		set := cib.Clean(a.Set)
		if set == "" {
			set = "status-" + state.ID()
		}
		i := transient.IndexFunc(func(e *cib.Element) bool { return e.ID() == set })
		if a.Set == "" && (i < 0 || a.find(transient.Children()[i]) < 0) {
			if has := transient.IndexFunc(func(e *cib.Element) bool { return a.find(e) >= 0 }); has >= 0 {
				i = has
			}
		}
		switch {
		case i >= 0:
			return transient.ReplaceChild(i, a.edit(transient.Children()[i]))
		case a.Delete:
			return transient
		}
		return transient.Append(a.edit(cib.New("instance_attributes", "id", set)))
	})
}

// find is the nvpair's place in a set, -1 without one.
func (a AttrChange) find(set *cib.Element) int {
	name := cib.Clean(a.Name)
	return set.IndexFunc(func(e *cib.Element) bool { return e.Name() == "nvpair" && e.Get("name") == name })
}

func (a AttrChange) edit(set *cib.Element) *cib.Element {
	i := a.find(set)
	switch {
	case a.Delete && i < 0:
		return set
	case a.Delete:
		return set.RemoveChild(i)
	case i < 0:
		name := cib.Clean(a.Name)
		return set.Append(cib.New("nvpair", "id", set.ID()+"-"+cib.CleanID(name), "name", name, "value", a.value("0")))
	}
	pair := set.Children()[i]
	return set.ReplaceChild(i, pair.With("value", a.value(pair.Get("value"))))
}

func (a AttrChange) value(have string) string {
	if a.Add == 0 {
		return cib.Clean(a.Value)
	}
	return score.ParseOr(have, 0).Add(score.Of(int64(a.Add))).String()
}

// isFailureOf tells whether an attribute counts failures of the resource: all
// of them, or those of one operation ("stop_0").
func isFailureOf(attr, resource, operation string) bool {
	rest, ok := strings.CutPrefix(attr, "fail-count-")
	if !ok {
		if rest, ok = strings.CutPrefix(attr, "last-failure-"); !ok {
			return false
		}
	}
	// Without "#" it is the form of Pacemaker before 1.1.17, for all operations.
	of, op, _ := strings.Cut(rest, "#")
	if i := strings.LastIndexByte(rest, '#'); i >= 0 {
		of, op = rest[:i], rest[i+1:]
	}
	return (resource == "" || of == resource) && (operation == "" || op == "" || op == operation)
}
