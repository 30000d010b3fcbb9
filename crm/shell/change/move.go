package change

import (
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
)

// Location is a constraint that a person made with move or ban.
type Location struct {
	Resource, Node string
	// Promoted limits it to the promoted role.
	Promoted bool
	// Until is when it ends by itself; zero is never.
	Until time.Time
}

// roleName is the role such constraints carry.
func (l Location) roleName() string {
	if l.Promoted {
		return "Promoted"
	}
	return "Started"
}

// PreferID is the id of the constraint move makes.
func PreferID(rsc string) string { return "cli-prefer-" + rsc }

// BanID is the id of the constraint ban makes.
func BanID(rsc, node string) string { return "cli-ban-" + rsc + "-on-" + node }

// Prefer makes the constraint of a move: a preference of INFINITY.
func Prefer(root *cib.Element, l Location) *cib.Element {
	return addConstraint(root, l.element(PreferID(l.Resource), "INFINITY", "cli-prefer-rule-"+l.Resource, "cli-prefer-expr-"+l.Resource, "cli-prefer-lifetime-end-"+l.Resource))
}

// Ban makes the constraint of a ban: a score of -INFINITY.
func Ban(root *cib.Element, l Location) *cib.Element {
	id := BanID(l.Resource, l.Node)
	return addConstraint(root, l.element(id, "-INFINITY", id+"-rule", id+"-expr", id+"-lifetime"))
}

// UntilFormat is how the end of a constraint's life is written.
const UntilFormat = "2006-01-02 15:04:05Z"

func (l Location) element(id, score, ruleID, exprID, dateID string) *cib.Element {
	e := cib.New("rsc_location", "id", id, "rsc", l.Resource, "role", l.roleName())
	if l.Until.IsZero() {
		return e.With("node", l.Node).With("score", score)
	}
	return e.WithChildren(cib.New("rule", "id", ruleID, "score", score, "boolean-op", "and").WithChildren(
		cib.New("expression", "id", exprID, "attribute", "#uname", "operation", "eq", "value", l.Node, "type", "string"),
		cib.New("date_expression", "id", dateID, "operation", "lt", "end", l.Until.UTC().Format(UntilFormat)),
	))
}

// addConstraint puts a constraint in the place of one with its id, or at the end.
func addConstraint(root, e *cib.Element) *cib.Element {
	root, section := ensure(root, "configuration", "constraints")
	children := slices.Clone(section.Children())
	if i := slices.IndexFunc(children, func(c *cib.Element) bool { return c.ID() == e.ID() }); i >= 0 {
		children[i] = e
	} else {
		children = append(children, e)
	}
	return replace(root, section, section.WithChildren(children...))
}

// Cleared says what Clear is to take away.
type Cleared struct {
	Resource string
	// Node, if not empty, limits it to constraints for this node.
	Node string
	// AnyPrefer takes the move's constraint whatever node it is for.
	AnyPrefer bool
	// Expired, if not nil, takes only constraints it says have ended.
	Expired func(rule *cib.Element) bool

	prefer bool // only the constraint of a move
}

// Clear takes away what move and ban made, and gives the ids.
func Clear(root *cib.Element, c Cleared) (*cib.Element, []string) {
	section := root.Path("configuration", "constraints")
	if section == nil {
		return root, nil
	}
	var ids []string
	kept := slices.DeleteFunc(slices.Clone(section.Children()), func(e *cib.Element) bool {
		if !c.matches(e) {
			return false
		}
		ids = append(ids, e.ID())
		return true
	})
	if ids == nil {
		return root, nil
	}
	return replace(root, section, section.WithChildren(kept...)), ids
}

func (c Cleared) matches(e *cib.Element) bool {
	if e.Name() != "rsc_location" || e.Get("rsc") != c.Resource {
		return false
	}
	prefer := e.ID() == PreferID(c.Resource)
	ban := strings.HasPrefix(e.ID(), "cli-ban-"+c.Resource+"-on-")
	if !prefer && (!ban || c.prefer) {
		return false
	}
	if c.Node != "" && !(prefer && c.AnyPrefer) && constraintNode(e) != c.Node {
		return false
	}
	if c.Expired != nil {
		rule := e.Child("rule")
		return rule != nil && c.Expired(rule)
	}
	return true
}

// constraintNode is the node of such a constraint, in its simple form or its rule.
func constraintNode(e *cib.Element) string {
	if n, ok := e.Lookup("node"); ok {
		return n
	}
	for x := range e.Child("rule").Each("expression") {
		if x.Get("attribute") == "#uname" {
			return x.Get("value")
		}
	}
	return ""
}

// Made lists the constraints that move and ban made for a resource.
func Made(root *cib.Element, rsc string) []*cib.Element {
	var out []*cib.Element
	for e := range root.Path("configuration", "constraints").Each("rsc_location") {
		if (Cleared{Resource: rsc}).matches(e) {
			out = append(out, e)
		}
	}
	return out
}
