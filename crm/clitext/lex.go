package clitext

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"systole/crm/cib"
)

// word is one word of a statement, with quotes taken away.
type word struct {
	text   string
	quoted bool // begins with a quotation mark, so it is no keyword
	eq     int  // where the first = outside quotation marks is, -1 without one
	line   int
}

// Statement is one logical line: its words, or for xml the raw rest.
type Statement struct {
	words    []word
	comments []string // the comment lines before it, without line ends
	raw      string   // all after the first word, for xml and for error messages
}

// Line is where the statement begins, 1-based; 0 for one made of arguments.
func (s Statement) Line() int { return s.words[0].line }

// Keyword is the first word.
func (s Statement) Keyword() string { return s.words[0].text }

// Args are the words after the keyword, unquoted.
func (s Statement) Args() []string {
	args := make([]string, 0, len(s.words)-1)
	for _, w := range s.words[1:] {
		args = append(args, w.text)
	}
	return args
}

// Skip is the statement without its first n words, which must leave one.
func (s Statement) Skip(n int) Statement {
	s.words = s.words[n:]
	for range n {
		_, s.raw, _ = cutSpace(s.raw)
	}
	return s
}

// FromArgs makes a statement of words that are already separate, as a program
// gets them. args must not be empty.
func FromArgs(args []string) Statement {
	s := Statement{raw: strings.Join(args[1:], " ")}
	for _, a := range args {
		s.words = append(s.words, word{text: a, eq: strings.IndexByte(a, '=')})
	}
	return s
}

// XMLStatement is the xml statement for an element.
func XMLStatement(e *cib.Element) Statement {
	return Statement{words: []word{{text: "xml", eq: -1}}, raw: e.String()}
}

// Statements splits a text into statements: one to a line, a backslash at the
// end of a line continues it, a line that begins with # is a comment and goes
// with the statement after it. Words are separated by blanks; single and double
// quotes group, a backslash outside single quotes takes the next character's
// meaning away (inside double quotes only that of " and \).
func Statements(text string) ([]Statement, error) {
	var out []Statement
	var comments []string
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if !utf8.ValidString(line) || strings.ContainsFunc(line, notXML) {
			return nil, &SyntaxError{Line: i + 1, Msg: "a character here is not text; save the file as UTF-8 without control characters"}
		}
	}
	for i := 0; i < len(lines); {
		start := i
		line := strings.TrimSpace(lines[i])
		i++
		switch {
		case line == "":
			continue
		case line[0] == '#':
			comments = append(comments, line)
			continue
		}
		logical := []string{line}
		for strings.HasSuffix(logical[len(logical)-1], "\\") {
			last := len(logical) - 1
			logical[last] = strings.TrimRightFunc(strings.TrimSuffix(logical[last], "\\"), unicode.IsSpace)
			if i == len(lines) {
				break
			}
			logical = append(logical, strings.TrimSpace(lines[i]))
			i++
		}
		s, err := statement(logical, start+1)
		if err != nil {
			return nil, err
		}
		if s.words == nil {
			continue
		}
		s.comments, comments = comments, nil
		out = append(out, s)
	}
	return out, nil
}

// notXML tells the characters an XML document cannot hold.
func notXML(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// statement splits the physical lines of one logical line into words.
func statement(lines []string, first int) (Statement, error) {
	var s Statement
	joined := strings.TrimSpace(strings.Join(lines, "\n"))
	if keyword, rest, _ := cutSpace(joined); keyword == "xml" {
		s.words = []word{{text: keyword, eq: -1, line: first}}
		s.raw = rest
		return s, nil
	} else {
		s.raw = rest
	}
	l := lexer{line: first}
	for _, r := range joined {
		if err := l.next(r); err != nil {
			return Statement{}, err
		}
	}
	if l.quote != 0 {
		return Statement{}, &SyntaxError{Line: l.word.line, Msg: "quotation mark without an end; add a closing " + string(l.quote)}
	}
	l.end()
	s.words = l.words
	return s, nil
}

// cutSpace splits at the first white space.
func cutSpace(s string) (before, after string, found bool) {
	i := strings.IndexFunc(s, unicode.IsSpace)
	if i < 0 {
		return s, "", false
	}
	return s[:i], strings.TrimSpace(s[i:]), true
}

// lexer splits into words, one character at a time.
type lexer struct {
	words  []word
	word   word
	buf    strings.Builder
	inWord bool
	quote  rune // the open quotation mark
	escape bool // after a backslash
	line   int
}

func (l *lexer) next(r rune) error {
	if !l.inWord && !unicode.IsSpace(r) {
		l.inWord = true
		l.word = word{line: l.line, eq: -1, quoted: r == '"' || r == '\''}
	}
	switch {
	case l.escape:
		if l.quote == '"' && r != '"' && r != '\\' {
			l.buf.WriteByte('\\')
		}
		l.buf.WriteRune(r)
		l.escape = false
	case r == '\\' && l.quote != '\'':
		l.escape = true
	case l.quote != 0 && r == l.quote:
		l.quote = 0
	case l.quote != 0 && r == '\n': // a line continued inside quotation marks, as crmsh joins it
		l.buf.WriteByte(' ')
	case l.quote != 0:
		l.buf.WriteRune(r)
	case r == '"' || r == '\'':
		l.quote = r
	case unicode.IsSpace(r):
		l.end()
	default:
		if r == '=' && l.word.eq < 0 {
			l.word.eq = l.buf.Len()
		}
		l.buf.WriteRune(r)
	}
	if r == '\n' {
		l.line++
	}
	return nil
}

// end closes the current word.
func (l *lexer) end() {
	if !l.inWord {
		return
	}
	if l.escape {
		l.buf.WriteByte('\\')
		l.escape = false
	}
	l.word.text = l.buf.String()
	l.words = append(l.words, l.word)
	l.buf.Reset()
	l.inWord = false
}

// quote writes a value so that Statements reads it back as one word: bare when
// it is made of letters, digits, and the characters - _ . only.
func quote(s string) string {
	if s != "" && strings.IndexFunc(s, needsQuote) < 0 {
		return s
	}
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"', c == '\\' && (i+1 == len(s) || s[i+1] == '"' || s[i+1] == '\\'):
			b.WriteByte('\\')
			b.WriteByte(c)
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}

func needsQuote(r rune) bool {
	return !(r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}
