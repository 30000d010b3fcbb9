package process

import (
	"errors"
	"strings"
)

// Words cuts options at blanks; quotes keep them. There is no shell: nothing else is special.
// Its error does not quote them: options may hold a password.
func Words(s string) (out []string, err error) {
	var word strings.Builder
	var quote rune
	in := false
	for _, c := range s {
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(c)
		case c == '"' || c == '\'':
			quote, in = c, true
		case strings.ContainsRune(" \t\r\n", c):
			if in {
				out = append(out, word.String())
				word.Reset()
				in = false
			}
		default:
			word.WriteRune(c)
			in = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if in {
		out = append(out, word.String())
	}
	return out, nil
}
