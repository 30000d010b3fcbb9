package cib

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/crm/exit"
)

// OpKind is what an operation does; the words are cibadmin's.
type OpKind string

// The operations that change a CIB.
const (
	OpCreate    OpKind = "create"     // add Data to the section or XPath; it must not be there yet
	OpModify    OpKind = "modify"     // merge Data into what is there
	OpReplace   OpKind = "replace"    // put Data in the place of what is there
	OpDelete    OpKind = "delete"     // remove the first element that matches Data's tag and attributes, or XPath's first match
	OpDeleteAll OpKind = "delete-all" // remove every match
	OpErase     OpKind = "erase"      // empty the configuration and the status, raise admin_epoch
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
	// Data is the element to write, or the pattern to delete. For an operation on
	// a section it may be the section, a whole <cib> around it, or an element inside.
	Data *Element
	// AllowCreate lets modify add what is missing (cibadmin -c).
	AllowCreate bool
}

// Stamp is who changed what and when, as the cib element records it.
type Stamp struct {
	Time   time.Time // cib-last-written, in its own location; nothing is written when zero
	User   string    // update-user
	Client string    // update-client: the program
	Origin string    // update-origin: the node it ran on
}

// Apply does all operations in order, or none. expected, if not nil, is the
// version the caller read: when the CIB has another, nothing is done and the
// error carries [exit.Old]; [AnyNumUpdates] in it compares the configuration only. Versions move once however many operations there
// are: epoch when the configuration changed, num_updates when only the status
// did, neither when nothing did. A configuration must come out without errors
// by [Validate] unless it had some before. Errors carry the status of the failed operation:
// [exit.NoSuch], [exit.Exists], [exit.Old], [exit.Config], [exit.DataErr].
func (c *CIB) Apply(ops []Op, expected *Version, by Stamp) (*CIB, error) {
	if expected != nil && !expected.expects(c.version) {
		return c, exit.Errorf(exit.Old, "the CIB is at version %s, not %s: read it again and repeat the change", c.version, *expected)
	}
	root := c.root
	for i, op := range ops {
		next, err := op.apply(root)
		if err != nil {
			return c, exit.With(exit.Of(err), fmt.Errorf("operation %d (%s %s): %w", i+1, op.Kind, op.where(), err))
		}
		root = next
	}
	has := func(kind OpKind) bool { return slices.ContainsFunc(ops, func(op Op) bool { return op.Kind == kind }) }
	return c.advance(root, has(OpBump), has(OpPatch), by)
}

func (op Op) where() string {
	switch {
	case op.XPath != "":
		return op.XPath
	case op.Section != "":
		return op.Section
	}
	return "cib"
}

// advance makes the next CIB of a changed root: checks it and moves the version.
func (c *CIB) advance(root *Element, bumped, patched bool, by Stamp) (*CIB, error) {
	next, err := FromRoot(root)
	if err != nil {
		return c, err
	}
	configuration := bumped || !Equal(c.Configuration(), next.Configuration()) || !equalSettings(c.root, root)
	if !configuration && Equal(c.Status(), next.Status()) && equalAttrs(c.root.attrs, root.attrs) {
		return c, nil
	}
	if d := depth(root); d > DefaultMaxDepth {
		return c, exit.Errorf(exit.Config, "elements would nest %d deep, and a document deeper than %d cannot be read back", d, DefaultMaxDepth)
	}
	if configuration {
		if err := c.accept(root); err != nil {
			return c, err
		}
	}
	v, err := c.nextVersion(next.version, configuration, patched)
	if err != nil {
		return c, err
	}
	next = next.WithVersion(v)
	if configuration && !by.Time.IsZero() {
		next.root = by.write(next.root)
	}
	return next, nil
}

