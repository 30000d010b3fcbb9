package scheduler

import (
	"slices"

	"systole/crm/status"
)

// trace keeps where scores and roles came from. A nil trace keeps nothing: explanations are asked for rarely, so
// [Explain] runs the scheduler again with one, which gives the same decisions.
type trace struct {
	scores []Contribution
	roles  []roleTrace
}

// Contribution is one thing that changed a resource's score on a node.
type Contribution struct {
	Resource status.ResID
	Node     status.NodeID
	Score    int32
	// Source says what made it: a constraint's id, "stickiness", a failure…
	Source string
}

type roleTrace struct {
	res  status.ResID
	role status.Role
	why  string
}

func (t *trace) score(id status.ResID, n status.NodeID, points int32, why string) {
	if t != nil {
		t.scores = append(t.scores, Contribution{id, n, points, why})
	}
}

func (t *trace) role(id status.ResID, role status.Role, why string) {
	if t != nil {
		t.roles = append(t.roles, roleTrace{id, role, why})
	}
}

// roleOf is what decided last about a resource's role.
func (t *trace) roleOf(id status.ResID) string {
	for _, r := range slices.Backward(t.roles) {
		if r.res == id {
			return r.why
		}
	}
	return ""
}

// mark is a point to which undo forgets contributions whose scores have been taken back.
func (t *trace) mark() int {
	if t == nil {
		return 0
	}
	return len(t.scores)
}

func (t *trace) undo(mark int) {
	if t != nil {
		t.scores = t.scores[:mark]
	}
}
