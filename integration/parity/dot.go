package main

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// compareDot sets the measures of the drawing: its text, its actions, and what must come before what.
func compareDot(pass map[string]bool, want, got string) {
	pass["dot"] = slices.Equal(drawing(want), drawing(got)) && strings.TrimSpace(got) != ""
	if pass["dot"] {
		pass["nodes"], pass["order"] = true, true
		return
	}
	wn, we := parseDot(want)
	gn, ge := parseDot(got)
	pass["nodes"] = maps.Equal(wn, gn) && strings.TrimSpace(got) != ""
	pass["order"] = pass["nodes"] && sameOrder(we, ge)
}

// drawing is a drawing's text as the suite compares it: first and last line in place,
// the others sorted and without repeats.
func drawing(text string) []string {
	var all []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.TrimSpace(line) != "" {
			all = append(all, line)
		}
	}
	if len(all) < 2 {
		return lines(text)
	}
	body := slices.Clone(all[1 : len(all)-1])
	slices.Sort(body)
	body = slices.Compact(body)
	out := []string{squeeze(all[0])}
	for _, line := range body {
		out = append(out, squeeze(line))
	}
	return append(out, squeeze(all[len(all)-1]))
}

var (
	dotEdge = regexp.MustCompile(`^\s*"(.+?)"\s*->\s*"(.+?)"\s*\[(.*)\]\s*$`)
	dotNode = regexp.MustCompile(`^\s*"(.+?)"\s*\[(.*)\]\s*$`)
)

// parseDot reads the actions with their style, and the edges.
func parseDot(text string) (nodes map[string]string, edges map[[2]string]bool) {
	nodes, edges = map[string]string{}, map[[2]string]bool{}
	for line := range strings.SplitSeq(text, "\n") {
		if m := dotEdge.FindStringSubmatch(line); m != nil {
			edges[[2]string{m[1], m[2]}] = true
		} else if m := dotNode.FindStringSubmatch(line); m != nil {
			nodes[m[1]] = squeeze(m[2])
		}
	}
	return nodes, edges
}

// sameOrder compares the transitive closures of two sets of edges.
func sameOrder(a, b map[[2]string]bool) bool {
	number := map[string]int{}
	for _, edges := range []map[[2]string]bool{a, b} {
		for e := range edges {
			for _, name := range e {
				if _, ok := number[name]; !ok {
					number[name] = len(number)
				}
			}
		}
	}
	x, y := closure(a, number), closure(b, number)
	return slices.EqualFunc(x, y, slices.Equal[bits])
}

// bits is a set of numbers.
type bits []uint64

// closure tells for every number which others can be reached from it. It goes round
// until nothing changes, so cycles do no harm.
func closure(edges map[[2]string]bool, number map[string]int) []bits {
	words := (len(number) + 63) / 64
	reach := make([]bits, len(number))
	for i := range reach {
		reach[i] = make(bits, words)
	}
	for e := range edges {
		j := number[e[1]]
		reach[number[e[0]]][j/64] |= 1 << (j % 64)
	}
	for changed := true; changed; {
		changed = false
		for i := range reach {
			for j := range reach {
				if reach[i][j/64]&(1<<(j%64)) != 0 && reach[i].add(reach[j]) {
					changed = true
				}
			}
		}
	}
	return reach
}

// add unites b with c and tells whether it grew.
func (b bits) add(c bits) bool {
	grew := false
	for w := range b {
		if n := b[w] | c[w]; n != b[w] {
			b[w], grew = n, true
		}
	}
	return grew
}
