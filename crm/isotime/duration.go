package isotime

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a length of time by the calendar: a month is as long as the month is.
type Duration struct {
	Years, Months, Weeks, Days, Hours, Minutes, Seconds int
}

// IsZero tells whether the duration is empty.
func (d Duration) IsZero() bool { return d == Duration{} }

// maxDurationField keeps sums of durations and dates far from overflow.
const maxDurationField = 1_000_000_000

// ParseDuration reads an ISO 8601 duration: P1Y2M3DT4H5M6S, P2W, PT90S. Parts
// may come in any order, more than once, and be negative, as Pacemaker allows;
// each is at most a thousand million.
func ParseDuration(text string) (Duration, error) {
	fail := func(why string) (Duration, error) { return Duration{}, &SyntaxError{text, "duration", why} }
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), "P")
	if !ok {
		return fail("it does not begin with P")
	}
	var d Duration
	inTime, parts := false, 0
	for rest != "" {
		if rest[0] == 'T' && !inTime {
			inTime, rest = true, rest[1:]
			continue
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != '-' && r != '+' })
		if end <= 0 {
			return fail(fmt.Sprintf("%q is not a number with a unit", rest))
		}
		n, err := strconv.Atoi(rest[:end])
		if err != nil || n > maxDurationField || n < -maxDurationField {
			return fail(fmt.Sprintf("%q is not a number up to %d", rest[:end], maxDurationField))
		}
		field := d.field(rest[end], inTime)
		if field == nil {
			return fail(fmt.Sprintf("unit %q is not known there", rest[end]))
		}
		if *field += n; *field > maxDurationField || *field < -maxDurationField {
			return fail("the sum is too large")
		}
		rest = rest[end+1:]
		parts++
	}
	if parts == 0 {
		return fail("it has no parts")
	}
	return d, nil
}

func (d *Duration) field(unit byte, inTime bool) *int {
	switch {
	case !inTime && unit == 'Y':
		return &d.Years
	case !inTime && unit == 'M':
		return &d.Months
	case !inTime && unit == 'W':
		return &d.Weeks
	case !inTime && unit == 'D':
		return &d.Days
	case inTime && unit == 'H':
		return &d.Hours
	case inTime && unit == 'M':
		return &d.Minutes
	case inTime && unit == 'S':
		return &d.Seconds
	}
	return nil
}

// AddTo is t moved by the duration: years and months first, then days, then the
// rest. A day that the month reached does not have becomes its last day: 31
// January + 1 month is 28 or 29 February.
func (d Duration) AddTo(t time.Time) time.Time { return d.move(t, 1) }

// SubtractFrom is t moved back by the duration, in the same manner.
func (d Duration) SubtractFrom(t time.Time) time.Time { return d.move(t, -1) }

func (d Duration) move(t time.Time, sign int) time.Time {
	t = addMonths(t, sign*(12*d.Years+d.Months))
	t = t.AddDate(0, 0, sign*(7*d.Weeks+d.Days))
	seconds := int64(d.Hours)*3600 + int64(d.Minutes)*60 + int64(d.Seconds)
	// time.Duration holds 292 years; a longer stretch is taken by its days.
	days := seconds / 86400
	if days > 100_000 || days < -100_000 {
		t = t.AddDate(0, 0, sign*int(days))
		seconds -= days * 86400
	}
	return t.Add(time.Duration(sign) * time.Duration(seconds) * time.Second)
}

func addMonths(t time.Time, months int) time.Time {
	if months == 0 {
		return t
	}
	first := t.AddDate(0, 0, 1-t.Day()).AddDate(0, months, 0)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

// String is the duration in ISO 8601; an empty one is "PT0S".
func (d Duration) String() string {
	if d.IsZero() {
		return "PT0S"
	}
	var b strings.Builder
	b.WriteByte('P')
	part := func(n int, unit byte) {
		if n != 0 {
			b.WriteString(strconv.Itoa(n))
			b.WriteByte(unit)
		}
	}
	part(d.Years, 'Y')
	part(d.Months, 'M')
	part(d.Weeks, 'W')
	part(d.Days, 'D')
	if d.Hours != 0 || d.Minutes != 0 || d.Seconds != 0 {
		b.WriteByte('T')
	}
	part(d.Hours, 'H')
	part(d.Minutes, 'M')
	part(d.Seconds, 'S')
	return b.String()
}

// ParseInterval reads the length of an operation interval or timeout as the CIB
// writes it: a number with an optional unit (us, ms, s, min, h and their longer
// names; seconds without) or an ISO 8601 duration, of which a month is 30 and a
// year 365 days. White space around and the case of units do not count. The
// length is never negative and at most 292 years.
func ParseInterval(text string) (time.Duration, error) {
	fail := func(why string) (time.Duration, error) { return 0, &SyntaxError{text, "interval", why} }
	trimmed := strings.TrimSpace(text)
	if strings.HasPrefix(trimmed, "P") {
		d, err := ParseDuration(trimmed)
		if err != nil {
			return fail(err.(*SyntaxError).Why)
		}
		days := float64(d.Years)*365 + float64(d.Months)*30 + float64(d.Weeks)*7 + float64(d.Days)
		seconds := days*86400 + float64(d.Hours)*3600 + float64(d.Minutes)*60 + float64(d.Seconds)
		if seconds < 0 || seconds > float64(math.MaxInt64/int64(time.Second)) {
			return fail("it is negative or more than 292 years")
		}
		return time.Duration(seconds) * time.Second, nil
	}
	end := strings.IndexFunc(trimmed, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(trimmed)
	}
	n, err := strconv.ParseInt(trimmed[:end], 10, 64)
	if err != nil {
		return fail("it does not begin with a whole number")
	}
	unit, ok := units[strings.ToLower(strings.TrimSpace(trimmed[end:]))]
	if !ok {
		return fail(fmt.Sprintf("unit %q is none of us, ms, s, min, h", strings.TrimSpace(trimmed[end:])))
	}
	if n > int64(math.MaxInt64/unit) {
		return fail("it is more than 292 years")
	}
	return time.Duration(n) * unit, nil
}

var units = map[string]time.Duration{
	"us": time.Microsecond, "usec": time.Microsecond,
	"ms": time.Millisecond, "msec": time.Millisecond,
	"": time.Second, "s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hrs": time.Hour, "hour": time.Hour, "hours": time.Hour,
}
