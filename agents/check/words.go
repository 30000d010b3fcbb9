package check

import (
	"fmt"
	"strings"
)

// word is `name=value`, or a bare name.
type word struct {
	name, value string
	bare        bool
}

// maxText bounds a check's text; an HTTP header or a payload fits many times.
const maxText = 64 << 10

// split reads words separated by blanks. Quotes may enclose a value or a part of it.
func split(text string) ([]word, error) {
	if len(text) > maxText {
		return nil, fmt.Errorf("%d bytes of text: at most %d", len(text), maxText)
	}
	var words []word
	for rest := strings.TrimLeft(text, blanks); rest != ""; rest = strings.TrimLeft(rest, blanks) {
		end := strings.IndexAny(rest, blanks+"=")
		if end < 0 {
			end = len(rest)
		}
		w := word{name: rest[:end], bare: true}
		rest = rest[end:]
		if strings.ContainsAny(w.name, `"'`) || w.name == "" {
			return nil, fmt.Errorf("column %d: quotes belong around values: name=\"…\"", len(text)-len(rest)-end+1)
		}
		if strings.HasPrefix(rest, "=") {
			var err error
			if w.value, rest, err = unquote(rest[1:]); err != nil {
				return nil, fmt.Errorf("option %s: %w", w.name, err)
			}
			w.bare = false
		}
		words = append(words, w)
	}
	return words, nil
}

const blanks = " \t\r\n"

// unquote reads a value up to a blank outside of quotes.
func unquote(text string) (v, rest string, err error) {
	var b strings.Builder
	var open byte // the quote we are in
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case open != 0 && c == open:
			open = 0
		case open == '"' && c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			b.WriteByte(text[i])
		case open == 0 && (c == '"' || c == '\''):
			open = c
		case open == 0 && strings.IndexByte(blanks, c) >= 0:
			return b.String(), text[i:], nil
		case c < ' ' && c != '\t' || c == 0x7f:
			return "", "", fmt.Errorf("a control character (0x%02x): write binary data as hex:…", c)
		default:
			b.WriteByte(c)
		}
	}
	if open != 0 {
		return "", "", fmt.Errorf("the quote %c is not closed", open)
	}
	return b.String(), "", nil
}

// quote is the reverse of unquote: plain where it can be.
func quote(s string) string {
	if s != "" && !strings.ContainsAny(s, blanks+`"';#`) { // ; and # end a line where checks stand in a director's configuration
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
