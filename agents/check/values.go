package check

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// value reads and prints one option of a Spec. texts is empty for an unset one.
type value interface {
	set(string) error
	texts() []string
}

func one(text string) []string {
	if text == "" {
		return nil
	}
	return []string{text}
}

type textValue string

func (v *textValue) set(s string) error {
	if s == "" {
		return errors.New("it is empty: leave the option out")
	}
	*v = textValue(s)
	return nil
}
func (v *textValue) texts() []string { return one(string(*v)) }

type pathValue string

func (v *pathValue) set(s string) error {
	if !strings.HasPrefix(s, "/") {
		return fmt.Errorf("%q is not an absolute path: begin it with /", s)
	}
	*v = pathValue(s)
	return nil
}
func (v *pathValue) texts() []string { return one(string(*v)) }

type listValue []string

func (v *listValue) set(s string) error { *v = append(*v, s); return nil }
func (v *listValue) texts() []string    { return *v }

type boolValue bool

func (v *boolValue) set(s string) error {
	switch s {
	case "yes", "true", "on":
		*v = true
	case "no", "false", "off":
		*v = false
	default:
		return fmt.Errorf("%q is neither yes nor no", s)
	}
	return nil
}

func (v *boolValue) texts() []string {
	if *v {
		return []string{"yes"}
	}
	return []string{"no"}
}

type intValue struct {
	at       *int
	min, max int
}

func (v *intValue) set(s string) error {
	n, err := strconv.Atoi(s)
	if err != nil || n < v.min || n > v.max {
		return fmt.Errorf("%q is not a whole number from %d to %d", s, v.min, v.max)
	}
	*v.at = n
	return nil
}
func (v *intValue) texts() []string { return []string{strconv.Itoa(*v.at)} }

type choiceValue struct {
	at      *string
	choices []string
}

func (v *choiceValue) set(s string) error {
	s = strings.ToUpper(s)
	if !slices.Contains(v.choices, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(v.choices, ", "))
	}
	*v.at = s
	return nil
}
func (v *choiceValue) texts() []string { return one(*v.at) }

// durationValue takes Go's durations, and bare numbers as seconds.
type durationValue struct {
	at       *time.Duration
	min, max time.Duration
}

func (v *durationValue) set(s string) error {
	d, err := time.ParseDuration(s)
	if seconds, bare := strconv.ParseFloat(s, 64); bare == nil {
		d, err = time.Duration(math.Round(min(max(seconds, 0), 1e9)*1e6))*time.Microsecond, nil
	}
	if err != nil || d < v.min || d > v.max {
		return fmt.Errorf("%q is not a time from %s to %s: write 500ms, 2s or 1m30s", s, v.min, v.max)
	}
	*v.at = d
	return nil
}
func (v *durationValue) texts() []string { return []string{v.at.String()} }

type verdictValue Verdict

func (v *verdictValue) set(s string) error {
	switch s {
	case "up":
		*v = verdictValue(Up)
	case "down":
		*v = verdictValue(Down)
	default:
		return fmt.Errorf("%q is neither up nor down", s)
	}
	return nil
}
func (v *verdictValue) texts() []string { return []string{Verdict(*v).String()} }

type portValue uint16

func (v *portValue) set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a port from 1 to 65535", s)
	}
	*v = portValue(n)
	return nil
}

func (v *portValue) texts() []string {
	if *v == 0 {
		return nil
	}
	return []string{strconv.Itoa(int(*v))}
}

type markValue uint32

func (v *markValue) set(s string) error {
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a firewall mark from 1 to 4294967295", s)
	}
	*v = markValue(n)
	return nil
}

func (v *markValue) texts() []string {
	if *v == 0 {
		return nil
	}
	return []string{strconv.FormatUint(uint64(*v), 10)}
}

type addrValue netip.Addr

func (v *addrValue) set(s string) error {
	a, err := netip.ParseAddr(s)
	if err != nil || a.IsUnspecified() {
		return fmt.Errorf("%q is not an IP address", s)
	}
	*v = addrValue(a.Unmap())
	return nil
}

func (v *addrValue) texts() []string {
	if a := netip.Addr(*v); a.IsValid() {
		return []string{a.String()}
	}
	return nil
}

type regexValue struct{ at **regexp.Regexp }

func (v *regexValue) set(s string) (err error) {
	if *v.at, err = regexp.Compile(s); err != nil || s == "" {
		return fmt.Errorf("%q is not a regular expression as RE2 has them: %v", s, err)
	}
	return nil
}

func (v *regexValue) texts() []string {
	if *v.at == nil {
		return nil
	}
	return []string{(*v.at).String()}
}

// Header is one header of an HTTP request.
type Header struct{ Name, Value string }

type headersValue []Header

// token is a header's name as RFC 9110 §5.6.2 has it; values have no control
// characters already, as no option has.
var token = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")

func (v *headersValue) set(s string) error {
	name, value, ok := strings.Cut(s, ":")
	value = strings.Trim(value, " \t")
	switch {
	case !ok || !token.MatchString(name):
		return fmt.Errorf("%q is not a header: write \"Name: value\"", s)
	case strings.EqualFold(name, "Host"):
		return errors.New("the Host header has an option of its own: write host=…")
	}
	*v = append(*v, Header{name, value})
	return nil
}

