package clitext

import "testing"

// A value may go over several lines of text; it stays one line, as in crmsh.
func TestContinuationInsideQuotes(t *testing.T) {
	s, err := Statements("primitive d ocf:x:y params services=\"virtual a;\\\n\t real b\" \\\n  op monitor\nnext one")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s[0].Args()[3], "services=virtual a; real b"; got != want {
		t.Errorf("the value is %q, want %q", got, want)
	}
	if s[1].Line() != 4 {
		t.Errorf("the next statement is in line %d, want 4", s[1].Line())
	}
}
