package model

import "systole/crm/cib"

// Constraints are the configured constraints in document order, mixed as written.
type Constraints []Constraint

// Constraint is one of *Location, *Colocation, *Order, *Ticket.
type Constraint interface{ ConstraintID() string }

// Location prefers or bans nodes for resources.
type Location struct {
	ID string
	// Resource, Pattern or Sets say which resources.
	Resource, Pattern string
	Sets              []Set
	// Role narrows the constraint, "" for none.
	Role string
	// Node and Score are the simple form; Rules the other one.
	Node, Score string
	Rules       []*cib.Element
	// Discovery is resource-discovery, "" for always.
	Discovery string
	Source    *cib.Element
}

// Colocation places the dependent in relation to the primary.
type Colocation struct {
	ID                                      string
	Dependent, DependentRole, DependentInst string
	Primary, PrimaryRole, PrimaryInst       string
	NodeAttribute, Score, Influence         string
	Sets                                    []Set
	Source                                  *cib.Element
}

// Order sequences the action of First before the action of Then.
type Order struct {
	ID                          string
	First, FirstAction, FirstIn string
	Then, ThenAction, ThenIn    string
	Kind, Symmetrical, Score    string
	RequireAll                  string
	Sets                        []Set
	Source                      *cib.Element
}

// Ticket makes resources depend on a ticket.
type Ticket struct {
	ID                                 string
	Resource, Role, Ticket, LossPolicy string
	Sets                               []Set
	Source                             *cib.Element
}

// Set is one resource_set of a constraint.
type Set struct {
	ID                                                string
	Members                                           []string
	Sequential, RequireAll, Action, Role, Score, Kind string
	Ordering                                          string
	Source                                            *cib.Element
}

// ConstraintID is the id in the CIB.
func (l *Location) ConstraintID() string { return l.ID }

// ConstraintID is the id in the CIB.
func (c *Colocation) ConstraintID() string { return c.ID }

// ConstraintID is the id in the CIB.
func (o *Order) ConstraintID() string { return o.ID }

// ConstraintID is the id in the CIB.
func (t *Ticket) ConstraintID() string { return t.ID }

func (c *Config) decodeConstraints(constraints *cib.Element) {
	if constraints == nil {
		return
	}
	sets := newIDIndex(constraints)
	for _, e := range constraints.Children() {
		id := e.ID()
		if id == "" && e.Name() != "#comment" {
			c.problem("%s without id (line %d) left out", e.Name(), e.Line())
			continue
		}
		switch e.Name() {
		case "rsc_location":
			l := &Location{ID: id, Resource: e.Get("rsc"), Pattern: e.Get("rsc-pattern"), Sets: decodeSets(e, &sets),
				Role: e.Get("role"), Node: e.Get("node"), Score: e.Get("score"), Discovery: e.Get("resource-discovery"), Source: e}
			for r := range e.Each("rule") {
				l.Rules = append(l.Rules, r)
			}
			c.Constraints = append(c.Constraints, l)
		case "rsc_colocation":
			c.Constraints = append(c.Constraints, &Colocation{ID: id,
				Dependent: e.Get("rsc"), DependentRole: e.Get("rsc-role"), DependentInst: e.Get("rsc-instance"),
				Primary: e.Get("with-rsc"), PrimaryRole: e.Get("with-rsc-role"), PrimaryInst: e.Get("with-rsc-instance"),
				NodeAttribute: e.Get("node-attribute"), Score: e.Get("score"), Influence: e.Get("influence"),
				Sets: decodeSets(e, &sets), Source: e})
		case "rsc_order":
			c.Constraints = append(c.Constraints, &Order{ID: id,
				First: e.Get("first"), FirstAction: e.Get("first-action"), FirstIn: e.Get("first-instance"),
				Then: e.Get("then"), ThenAction: e.Get("then-action"), ThenIn: e.Get("then-instance"),
				Kind: e.Get("kind"), Symmetrical: e.Get("symmetrical"), Score: e.Get("score"), RequireAll: e.Get("require-all"),
				Sets: decodeSets(e, &sets), Source: e})
		case "rsc_ticket":
			c.Constraints = append(c.Constraints, &Ticket{ID: id, Resource: e.Get("rsc"), Role: e.Get("rsc-role"),
				Ticket: e.Get("ticket"), LossPolicy: e.Get("loss-policy"), Sets: decodeSets(e, &sets), Source: e})
		}
	}
}

func decodeSets(e *cib.Element, ids *idIndex) []Set {
	var sets []Set
	for s := range e.Each("resource_set") {
		s = ids.resolve(s)
		set := Set{ID: s.ID(), Sequential: s.Get("sequential"), RequireAll: s.Get("require-all"), Action: s.Get("action"),
			Role: s.Get("role"), Score: s.Get("score"), Kind: s.Get("kind"), Ordering: s.Get("ordering"), Source: s}
		for ref := range s.Each("resource_ref") {
			set.Members = append(set.Members, ref.ID())
		}
		sets = append(sets, set)
	}
	return sets
}

// Attribute is an attribute of the set's element that has no field of its own.
func (s Set) Attribute(name string) string {
	if s.Source == nil {
		return ""
	}
	return s.Source.Get(name)
}
