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
