package cib

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"systole/crm/isotime"
	"systole/crm/score"
)

// valueKinds says for each kind of attribute value what is wrong with a text,
// "" when nothing is. Kinds that refer to other elements are checked with the
// whole document at hand (reference.go); here they take any text.
var valueKinds = map[string]func(text string) string{
	"id": func(text string) string {
		if !IsName(text) || strings.Contains(text, ":") {
			return "an id begins with a letter or _ and goes on with letters, digits, _ . -"
		}
		return ""
	},
	"ref": anyText, "resource": anyText, "aclrole": anyText,
	"bool": oneOf("true", "false", "1", "0"),
	"truth": func(text string) string {
		if _, ok := ParseBool(text); !ok {
			return "write true or false"
		}
		return ""
	},
	"devices": func(text string) string {
		if strings.ContainsAny(text, " \t\n") || strings.Contains(","+text+",", ",,") {
			return "write ids with a comma between, without blanks"
		}
		return ""
	},
	"count":    wholeNumber(0, 1<<53),
	"positive": wholeNumber(1, 1<<31),
	"score": func(text string) string {
		if n, err := score.Parse(text); err != nil || n.IsInfinite() && strings.ContainsAny(text, "infty") {
			return "write an integer, INFINITY or -INFINITY"
		}
		return ""
	},
	"interval": func(text string) string {
		if _, err := isotime.ParseInterval(text); err != nil {
			return "write a time such as 10s, 500ms, 5min or PT5M"
		}
		return ""
	},
	"role":   oneOf(roles...),
	"action": oneOf("start", "promote", "demote", "stop"),
}

// roles are the current names and the ones before Pacemaker 2.1.
var roles = []string{"Stopped", "Started", "Promoted", "Unpromoted", "Master", "Slave"}

func anyText(string) string { return "" }

func wholeNumber(from, to int64) func(string) string {
	return func(text string) string {
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < from || n > to {
			return fmt.Sprintf("write a whole number from %d to %d", from, to)
		}
		return ""
	}
}

func oneOf(words ...string) func(string) string {
	return func(text string) string {
		if !slices.Contains(words, text) {
			return "write one of " + strings.Join(words, ", ")
		}
		return ""
	}
}

// ParseBool reads a truth value as the CIB writes it, in any letter case: true,
// on, yes, y, 1 and false, off, no, n, 0 (crm_is_true's words).
func ParseBool(text string) (value, ok bool) {
	switch strings.ToLower(text) {
	case "true", "on", "yes", "y", "1":
		return true, true
	case "false", "off", "no", "n", "0":
		return false, true
	}
	return false, false
}