// nextVersion goes on from the version there is, or from a later one that the
// change wrote itself (by hand, or in a whole document). A patch brings the version
// that its author's change had.
func (c *CIB) nextVersion(written Version, configuration, patched bool) (Version, error) {
	v := c.version
	switch order := cmp.Or(cmp.Compare(written.AdminEpoch, v.AdminEpoch), cmp.Compare(written.Epoch, v.Epoch)); {
	case order < 0:
		return v, exit.Errorf(exit.Old, "the change would take the version from %s back to %s", v, written)
	case order > 0 && patched:
		return written, nil
	case order > 0:
		v = written
	}
	if configuration {
		return Version{v.AdminEpoch, v.Epoch + 1, 0}, nil
	}
	return Version{v.AdminEpoch, v.Epoch, v.NumUpdates + 1}, nil
}

// depth is how deep elements nest; an element alone has 1. Comments do not count.
func depth(e *Element) int {
	deepest := 0
	for _, c := range e.children {
		if c.name != commentName {
			deepest = max(deepest, depth(c))
		}
	}
	return deepest + 1
}

// equalSettings compares the attributes of <cib> that belong to the configuration.
func equalSettings(a, b *Element) bool {
	for _, name := range []string{"validate-with", "crm_feature_set", "remote-tls-port", "remote-clear-port"} {
		if a.Get(name) != b.Get(name) {
			return false
		}
	}
	return true
}

// accept refuses a configuration that has become invalid. One that was invalid
// already (an old cluster's) may be changed: each step towards a valid one must be possible.
func (c *CIB) accept(root *Element) error {
	errs := Errors(Validate(root))
	if len(errs) == 0 || len(Errors(Validate(c.root))) > 0 {
		return nil
	}
	lines := make([]string, len(errs))
	for i, p := range errs {
		p.Line = 0 // of whatever document the element once came from
		lines[i] = p.String()
	}
	return exit.Errorf(exit.Config, "the result would not be a valid CIB: %s", strings.Join(lines, "; "))
}

// write records who made the change on the cib element. Times read as asctime
// writes them, which clients parse.
func (s Stamp) write(root *Element) *Element {
	root = root.With("cib-last-written", s.Time.Format(time.ANSIC))
	for _, a := range []Attr{{"update-origin", s.Origin}, {"update-client", s.Client}, {"update-user", s.User}} {
		if a.Value == "" {
			root = root.Without(a.Name)
		} else {
			root = root.With(a.Name, a.Value)
		}
	}
	return root
}

// apply is one operation on the document. Every operation finds its target,
// makes a new one and puts it in place.
func (op Op) apply(root *Element) (*Element, error) {
	switch op.Kind {
	case OpErase:
		return erased(root)
	case OpBump:
		return root, nil
	case OpUpgrade:
		upgraded, _, err := Upgrade(root)
		return upgraded, err
	case OpPatch:
		return op.patch(root)
	case OpDelete, OpDeleteAll:
		return op.delete(root)
	}
	if op.Data == nil {
		return nil, exit.Errorf(exit.DataErr, "no element given")
	}
	root, at, data, err := op.target(root)
	if err != nil {
		return nil, err
	}
	switch op.Kind {
	case OpCreate:
		return op.create(root, at, data)
	case OpModify:
		return op.modify(root, at, data)
	case OpReplace:
		return op.replace(root, at, data)
	}
	return nil, exit.Errorf(exit.Usage, "unknown operation %q", op.Kind)
}

// target is the path of the section or XPath match the operation works on, and
// the part of Data that belongs there. A known section that is missing is made
// in the root that comes back, if the operation may add something.
func (op Op) target(root *Element) (*Element, Path, *Element, error) {
	if op.XPath != "" {
		found, err := findAll(root, op.XPath)
		if err != nil {
			return nil, nil, nil, err
		}
		if len(found) == 0 {
			return nil, nil, nil, exit.Errorf(exit.NoSuch, "nothing matches")
		}
		return root, found[0], op.Data, nil
	}
	tags, ok := sectionPath(op.Section)
	if !ok {
		return nil, nil, nil, exit.Errorf(exit.NoSuch, "there is no section %q", op.Section)
	}
	if own, ok := sectionPath(op.Data.name); ok && len(tags) == 0 {
		tags = own // a bare <resources> says by itself where it goes
	}
	data, err := sectionOf(op.Data, tags)
	if err != nil {
		return nil, nil, nil, err
	}
	adds := op.Kind == OpCreate || op.Kind == OpModify && op.AllowCreate || op.Kind == OpReplace && len(tags) > 0 && data.name == tags[len(tags)-1]
	root, at, ok := descend(root, tags, adds)
	if !ok {
		return nil, nil, nil, exit.Errorf(exit.NoSuch, "the CIB has no section %s", strings.Join(tags, "/"))
	}
	return root, at, data, nil
}

