package config

import (
	"fmt"
	"strings"
)

// Bounds: 200 services of 10 servers with checks are about 300 kB of text.
const (
	maxText = 16 << 20
)

// line is one statement: its words, and the text after its first word as written.
type line struct {
	number int
	words  []word
	rest   string
}

// word is `name=value` or a bare value.
type word struct {
	name  string // "" for a bare one
	value string
}

// lines splits a text into statements. A bad quote ends the reading.
func lines(text string) ([]line, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%d bytes of configuration: at most %d", len(text), maxText)
	}
	var all []line
	number := 1
	for rest := text; rest != ""; {
		l := line{number: number}
		began := rest
		for {
			rest = strings.TrimLeft(rest, " \t\r")
			if rest == "" || rest[0] == '\n' || rest[0] == ';' || rest[0] == '#' {
				break
			}
			w, tail, err := readWord(rest)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
			rest = tail
			l.words = append(l.words, w)
			if len(l.words) == 1 {
				began = rest
			}
		}
		if len(l.words) > 0 {
			l.rest = strings.Trim(began[:len(began)-len(rest)], " \t\r")
			all = append(all, l)
		}
		if strings.HasPrefix(rest, "#") {
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				break
			}
			rest = rest[end:]
		}
		if strings.HasPrefix(rest, "\n") {
			number++
		}
		if rest != "" {
			rest = rest[1:]
		}
	}
	return all, nil
}

// readWord reads up to a blank, `;` or newline outside of quotes.
func readWord(text string) (w word, rest string, err error) {
	var b strings.Builder
	var open byte // the quote we are in
	named := false
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\n' && open != 0:
			return w, "", fmt.Errorf("the quote %c is not closed on its line", open)
		case open != 0 && c == open:
			open = 0
		case open == '"' && c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			b.WriteByte(text[i])
		case open == 0 && (c == '"' || c == '\''):
			open = c
		case open == 0 && strings.IndexByte(" \t\r\n;", c) >= 0:
			w.value = b.String()
			return w, text[i:], nil
		case open == 0 && c == '=' && !named:
			named = true
			w.name = b.String()
			b.Reset()
		case c < ' ' && c != '\t' && c != '\r' || c == 0x7f:
			return w, "", fmt.Errorf("a control character (0x%02x): take it out", c)
		default:
			b.WriteByte(c)
		}
	}
	if open != 0 {
		return w, "", fmt.Errorf("the quote %c is not closed", open)
	}
	w.value = b.String()
	return w, "", nil
}

// quote is the reverse of readWord for a value.
func quote(s string) string {
	if s != "" && !strings.ContainsAny(s, " \t\r;#\"'") {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
