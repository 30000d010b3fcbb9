package cib

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"systole/crm/exit"
)

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
	// Position among all children, comments too; -1 when not given.
	Position int
	// Element is the child to create; for modify the element as it will be, without children.
	Element *Element
	// Set and Unset are the attributes a modify changes.
	Set   []Attr
	Unset []string
}

// Empty tells whether the patch changes nothing.
func (p Patch) Empty() bool { return len(p.Changes) == 0 }

// XML is the patch as a <diff format="2"> element.
func (p Patch) XML() *Element {
	var children []*Element
	if p.Source != nil && p.Target != nil {
		children = append(children, New("version").WithChildren(versionElement("source", *p.Source), versionElement("target", *p.Target)))
	}
	for _, c := range p.Changes {
		children = append(children, c.xml())
	}
	return New("diff", "format", "2").WithChildren(children...)
}

func versionElement(name string, v Version) *Element {
	return New(name, "admin_epoch", strconv.Itoa(v.AdminEpoch), "epoch", strconv.Itoa(v.Epoch), "num_updates", strconv.Itoa(v.NumUpdates))
}

func (c Change) xml() *Element {
	e := New("change", "operation", string(c.Kind), "path", c.Path)
	if c.Position >= 0 && c.Kind != ChangeModify {
		e = e.With("position", strconv.Itoa(c.Position))
	}
	switch c.Kind {
	case ChangeCreate:
		return e.Append(c.Element)
	case ChangeModify:
		list := make([]*Element, 0, len(c.Set)+len(c.Unset))
		for _, a := range c.Set {
			list = append(list, New("change-attr", "name", a.Name, "operation", "set", "value", a.Value))
		}
		for _, name := range c.Unset {
			list = append(list, New("change-attr", "name", name, "operation", "unset"))
		}
		return e.Append(New("change-list").WithChildren(list...), New("change-result").WithChildren(c.Element))
	}
	return e
}

// ParsePatch reads a <diff format="2"> element. The error carries [exit.DataErr].
func ParsePatch(diff *Element) (Patch, error) {
	var p Patch
	if diff == nil || diff.name != "diff" || diff.Get("format") != "2" {
		return p, exit.Errorf(exit.DataErr, `a patch is a <diff format="2"> element, as crm_diff writes it`)
	}
	if v := diff.Child("version"); v != nil && v.Child("source") != nil && v.Child("target") != nil {
		source, err := versionOf(v.Child("source"), "admin_epoch", "epoch", "num_updates")
		if err != nil {
			return p, exit.With(exit.DataErr, err)
		}
		target, err := versionOf(v.Child("target"), "admin_epoch", "epoch", "num_updates")
		if err != nil {
			return p, exit.With(exit.DataErr, err)
		}
		p.Source, p.Target = &source, &target
	}
	for e := range diff.Each("change") {
		c, err := parseChange(e)
		if err != nil {
			return Patch{}, exit.Errorf(exit.DataErr, "patch line %d, change of %s: %w", e.line, e.Get("path"), err)
		}
		p.Changes = append(p.Changes, c)
	}
	return p, nil
}

func parseChange(e *Element) (Change, error) {
	c := Change{Kind: ChangeKind(e.Get("operation")), Path: e.Get("path"), Position: -1}
	if text, ok := e.Lookup("position"); ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < -1 {
			return c, fmt.Errorf("position=%q is not a position", text)
		}
		c.Position = n
	}
	switch c.Kind {
	case ChangeDelete:
	case ChangeMove:
		if c.Position < 0 {
			return c, fmt.Errorf("move without position")
		}
	case ChangeCreate:
		if len(e.children) != 1 {
			return c, fmt.Errorf("create needs one child element, this has %d", len(e.children))
		}
		if c.Element = e.children[0]; c.Path == "/" && c.Element.name == commentName {
			return c, fmt.Errorf("a comment cannot be the document")
		}
	case ChangeModify:
		if r := e.Child("change-result"); r != nil && len(r.children) > 0 {
			c.Element = r.children[0]
		}
		for a := range e.Child("change-list").Each("change-attr") {
			if !IsName(a.Get("name")) {
				return c, fmt.Errorf("%q is no attribute name", a.Get("name"))
			}
			switch a.Get("operation") {
			case "set":
				c.Set = append(c.Set, Attr{a.Get("name"), a.Get("value")})
			case "unset":
				c.Unset = append(c.Unset, a.Get("name"))
			default:
				return c, fmt.Errorf("change-attr operation %q is neither set nor unset", a.Get("operation"))
			}
		}
	default:
		return c, fmt.Errorf("unknown operation %q", c.Kind)
	}
	return c, nil
}