// sectionOf takes the section out of a whole <cib> or <configuration>; other data it gives back.
func sectionOf(data *Element, tags []string) (*Element, error) {
	inner := data
	if data.name == "cib" {
		inner = data.Path(tags...)
	} else if data.name == "configuration" && len(tags) == 2 {
		inner = data.Child(tags[1])
	}
	if inner == nil {
		return nil, exit.Errorf(exit.DataErr, "the <%s> given has no section %s", data.name, strings.Join(tags, "/"))
	}
	return inner, nil
}

// descend follows first children by tag. Missing ones it adds to the root that
// comes back, or else ok is false.
func descend(e *Element, tags []string, add bool) (root *Element, at Path, ok bool) {
	if len(tags) == 0 {
		return e, nil, true
	}
	i := slices.IndexFunc(e.children, func(c *Element) bool { return c.name == tags[0] })
	if i < 0 {
		if !add {
			return nil, nil, false
		}
		e, i = e.Append(New(tags[0])), len(e.children)
	}
	child, below, ok := descend(e.children[i], tags[1:], add)
	if !ok {
		return nil, nil, false
	}
	return e.ReplaceChild(i, child), append(Path{i}, below...), true
}

func (op Op) create(root *Element, at Path, data *Element) (*Element, error) {
	target := at.In(root)
	if op.XPath == "" && len(at) == 0 && data.name != root.name {
		return nil, exit.Errorf(exit.NoSuch, "<%s> cannot be put into <cib>: name its section", data.name)
	}
	if op.XPath == "" && data.name == target.name {
		created, err := createIn(target, data)
		return at.Set(root, created), err
	}
	created, err := createIn(target, New(target.name).WithChildren(data))
	return at.Set(root, created), err
}

// createIn adds data's children to e. A child without id that is there already
// is a container (<resources>, <operations>): its content is added to it. One
// with an id must be new among its brothers.
func createIn(e, data *Element) (*Element, error) {
	for _, c := range data.children {
		i := e.indexOf(c)
		switch _, hasID := c.Lookup("id"); {
		case i < 0 || c.name == commentName:
			e = e.Append(c)
		case hasID || len(c.children) == 0:
			return nil, exit.Errorf(exit.Exists, "%s is there already", describe(c))
		default:
			sub, err := createIn(e.children[i], c)
			if err != nil {
				return nil, err
			}
			e = e.ReplaceChild(i, sub)
		}
	}
	return e, nil
}

// indexOf is the child with like's tag and id (any id when like has none), -1 without one.
func (e *Element) indexOf(like *Element) int {
	id, hasID := like.Lookup("id")
	for i, c := range e.children {
		if c.name == like.name && (!hasID || c.ID() == id) {
			return i
		}
	}
	return -1
}

func (op Op) modify(root *Element, at Path, data *Element) (*Element, error) {
	target := at.In(root)
	if found, ok := findLike(target, data, sameKey); ok {
		found = append(at[:len(at):len(at)], found...)
		return found.Set(root, Merge(found.In(root), data)), nil
	}
	if !op.AllowCreate {
		return nil, exit.Errorf(exit.NoSuch, "%s is not there", describe(data))
	}
	return at.Set(root, target.Append(Merge(New(data.name), data))), nil
}

func (op Op) replace(root *Element, at Path, data *Element) (*Element, error) {
	if op.XPath != "" {
		return at.Set(root, data), nil
	}
	if len(at) == 0 && data.name == "cib" {
		return replaceRoot(root, data)
	}
	found, ok := findLike(at.In(root), data, sameKey)
	if !ok {
		return nil, exit.Errorf(exit.NoSuch, "%s is not there", describe(data))
	}
	return append(at[:len(at):len(at)], found...).Set(root, data), nil
}

