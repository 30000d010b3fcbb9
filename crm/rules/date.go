package rules

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/isotime"
)

// evalDate is a date_expression: gt, lt, in_range (also when no operation is
// given) or date_spec. Both ends of a range belong to it.
func evalDate(e *cib.Element, now time.Time) (Answer, error) {
	fail := func(err error) (Answer, error) { return Answer{State: Undetermined}, err }
	start, err := instant(e, "start", now)
	if err != nil {
		return fail(err)
	}
	end, err := instant(e, "end", now)
	if err != nil {
		return fail(err)
	}
	switch op := e.Get("operation"); op {
	case "gt":
		if start.IsZero() {
			return fail(fmt.Errorf("operation gt needs start"))
		}
		return within(now, start.Add(time.Second), time.Time{}), nil
	case "lt":
		if end.IsZero() {
			return fail(fmt.Errorf("operation lt needs end"))
		}
		return within(now, time.Time{}, end), nil
	case "in_range", "":
		if end.IsZero() {
			if end, err = endOf(e, start); err != nil {
				return fail(err)
			}
		}
		if start.IsZero() && end.IsZero() {
			return fail(fmt.Errorf("operation in_range needs start, end, or start and duration"))
		}
		if !end.IsZero() {
			end = end.Add(time.Second)
		}
		return within(now, start, end), nil
	case "date_spec":
		spec := e.Child("date_spec")
		if spec == nil {
			return fail(fmt.Errorf("operation date_spec needs a date_spec inside"))
		}
		s, err := parseSpec(spec)
		if err != nil {
			return fail(err)
		}
		return s.eval(now), nil
	default:
		return fail(fmt.Errorf("operation %q is none of gt, lt, in_range, date_spec", op))
	}
}

// within: from start (always, if zero) until just before end (for ever, if zero).
func within(now, start, end time.Time) Answer {
	switch {
	case !start.IsZero() && now.Before(start):
		return Answer{NotYet, start}
	case !end.IsZero() && !now.Before(end):
		return Answer{State: Expired}
	}
	return Answer{InEffect, end}
}

func instant(e *cib.Element, name string, now time.Time) (time.Time, error) {
	text, ok := e.Lookup(name)
	if !ok {
		return time.Time{}, nil
	}
	t, err := isotime.Parse(text, now)
	if err != nil {
		return t, fmt.Errorf("%s: %w", name, err)
	}
	return t.Truncate(time.Second), nil
}

// endOf is start plus the duration child; zero without one.
func endOf(e *cib.Element, start time.Time) (time.Time, error) {
	d := e.Child("duration")
	if d == nil {
		return time.Time{}, nil
	}
	if start.IsZero() {
		return time.Time{}, fmt.Errorf("a duration needs start")
	}
	var length isotime.Duration
	for name, to := range map[string]*int{
		"years": &length.Years, "months": &length.Months, "weeks": &length.Weeks, "days": &length.Days,
		"hours": &length.Hours, "minutes": &length.Minutes, "seconds": &length.Seconds,
	} {
		text, ok := d.Lookup(name)
		if !ok {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n > 1_000_000_000 || n < -1_000_000_000 {
			return time.Time{}, fmt.Errorf("duration %s=%q is not a whole number", name, text)
		}
		*to = n
	}
	return length.AddTo(start), nil
}

// unit is a field of a date_spec.
type unit int

const (
	years unit = iota
	weekyears
	months
	weeks
	monthdays
	yeardays
	weekdays
	hours
	minutes
	seconds
	unitCount
)

var unitNames = [unitCount]string{"years", "weekyears", "months", "weeks", "monthdays", "yeardays", "weekdays", "hours", "minutes", "seconds"}

// span is a range of one field, both ends in it.
type span struct{ from, to int }

// spec is a date_spec: every field given must be in its span.
type spec struct {
	given [unitCount]bool
	spans [unitCount]span
}

// noEnd is the open end of a range such as "9-".
const noEnd = 1 << 30

func parseSpec(e *cib.Element) (spec, error) {
	var s spec
	for u, name := range unitNames {
		text, ok := e.Lookup(name)
		if !ok {
			continue
		}
		var err error
		if s.spans[u], err = parseSpan(text); err != nil {
			return s, fmt.Errorf("date_spec %s=%q: %w", name, text, err)
		}
		s.given[u] = true
	}
	return s, nil
}

// parseSpan reads "5", "5-", "-5" or "5-9".
func parseSpan(text string) (span, error) {
	from, to, isRange := strings.Cut(text, "-")
	s := span{0, noEnd}
	var err error
	if from != "" || !isRange {
		if s.from, err = fieldNumber(from); err != nil {
			return s, err
		}
	}
	switch {
	case !isRange:
		s.to = s.from
	case to != "":
		if s.to, err = fieldNumber(to); err != nil {
			return s, err
		}
	case from == "":
		return s, fmt.Errorf("a range needs a number")
	}
	if s.to < s.from {
		return s, fmt.Errorf("the range ends before it begins")
	}
	return s, nil
}

func fieldNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n >= noEnd || text[0] == '+' {
		return 0, fmt.Errorf("%q is not a number", text)
	}
	return n, nil
}

