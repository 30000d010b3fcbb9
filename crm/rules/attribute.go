package rules

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/isotime"
)

// The operations of an <expression>.
var comparisons = map[string]func(order int) bool{
	"eq":  func(o int) bool { return o == 0 },
	"ne":  func(o int) bool { return o != 0 },
	"lt":  func(o int) bool { return o < 0 },
	"lte": func(o int) bool { return o <= 0 },
	"gt":  func(o int) bool { return o > 0 },
	"gte": func(o int) bool { return o >= 0 },
}

// evalAttribute compares a node attribute. An undefined one equals nothing and
// is neither less nor greater.
func evalAttribute(e *cib.Element, f Facts) (bool, error) {
	name, op := e.Get("attribute"), e.Get("operation")
	if err := checkAttribute(e); err != nil {
		return false, err
	}
	have, defined := ask(f.Attr, expand(name, f.Submatches))
	switch op {
	case "defined":
		return defined, nil
	case "not_defined":
		return !defined, nil
	}
	want, known := e.Lookup("value")
	switch e.Get("value-source") {
	case "param":
		want, known = ask(f.Param, want)
	case "meta":
		want, known = ask(f.Meta, want)
	}
	if !defined || !known {
		return op == "ne" && defined != known || op == "eq" && defined == known, nil
	}
	return comparisons[op](compare(kindOf(e, have, want), have, want)), nil
}

func ask(f func(string) (string, bool), name string) (string, bool) {
	if f == nil {
		return "", false
	}
	return f(name)
}

func checkAttribute(e *cib.Element) error {
	op := e.Get("operation")
	_, compares := comparisons[op]
	switch {
	case e.Get("attribute") == "":
		return fmt.Errorf("no attribute is named")
	case !compares && op != "defined" && op != "not_defined":
		return fmt.Errorf("operation %q is none of lt, gt, lte, gte, eq, ne, defined, not_defined", op)
	}
	if _, hasValue := e.Lookup("value"); compares && !hasValue {
		return fmt.Errorf("operation %s needs a value", op)
	}
	switch e.Get("type") {
	case "", "string", "integer", "number", "version":
	default:
		return fmt.Errorf("type %q is none of string, integer, number, version", e.Get("type"))
	}
	switch e.Get("value-source") {
	case "", "literal", "param", "meta":
	default:
		return fmt.Errorf("value-source %q is none of literal, param, meta", e.Get("value-source"))
	}
	return nil
}

// kindOf is the type of comparison: the one given, or for an ordering a number
// (an integer unless either value has a point), or a string.
func kindOf(e *cib.Element, have, want string) string {
	if t := e.Get("type"); t != "" {
		return t
	}
	switch e.Get("operation") {
	case "lt", "lte", "gt", "gte":
		if strings.Contains(have, ".") || strings.Contains(want, ".") {
			return "number"
		}
		return "integer"
	}
	return "string"
}

// compare orders two values. Strings compare without regard to case; numbers
// that are none compare as strings.
func compare(kind, a, b string) int {
	switch kind {
	case "integer":
		x, okX := leadingInt(a)
		y, okY := leadingInt(b)
		if okX && okY {
			return cmp.Compare(x, y)
		}
	case "number":
		x, errX := strconv.ParseFloat(strings.TrimSpace(a), 64)
		y, errY := strconv.ParseFloat(strings.TrimSpace(b), 64)
		if errX == nil && errY == nil {
			return cmp.Compare(x, y)
		}
	case "version":
		return compareVersions(a, b)
	}
	return strings.Compare(strings.ToLower(a), strings.ToLower(b))
}

// leadingInt reads the integer a text begins with, as strtoll does.
func leadingInt(text string) (int64, bool) {
	text = strings.TrimLeft(text, " \t\n")
	end := 0
	if end < len(text) && (text[end] == '-' || text[end] == '+') {
		end++
	}
	for end < len(text) && '0' <= text[end] && text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(text[:end], 10, 64)
	return n, err == nil
}

// compareVersions compares dotted versions part by part; missing parts count as 0.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		m, _ := leadingInt(x)
		n, _ := leadingInt(y)
		if m != n {
			return cmp.Compare(m, n)
		}
	}
	return 0
}

// expand replaces %0 to %9 by the groups of a pattern match and %% by %.
func expand(name string, submatches []string) string {
	if len(submatches) == 0 || !strings.Contains(name, "%") {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c != '%' || i+1 == len(name) {
			b.WriteByte(c)
			continue
		}
		switch next := name[i+1]; {
		case '0' <= next && next <= '9':
			if n := int(next - '0'); n < len(submatches) {
				b.WriteString(submatches[n])
			}
			i++
		case next == '%':
			b.WriteByte('%')
			i++
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// evalAgent compares what the expression names of class, provider and type.
func evalAgent(e *cib.Element, a *Agent) bool {
	if a == nil {
		return false
	}
	for name, have := range map[string]string{"class": a.Class, "provider": a.Provider, "type": a.Type} {
		if want, ok := e.Lookup(name); ok && want != have {
			return false
		}
	}
	return true
}

// evalOp compares the operation's name and, where given, its interval.
func evalOp(e *cib.Element, op *Op) (bool, error) {
	interval, err := opInterval(e)
	if err != nil || op == nil {
		return false, err
	}
	_, hasInterval := e.Lookup("interval")
	return e.Get("name") == op.Name && (!hasInterval || interval == op.Interval), nil
}

func opInterval(e *cib.Element) (time.Duration, error) {
	if e.Get("name") == "" {
		return 0, fmt.Errorf("no operation is named")
	}
	text, ok := e.Lookup("interval")
	if !ok {
		return 0, nil
	}
	return isotime.ParseInterval(text)
}

// checkExpression says what is wrong with one expression, whatever the facts.
func checkExpression(e *cib.Element) error {
	switch e.Name() {
	case "expression":
		return checkAttribute(e)
	case "date_expression":
		_, err := evalDate(e, time.Unix(0, 0).UTC())
		return err
	case "op_expression":
		_, err := opInterval(e)
		return err
	}
	return nil
}
