package nginx

import (
	"strings"
)

// pidDirective is the argument of "pid" in the main context of a configuration,
// "" without one. Included files cannot be followed here; a pid directive in
// one is seen by nginx -T, which asks for more than reading one file.
func pidDirective(conf string) string {
	depth := 0
	var statement []string
	for l := (lexer{rest: conf}); ; {
		tok, quoted, ok := l.next()
		if !ok {
			return ""
		}
		switch {
		case !quoted && tok == ";":
			if depth == 0 && len(statement) == 2 && statement[0] == "pid" {
				return statement[1]
			}
			statement = nil
		case !quoted && tok == "{":
			depth++
			statement = nil
		case !quoted && tok == "}":
			depth--
			statement = nil
		default:
			if len(statement) < 3 {
				statement = append(statement, tok)
			}
		}
	}
}

// lexer cuts an nginx configuration, or a list of options, into words.
type lexer struct{ rest string }

// next is the next word; quoted says that it stood in quotes.
func (l *lexer) next() (word string, quoted, ok bool) {
	for {
		l.rest = strings.TrimLeft(l.rest, " \t\r\n")
		if !strings.HasPrefix(l.rest, "#") {
			break
		}
		_, l.rest, _ = strings.Cut(l.rest, "\n")
	}
	if l.rest == "" {
		return "", false, false
	}
	switch c := l.rest[0]; c {
	case ';', '{', '}':
		l.rest = l.rest[1:]
		return string(c), false, true
	case '"', '\'':
		var b strings.Builder
		for i := 1; i < len(l.rest); i++ {
			switch {
			case l.rest[i] == '\\' && i+1 < len(l.rest):
				i++
				b.WriteByte(l.rest[i])
			case l.rest[i] == c:
				l.rest = l.rest[i+1:]
				return b.String(), true, true
			default:
				b.WriteByte(l.rest[i])
			}
		}
		l.rest = ""
		return b.String(), true, true
	}
	end := strings.IndexAny(l.rest, " \t\r\n;{}")
	if end < 0 {
		end = len(l.rest)
	}
	word, l.rest = l.rest[:end], l.rest[end:]
	return word, false, true
}

// options cuts the parameter "options" into arguments.
func options(s string) (args []string) {
	for l := (lexer{rest: s}); ; {
		word, _, ok := l.next()
		if !ok {
			return args
		}
		args = append(args, word)
	}
}

// built is a path nginx was configured with, out of the output of nginx -V.
func built(output, name string) string {
	for _, word := range options(output) {
		if path, ok := strings.CutPrefix(word, "--"+name+"="); ok {
			return path
		}
	}
	return ""
}
