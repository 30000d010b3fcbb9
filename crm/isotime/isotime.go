// Package isotime reads and writes the dates, durations and intervals of a CIB:
// ISO 8601 with the extensions of Heartbeat and Pacemaker (ordinal and week
// dates, interval lengths such as "10s" or "5min").
//
// It is pure: "now" is always given.
package isotime

import (
	"fmt"
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

// Parse reads a date and time. A date without time is its midnight, a time
// without date is on now's day, a time without zone is in now's location.
// "now" gives now, "epoch" 1970-01-01 00:00:00Z.
func Parse(text string, now time.Time) (time.Time, error) {
	return time.Time{}, &SyntaxError{text, "date", "unimplemented"}
}

// Duration is a length of time by the calendar: a month is as long as the month is.
type Duration struct {
	Years, Months, Weeks, Days, Hours, Minutes, Seconds int
}

// IsZero tells whether the duration is empty.
func (d Duration) IsZero() bool { return d == Duration{} }

// ParseDuration reads an ISO 8601 duration: P1Y2M3DT4H5M6S, P2W, PT90S.
func ParseDuration(text string) (Duration, error) {
	return Duration{}, &SyntaxError{text, "duration", "unimplemented"}
}

// AddTo is t moved by the duration. Months that are too short end on their
// last day: 31 January + 1 month is 28 or 29 February.
func (d Duration) AddTo(t time.Time) time.Time { return t }

// SubtractFrom is t moved back by the duration.
func (d Duration) SubtractFrom(t time.Time) time.Time { return t }

// String is the duration in ISO 8601; an empty one is "PT0S".
func (d Duration) String() string { return "PT0S" }

// Period is a span between two instants; End is the first instant after it.
type Period struct{ Start, End time.Time }

// ParsePeriod reads START/END, START/DURATION or DURATION/END.
func ParsePeriod(text string, now time.Time) (Period, error) {
	return Period{}, &SyntaxError{text, "period", "unimplemented"}
}

// ParseInterval reads the length of an operation interval or timeout as the CIB
// writes it: a number with an optional unit (us, ms, s, sec, m, min, h, hr;
// seconds without) or an ISO 8601 duration. White space around is ignored.
func ParseInterval(text string) (time.Duration, error) {
	return 0, &SyntaxError{text, "interval", "unimplemented"}
}

// Format writes an instant as Pacemaker's tools do: "2026-11-20 08:00:00Z".
func Format(t time.Time) string { return t.Format("2006-01-02 15:04:05Z07:00") }