// replaceRoot takes a whole document unless it is older than the one there. A
// document without status says nothing about it, so the status stays.
func replaceRoot(root, data *Element) (*Element, error) {
	have, err := versionOf(root, "admin_epoch", "epoch", "num_updates")
	if err != nil {
		return nil, exit.With(exit.Config, err)
	}
	given, err := versionOf(data, "admin_epoch", "epoch", "num_updates")
	if err != nil {
		return nil, exit.With(exit.DataErr, err)
	}
	if given.Compare(have) < 0 {
		return nil, exit.Errorf(exit.Old, "the CIB given has version %s and there is %s: read it again and repeat the change", given, have)
	}
	if status := root.Child("status"); status != nil && data.Child("status") == nil {
		data = data.Append(status)
	}
	return data, nil
}

func (op Op) delete(root *Element) (*Element, error) {
	var found []Path
	switch {
	case op.XPath != "":
		all, err := findAll(root, op.XPath)
		if err != nil {
			return nil, err
		}
		found = all
	case op.Data == nil:
		return nil, exit.Errorf(exit.DataErr, "no element given")
	default:
		_, at, data, err := op.target(root)
		if exit.Of(err) == exit.NoSuch {
			return root, nil
		}
		if err != nil {
			return nil, err
		}
		for _, pattern := range patterns(at.In(root), data) {
			for p := range matches(at.In(root), pattern, hasAttrs) {
				found = append(found, append(at[:len(at):len(at)], p...))
				if op.Kind == OpDelete {
					break
				}
			}
		}
	}
	if op.Kind == OpDelete && op.XPath != "" && len(found) > 1 {
		found = found[:1]
	}
	return deleteAll(root, found)
}

// patterns are what to delete: data, or the children of a section given as a whole.
func patterns(target, data *Element) []*Element {
	if data.name == target.name && len(data.children) > 0 {
		return data.children
	}
	return []*Element{data}
}

// describe names an element in an error: <primitive id="p">.
func describe(e *Element) string {
	id, hasID := e.Lookup("id")
	return pathStep{name: e.name, id: id, hasID: hasID}.String()
}

// deleteAll removes what the paths lead to, last first so that they stay good.
func deleteAll(root *Element, found []Path) (*Element, error) {
	sortPaths(found)
	for i := len(found) - 1; i >= 0; i-- {
		if len(found[i]) == 0 {
			return nil, exit.Errorf(exit.DataErr, "the document itself cannot be deleted: use erase")
		}
		if i > 0 && isPrefix(found[i-1], found[i]) {
			continue // goes with its ancestor
		}
		root = found[i].Set(root, nil)
	}
	return root, nil
}

func (op Op) patch(root *Element) (*Element, error) {
	p, err := ParsePatch(op.Data)
	if err != nil {
		return nil, err
	}
	if p.Source != nil {
		have, err := versionOf(root, "admin_epoch", "epoch", "num_updates")
		if err != nil {
			return nil, exit.With(exit.Config, err)
		}
		switch order := p.Source.Compare(have); {
		case order < 0:
			return nil, exit.Errorf(exit.Old, "the patch is for version %s and there is %s: read the CIB again and repeat the change", *p.Source, have)
		case order > 0:
			return nil, exit.Errorf(exit.Error, "the patch is for version %s, which this CIB at %s has not reached", *p.Source, have)
		}
	}
	return p.Apply(root)
}

// erased is the document with empty sections; other attributes of <cib> stay.
func erased(root *Element) (*Element, error) {
	v, err := versionOf(root, "admin_epoch", "epoch", "num_updates")
	if err != nil {
		return nil, exit.With(exit.Config, err)
	}
	return root.WithChildren(Empty().root.children...).With("admin_epoch", strconv.Itoa(v.AdminEpoch+1)), nil
}
