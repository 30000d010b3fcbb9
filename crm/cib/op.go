package cib

import (
	"time"

	"systole/crm/exit"
)

// OpKind is what an operation does; the words are cibadmin's.
type OpKind string

// The operations that change a CIB.
const (
	OpCreate    OpKind = "create"     // add Data to the section or XPath; its ids must be new there
	OpModify    OpKind = "modify"     // merge Data into what is there
	OpReplace   OpKind = "replace"    // put Data in the place of what is there
	OpDelete    OpKind = "delete"     // remove the first element that matches Data's tag and attributes, or XPath's match
	OpDeleteAll OpKind = "delete-all" // remove every match
	OpErase     OpKind = "erase"      // empty the configuration and the status
	OpPatch     OpKind = "patch"      // apply Data, a <diff format="2">
	OpBump      OpKind = "bump"       // raise epoch, change nothing else
	OpUpgrade   OpKind = "upgrade"    // bring the vocabulary to the current one
)

// Op is one operation on a CIB.
type Op struct {
	Kind OpKind
	// Section is the scope name, "" or "cib" for the whole document. Ignored with XPath.
	Section string
	// XPath says where instead of Section; an operation that needs one element
	// takes the first match.
	XPath string
	// Data is the element to write, or the pattern to delete.
	Data *Element
	// AllowCreate lets modify add what is missing (cibadmin -c).
	AllowCreate bool
}

// Stamp is who changed what and when, as the cib element records it.
type Stamp struct {
	Time   time.Time // cib-last-written; not written when zero
	User   string    // update-user
	Client string    // update-client: the program
	Origin string    // update-origin: the node it ran on
}

// Apply does all operations in order, or none. expected, if not nil, is the
// version the caller read: when the CIB has another, nothing is done and the
// error carries [exit.Old]. Versions move once however many operations there
// are: epoch when the configuration changed, num_updates when only the status
// did, neither when nothing did. Errors carry the status of the failed
// operation: [exit.NoSuch], [exit.Exists], [exit.Old], [exit.Config], [exit.DataErr].
func (c *CIB) Apply(ops []Op, expected *Version, by Stamp) (*CIB, error) {
	return c, exit.Errorf(exit.Unimplemented, "%d operations", len(ops))
}
