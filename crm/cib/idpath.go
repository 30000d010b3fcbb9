package cib

import (
	"fmt"
	"strconv"
	"strings"
)

// pathStep is one step of a patch's id path.
type pathStep struct {
	name  string
	id    string
	hasID bool
	nth   int // 1-based among brothers of the tag; 0 when not given
}

func (s pathStep) String() string {
	switch {
	case s.hasID:
		return fmt.Sprintf("<%s id=%q>", s.name, s.id)
	case s.nth > 0:
		return fmt.Sprintf("<%s> number %d", s.name, s.nth)
	}
	return "<" + s.name + ">"
}

// idStep is "/tag[@id='id']", or "/tag" without an id. The id stands as it is,
// as crm_diff writes it; one with ' is put in " so that it can be read back.
func idStep(e *Element) string {
	id, ok := e.Lookup("id")
	switch {
	case e.name == commentName:
		return "/comment"
	case !ok:
		return "/" + e.name
	case strings.Contains(id, "'") && !strings.Contains(id, `"`):
		return "/" + e.name + `[@id="` + id + `"]`
	}
	return "/" + e.name + "[@id='" + id + "']"
}

// parseStep reads the first step of a path and returns what follows it. An id
// ends at the first quote that is followed by ] and the end of the step, so it may hold quotes
// and slashes.
func parseStep(path string) (s pathStep, rest string, err error) {
	end := strings.IndexAny(path, "/[")
	if end < 0 {
		end = len(path)
	}
	s.name, rest = path[:end], path[end:]
	if s.name == "" {
		return s, "", fmt.Errorf("empty step in path")
	}
	if predicate, ok := strings.CutPrefix(rest, "[@id="); ok {
		if predicate == "" || predicate[0] != '\'' && predicate[0] != '"' {
			return s, "", fmt.Errorf("id without quotes in path")
		}
		closing := predicate[:1] + "]"
		id := predicate[1:]
		if end := strings.Index(id, closing+"/"); end >= 0 {
			s.id, rest = id[:end], id[end+len(closing):]
		} else if text, ok := strings.CutSuffix(id, closing); ok {
			s.id, rest = text, ""
		} else {
			return s, "", fmt.Errorf("id without end in path")
		}
		s.hasID = true
	} else if predicate, ok := strings.CutPrefix(rest, "["); ok {
		number, after, ok := strings.Cut(predicate, "]")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 1 {
			return s, "", fmt.Errorf("%q is not a position in a path", number)
		}
		s.nth, rest = n, after
	}
	if rest == "" {
		return s, "", nil
	}
	rest, ok := strings.CutPrefix(rest, "/")
	if !ok || rest == "" {
		return s, "", fmt.Errorf("path goes on with %q", rest)
	}
	return s, rest, nil
}

// among is the place of the step's element among kids, -1 without one. A step
// without id prefers an element that has none.
func (s pathStep) among(kids []*work) int {
	first, n := -1, 0
	for i, k := range kids {
		if k.e.name != s.name {
			continue
		}
		id, has := k.e.Lookup("id")
		n++
		switch {
		case s.hasID:
			if has && id == s.id {
				return i
			}
		case s.nth > 0:
			if n == s.nth {
				return i
			}
		case !has:
			return i
		case first < 0:
			first = i
		}
	}
	return first
}