// value is the field at t. Weekdays are 1 (Monday) to 7.
func (u unit) value(t time.Time) int {
	switch u {
	case years:
		return t.Year()
	case weekyears:
		y, _ := t.ISOWeek()
		return y
	case months:
		return int(t.Month())
	case weeks:
		_, w := t.ISOWeek()
		return w
	case monthdays:
		return t.Day()
	case yeardays:
		return t.YearDay()
	case weekdays:
		return (int(t.Weekday())+6)%7 + 1
	case hours:
		return t.Hour()
	case minutes:
		return t.Minute()
	}
	return t.Second()
}

// after is the first instant after t at which the field can have another value.
func (u unit) after(t time.Time) time.Time {
	y, m, d := t.Date()
	var next time.Time
	switch u {
	case years:
		next = time.Date(y+1, time.January, 1, 0, 0, 0, 0, t.Location())
	case weekyears, weeks:
		next = time.Date(y, m, d+8-weekdays.value(t), 0, 0, 0, 0, t.Location())
	case months:
		next = time.Date(y, m+1, 1, 0, 0, 0, 0, t.Location())
	case monthdays, yeardays, weekdays:
		next = time.Date(y, m, d+1, 0, 0, 0, 0, t.Location())
	case hours:
		// An hour may come twice or not at all; minutes never do, so count them.
		next = t.Add(time.Duration(60-t.Minute())*time.Minute - time.Duration(t.Second())*time.Second)
	case minutes:
		next = t.Add(time.Duration(60-t.Second()) * time.Second)
	default:
		next = t.Add(time.Second)
	}
	if !next.After(t) { // midnight that a change of clocks skipped or repeated
		next = t.Add(time.Hour)
	}
	return next
}

// matches tells whether every field given is in its span.
func (s *spec) matches(t time.Time) bool {
	for u := range unitCount {
		if s.given[u] && !s.fits(u, t) {
			return false
		}
	}
	return true
}

func (s *spec) fits(u unit, t time.Time) bool {
	v := u.value(t)
	return s.spans[u].from <= v && v <= s.spans[u].to
}

// maxSteps bounds the search for the next change. When it is not enough the
// instant reached is the answer: the state surely holds until then.
const maxSteps = 500

// eval finds the state at now and walks from change to change of the fields
// that matter until the state is another.
func (s *spec) eval(now time.Time) Answer {
	matches := s.matches(now)
	state := Unsatisfied
	if matches {
		state = InEffect
	}
	t := now
	for range maxSteps {
		next := s.step(t)
		if next.IsZero() {
			return Answer{State: state}
		}
		if t = next; s.matches(t) != matches {
			break
		}
	}
	return Answer{state, t}
}

// step is the next instant at which the state may be another: while all fields
// fit, when the first of them changes; else when all that do not fit have
// changed. It is zero when that never comes.
func (s *spec) step(t time.Time) time.Time {
	if s.matches(t) {
		var first time.Time
		for u := range unitCount {
			if s.given[u] && !((u == years || u == weekyears) && s.spans[u].to == noEnd) {
				first = earlier(first, u.after(t))
			}
		}
		return first
	}
	var last time.Time
	for u := range unitCount {
		if !s.given[u] || s.fits(u, t) {
			continue
		}
		if (u == years || u == weekyears) && u.value(t) > s.spans[u].to {
			return time.Time{}
		}
		if next := u.after(t); next.After(last) {
			last = next
		}
	}
	return last
}
