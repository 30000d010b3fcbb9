package resources

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Values are an operation's parameters with defaults filled in, checked against
// the metadata: the typed getters cannot fail for names and types declared there.
type Values struct {
	of  *Metadata
	set map[string]string
}

// Resolve checks configured parameters and fills in defaults. Its error names
// every problem. Names the agent does not know are left alone, as with scripts.
func (m *Metadata) Resolve(params map[string]string) (Values, error) {
	v := Values{of: m, set: map[string]string{}}
	var errs []error
	for _, p := range m.Parameters {
		value, given := params[p.Name]
		if !given || value == "" {
			value = p.Default
			if p.Required && value == "" {
				errs = append(errs, fmt.Errorf("parameter %s of %s is required: set it", p.Name, m.Name))
				continue
			}
		}
		if err := p.Check(value); err != nil {
			errs = append(errs, fmt.Errorf("parameter %s of %s: %w", p.Name, m.Name, err))
		}
		v.set[p.Name] = value
	}
	return v, errors.Join(errs...)
}

// Check tells whether the value is of the parameter's type; "" always is.
func (p *Parameter) Check(value string) error {
	if value == "" {
		return nil
	}
	switch p.Type {
	case ParamInteger:
		if _, err := strconv.Atoi(value); err != nil {
			return fmt.Errorf("%q is not a whole number", value)
		}
	case ParamBoolean:
		if _, err := ParseBool(value); err != nil {
			return err
		}
	case ParamTime, ParamSecond:
		if _, err := ParseTime(value); err != nil {
			return err
		}
	case ParamSelect:
		if len(p.Values) > 0 && !slices.Contains(p.Values, value) {
			return fmt.Errorf("%q is none of %s", value, strings.Join(p.Values, ", "))
		}
	}
	return nil
}

// String is a parameter's value. It panics for a name the metadata does not declare.
func (v Values) String(name string) string {
	if v.of.Parameter(name) == nil {
		panic("agent " + v.of.Name + " asks for undeclared parameter " + name)
	}
	return v.set[name]
}

// Int is a whole number, 0 when empty.
func (v Values) Int(name string) int {
	n, _ := strconv.Atoi(v.String(name)) // checked by Resolve
	return n
}

// Bool is a truth value, false when empty.
func (v Values) Bool(name string) bool {
	b, _ := ParseBool(v.String(name)) // checked by Resolve
	return b
}

// Duration is a time, 0 when empty.
func (v Values) Duration(name string) time.Duration {
	d, _ := ParseTime(v.String(name)) // checked by Resolve
	return d
}

// ParseBool reads a truth value as agents (ocf_is_true) and Pacemaker
// (crm_str_to_boolean) do, in any case.
func ParseBool(s string) (bool, error) {
	switch strings.ToLower(s) {
	case "true", "on", "yes", "y", "1", "ja":
		return true, nil
	case "false", "off", "no", "n", "0":
		return false, nil
	}
	return false, fmt.Errorf("%q is not a truth value: use true or false", s)
}

func isTrue(s string) bool {
	b, err := ParseBool(s)
	return err == nil && b
}

// ParseTime reads a time as the CIB writes it: a number with an optional unit
// (us, ms, s, m, min, h), seconds without one.
func ParseTime(s string) (time.Duration, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.ToLower(strings.TrimSpace(s[len(digits):]))
	scale, known := timeUnits[unit]
	n, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if err != nil || !known || n < 0 || n*float64(scale) > float64(1<<62) {
		return 0, fmt.Errorf("%q is not a time: write it like 30, 30s, 500ms or 2min", s)
	}
	return time.Duration(n * float64(scale)), nil
}

var timeUnits = map[string]time.Duration{
	"": time.Second, "s": time.Second, "sec": time.Second, "ms": time.Millisecond, "msec": time.Millisecond,
	"us": time.Microsecond, "usec": time.Microsecond, "m": time.Minute, "min": time.Minute, "h": time.Hour, "hr": time.Hour,
}
