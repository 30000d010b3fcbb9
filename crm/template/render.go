package template

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// literal is a text of the example and what stands in its place.
type literal struct {
	text  string
	value string
	// A node's field instead of a value: of which list, which node of the
	// example's, which field.
	list        *list
	node, field int
}

// list are the nodes of the example and of the site.
type list struct {
	example, site [][]string
}

// resized tells whether lines must be added or left out.
func (l *list) resized() bool { return l != nil && len(l.example) != len(l.site) }

// copies are the site's nodes that get the lines of a node of the example. The
// last node keeps the last line, which may end differently (a list's quote).
func (l *list) copies(node int) (from, to int) {
	more := len(l.site) - len(l.example)
	if node == 0 {
		return 0, max(0, more+1)
	}
	return max(0, node+more), max(0, node+more+1)
}

// literals are what rendering looks for, the longest first.
func (t *Template) literals(example, site *settings) []literal {
	var all []literal
	for _, v := range t.Variables {
		was, is := example.values[v.Name], site.values[v.Name]
		if was.nodes != nil {
			l := &list{was.nodes, is.nodes}
			for i, n := range was.nodes {
				for j, text := range n {
					all = append(all, literal{text: text, list: l, node: i, field: j})
				}
			}
			continue
		}
		forms := v.forms
		if forms == nil {
			forms = []string{"{}"}
		}
		for _, f := range forms {
			all = append(all, literal{text: was.in(f), value: is.in(f)})
		}
	}
	slices.SortStableFunc(all, func(a, b literal) int { return cmp.Compare(len(b.text), len(a.text)) })
	return all
}

// in puts the value into a form.
func (v value) in(form string) string {
	form = strings.ReplaceAll(form, "{}", v.text)
	for name, part := range v.parts {
		form = strings.ReplaceAll(form, "{"+name+"}", part)
	}
	return form
}

// token is a literal found in a line.
type token struct {
	literal
	start, end int
}

// scan finds the literals of a line. They begin and end where a word does: an
// address is not found in a longer one.
func scan(line string, literals []literal) []token {
	var found []token
next:
	for i := 0; i < len(line); {
		for _, l := range literals {
			end := i + len(l.text)
			if strings.HasPrefix(line[i:], l.text) && !(i > 0 && wordy(line[i-1]) && wordy(line[i])) && !(end < len(line) && wordy(line[end])) {
				found = append(found, token{l, i, end})
				i = end
				continue next
			}
		}
		i++
	}
	return found
}

func wordy(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// render makes a file of the site. Where a list of nodes got longer or shorter,
// a line that names one of them is there for each, and a line that names all
// one after the other names all. Prose keeps its lines.
func render(f File, literals []literal) (string, error) {
	var b strings.Builder
	number := 0
	for line := range strings.Lines(f.Text) {
		number++
		tokens := joined(line, scan(line, literals))
		nodes := resizedNodes(tokens)
		switch {
		case len(nodes) == 0 || prose(f, line):
			b.WriteString(replace(line, tokens, nearest))
		case len(nodes) == 1:
			for i, to := nodes[0].list.copies(nodes[0].node); i < to; i++ {
				b.WriteString(replace(line, tokens, func(t token) int {
					if t.list.resized() {
						return i
					}
					return t.node
				}))
			}
		default:
			return "", fmt.Errorf("%s:%d names several nodes of a list, not all in turn: it cannot be made for another number of them", f.Path, number)
		}
	}
	return b.String(), nil
}

// prose tells a text for people: a comment, or a page.
func prose(f File, line string) bool {
	line = strings.TrimSpace(line)
	return strings.HasSuffix(f.Path, ".md") || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") || strings.HasPrefix(line, "//")
}

// nearest is the site's node for one of the example's, where no line is added.
func nearest(t token) int { return min(t.node, len(t.list.site)-1) }

// resizedNodes are tokens of different nodes of lists that got longer or shorter.
func resizedNodes(tokens []token) []token {
	var nodes []token
	for _, t := range tokens {
		if t.list.resized() && !slices.ContainsFunc(nodes, func(n token) bool { return n.list == t.list && n.node == t.node }) {
			nodes = append(nodes, t)
		}
	}
	return nodes
}

// replace writes a line with other texts in the place of its tokens.
func replace(line string, tokens []token, node func(token) int) string {
	var b strings.Builder
	at := 0
	for _, t := range tokens {
		b.WriteString(line[at:t.start])
		if at = t.end; t.list == nil {
			b.WriteString(t.value)
		} else {
			b.WriteString(t.list.site[node(t)][t.field])
		}
	}
	b.WriteString(line[at:])
	return b.String()
}

// joined takes the nodes of a resized list that stand one after the other, from
// the first to the last, as one token; what is between the last two is put
// between all.
func joined(line string, tokens []token) []token {
	var out []token
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		if run := run(tokens[i:]); run != nil {
			last := run[len(run)-1]
			between := line[run[len(run)-2].end:last.start]
			var texts []string
			for _, n := range t.list.site {
				texts = append(texts, n[t.field])
			}
			t = token{literal{value: strings.Join(texts, between)}, t.start, last.end}
			i += len(run) - 1
		}
		out = append(out, t)
	}
	return out
}

// run are the tokens that begin here and name every node of a resized list in turn.
func run(tokens []token) []token {
	first := tokens[0]
	if !first.list.resized() || len(first.list.example) < 2 || len(tokens) < len(first.list.example) {
		return nil
	}
	tokens = tokens[:len(first.list.example)]
	for i, t := range tokens {
		if t.list != first.list || t.node != i || t.field != first.field {
			return nil
		}
	}
	return tokens
}
