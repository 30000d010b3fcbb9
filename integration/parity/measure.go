package main

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"systole/crm/cib"
)

// Outputs are what the two runs of one case printed and wrote.
type Outputs struct {
	Summary, Scores, Dot, Exp, Stderr string
	// Status1 and Status2 are the exit statuses of the runs.
	Status1, Status2 int
}

// Measures in the order they are printed. The strict ones are the suite's own: text equal
// but for white space. The others are what a second implementation must get right whatever
// its print order; sem is the decision and its result: state before, plan and state after.
var Measures = []string{
	"upstream", "summary", "scores", "dot", "exp",
	"before", "plan", "exec", "after", "sem", "pscores", "nodes", "order", "graph",
}

// Verdict is what one case passed, and the share of the expected score lines that were there.
type Verdict struct {
	Pass  map[string]bool
	Share float64
}

// Points weighs a verdict: 1 is perfect.
func (v Verdict) Points() float64 {
	points := 0.0
	for measure, weight := range map[string]float64{"sem": .4, "summary": .2, "scores": .2, "dot": .2} {
		if v.Pass[measure] {
			points += weight
		}
	}
	return points
}

// Compare measures one case.
func Compare(want, got Outputs) Verdict {
	pass := map[string]bool{}
	pass["summary"] = slices.Equal(lines(want.Summary), lines(got.Summary))
	ws, gs := sectionsOf(want.Summary), sectionsOf(got.Summary)
	for _, part := range []string{"before", "plan", "exec", "after"} {
		w, inWant := ws[part]
		g, inGot := gs[part]
		pass[part] = inWant == inGot && sameLines(w, g)
	}
	pass["sem"] = pass["before"] && pass["plan"] && pass["after"]

	w, g := lines(want.Scores), lines(got.Scores)
	slices.Sort(w)
	slices.Sort(g)
	pass["scores"] = slices.Equal(w, g)
	share := common(w, g, got.Status2)
	pass["pscores"] = maps.Equal(finalScores(want.Scores), finalScores(got.Scores))
	if got.Status1 != 0 {
		for _, m := range []string{"summary", "before", "plan", "exec", "after", "sem"} {
			pass[m] = false
		}
	}
	compareDot(pass, want.Dot, got.Dot)
	pass["exp"] = slices.Equal(graphLines(want.Exp), graphLines(got.Exp)) && strings.TrimSpace(got.Exp) != ""
	pass["graph"] = pass["exp"] || sameStructure(want.Exp, got.Exp)
	if got.Status2 != 0 {
		for _, m := range []string{"scores", "pscores", "dot", "nodes", "order", "exp", "graph"} {
			pass[m] = false
		}
	}
	pass["upstream"] = pass["summary"] && pass["scores"] && pass["dot"] && pass["exp"] &&
		slices.Equal(lines(want.Stderr), lines(got.Stderr))
	return Verdict{Pass: pass, Share: share}
}

// squeeze removes white space.
func squeeze(line string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f {
			return -1
		}
		return r
	}, line)
}

