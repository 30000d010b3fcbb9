package status

import (
	"math"
	"strconv"
	"strings"
	"time"

	"systole/crm/score"
)

// Truth reads a boolean as the CIB writes them; ok is false for anything else.
func Truth(s string) (value, ok bool) {
	switch strings.ToLower(s) {
	case "true", "on", "yes", "y", "1":
		return true, true
	case "false", "off", "no", "n", "0":
		return false, true
	}
	return false, false
}

// True tells whether a CIB value means yes: true, on, yes, y or 1 in any case.
func True(s string) bool {
	v, _ := Truth(s)
	return v
}

// Millis reads a length of time as the CIB writes them ("10s", "5min", "PT1H", a bare number of
// seconds), in milliseconds; ok is false for anything else.
func Millis(s string) (ms int64, ok bool) {
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "P") {
		return isoMillis(s)
	}
	i := 0
	for i < len(s) && (s[i] >= '0' && s[i] <= '9' || i == 0 && (s[i] == '-' || s[i] == '+')) {
		i++
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	if err != nil {
		return 0, false
	}
	switch strings.ToLower(strings.TrimSpace(s[i:])) {
	case "", "s", "sec":
		return times(n, 1000), true
	case "ms", "msec":
		return times(n, 1), true
	case "us", "usec":
		return times(n/1000, 1), true
	case "m", "min":
		return times(n, 60_000), true
	case "h", "hr":
		return times(n, 3_600_000), true
	}
	return 0, false
}

// maxMillis is the longest time there is, 292 years: what a time.Duration can hold. Longer ones count as this.
const maxMillis = int64(math.MaxInt64 / time.Millisecond)

// times is n × unit, within ±maxMillis.
func times(n, unit int64) int64 {
	limit := maxMillis / unit
	if n > limit {
		return maxMillis
	}
	return max(n, -limit) * unit
}

// isoMillis reads the time designators of an ISO 8601 duration; a month counts 30 days and a year 365.
func isoMillis(s string) (int64, bool) {
	const second, day = int64(1000), int64(86_400_000)
	var total, n int64
	digits, inTime := false, false
	for _, c := range s[1:] {
		switch {
		case c >= '0' && c <= '9':
			n, digits = min(times(n, 10)+int64(c-'0'), maxMillis), true
			continue
		case c == 'T':
			inTime = true
			continue
		case !digits:
			return 0, false
		}
		switch {
		case c == 'Y':
			n = times(n, 365*day)
		case c == 'M' && !inTime:
			n = times(n, 30*day)
		case c == 'W':
			n = times(n, 7*day)
		case c == 'D':
			n = times(n, day)
		case c == 'H':
			n = times(n, 3600*second)
		case c == 'M':
			n = times(n, 60*second)
		case c == 'S':
			n = times(n, second)
		default:
			return 0, false
		}
		total, n, digits = min(total+n, maxMillis), 0, false
	}
	return total, !digits
}

// interval reads an operation's interval; nonsense and negative values count as 0, as the field does.
func interval(s string) uint32 {
	ms, ok := Millis(s)
	if !ok || ms < 0 || ms > 1<<32-1 {
		return 0
	}
	return uint32(ms)
}

// number reads an integer with leading and trailing junk ignored; otherwise is returned for no number at all.
func number(s string, otherwise int64) int64 {
	s = strings.TrimSpace(s)
	i := 0
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.ParseInt(s[:i], 10, 64)
	if err != nil {
		return otherwise
	}
	return n
}

func parseScore(s string, otherwise int32) int32 {
	if s == "" {
		return otherwise
	}
	return int32(score.ParseOr(s, score.Score(otherwise)))
}

// ParseRole reads a role by its present or former name, in any case; RoleUnknown for anything else.
func ParseRole(s string) Role {
	switch strings.ToLower(s) {
	case "stopped":
		return RoleStopped
	case "started":
		return RoleStarted
	case "unpromoted", "slave":
		return RoleUnpromoted
	case "promoted", "master":
		return RolePromoted
	}
	return RoleUnknown
}

// BaseName is a resource name without an instance number: "web" for "web:3".
func BaseName(id string) string {
	for i := len(id) - 1; i > 0; i-- {
		switch c := id[i]; {
		case c >= '0' && c <= '9':
		case c == ':' && i < len(id)-1:
			return id[:i]
		default:
			return id
		}
	}
	return id
}

// CompareNames orders node names as the field does: runs of digits by their number, the rest byte by byte without case.
func CompareNames(a, b string) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if digit(a[i]) && digit(b[j]) {
			var n, m int64
			for i < len(a) && digit(a[i]) {
				n = n*10 + int64(a[i]-'0')
				i++
			}
			for j < len(b) && digit(b[j]) {
				m = m*10 + int64(b[j]-'0')
				j++
			}
			if n != m {
				if n < m {
					return -1
				}
				return 1
			}
			continue
		}
		c, d := lower(a[i]), lower(b[j])
		if c != d {
			if c < d {
				return -1
			}
			return 1
		}
		i++
		j++
	}
	switch {
	case i < len(a):
		return 1
	case j < len(b):
		return -1
	}
	return 0
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}
