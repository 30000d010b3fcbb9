package keepalived

import (
	"errors"
	"fmt"
	"strings"

	"systole/crm/importer"
)

// statement is a keyword with its words, and the block that belongs to it.
type statement struct {
	at    importer.Place
	words []string
	block []*statement
	ends  []importer.Place // where its braces are
}

func (s *statement) keyword() string { return s.words[0] }
func (s *statement) args() []string  { return s.words[1:] }

// arg is the nth word after the keyword, "" if there is none.
func (s *statement) arg(n int) string {
	if n+1 < len(s.words) {
		return s.words[n+1]
	}
	return ""
}

// rest is all after the keyword, as one text.
func (s *statement) rest() string { return strings.Join(s.args(), " ") }

// maxDepth of blocks; keepalived's own need five.
const maxDepth = 32

// tree makes statements of lines: a line is a statement, braces make the
// statements between them the block of the one before. What breaks this is
// reported, and reading goes on.
func tree(lines []line, report *importer.Report) ([]*statement, error) {
	root := &statement{}
	open := []*statement{root}
	var errs []error
	problem := func(at importer.Place, msg string) {
		report.Unsupported(at, "%s", msg)
		errs = append(errs, fmt.Errorf("%s: %s", at, msg))
	}
	for _, l := range lines {
		var s *statement // what this line has begun
		for _, w := range tokens(l.text) {
			top := open[len(open)-1]
			switch {
			case w.text == "{" && !w.quoted:
				if s == nil && len(top.block) > 0 { // on a line of its own
					s = top.block[len(top.block)-1]
				}
				if s == nil || s.ends != nil || len(open) > maxDepth {
					problem(l.at, "a { without a keyword before it")
					s = &statement{at: l.at, words: []string{"{"}}
					top.block = append(top.block, s)
				}
				s.ends = append(s.ends, l.at)
				report.Taken(l.at)
				open = append(open, s)
				s = nil
			case w.text == "}" && !w.quoted:
				if len(open) == 1 {
					problem(l.at, "a } without a {")
					continue
				}
				report.Taken(l.at)
				top.ends = append(top.ends, l.at)
				open, s = open[:len(open)-1], nil
			case s == nil:
				s = &statement{at: l.at, words: []string{w.text}}
				top.block = append(top.block, s)
			default:
				s.words = append(s.words, w.text)
			}
		}
	}
	for _, s := range open[1:] {
		problem(s.at, fmt.Sprintf("the block of %s has no }", s.keyword()))
	}
	return root.block, errors.Join(errs...)
}

type token struct {
	text   string
	quoted bool
}

// tokens splits at blanks; double quotes group. A brace at the end of a bare
// word stands for itself (virtual_server 192.0.2.1 80{), but for ${NAME}.
func tokens(s string) []token {
	var out []token
	for s = strings.TrimLeft(s, " \t"); s != ""; s = strings.TrimLeft(s, " \t") {
		if s[0] == '"' {
			inner, rest, _ := strings.Cut(s[1:], `"`)
			out = append(out, token{inner, true})
			s = rest
			continue
		}
		end := strings.IndexAny(s, " \t")
		if end < 0 {
			end = len(s)
		}
		word := s[:end]
		s = s[end:]
		if head, ok := strings.CutSuffix(word, "{"); ok && head != "" && !strings.HasSuffix(head, "$") {
			out = append(out, token{head, false}, token{"{", false})
			continue
		}
		out = append(out, token{word, false})
	}
	return out
}
