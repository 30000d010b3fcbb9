package clitext

import (
	"slices"
	"strings"
)

// scan walks through the words of a statement.
type scan struct {
	words []word
	pos   int
}

func (s *scan) more() bool { return s.pos < len(s.words) }

// peek is the next word; at the end one without text, on the last word's line.
func (s *scan) peek() word {
	if s.more() {
		return s.words[s.pos]
	}
	return word{line: s.words[len(s.words)-1].line, quoted: true, eq: -1}
}

func (s *scan) next() word {
	w := s.peek()
	s.pos++
	return w
}

// is tells whether the next word is one of these keywords.
func (s *scan) is(keywords ...string) bool {
	w := s.peek()
	return s.more() && !w.quoted && slices.Contains(keywords, w.text)
}

// accept takes the next word if it is the keyword.
func (s *scan) accept(keyword string) bool {
	if s.is(keyword) {
		s.pos++
		return true
	}
	return false
}

// need takes a word that must be there; what says what it stands for.
func (s *scan) need(what string) (word, error) {
	if !s.more() {
		return word{}, errorAt(s.peek(), "%s is missing at the end; add it", what)
	}
	return s.next(), nil
}

// done refuses words that are left over.
func (s *scan) done(hint string) error {
	if s.more() {
		return errorAt(s.peek(), "not expected here; %s", hint)
	}
	return nil
}

// pair splits name=value at the first = that is not inside quotation marks.
func (w word) pair() (name, value string, ok bool) {
	if w.eq <= 0 {
		return "", "", false
	}
	return w.text[:w.eq], w.text[w.eq+1:], true
}

// idOption takes a word $id=X or id=X.
func (s *scan) idOption() (w word, id string, ok bool) {
	w = s.peek()
	if name, value, isPair := w.pair(); isPair && (name == "$id" || name == "id") {
		s.pos++
		return w, value, true
	}
	return word{}, "", false
}

// label takes a word that ends with a colon, without it.
func (s *scan) label() (w word, text string, ok bool) {
	w = s.peek()
	if !s.more() || w.quoted || len(w.text) < 2 || !strings.HasSuffix(w.text, ":") {
		return w, "", false
	}
	s.pos++
	return w, strings.TrimSuffix(w.text, ":"), true
}

// fold gives the spelling of the allowed words that equals s but for case.
func fold(s string, allowed ...string) (string, bool) {
	for _, a := range allowed {
		if strings.EqualFold(a, s) {
			return a, true
		}
	}
	return s, false
}

// cutColon splits at the first colon.
func cutColon(s string) (before, after string, found bool) { return strings.Cut(s, ":") }
