package clitext

import "fmt"

// SyntaxError is a text the language does not allow, or an object that does not
// fit the configuration: where, at which word, what is wrong and what to do.
type SyntaxError struct {
	// Line is 1-based in the text that was read; 0 for words of a command line.
	Line int
	// Word is the word the reader stopped at, "" at the end of the statement.
	Word string
	Msg  string
}

func (e *SyntaxError) Error() string {
	s := ""
	if e.Line > 0 {
		s = fmt.Sprintf("line %d: ", e.Line)
	}
	if e.Word != "" {
		s += fmt.Sprintf("at %q: ", e.Word)
	}
	return s + e.Msg
}

// errorAt makes a SyntaxError for a word.
func errorAt(w word, format string, args ...any) error {
	return &SyntaxError{Line: w.line, Word: w.text, Msg: fmt.Sprintf(format, args...)}
}
