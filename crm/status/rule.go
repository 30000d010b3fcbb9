package status

import (
	"time"

	"systole/crm/cib"
	"systole/crm/rules"
)

// ruleContext is what a rule may ask about besides the time.
type ruleContext struct {
	Attributes            map[string]string // of the node, nil where no node is meant
	Class, Provider, Type string
	Op                    string
	IntervalMillis        uint32
}

// passes tells whether an element's rules, if it has any, let it apply, and remembers when that may change.
func (u *Evaluator) passes(e *cib.Element, ctx ruleContext) bool {
	if e.Child("rule") == nil {
		return true
	}
	f := rules.Facts{Now: u.s.Now, Attr: func(name string) (string, bool) { v, ok := ctx.Attributes[name]; return v, ok }}
	if ctx.Class != "" {
		f.Agent = &rules.Agent{Class: ctx.Class, Provider: ctx.Provider, Type: ctx.Type}
	}
	if ctx.Op != "" {
		f.Op = &rules.Op{Name: ctx.Op, Interval: time.Duration(ctx.IntervalMillis) * time.Millisecond}
	}
	answer := rules.EvalAll(e, f)
	u.recheckBy(answer.Next)
	return answer.Holds()
}

// recheckBy notes a moment after which the same CIB may read differently.
func (u *Evaluator) recheckBy(t time.Time) {
	if !t.IsZero() && (u.RecheckBy.IsZero() || t.Before(u.RecheckBy)) {
		u.RecheckBy = t
	}
}

// RuleHolds evaluates a location rule for a resource on a node. The submatches are the groups of a resource pattern.
func (ev *Evaluator) RuleHolds(rule *cib.Element, r ResID, n NodeID, submatches []string) bool {
	rule = ev.resolve(rule)
	node, rsc := &ev.s.Nodes[n], &ev.s.Resources[r]
	lookup := func(m map[string]string) func(string) (string, bool) {
		return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
	}
	answer := rules.Eval(rule, rules.Facts{Now: ev.s.Now, Attr: lookup(node.Attributes), Meta: lookup(rsc.Meta),
		Param: func(name string) (string, bool) { v, ok := ev.Params(r, n)[name]; return v, ok }, Submatches: submatches})
	ev.recheckBy(answer.Next)
	return answer.Holds()
}

// InEffect tells whether an element's lifetime, if it has one, covers the present.
func (ev *Evaluator) InEffect(e *cib.Element) bool {
	l := e.Child("lifetime")
	return l == nil || ev.passes(l, ruleContext{})
}

// Resolve follows an id-ref.
func (ev *Evaluator) Resolve(e *cib.Element) *cib.Element { return ev.resolve(e) }