// lines are the lines of a text without white space; empty ones do not count.
func lines(text string) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if line = squeeze(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

var headings = []struct {
	part string
	line *regexp.Regexp
}{
	{"before", regexp.MustCompile(`(?i)^Current cluster status:`)},
	{"plan", regexp.MustCompile(`(?i)^Transition Summary:`)},
	{"exec", regexp.MustCompile(`(?i)^Executing cluster transition:`)},
	{"after", regexp.MustCompile(`(?i)^Revised cluster status:`)},
}

// sectionsOf cuts a summary at its headings; a part without heading is not in the map.
func sectionsOf(text string) map[string][]string {
	parts := map[string][]string{}
	current := "head"
	for line := range strings.SplitSeq(text, "\n") {
		i := slices.IndexFunc(headings, func(h struct {
			part string
			line *regexp.Regexp
		}) bool {
			return h.line.MatchString(line)
		})
		switch {
		case i >= 0:
			current = headings[i].part
			if parts[current] == nil {
				parts[current] = []string{}
			}
		case strings.TrimSpace(line) == "":
		case current == "plan":
			parts[current] = append(parts[current], planLine(line))
		default:
			parts[current] = append(parts[current], squeeze(line))
		}
	}
	return parts
}

var (
	blockedAnywhere = regexp.MustCompile(`\(blocked\)|\)\s+blocked\s*$`)
	blockedBare     = regexp.MustCompile(`\)\s+blocked\s*$`)
	reason          = regexp.MustCompile(`\s+due to .*$`)
	blockedMark     = regexp.MustCompile(`\s*\(blocked\)`)
	fenceLine       = regexp.MustCompile(`^\s*\*\s+Fence\b`)
	quoted          = regexp.MustCompile(`\s+'.*'\s*$`)
)

// planLine is a planned action without its reason, but with the mark of what is blocked.
func planLine(line string) string {
	mark := ""
	if blockedAnywhere.MatchString(line) {
		mark = "(blocked)"
	}
	line = blockedBare.ReplaceAllString(line, ")")
	line = reason.ReplaceAllString(line, "")
	line = blockedMark.ReplaceAllString(line, "")
	if fenceLine.MatchString(line) {
		line = quoted.ReplaceAllString(line, "")
	}
	return squeeze(line) + mark
}

// sameLines compares lines as multisets.
func sameLines(a, b []string) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

// common is the share of lines that two sorted texts have in common.
func common(want, got []string, status int) float64 {
	most := max(len(want), len(got))
	if most == 0 {
		if status == 0 {
			return 1
		}
		return 0
	}
	shared, i, j := 0, 0, 0
	for i < len(want) && j < len(got) {
		switch c := cmp.Compare(want[i], got[j]); {
		case c == 0:
			shared, i, j = shared+1, i+1, j+1
		case c < 0:
			i++
		default:
			j++
		}
	}
	return float64(shared) / float64(most)
}

var (
	primitiveScore = regexp.MustCompile(`^\S*(?:primitive_assign|native_assign|native_color)\s*:\s*(.*)$`)
	promotionScore = regexp.MustCompile(`^(\S+ promotion score .*)$`)
)

// finalScores are the scores that decide: of primitives on nodes, and of promotion.
func finalScores(text string) map[string]bool {
	set := map[string]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimSpace(line)
		for _, form := range []*regexp.Regexp{primitiveScore, promotionScore} {
			if m := form.FindStringSubmatch(line); m != nil {
				set[squeeze(m[1])] = true
				break
			}
		}
	}
	return set
}

var ignoredInGraphs = regexp.MustCompile(`crm_feature_set="[^"]*"|batch-limit="[0-9]*"`)

func graphLines(text string) []string { return lines(ignoredInGraphs.ReplaceAllString(text, "")) }

// sameStructure compares graphs without numbers and order.
func sameStructure(want, got string) bool {
	w, ok1 := structure(want)
	g, ok2 := structure(got)
	return ok1 && ok2 && slices.Equal(w, g)
}

// structure describes a graph by sorted lines: its attributes, and its synapses with inputs named by what they are.
func structure(text string) ([]string, bool) {
	root, err := cib.Parse([]byte(text))
	if err != nil {
		return nil, false
	}
	var top []string
	for _, a := range root.Attrs() {
		if a.Name != "crm_feature_set" && a.Name != "batch-limit" && a.Name != "transition_id" {
			top = append(top, a.Name+"="+a.Value)
		}
	}
	slices.Sort(top)
	names := map[string]string{}
	for syn := range root.Each("synapse") {
		for _, a := range children(syn.Child("action_set")) {
			names[a.ID()] = strings.Join([]string{a.Name(), cmp.Or(a.Get("operation_key"), a.Get("operation")), a.Get("on_node"), a.Get("internal_operation_key")}, "\x00")
		}
	}
	var synapses []string
	for syn := range root.Each("synapse") {
		var actions, inputs []string
		for _, a := range children(syn.Child("action_set")) {
			actions = append(actions, canonical(a.Without("id")))
		}
		for _, trigger := range children(syn.Child("inputs")) {
			for _, ref := range children(trigger) {
				name, ok := names[ref.ID()]
				if !ok {
					name = "?\x00" + ref.ID()
				}
				inputs = append(inputs, name)
			}
		}
		slices.Sort(actions)
		slices.Sort(inputs)
		priority, there := syn.Lookup("priority")
		if !there {
			priority = "\x00none"
		}
		synapses = append(synapses, priority+"\x01"+strings.Join(actions, "\x02")+"\x01"+strings.Join(inputs, "\x02"))
	}
	slices.Sort(synapses)
	return append(top, synapses...), true
}

func children(e *cib.Element) []*cib.Element {
	if e == nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(e.Children()), func(c *cib.Element) bool { return strings.HasPrefix(c.Name(), "#") })
}

// canonical writes an element with attributes and children sorted.
func canonical(e *cib.Element) string {
	attrs := make([]string, 0, len(e.Attrs()))
	for _, a := range e.Attrs() {
		attrs = append(attrs, a.Name+"\x03"+a.Value)
	}
	slices.Sort(attrs)
	var below []string
	for _, c := range children(e) {
		below = append(below, canonical(c))
	}
	slices.Sort(below)
	return "<" + e.Name() + "\x04" + strings.Join(attrs, "\x04") + "\x05" + strings.Join(below, "\x05") + ">"
}
