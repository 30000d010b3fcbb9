package clitext

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLoad: no text makes the reader panic, and what it accepts prints and
// reads back to the same configuration.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/*.crm")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("primitive a Dummy \\\n\tparams x=\"un")
	f.Add("primitive a Dummy\nxml <rsc_order id=\"o\" first=\"a\" then=\"a\" kind=\"Optional\" require-all=\"false\"/>\n")
	f.Add("xml <group id=\"g\"> \\\n <primitive id=\"p\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"/> \\\n</group>\ngroup g p\n")
	f.Fuzz(func(t *testing.T, text string) {
		d := NewDraft(nil)
		if d.Load(text, LoadUpdate) != nil {
			return
		}
		shown, err := d.Show(nil, nil, ShowOptions{DocumentOrder: true})
		if err != nil {
			t.Fatal(err)
		}
		back := NewDraft(nil)
		if err := back.Load(shown, LoadUpdate); err != nil {
			t.Fatalf("%v\nshown:\n%s", err, shown)
		}
		if !Equivalent(sortSections(withoutSectionComments(d)), sortSections(withoutSectionComments(back))) {
			t.Fatalf("shown:\n%s\nread back:\n%s\nwant:\n%s", shown, back.Configuration(), d.Configuration())
		}
	})
}

// FuzzStatements: splitting into words never panics, and quoting a word keeps it one.
func FuzzStatements(f *testing.F) {
	f.Add("a b=\"c d\" 'e' \\\n f")
	f.Add(`"\`)
	f.Fuzz(func(t *testing.T, text string) {
		if ss, err := Statements(text); err == nil {
			for _, s := range ss {
				if s.Keyword() == "" && !s.words[0].quoted {
					t.Fatalf("empty keyword in %q", text)
				}
			}
		}
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r == '\n' || notXML(r) }) {
			return // cannot stand in a text at all
		}
		ss, err := Statements("x " + quote(text))
		if err != nil || len(ss) != 1 || len(ss[0].words) != 2 || ss[0].words[1].text != text {
			t.Fatalf("quote(%q) = %s, read as %+v, %v", text, quote(text), ss, err)
		}
	})
}
