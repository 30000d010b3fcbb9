package process

import (
	"slices"
	"strings"
	"testing"
)

func TestWords(t *testing.T) {
	for s, want := range map[string][]string{
		"":                             nil,
		" a ":                          {"a"},
		`--header 'Host: www' -x;y #z`: {"--header", "Host: www", "-x;y", "#z"},
		`--header="Host: it's" ''`:     {"--header=Host: it's", ""},
	} {
		if got, err := Words(s); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q cut into %q, %v; want %q", s, got, err, want)
		}
	}
	if got, err := Words(`-u "me`); err == nil {
		t.Errorf("an open quote is taken: %q", got)
	}
}

func FuzzWords(f *testing.F) {
	f.Add(`--a=1 --b="two words" '' c`)
	f.Fuzz(func(t *testing.T, s string) {
		if out, err := Words(s); err == nil && !strings.ContainsAny(s, `"'`) && !slices.Equal(out, strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\r\n", r) })) {
			t.Errorf("%q cut into %q", s, out)
		}
	})
}
