// Package isotime reads and writes the dates, durations and intervals of a CIB:
// ISO 8601 with the extensions of Heartbeat and Pacemaker (ordinal and week
// dates, interval lengths such as "10s" or "5min").
//
// It is pure: "now" is always given.
package isotime

import (
	"fmt"
	"strings"
	"time"
)

// SyntaxError is a text that cannot be read as what was asked for.
type SyntaxError struct {
	Text, What string // What: "date", "duration", "interval"…
	Why        string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%q is not a valid %s: %s", e.Text, e.What, e.Why)
}

// Parse reads a date and time: YYYY-MM-DD, YYYYMMDD, YYYY-MM, YYYY-DDD,
// YYYYDDD, YYYY-Www-D or YYYYWwwD, then T or a blank, HH[:MM[:SS[.fraction]]]
// or HHMM[SS], then Z or ±HH[[:]MM]. A date without time is its midnight, a time
// without date is on now's day, either without zone is in now's location. "now"
// gives now, "epoch" 1970-01-01 00:00:00Z. 24:00 is the next midnight.
func Parse(text string, now time.Time) (time.Time, error) {
	switch text = strings.TrimSpace(text); text {
	case "now":
		return now, nil
	case "epoch":
		return time.Unix(0, 0).UTC(), nil
	}
	date, clock := split(text)
	if date == "" && clock == "" {
		return time.Time{}, &SyntaxError{text, "date", "it is empty"}
	}
	year, month, day := now.Date()
	var err error
	if date != "" {
		if year, month, day, err = parseDate(date); err != nil {
			return time.Time{}, &SyntaxError{text, "date", err.Error()}
		}
	}
	loc := now.Location()
	if clock == "" {
		return time.Date(year, month, day, 0, 0, 0, 0, loc), nil
	}
	clock, zone, err := parseZone(clock)
	if err != nil {
		return time.Time{}, &SyntaxError{text, "date", err.Error()}
	}
	if zone != nil {
		loc = zone
	}
	offset, err := parseClock(clock)
	if err != nil {
		return time.Time{}, &SyntaxError{text, "date", err.Error()}
	}
	h, m, s, ns := offset/time.Hour, offset/time.Minute%60, offset/time.Second%60, offset%time.Second
	return time.Date(year, month, day, int(h), int(m), int(s), int(ns), loc), nil
}

// split parts date and time. A text that begins with T or has : after two
// digits is a time alone.
func split(text string) (date, clock string) {
	if rest, ok := strings.CutPrefix(text, "T"); ok {
		return "", rest
	}
	if len(text) > 2 && text[2] == ':' {
		return "", text
	}
	i := strings.IndexAny(text, "T ")
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimSpace(text[i+1:])
}

func parseDate(text string) (year int, month time.Month, day int, err error) {
	digits := strings.ReplaceAll(text, "-", "")
	shape := shapeOf(text)
	number := func(from, to int) int { return atoi(digits[from:to]) }
	switch shape {
	case "9999-99-99", "99999999":
		year, month, day = number(0, 4), time.Month(number(4, 6)), number(6, 8)
	case "9999-99":
		year, month, day = number(0, 4), time.Month(number(4, 6)), 1
	case "9999-999", "9999999":
		year, month, day = number(0, 4), time.January, number(4, 7)
		if day < 1 || day > daysInYear(year) {
			return 0, 0, 0, fmt.Errorf("%d has no day number %d", year, day)
		}
		return dateOf(time.Date(year, month, day, 0, 0, 0, 0, time.UTC))
	case "9999-W99-9", "9999W999":
		return parseWeek(number(0, 4), number(5, 7), number(7, 8))
	default:
		return 0, 0, 0, fmt.Errorf("the date is not YYYY-MM-DD, YYYY-DDD or YYYY-Www-D")
	}
	if month < 1 || month > 12 {
		return 0, 0, 0, fmt.Errorf("there is no month %d", month)
	}
	if y, m, d := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Date(); day < 1 || y != year || m != month || d != day {
		return 0, 0, 0, fmt.Errorf("%s %d has no day %d", month, year, day)
	}
	return year, month, day, nil
}

func parseWeek(year, week, weekday int) (int, time.Month, int, error) {
	if weekday < 1 || weekday > 7 {
		return 0, 0, 0, fmt.Errorf("weekdays are 1 (Monday) to 7, not %d", weekday)
	}
	fourth := time.Date(year, time.January, 4, 0, 0, 0, 0, time.UTC) // always in week 1
	t := fourth.AddDate(0, 0, (week-1)*7+weekday-isoWeekday(fourth))
	if y, w := t.ISOWeek(); y != year || w != week {
		return 0, 0, 0, fmt.Errorf("%d has no week %d", year, week)
	}
	return dateOf(t)
}

// isoWeekday is 1 for Monday to 7 for Sunday.
func isoWeekday(t time.Time) int { return (int(t.Weekday())+6)%7 + 1 }

