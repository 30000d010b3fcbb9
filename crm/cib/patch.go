package cib

import "systole/crm/exit"

// Patch is the difference of two documents in the diff format 2 of crm_diff.
type Patch struct {
	// Source and Target are the versions before and after; nil when the patch
	// has none and is applied to whatever is there.
	Source, Target *Version
	Changes        []Change
}

// ChangeKind is the operation attribute of a change.
type ChangeKind string

// The kinds of change.
const (
	ChangeCreate ChangeKind = "create"
	ChangeDelete ChangeKind = "delete"
	ChangeMove   ChangeKind = "move"
	ChangeModify ChangeKind = "modify"
)

// Change is one step of a patch.
type Change struct {
	Kind ChangeKind
	// Path is the id path of the element; for create that of the parent.
	Path string
	// Position among all children; -1 when not given.
	Position int
	// Element is the child to create.
	Element *Element
	// Set and Unset are the attributes a modify changes.
	Set   []Attr
	Unset []string
}

// Empty tells whether the patch changes nothing.
func (p Patch) Empty() bool { return len(p.Changes) == 0 }

// Diff is the patch that makes new of old.
func Diff(old, new *Element) Patch { return Patch{} }

// ParsePatch reads a <diff format="2"> element.
func ParsePatch(diff *Element) (Patch, error) {
	return Patch{}, exit.Errorf(exit.Unimplemented, "patch")
}

// XML is the patch as a <diff format="2"> element.
func (p Patch) XML() *Element { return New("diff", "format", "2") }

// Apply makes the changes on root. It does not look at versions. The error
// carries [exit.Config] when a path leads nowhere.
func (p Patch) Apply(root *Element) (*Element, error) {
	return root, exit.Errorf(exit.Unimplemented, "patch")
}
