package cibtools

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"systole/crm/exit"
	"systole/crm/isotime"
	"systole/crm/shell/tool"
)

// ISO8601 is iso8601: dates, periods and durations read and written.
func ISO8601(ctx context.Context, stdio *tool.IO, args []string) int {
	return iso8601.tool()(ctx, stdio, args)
}

// timeForm is how instants are printed.
type timeForm struct{ seconds, epoch, local, ordinal, week bool }

// yearZero is what -s counts from: the beginning of the first year.
var yearZero = time.Date(1, time.January, 1, 0, 0, 0, 0, time.UTC)

func (f timeForm) format(t time.Time) string {
	if !f.local {
		t = t.UTC()
	}
	switch {
	case f.epoch:
		return strconv.FormatInt(t.Unix(), 10)
	case f.seconds:
		return strconv.FormatInt(t.Unix()-yearZero.Unix(), 10)
	}
	text := isotime.Format(t)
	if f.ordinal {
		text = isotime.FormatOrdinal(t)
	} else if f.week {
		text = isotime.FormatWeek(t)
	}
	if _, offset := t.Zone(); offset != 0 { // the tool sets the offset apart
		return text[:len(text)-len("+00:00")] + " " + text[len(text)-len("+00:00"):]
	}
	return strings.Replace(text, "+00:00", "Z", 1)
}

var iso8601 = program{
	name:  "iso8601",
	about: "read and write dates of ISO 8601",
	notes: "\nExample:\n  iso8601 --date '2024-01-31 12:00:00 +01:00' --duration P1M\n",
	flags: func(fs *pflag.FlagSet) func(*run, []string) error {
		var f timeForm
		now := fs.BoolP("now", "n", false, "print the time it is")
		date := fs.StringP("date", "d", "", "read a date and time")
		period := fs.StringP("period", "p", "", "read a period with start or end")
		duration := fs.StringP("duration", "D", "", "read a duration; with a date print when it ends")
		expected := fs.StringP("expected", "E", "", "end with 1 unless the result of -n or -d is this")
		fs.BoolVarP(&f.seconds, "seconds", "s", false, "print seconds since the year 0")
		fs.BoolVarP(&f.epoch, "epoch", "S", false, "print seconds since 1970")
		fs.BoolVarP(&f.local, "local", "L", false, "print in the zone given")
		fs.BoolVarP(&f.ordinal, "ordinal", "O", false, "print the day of the year")
		fs.BoolVarP(&f.week, "week", "W", false, "print week and weekday")
		return func(r *run, _ []string) error {
			present := time.Now()
			at, result := time.Time{}, ""
			switch {
			case *date == "now" || *now:
				at = present
				result = f.format(at)
				r.Printf("Current date/time: %s\n", result)
			case fs.Changed("date"):
				var err error
				if at, err = isotime.Parse(*date, present); err != nil {
					return exit.Errorf(exit.InvalidParam, "Invalid date/time specified: %s: %w", *date, err)
				}
				result = f.format(at)
				r.Printf("Date: %s\n", result)
			}
			if fs.Changed("duration") {
				d, err := isotime.ParseDuration(*duration)
				if err != nil {
					return exit.Errorf(exit.InvalidParam, "Invalid duration specified: %s: %w", *duration, err)
				}
				r.Printf("Duration: %s\n", inWords(d))
				if !at.IsZero() {
					result = f.format(d.AddTo(at))
					r.Printf("Duration ends at: %s\n", result)
				}
			}
			if fs.Changed("period") {
				p, err := isotime.ParsePeriod(*period, present)
				if err != nil {
					return exit.Errorf(exit.InvalidParam, "Invalid interval specified: %s: %w", *period, err)
				}
				r.Printf("Period: %s to %s\n", f.format(p.Start), f.format(p.End))
			}
			if fs.Changed("expected") && result != *expected {
				return ended(exit.Error)
			}
			return nil
		}
	},
}

// inWords is a duration as the tool says it: years, months and days in columns,
// then the seconds, whole and, from a minute on, by their parts.
func inWords(d isotime.Duration) string {
	var b strings.Builder
	part := func(width, n int, unit string) {
		if n != 0 {
			fmt.Fprintf(&b, "%*d %s ", width, n, plural(n, unit))
		}
	}
	part(4, d.Years, "year")
	part(2, d.Months, "month")
	part(2, 7*d.Weeks+d.Days, "day")
	seconds := d.Hours*3600 + d.Minutes*60 + d.Seconds
	if seconds == 0 && b.Len() > 0 {
		return b.String()
	}
	fmt.Fprintf(&b, "%d %s", seconds, plural(seconds, "second"))
	if seconds < 60 && seconds > -60 {
		return b.String()
	}
	var parts []string
	for _, u := range []struct {
		n    int
		unit string
	}{{seconds / 86400, "day"}, {seconds / 3600 % 24, "hour"}, {seconds / 60 % 60, "minute"}, {seconds % 60, "second"}} {
		if u.n != 0 {
			parts = append(parts, fmt.Sprintf("%d %s", u.n, plural(u.n, u.unit)))
		}
	}
	return b.String() + " (" + strings.Join(parts, " ") + ")"
}

func plural(n int, unit string) string {
	if n == 1 {
		return unit
	}
	return unit + "s"
}
