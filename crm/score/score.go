// Package score is the arithmetic of preferences: whole numbers that saturate
// at plus and minus one million, called INFINITY, where minus INFINITY always
// wins (Pacemaker Explained, "Scores").
package score

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Score is a preference between -Infinity and Infinity. The zero value is no
// preference. Values outside the range are a bug; Of and Add never make one.
type Score int32

// The bounds. "Must" and "must never" in constraints.
const (
	Infinity      Score = 1_000_000
	MinusInfinity Score = -Infinity
)

// Of saturates a number.
func Of(n int64) Score {
	return Score(max(int64(MinusInfinity), min(n, int64(Infinity))))
}

// Add sums two scores: -INFINITY with anything is -INFINITY, else INFINITY with
// anything is INFINITY, else the saturated sum.
func (s Score) Add(t Score) Score {
	switch {
	case s <= MinusInfinity || t <= MinusInfinity:
		return MinusInfinity
	case s >= Infinity || t >= Infinity:
		return Infinity
	}
	return Of(int64(s) + int64(t))
}

// Neg is the opposite score.
func (s Score) Neg() Score { return -s }

// Times multiplies and saturates; an infinite score keeps its size and takes
// the sign of the product.
func (s Score) Times(n int64) Score {
	switch {
	case s == 0 || n == 0:
		return 0
	case s.IsInfinite():
		if (s > 0) == (n > 0) {
			return Infinity
		}
		return MinusInfinity
	case n > int64(Infinity) || n < int64(MinusInfinity): // the product of two int32 below cannot overflow
		n = max(int64(MinusInfinity), min(n, int64(Infinity)))
	}
	return Of(int64(s) * n)
}

// IsInfinite tells whether the score is at either bound.
func (s Score) IsInfinite() bool { return s >= Infinity || s <= MinusInfinity }

// String prints INFINITY, -INFINITY or the number.
func (s Score) String() string {
	switch {
	case s >= Infinity:
		return "INFINITY"
	case s <= MinusInfinity:
		return "-INFINITY"
	}
	return strconv.Itoa(int(s))
}

// SyntaxError is a text that is no score.
type SyntaxError struct{ Text string }

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%q is not a score: write an integer, INFINITY or -INFINITY", e.Text)
}

// Parse reads INFINITY, +INFINITY, -INFINITY (in any letter case) or a decimal
// integer with optional sign, saturating. Anything else is a [SyntaxError] and
// the score 0.
func Parse(text string) (Score, error) {
	if s, ok := infinite(text); ok {
		return s, nil
	}
	n, rest, ok := leadingInt(text)
	if !ok || rest != "" {
		return 0, &SyntaxError{text}
	}
	return Of(n), nil
}

// ParseOr reads what a lenient reader of old configurations accepts: white
// space in front and anything after the digits are ignored ("100.5" is 100).
// A text without a number gives otherwise.
func ParseOr(text string, otherwise Score) Score {
	if s, ok := infinite(text); ok {
		return s
	}
	n, _, ok := leadingInt(strings.TrimLeft(text, " \t\n\v\f\r"))
	if !ok {
		return otherwise
	}
	return Of(n)
}

func infinite(text string) (Score, bool) {
	sign := Infinity
	switch {
	case strings.HasPrefix(text, "+"):
		text = text[1:]
	case strings.HasPrefix(text, "-"):
		text, sign = text[1:], MinusInfinity
	}
	return sign, strings.EqualFold(text, "INFINITY")
}

// leadingInt reads an optionally signed decimal integer, saturating at the
// bounds of int64, and returns what follows it.
func leadingInt(text string) (n int64, rest string, ok bool) {
	digits := strings.TrimLeft(text, "+-")
	if len(text)-len(digits) > 1 {
		return 0, text, false
	}
	end := 0
	for end < len(digits) && '0' <= digits[end] && digits[end] <= '9' {
		d := int64(digits[end] - '0')
		if n > (math.MaxInt64-d)/10 {
			n = math.MaxInt64
		} else {
			n = n*10 + d
		}
		end++
	}
	if end == 0 {
		return 0, text, false
	}
	if text[0] == '-' {
		n = -n
	}
	return n, digits[end:], true
}