func dateOf(t time.Time) (int, time.Month, int, error) {
	y, m, d := t.Date()
	return y, m, d, nil
}

func daysInYear(year int) int {
	return time.Date(year, time.December, 31, 0, 0, 0, 0, time.UTC).YearDay()
}

// parseZone takes Z or an offset off the end of a time; zone is nil without one.
func parseZone(text string) (clock string, zone *time.Location, err error) {
	if clock, ok := strings.CutSuffix(text, "Z"); ok {
		return strings.TrimSpace(clock), time.UTC, nil
	}
	i := strings.LastIndexAny(text, "+-")
	if i < 0 {
		return text, nil, nil
	}
	var seconds int
	switch offset := text[i+1:]; shapeOf(offset) {
	case "99":
		seconds = atoi(offset) * 3600
	case "9999":
		seconds = atoi(offset[:2])*3600 + atoi(offset[2:])*60
	case "99:99":
		seconds = atoi(offset[:2])*3600 + atoi(offset[3:])*60
	default:
		return "", nil, fmt.Errorf("the zone %q is not Z, ±HH, ±HHMM or ±HH:MM", text[i:])
	}
	if seconds > 24*3600 {
		return "", nil, fmt.Errorf("the zone %q is more than a day", text[i:])
	}
	if text[i] == '-' {
		seconds = -seconds
	}
	return strings.TrimSpace(text[:i]), time.FixedZone("", seconds), nil
}

// parseClock gives the time since midnight; 24:00:00 is a whole day.
func parseClock(text string) (time.Duration, error) {
	whole, fraction, hasFraction := strings.Cut(text, ".")
	digits := strings.ReplaceAll(whole, ":", "")
	switch shapeOf(whole) {
	case "99", "9999", "99:99", "999999", "99:99:99":
	default:
		return 0, fmt.Errorf("the time %q is not HH[:MM[:SS]] or HHMM[SS]", text)
	}
	var parts [3]int
	for i := 0; i < len(digits); i += 2 {
		parts[i/2] = atoi(digits[i : i+2])
	}
	h, m, s := parts[0], parts[1], parts[2]
	if h > 24 || m > 59 || s > 60 || h == 24 && (m > 0 || s > 0) {
		return 0, fmt.Errorf("there is no time %02d:%02d:%02d", h, m, s)
	}
	d := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute + time.Duration(s)*time.Second
	if hasFraction {
		if len(digits) != 6 || fraction == "" || len(fraction) > 9 || strings.Trim(fraction, "0123456789") != "" {
			return 0, fmt.Errorf("the fraction %q of a second is not 1 to 9 digits", fraction)
		}
		d += time.Duration(atoi((fraction + "00000000")[:9]))
	}
	return d, nil
}

// shapeOf replaces every digit by 9.
func shapeOf(text string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return '9'
		}
		return r
	}, text)
}

// atoi reads digits that are known to be digits, and few.
func atoi(digits string) (n int) {
	for _, d := range digits {
		n = n*10 + int(d-'0')
	}
	return n
}

// Period is a span between two instants; End is the first instant after it.
type Period struct{ Start, End time.Time }

// ParsePeriod reads START/END, START/DURATION, DURATION/END, or a duration
// from now.
func ParsePeriod(text string, now time.Time) (Period, error) {
	first, second, both := strings.Cut(text, "/")
	isDuration := func(s string) bool { return strings.HasPrefix(strings.TrimSpace(s), "P") }
	switch {
	case !both && isDuration(first):
		d, err := ParseDuration(first)
		return Period{now, d.AddTo(now)}, err
	case !both:
		return Period{}, &SyntaxError{text, "period", "write START/END, START/DURATION or DURATION/END"}
	case isDuration(first) && isDuration(second):
		return Period{}, &SyntaxError{text, "period", "one end must be a date"}
	case isDuration(first):
		d, err := ParseDuration(first)
		if err != nil {
			return Period{}, err
		}
		end, err := Parse(second, now)
		return Period{d.SubtractFrom(end), end}, err
	}
	start, err := Parse(first, now)
	if err != nil {
		return Period{}, err
	}
	if isDuration(second) {
		d, err := ParseDuration(second)
		return Period{start, d.AddTo(start)}, err
	}
	end, err := Parse(second, now)
	return Period{start, end}, err
}

// Format writes an instant as Pacemaker's tools do: "2026-11-20 08:00:00Z".
func Format(t time.Time) string { return t.Format("2006-01-02 15:04:05Z07:00") }

// FormatOrdinal writes it with the day of the year: "2024-365 01:02:03Z".
func FormatOrdinal(t time.Time) string { return t.Format("2006-002 15:04:05Z07:00") }

// FormatWeek writes it with ISO week and weekday: "2025-W01-1 01:02:03Z".
func FormatWeek(t time.Time) string {
	year, week := t.ISOWeek()
	return fmt.Sprintf("%04d-W%02d-%d %s", year, week, isoWeekday(t), t.Format("15:04:05Z07:00"))
}
