package cib

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Severity tells an invalid document from a doubtful one.
type Severity int

// The severities.
const (
	Warning Severity = iota
	Error
)

// String is "warning" or "error".
func (s Severity) String() string {
	if s == Error {
		return "error"
	}
	return "warning"
}

// Problem is one thing wrong with a document.
type Problem struct {
	Severity Severity
	Path     string // id path of the element
	Line     int    // where it is in the document it was parsed from; 0 if not parsed
	Msg      string // what is wrong and what to do
}

// String is "error: /cib/… line 7: message".
func (p Problem) String() string {
	if p.Line == 0 {
		return fmt.Sprintf("%s: %s: %s", p.Severity, p.Path, p.Msg)
	}
	return fmt.Sprintf("%s: %s line %d: %s", p.Severity, p.Path, p.Line, p.Msg)
}

// Errors are the problems that make a document invalid.
func Errors(problems []Problem) []Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return p.Severity != Error })
}

// Validate lists every problem of a document: first those of single elements,
// then references that lead nowhere, then constraints and options that make no
// sense, each in document order. A document without errors (warnings do not count) may become the
// cluster's. With validate-with="none" nothing is an error. The status is not looked at.
func Validate(root *Element) []Problem {
	v := validator{root: root, schema: schemaOf(root)}
	switch v.schema {
	case schemaUnknown:
		v.add(Error, nil, "validate-with=%q is not a schema this program knows: use %s or an older pacemaker-X.Y", root.Get("validate-with"), CurrentSchema)
	case schemaAncient:
		v.add(Warning, nil, "validate-with=%q is older than pacemaker-1.0: upgrade the CIB (cibadmin --upgrade --force)", root.Get("validate-with"))
		return v.problems
	}
	v.element(nil, root)
	v.sections()
	if conf := root.Child("configuration"); conf != nil {
		v.under = Path{slices.Index(root.children, conf)}
		v.references(conf)
		v.semantics(conf)
	}
	if v.schema == schemaNone {
		for i := range v.problems {
			v.problems[i].Severity = Warning
		}
	}
	return v.problems
}

// schema is how a document wants to be read.
type schema int

const (
	schemaUnknown schema = iota
	schemaNone           // "none": everything goes
	schemaAncient        // 0.6 and transitional: another vocabulary
	schemaOld            // 1.x and 2.x: ours, with things since removed
	schemaCurrent        // 3.x
)

func schemaOf(root *Element) schema {
	name, ok := root.Lookup("validate-with")
	version, isPacemaker := strings.CutPrefix(name, "pacemaker-")
	major, minor, _ := strings.Cut(version, ".")
	x, errX := strconv.Atoi(major)
	y, errY := strconv.Atoi(minor)
	switch {
	case !ok:
		return schemaCurrent // element will say that it is missing
	case name == "none":
		return schemaNone
	case strings.HasPrefix(name, "transitional"):
		return schemaAncient
	case !isPacemaker || errX != nil && version != "next" || errY != nil && version != "next":
		return schemaUnknown
	case version == "next" || x == 3 && y <= 10:
		return schemaCurrent
	case x == 1 || x == 2:
		return schemaOld
	case x == 0:
		return schemaAncient
	}
	return schemaUnknown
}

type validator struct {
	root     *Element
	schema   schema
	under    Path // where the paths given to add begin
	problems []Problem
}

// add notes a problem of the element at the path below v.under.
func (v *validator) add(severity Severity, at Path, format string, args ...any) {
	at = slices.Concat(v.under, at)
	v.problems = append(v.problems, Problem{severity, at.IDPath(v.root), at.In(v.root).line, fmt.Sprintf(format, args...)})
}

// element checks tags and attributes from here down. The status is free.
func (v *validator) element(at Path, e *Element) {
	rule := vocabulary[e.name]
	v.attributes(at, e, rule)
	if e.text != "" {
		v.add(Warning, at, "<%s> holds the text %q, and no element of a CIB holds text: remove it", e.name, clip([]byte(e.text)))
	}
	for i, c := range e.children {
		at := append(at, i)
		switch old, known := rule.children[c.name]; {
		case c.name == commentName || e.name == "cib" && c.name == "status":
		case !known || old && v.schema == schemaCurrent:
			v.add(Error, at, "<%s> has no place in <%s>", c.name, e.name)
		default:
			v.element(at, c)
		}
	}
}

func (v *validator) attributes(at Path, e *Element, rule elementRule) {
	for _, name := range rule.required {
		if _, ok := e.Lookup(name); !ok {
			v.add(Error, at, "<%s> has no %s", e.name, name)
		}
	}
	for _, a := range e.attrs {
		r, known := rule.attrs[a.Name]
		if !known || r.old && v.schema == schemaCurrent {
			if !strings.HasPrefix(a.Name, "xml") { // xmlns, xml:id…
				v.add(Error, at, "<%s> has no attribute %s: remove it", e.name, a.Name)
			}
			continue
		}
		wrong := ""
		if r.words != nil {
			wrong = oneOf(r.words...)(a.Value)
		} else if check := valueKinds[r.kind]; check != nil {
			wrong = check(a.Value)
		}
		if wrong != "" {
			v.add(Error, at, "%s=%q is not valid: %s", a.Name, a.Value, wrong)
		}
	}
}
