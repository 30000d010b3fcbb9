// Package explain answers, in sentences, why a resource is where it is and why
// it is not elsewhere, what keeps it from running, and which single change of
// the cluster would start or move it.
//
// It is pure. Everything it says comes from the scheduler: the numbers from the
// notes that [scheduler.Explain] takes, the suggestions from running the
// scheduler on the changed CIB and carrying its plans out on paper. A change that
// does not lead to the promised placement is not suggested.
package explain

import (
	"slices"
	"time"

	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/scheduler"
	"systole/crm/status"
)

// DefaultTries bounds the search for suggestions: so many changed CIBs are given to the scheduler at most. It is
// chosen so that an answer takes seconds where one scheduling run takes a tenth of one.
const DefaultTries = 64

// Question is what is asked.
type Question struct {
	Root *cib.Element
	Now  time.Time
	// Resource is a configured id, or that of one instance ("web:1").
	Resource string
	// Node limits the answer to one node; "" asks about all.
	Node string
	// Tries bounds the search for suggestions; 0 is [DefaultTries], negative searches none.
	Tries int
}

// Answer is what there is to say. Its JSON form is stable.
type Answer struct {
	Resource string `json:"resource"`
	// Accounts are one for each primitive the resource consists of, instances included.
	Accounts []Account `json:"accounts"`
	// Blocking are sentences about what keeps the resource from running.
	Blocking []string `json:"blocking,omitempty"`
	// Suggestions are verified single changes, at most one for each aim.
	Suggestions []Suggestion `json:"suggestions,omitempty"`
	// Unsolved are the nodes (of which "" means any) to which no single change was found to lead.
	Unsolved []string `json:"unsolved,omitempty"`
	// Incomplete tells that the search was ended by its bound.
	Incomplete bool `json:"incomplete,omitempty"`
}

// Account is what there is to say about one primitive.
type Account struct {
	Resource string `json:"resource"`
	// Now says where it is, as a list: "Started on a".
	Now []string `json:"now"`
	// Planned are the changes the cluster would order now.
	Planned []string `json:"planned,omitempty"`
	// Node is where it is to be, "" for nowhere.
	Node string `json:"node,omitempty"`
	// Why says what decided about the node, RoleWhy what decided about the role, if anything special did.
	Why     string        `json:"why"`
	RoleWhy string        `json:"role_why,omitempty"`
	Nodes   []NodeAccount `json:"nodes"`
}

// NodeAccount is a primitive's relation to one node.
type NodeAccount struct {
	Node string `json:"node"`
	// Score is the one decided with, "" where the resource may not be at all.
	Score  string `json:"score,omitempty"`
	Chosen bool   `json:"chosen,omitempty"`
	// Verdict says why it is not there (or that it is to be), in one clause.
	Verdict string `json:"verdict"`
	// Reasons are what made the score.
	Reasons []Reason `json:"reasons,omitempty"`
}

// Reason is one thing that made a score or forbids a node.
type Reason struct {
	// Source is the id of the constraint, or a few words.
	Source string `json:"source"`
	// Score is what it gives or takes, "" where it forbids in another way.
	Score string `json:"score,omitempty"`
	Text  string `json:"text"`
}

// Suggestion is one verified change.
type Suggestion struct {
	// Node is where the resource will be by it.
	Node string `json:"node"`
	// Command is what to type.
	Command string `json:"command"`
	// Text says what the command changes.
	Text string `json:"text"`

	apply edit
}

// Apply makes the suggested change in a document, as the command would.
func (s Suggestion) Apply(root *cib.Element) *cib.Element { return s.apply.make(root) }

// Ask answers a question. Its errors carry [exit.NoSuch] for an unknown resource or node.
func Ask(q Question) (Answer, error) {
	result := scheduler.Schedule(q.Root, q.Now, scheduler.Options{})
	subject := find(result.Status, q.Resource)
	if len(subject) == 0 {
		return Answer{}, exit.Errorf(exit.NoSuch, "there is no resource %q", q.Resource)
	}
	if _, ok := result.Status.Node(q.Node); q.Node != "" && !ok {
		return Answer{}, exit.Errorf(exit.NoSuch, "there is no node %q", q.Node)
	}
	a := Answer{Resource: q.Resource}
	teller := teller{result: result}
	for _, id := range subject {
		e, _ := scheduler.Explain(result, result.Status.Resources[id].ID)
		for _, leaf := range leaves(e) {
			a.Accounts = append(a.Accounts, teller.account(leaf, q.Node))
		}
	}
	a.Blocking = teller.blocking(subject)
	if q.Tries >= 0 {
		search(q, result, subject, &a)
	}
	return a, nil
}

// find resolves a name: an exact one, or all instances of a configured one.
func find(s *status.Status, name string) []status.ResID {
	if r, ok := s.Resource(name); ok {
		return []status.ResID{r.Index}
	}
	var all []status.ResID
	for i := range s.Resources {
		r := &s.Resources[i]
		if (r.BaseID == name || r.HistoryID == name) && !slices.Contains(all, r.Parent) {
			all = append(all, r.Index)
		}
	}
	return all
}

func leaves(e scheduler.Explanation) []scheduler.Explanation {
	if len(e.Members) == 0 {
		return []scheduler.Explanation{e}
	}
	var all []scheduler.Explanation
	for _, m := range e.Members {
		all = append(all, leaves(m)...)
	}
	return all
}
