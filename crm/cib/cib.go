package cib

import (
	"cmp"
	"fmt"
	"strconv"

	"systole/crm/exit"
)

// The vocabulary this package writes and upgrades to.
const (
	CurrentSchema     = "pacemaker-3.9"
	CurrentFeatureSet = "3.16.1"
)

// Version is the triple that orders CIBs: admin_epoch is set by hand only, a
// change of the configuration raises epoch and clears num_updates, a change of
// the status raises num_updates.
type Version struct{ AdminEpoch, Epoch, NumUpdates int }

// String is the triple with dots: "0.12.3".
func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v.AdminEpoch, v.Epoch, v.NumUpdates)
}

// Compare is negative when v is older than w, 0 when equal.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.AdminEpoch, w.AdminEpoch), cmp.Compare(v.Epoch, w.Epoch), cmp.Compare(v.NumUpdates, w.NumUpdates))
}

// AnyNumUpdates as NumUpdates of an expected version: the status may have moved on.
const AnyNumUpdates = -1

// expects tells whether have is the version expected.
func (v Version) expects(have Version) bool {
	if v.NumUpdates == AnyNumUpdates {
		v.NumUpdates = have.NumUpdates
	}
	return v == have
}

// CIB is a document with its version. It is immutable, like its elements.
type CIB struct {
	root    *Element
	version Version
}

// Empty is the CIB of a new cluster: all required sections, none with content,
// version 0.0.0.
func Empty() *CIB {
	root := New("cib",
		"crm_feature_set", CurrentFeatureSet, "validate-with", CurrentSchema,
		"epoch", "0", "num_updates", "0", "admin_epoch", "0").WithChildren(
		New("configuration").WithChildren(New("crm_config"), New("nodes"), New("resources"), New("constraints")),
		New("status"))
	return &CIB{root: root}
}

// FromRoot makes a CIB of a document. The root must be <cib> and its version
// attributes, where present, whole numbers; a missing one counts as 0. The
// error carries [exit.Config].
func FromRoot(root *Element) (*CIB, error) {
	if root == nil || root.name != "cib" {
		name := "nothing"
		if root != nil {
			name = "<" + root.name + ">"
		}
		return nil, exit.Errorf(exit.Config, "the document's root is %s, not <cib>", name)
	}
	v, err := versionOf(root, "admin_epoch", "epoch", "num_updates")
	if err != nil {
		return nil, exit.With(exit.Config, err)
	}
	return &CIB{root, v}, nil
}

// ParseCIB is [Parse] and [FromRoot].
func ParseCIB(doc []byte, limits ...Limit) (*CIB, error) {
	root, err := Parse(doc, limits...)
	if err != nil {
		return nil, exit.With(exit.Config, err)
	}
	return FromRoot(root)
}

func versionOf(e *Element, adminEpoch, epoch, numUpdates string) (v Version, err error) {
	for _, f := range []struct {
		attr string
		to   *int
	}{{adminEpoch, &v.AdminEpoch}, {epoch, &v.Epoch}, {numUpdates, &v.NumUpdates}} {
		text, ok := e.Lookup(f.attr)
		if !ok || text == "" {
			continue
		}
		if *f.to, err = strconv.Atoi(text); err != nil {
			return v, fmt.Errorf("<%s>: %s=%q is not a whole number", e.name, f.attr, text)
		}
	}
	return v, nil
}

// Root is the <cib> element.
func (c *CIB) Root() *Element { return c.root }

// Version is the version triple.
func (c *CIB) Version() Version { return c.version }

// Configuration is the configuration section; nil if the document has none.
func (c *CIB) Configuration() *Element { return c.root.Child("configuration") }

// Status is the status section; nil if the document has none.
func (c *CIB) Status() *Element { return c.root.Child("status") }

// Section is a section by its scope name ("resources", "status", "configuration",
// "cib" or "" for the root); nil when the document lacks it or the name is unknown.
func (c *CIB) Section(scope string) *Element {
	at, ok := sectionPath(scope)
	if !ok {
		return nil
	}
	return c.root.Path(at...)
}

// FindID is the first configuration element with the id, in document order; nil
// without one. It walks the configuration: for many look-ups use [IndexIDs].
func (c *CIB) FindID(id string) *Element { return FindID(c.Configuration(), id) }

// String is the whole document as cibadmin prints it.
func (c *CIB) String() string { return c.root.String() }

// WithVersion returns the document under another version.
func (c *CIB) WithVersion(v Version) *CIB {
	root := c.root.
		With("admin_epoch", strconv.Itoa(v.AdminEpoch)).
		With("epoch", strconv.Itoa(v.Epoch)).
		With("num_updates", strconv.Itoa(v.NumUpdates))
	return &CIB{root, v}
}

// WithStatus returns the document with another status section, under a version
// whose num_updates is one higher.
func (c *CIB) WithStatus(status *Element) *CIB {
	v := c.version
	v.NumUpdates++
	return &CIB{c.root.withChild(status).With("num_updates", strconv.Itoa(v.NumUpdates)), v}
}

// withChild replaces the first child of the same name, or appends.
func (e *Element) withChild(child *Element) *Element {
	for i, c := range e.children {
		if c.name == child.name {
			return e.ReplaceChild(i, child)
		}
	}
	return e.Append(child)
}
