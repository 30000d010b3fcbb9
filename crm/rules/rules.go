// Package rules evaluates the rules of a CIB: whether one is in effect for a
// node, a resource or an operation at an instant, and when that answer can
// change by the passing of time alone.
//
// It is pure: "now" and all facts are given. A broken rule (an unknown
// operation, a date that cannot be read) is not in effect; [Check] says what is
// wrong with it.
package rules

import (
	"time"

	"systole/crm/cib"
)

// Facts are what a rule may ask about. A nil function answers "undefined".
type Facts struct {
	Now time.Time // rules count in its location
	// Attr is a node attribute (including #uname, #id, #kind, #ra-version…) by name.
	Attr func(name string) (string, bool)
	// Param and Meta are parameters and meta-attributes of the resource, for value-source.
	Param func(name string) (string, bool)
	Meta  func(name string) (string, bool)
	// Agent is the resource's agent, for rsc_expression; nil where rules are not about a resource.
	Agent *Agent
	// Op is the operation, for op_expression; nil where rules are not about one.
	Op *Op
	// Submatches are the groups of a rsc-pattern match, for %0 to %9 in attribute names.
	Submatches []string
}

// Agent is what rsc_expression compares.
type Agent struct{ Class, Provider, Type string }

// Op is what op_expression compares.
type Op struct {
	Name     string
	Interval time.Duration
}

// State is the outcome of a rule or one expression.
type State int

// The outcomes. All but InEffect mean that the rule does not apply.
const (
	Unsatisfied  State = iota
	InEffect           // it applies
	NotYet             // it will, by a date
	Expired            // it did, until a date
	Undetermined       // it cannot be evaluated: see [Check]
)

// Answer is the outcome and how long it holds.
type Answer struct {
	State State
	// Next is the next instant at which the state can change though no fact but
	// the time does; zero when there is none.
	Next time.Time
}

// Holds tells whether the rule applies.
func (a Answer) Holds() bool { return a.State == InEffect }

// Eval evaluates a rule (or an element that holds one kind of expression).
// Nested rules are evaluated as expressions of the outer one.
func Eval(rule *cib.Element, f Facts) Answer { return Answer{} }

// EvalAll is for an element that may hold several rules, as an attribute set
// or a lifetime may: it applies when any of them does, and when it has none.
func EvalAll(parent *cib.Element, f Facts) Answer { return Answer{State: InEffect} }

// Check lists what is wrong with a rule, in document order; nil when nothing is.
func Check(rule *cib.Element) []error { return nil }
