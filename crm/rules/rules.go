// Package rules evaluates the rules of a CIB: whether one is in effect for a
// node, a resource or an operation at an instant, and when that answer can
// change by the passing of time alone (Pacemaker Explained, "Rules").
//
// It is pure: "now" and all facts are given. A broken rule (an unknown
// operation, a date that cannot be read) is not in effect; [Check] says what is
// wrong with it. Instants count in whole seconds, in the location of "now".
package rules

import (
	"fmt"
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

// String names the state in words.
func (s State) String() string {
	switch s {
	case Unsatisfied:
		return "not satisfied"
	case InEffect:
		return "in effect"
	case NotYet:
		return "not yet in effect"
	case Expired:
		return "expired"
	case Undetermined:
		return "undetermined"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Answer is the outcome and how long it holds.
type Answer struct {
	State State
	// Next is the next instant at which the state can change though no fact but
	// the time does; zero when there is none. It may be earlier than the change, never later.
	Next time.Time
}

// Holds tells whether the rule applies.
func (a Answer) Holds() bool { return a.State == InEffect }

// Eval evaluates a rule, or a single expression. Rules inside count as
// expressions of the outer one. The expressions are joined by boolean-op ("and"
// without one); a rule without any applies when it joins by "and".
func Eval(rule *cib.Element, f Facts) Answer {
	f.Now = f.Now.Truncate(time.Second)
	a, _ := eval(rule, f)
	return a
}

// EvalAll is for an element that may hold several rules, as an attribute set
// or a lifetime may: it applies when any of them does, and when it has none.
func EvalAll(parent *cib.Element, f Facts) Answer {
	total, any := Answer{State: InEffect}, false
	for rule := range parent.Each("rule") {
		a := Eval(rule, f)
		if !any || a.Holds() && !total.Holds() {
			total.State = a.State
		}
		any = true
		total.Next = earlier(total.Next, a.Next)
	}
	return total
}

// Check lists what is wrong with a rule, in document order; nil when nothing is.
func Check(rule *cib.Element) []error {
	var problems []error
	for _, e := range rule.Children() {
		if e.Name() == "rule" {
			problems = append(problems, Check(e)...)
			continue
		}
		if !isExpression(e) {
			continue
		}
		if err := checkExpression(e); err != nil {
			problems = append(problems, fmt.Errorf("%s %q: %w", e.Name(), e.ID(), err))
		}
	}
	if op := rule.Get("boolean-op"); rule.Name() == "rule" && op != "" && op != "and" && op != "or" {
		problems = append(problems, fmt.Errorf("rule %q: boolean-op %q is neither and nor or", rule.ID(), op))
	}
	return problems
}

func isExpression(e *cib.Element) bool {
	switch e.Name() {
	case "expression", "date_expression", "rsc_expression", "op_expression":
		return true
	}
	return false
}

// eval is one rule or expression. The error says why a state is Undetermined.
func eval(e *cib.Element, f Facts) (Answer, error) {
	switch e.Name() {
	case "expression":
		return state(evalAttribute(e, f))
	case "date_expression":
		return evalDate(e, f.Now)
	case "rsc_expression":
		return state(evalAgent(e, f.Agent), nil)
	case "op_expression":
		return state(evalOp(e, f.Op))
	}
	return evalRule(e, f), nil
}

func state(holds bool, err error) (Answer, error) {
	switch {
	case err != nil:
		return Answer{State: Undetermined}, err
	case holds:
		return Answer{State: InEffect}, nil
	}
	return Answer{State: Unsatisfied}, nil
}

// evalRule joins the expressions. The state of a rule that does not apply is
// that of the first expression in its way.
func evalRule(rule *cib.Element, f Facts) Answer {
	or := rule.Get("boolean-op") == "or"
	total, first := Answer{State: InEffect}, true
	if or {
		total.State = Unsatisfied
	}
	for _, e := range rule.Children() {
		if !isExpression(e) && e.Name() != "rule" {
			continue
		}
		a, _ := eval(e, f)
		total.Next = earlier(total.Next, a.Next)
		switch {
		case or && a.Holds():
			total.State = InEffect
		case or && first, !or && !a.Holds() && total.Holds():
			total.State = a.State
		}
		first = false
	}
	return total
}

// earlier is the earlier of two instants, where zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