// Apply makes the changes on root. It does not look at versions. Deleting what
// is not there is no error; any other path that leads nowhere is, and carries
// [exit.Error] as cibadmin does for a patch that does not fit.
func (p Patch) Apply(root *Element) (*Element, error) {
	w := &work{e: root}
	top := &work{kids: []*work{w}, open: true}
	var inserts []insert
	for _, c := range p.Changes {
		if c.Kind == ChangeCreate && c.Path == "/" {
			top.kids[0] = &work{e: c.Element}
			continue
		}
		in, err := top.perform(c)
		if err != nil {
			return nil, exit.Errorf(exit.Error, "patch does not fit: %s %s: %w", c.Kind, c.Path, err)
		}
		inserts = append(inserts, in...)
	}
	placeAll(inserts)
	if len(top.kids) == 0 {
		return nil, exit.Errorf(exit.Error, "patch does not fit: it deletes the document itself")
	}
	return top.kids[0].element(), nil
}

// work is an element being patched: its children are taken apart only along
// the paths of the patch.
type work struct {
	e    *Element
	kids []*work
	open bool
}

func (w *work) children() []*work {
	if !w.open {
		w.open = true
		w.kids = make([]*work, len(w.e.children))
		for i, c := range w.e.children {
			w.kids[i] = &work{e: c}
		}
	}
	return w.kids
}

func (w *work) element() *Element {
	if !w.open {
		return w.e
	}
	children := make([]*Element, len(w.kids))
	for i, k := range w.kids {
		children[i] = k.element()
	}
	return w.e.WithChildren(children...)
}

// insert is a child waiting to be put at its final position.
type insert struct {
	parent, child *work
	position      int
}

func (w *work) perform(c Change) ([]insert, error) {
	comment := -1
	if c.Kind == ChangeDelete {
		comment = c.Position
	}
	parent, i, err := w.find(c.Path, comment)
	if c.Kind == ChangeDelete && err != nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	target := parent.children()[i]
	switch c.Kind {
	case ChangeCreate:
		return []insert{{target, &work{e: c.Element}, c.Position}}, nil
	case ChangeDelete:
		parent.kids = slices.Delete(parent.kids, i, i+1)
	case ChangeMove:
		return []insert{{parent, target, c.Position}}, nil
	case ChangeModify:
		target.e = c.modified(target.e)
	}
	return nil, nil
}

// modified is e with the change's attributes. With a change-list only those
// are touched, so that patches of different people to one element merge.
func (c Change) modified(e *Element) *Element {
	for _, a := range c.Set {
		e = e.With(a.Name, a.Value)
	}
	for _, name := range c.Unset {
		e = e.Without(name)
	}
	switch {
	case c.Element == nil:
	case len(c.Set)+len(c.Unset) == 0 && !equalAttrs(e.attrs, c.Element.attrs):
		copied := *e
		copied.attrs, copied.text = c.Element.attrs, c.Element.text
		return &copied
	case e.text != c.Element.text:
		return e.WithText(c.Element.text)
	}
	return e
}

// placeAll takes out what moves, then puts everything in, parent by parent,
// lowest final position first; what has none goes last.
func placeAll(inserts []insert) {
	byParent := make(map[*work][]insert)
	for _, in := range inserts {
		byParent[in.parent] = append(byParent[in.parent], in)
	}
	for parent, list := range byParent {
		moving := make(map[*work]bool, len(list))
		for _, in := range list {
			moving[in.child] = true
		}
		slices.SortStableFunc(list, byPosition)
		stay := slices.DeleteFunc(slices.Clone(parent.children()), func(k *work) bool { return moving[k] })
		kids := make([]*work, 0, len(stay)+len(list))
		for _, in := range list {
			for in.position >= 0 && len(kids) < in.position && len(stay) > 0 {
				kids, stay = append(kids, stay[0]), stay[1:]
			}
			if in.position < 0 {
				kids, stay = append(kids, stay...), nil
			}
			kids = append(kids, in.child)
		}
		parent.kids = append(kids, stay...)
	}
}

func byPosition(a, b insert) int {
	last := func(p int) int {
		if p < 0 {
			return int(^uint(0) >> 1)
		}
		return p
	}
	return last(a.position) - last(b.position)
}

// find resolves an id path: the parent and the target's place among its
// children. A step is tag, tag[@id='…'] or tag[n]. A last step "comment" is the
// comment at that position, unless the position is -1.
func (w *work) find(path string, comment int) (parent *work, i int, err error) {
	at := w
	rest, ok := strings.CutPrefix(path, "/")
	if !ok || rest == "" {
		return nil, 0, fmt.Errorf("the path does not begin at the document")
	}
	for rest != "" {
		var s pathStep
		if s, rest, err = parseStep(rest); err != nil {
			return nil, 0, err
		}
		if parent != nil {
			at = parent.children()[i]
		}
		parent = at
		if s.name == "comment" && rest == "" && comment >= 0 && comment < len(parent.children()) && parent.kids[comment].e.name == commentName {
			return parent, comment, nil
		}
		if i = s.among(parent.children()); i < 0 {
			return nil, 0, fmt.Errorf("no %s there", s)
		}
	}
	return parent, i, nil
}
