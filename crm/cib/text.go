package cib

import "strings"

// Clean makes text that an attribute may hold of text from anywhere (an agent's
// message): what XML cannot hold becomes U+FFFD, as it does when printed.
func Clean(text string) string {
	for _, r := range text {
		if !isChar(r) || r == '\uFFFD' {
			return strings.Map(func(r rune) rune {
				if !isChar(r) {
					return '\uFFFD'
				}
				return r
			}, strings.ToValidUTF8(text, "\uFFFD"))
		}
	}
	return text
}

// IsName tells whether text may name an element or attribute.
func IsName(text string) bool { return isName([]byte(text)) }

// CleanID makes an id of text: what an id cannot hold becomes a dot, as in the
// ids Pacemaker makes ("fail-count-r#stop_0" → "fail-count-r.stop_0").
func CleanID(text string) string {
	return strings.Map(func(r rune) rune {
		if r == ':' || !IsName("_"+string(r)) {
			return '.'
		}
		return r
	}, text)
}