func (v *headersValue) texts() []string {
	var all []string
	for _, h := range *v {
		all = append(all, h.Name+": "+h.Value)
	}
	return all
}

// StatusSet is a set of HTTP statuses.
type StatusSet []StatusRange

// StatusRange is one range of it, both ends in.
type StatusRange struct{ First, Last int }

// Has tells whether the status is in the set.
func (s StatusSet) Has(status int) bool {
	return slices.ContainsFunc(s, func(r StatusRange) bool { return r.First <= status && status <= r.Last })
}

func (s StatusSet) String() string {
	var all []string
	for _, r := range s {
		if r.First == r.Last {
			all = append(all, strconv.Itoa(r.First))
			continue
		}
		all = append(all, fmt.Sprintf("%d-%d", r.First, r.Last))
	}
	return strings.Join(all, ",")
}

type statusValue StatusSet

func (v *statusValue) set(s string) error {
	*v = nil
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		if !isRange {
			to = from
		}
		first, err1 := strconv.Atoi(from)
		last, err2 := strconv.Atoi(to)
		if err1 != nil || err2 != nil || first < 100 || last > 599 || first > last {
			return fmt.Errorf("%q is not an HTTP status or a range of them: write 200-299,304", part)
		}
		*v = append(*v, StatusRange{first, last})
	}
	return nil
}
func (v *statusValue) texts() []string { return one(StatusSet(*v).String()) }

// Digest is the checksum a body must have. The zero value asks for none.
type Digest struct {
	Algorithm string // md5 or sha256
	Sum       string // lower-case hexadecimal
}

// Of is the digest of a body by the same algorithm.
func (d Digest) Of(body []byte) string {
	if d.Algorithm == "md5" {
		sum := md5.Sum(body)
		return hex.EncodeToString(sum[:])
	}
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

type digestValue Digest

func (v *digestValue) set(s string) error {
	algorithm, sum, _ := strings.Cut(strings.ToLower(s), ":")
	raw, err := hex.DecodeString(sum)
	if want := map[string]int{"md5": md5.Size, "sha256": sha256.Size}[algorithm]; err != nil || want == 0 || len(raw) != want {
		return fmt.Errorf("%q is not a digest: write md5: and 32 or sha256: and 64 hexadecimal digits", s)
	}
	*v = digestValue{algorithm, sum}
	return nil
}

func (v *digestValue) texts() []string {
	if v.Algorithm == "" {
		return nil
	}
	return []string{v.Algorithm + ":" + v.Sum}
}

const hexPrefix = "hex:"

type bytesValue []byte

func (v *bytesValue) set(s string) error {
	digits, isHex := strings.CutPrefix(s, hexPrefix)
	if s == "" || s == hexPrefix {
		return errors.New("it is empty: leave the option out")
	}
	if !isHex {
		*v = bytesValue(s)
		return nil
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return fmt.Errorf("%q is not hexadecimal: write hex: and pairs of digits", s)
	}
	*v = raw
	return nil
}

func (v *bytesValue) texts() []string {
	if len(*v) == 0 {
		return nil
	}
	text := string(*v)
	plain := func(r rune) bool { return r >= ' ' && r != 0x7f || r == '\t' }
	if utf8.ValidString(text) && !strings.HasPrefix(text, hexPrefix) && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return []string{text}
	}
	return []string{hexPrefix + hex.EncodeToString(*v)}
}

// Pattern is what an answer must match. The zero value asks for no answer.
type Pattern struct {
	text  string
	regex *regexp.Regexp // nil: the hexadecimal digits of text
}

// Empty tells whether no answer is asked for.
func (p Pattern) Empty() bool { return p.text == "" }

// Match tells whether the answer matches.
func (p Pattern) Match(answer []byte) bool {
	if p.regex != nil {
		return p.regex.Match(answer)
	}
	digits := strings.TrimPrefix(p.text, hexPrefix)
	if len(answer) < len(digits)/2 {
		return false
	}
	got := hex.EncodeToString(answer[:len(digits)/2])
	for i := range got {
		if digits[i] != 'x' && digits[i] != got[i] {
			return false
		}
	}
	return true
}

type patternValue Pattern

func (v *patternValue) set(s string) error {
	digits, isHex := strings.CutPrefix(s, hexPrefix)
	if isHex {
		digits = strings.ToLower(digits)
		if len(digits)%2 != 0 || digits == "" || strings.Trim(digits, "0123456789abcdefx") != "" {
			return fmt.Errorf("%q is not hexadecimal: write hex: and pairs of digits or x", s)
		}
		*v = patternValue{text: hexPrefix + digits}
		return nil
	}
	re, err := regexp.Compile(s)
	if err != nil || s == "" {
		return fmt.Errorf("%q is not a regular expression as RE2 has them: %v", s, err)
	}
	*v = patternValue{s, re}
	return nil
}
func (v *patternValue) texts() []string { return one(v.text) }
