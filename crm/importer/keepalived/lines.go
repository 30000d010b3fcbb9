package keepalived

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"systole/crm/importer"
)

// Bounds on what definitions may expand to, so that a few lines of source
// cannot fill the memory.
const (
	maxLines    = 100_000
	maxLine     = 16 << 10
	maxNesting  = 16 // include files, and definitions in definitions
	maxExpanded = 8 << 20
)

// line is what one line of the source became after comments, conditions,
// definitions and repetitions.
type line struct {
	at   importer.Place
	text string
}

// preprocessor turns files into lines, as keepalived does before it looks at
// any keyword.
type preprocessor struct {
	configID string // of the machine, which @ID lines are for; "" is unknown
	open     func(pattern string) ([]importer.File, error)
	report   *importer.Report

	params map[string]string
	lines  []line
	size   int
	depth  int
	seen   []string // the files being read, outermost first
}

func (p *preprocessor) file(f importer.File) {
	f = p.report.Add(f)
	p.seen = append(p.seen, f.Name)
	defer func() { p.seen = p.seen[:len(p.seen)-1] }()
	src := f.Lines()
	for i := 0; i < len(src); i++ {
		at := importer.Place{File: f.Name, Line: i + 1}
		text := strings.TrimSpace(withoutComment(src[i]))
		if text == "" {
			p.report.Comment(at)
			continue
		}
		text, here := p.condition(at, text)
		if !here {
			continue
		}
		if name, value, ok := definition(text); ok {
			p.report.Taken(at)
			for strings.HasSuffix(value, `\`) && i+1 < len(src) { // the value has several lines
				i++
				next := importer.Place{File: f.Name, Line: i + 1}
				p.report.Taken(next)
				value = strings.TrimSpace(strings.TrimSuffix(value, `\`)) + "\n" + strings.TrimSpace(withoutComment(src[i]))
			}
			p.params[name] = strings.TrimPrefix(value, "\n")
			continue
		}
		p.expand(at, text, 0)
	}
}

// condition takes @ID or @^ID off a line, and says whether the line is for this machine.
func (p *preprocessor) condition(at importer.Place, text string) (rest string, here bool) {
	if !strings.HasPrefix(text, "@") {
		return text, true
	}
	id, rest, _ := strings.Cut(text[1:], " ")
	id, not := strings.CutPrefix(id, "^")
	switch {
	case p.configID == "":
		p.report.Unsupported(at, "only for machines whose config-id is %q; name the machine this file is from (NODE=FILE)", id)
		return "", false
	case (id == p.configID) == not:
		p.report.Changed(at, "not for %s, so it says nothing here", p.configID)
		return "", false
	}
	return strings.TrimSpace(rest), true
}

// definition reads $NAME=VALUE.
func definition(text string) (name, value string, ok bool) {
	if !strings.HasPrefix(text, "$") {
		return "", "", false
	}
	name, value, ok = strings.Cut(text[1:], "=")
	return name, strings.TrimSpace(value), ok && isName(name)
}

func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !isNameRune(r) })
}

func isNameRune(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

// expand puts a line's definitions in and repeats it as ~SEQ and ~LST say.
func (p *preprocessor) expand(at importer.Place, text string, depth int) {
	p.size += len(text) + 1
	if depth > maxNesting || len(text) > maxLine || p.size > maxExpanded || len(p.lines) >= maxLines {
		p.report.Unsupported(at, "the definitions here expand without end")
		return
	}
	if name, values, rest, ok := p.repetition(at, text); ok {
		before, had := p.params[name]
		for _, v := range values {
			p.params[name] = v
			p.expand(at, rest, depth+1)
		}
		if delete(p.params, name); had {
			p.params[name] = before
		}
		return
	}
	if changed := p.substitute(text); changed != text {
		for l := range strings.SplitSeq(changed, "\n") {
			p.expand(at, l, depth+1)
		}
		return
	}
	if text = strings.TrimSpace(text); text == "" {
		p.report.Taken(at)
		return
	}
	if rest, ok := strings.CutPrefix(text, "include"); ok && rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
		p.include(at, strings.Trim(strings.TrimSpace(rest), `"`))
		return
	}
	p.lines = append(p.lines, line{at, text})
}

// predefined are the names keepalived itself defines; those of the machine stay as they are.
var predefined = map[string]string{"_HASH": "#", "_BANG": "!"}

// substitute puts the values of $NAME and ${NAME} in; undefined ones stay.
func (p *preprocessor) substitute(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '$' {
			b.WriteByte(text[i])
			continue
		}
		end, name := i+1, ""
		if strings.HasPrefix(text[end:], "{") {
			inner, _, closed := strings.Cut(text[end+1:], "}")
			if closed {
				name, end = inner, end+len(inner)+2
			}
		} else {
			for end < len(text) && isNameRune(rune(text[end])) {
				end++
			}
			name = text[i+1 : end]
		}
		value, ok := p.params[name]
		if !ok {
			value, ok = predefined[name]
		}
		if !ok {
			b.WriteByte('$')
			continue
		}
		b.WriteString(value)
		i = end - 1
		if b.Len() > maxLine {
			break
		}
	}
	return b.String()
}

// repetition reads ~SEQ(var, start[, step], end) and ~LST(var, value…).
func (p *preprocessor) repetition(at importer.Place, text string) (name string, values []string, rest string, ok bool) {
	kind := ""
	switch {
	case strings.HasPrefix(text, "~SEQ("):
		kind = "SEQ"
	case strings.HasPrefix(text, "~LST("):
		kind = "LST"
	default:
		return "", nil, "", false
	}
	inner, rest, closed := strings.Cut(text[5:], ")")
	args := strings.Split(inner, ",")
	for i := range args {
		args[i] = strings.TrimSpace(args[i])
	}
	if !closed || !isName(args[0]) || len(args) < 2 {
		p.report.Unsupported(at, "~%s wants a name and values in parentheses", kind)
		return "", nil, "", true
	}
	if kind == "LST" {
		return args[0], args[1:], rest, true
	}
	values, err := sequence(args[1:])
	if err != nil {
		p.report.Unsupported(at, "~SEQ: %v", err)
	}
	return args[0], values, rest, true
}

func sequence(args []string) ([]string, error) {
	var n []int
	for _, a := range args {
		v, err := strconv.Atoi(a)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", a)
		}
		n = append(n, v)
	}
	switch {
	case len(n) == 1:
		n = []int{1, 1, n[0]}
	case len(n) == 2:
		n = []int{n[0], 1, n[1]}
	case len(n) != 3:
		return nil, fmt.Errorf("%d numbers, want start, step and end", len(n))
	}
	if n[1] == 0 || (n[2]-n[0])/n[1] < 0 || (n[2]-n[0])/n[1] > maxLines/10 {
		return nil, fmt.Errorf("the numbers from %d by %d do not reach %d", n[0], n[1], n[2])
	}
	var out []string
	for v := n[0]; n[1] > 0 && v <= n[2] || n[1] < 0 && v >= n[2]; v += n[1] {
		out = append(out, strconv.Itoa(v))
	}
	return out, nil
}

// include reads the files that a pattern names, here.
func (p *preprocessor) include(at importer.Place, pattern string) {
	if p.open == nil || p.depth >= maxNesting {
		p.report.Unsupported(at, "%s is not read from here; give it as a file of its own", pattern)
		return
	}
	files, err := p.open(pattern)
	if err != nil {
		p.report.Unsupported(at, "%v", err)
		return
	}
	p.depth++
	defer func() { p.depth-- }()
	p.report.Taken(at)
	for _, f := range files {
		if slices.Contains(p.seen, f.Name) {
			p.report.Unsupported(at, "%s includes itself", f.Name)
			continue
		}
		p.file(f)
	}
}

// withoutComment cuts a line at # or ! outside quotation marks.
func withoutComment(s string) string {
	quoted := false
	for i, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case !quoted && (r == '#' || r == '!'):
			return s[:i]
		}
	}
	return s
}
