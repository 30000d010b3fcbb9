package cib

import "systole/crm/exit"

// XPath is a compiled XPath 1.0 expression.
type XPath struct{ text string }

// CompileXPath reads an expression; the error carries [exit.DataErr].
func CompileXPath(expr string) (*XPath, error) { return &XPath{expr}, nil }

// Find gives the elements below and including root that the expression selects,
// in document order and without repeats. A selected attribute, text or comment gives the
// element it belongs to. "/" above root is the document.
func (x *XPath) Find(root *Element) ([]Path, error) {
	return nil, exit.Errorf(exit.Unimplemented, "xpath")
}

// Select is [CompileXPath] and [XPath.Find], giving the elements.
func Select(root *Element, expr string) ([]*Element, error) {
	return nil, exit.Errorf(exit.Unimplemented, "xpath")
}
