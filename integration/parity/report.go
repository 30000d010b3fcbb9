package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// byArea counts passes: area → measure → cases, with the number of cases as "cases".
func byArea(results []Result) map[string]map[string]int {
	areas := map[string]map[string]int{}
	for _, r := range results {
		a := areas[r.Area]
		if a == nil {
			a = map[string]int{}
			areas[r.Area] = a
		}
		a["cases"]++
		for m, ok := range r.Pass {
			if ok {
				a[m]++
			}
		}
	}
	return areas
}

// printTable prints passes by area, the total and its percentages.
func printTable(w io.Writer, results []Result, cols []string) {
	groups := map[string][]Result{}
	for _, r := range results {
		groups[r.Area] = append(groups[r.Area], r)
	}
	rows := [][]string{append(append([]string{"area", "cases"}, cols...), "lines", "points")}
	for _, area := range slices.Sorted(maps.Keys(groups)) {
		rows = append(rows, row(area, groups[area], cols))
	}
	rows = append(rows, row("TOTAL", results, cols))
	percent := []string{"%", ""}
	for _, c := range cols {
		percent = append(percent, fmt.Sprintf("%.1f", 100*float64(passes(results, c))/float64(max(len(results), 1))))
	}
	rows = append(rows, append(percent, "", ""))
	width := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], len(cell))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, cell := range r {
			if i == 0 {
				fmt.Fprintf(&b, "%-*s", width[i], cell)
			} else {
				fmt.Fprintf(&b, "  %*s", width[i], cell)
			}
		}
		fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	}
}

func row(label string, rs []Result, cols []string) []string {
	cells := []string{label, strconv.Itoa(len(rs))}
	for _, c := range cols {
		cells = append(cells, strconv.Itoa(passes(rs, c)))
	}
	share, points := 0.0, 0.0
	for _, r := range rs {
		share += r.Share
		points += r.Points()
	}
	n := float64(max(len(rs), 1))
	return append(cells, fmt.Sprintf("%.1f%%", 100*share/n), fmt.Sprintf("%.1f", 100*points/n))
}

func passes(rs []Result, measure string) int {
	n := 0
	for _, r := range rs {
		if r.Pass[measure] {
			n++
		}
	}
	return n
}

func printFailures(w io.Writer, results []Result, measures []string) {
	for _, r := range results {
		missing := slices.DeleteFunc(slices.Clone(measures), func(m string) bool { return r.Pass[m] })
		if len(missing) > 0 {
			fmt.Fprintf(w, "FAIL %s [%s] %s\n", r.Name, r.Area, strings.Join(missing, ","))
		}
	}
}

// floorMeasures are what the floor file holds for each area.
var floorMeasures = []string{"sem", "summary", "scores", "dot", "exp"}

// writeFloor writes the passes of every area, one line each, for checkFloor.
func writeFloor(path string, results []Result) error {
	areas := byArea(results)
	var b strings.Builder
	b.WriteString("# area cases " + strings.Join(floorMeasures, " ") + " (make parity fails below these; raise them with -raise)\n")
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		fmt.Fprintf(&b, "%s %d", area, areas[area]["cases"])
		for _, m := range floorMeasures {
			fmt.Fprintf(&b, " %d", areas[area][m])
		}
		b.WriteByte('\n')
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// checkFloor reports every area that passes fewer cases than the floor file says. An area
// with another number of cases is another set of cases, and is compared by share.
func checkFloor(path string, results []Result) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	areas := byArea(results)
	var errs []error
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) == 0 || f[0] == "#" {
			continue
		}
		numbers, err := atois(f[1:])
		if err != nil || len(numbers) != len(floorMeasures)+1 {
			return fmt.Errorf("%s: line %q: want AREA CASES and %d numbers", path, strings.TrimSpace(line), len(floorMeasures))
		}
		have := areas[f[0]]
		if have == nil {
			continue
		}
		for i, m := range floorMeasures {
			if have[m]*numbers[0] < numbers[i+1]*have["cases"] {
				errs = append(errs, fmt.Errorf("%s: %s passes %d of %d cases, the floor is %d of %d", f[0], m, have[m], have["cases"], numbers[i+1], numbers[0]))
			}
		}
	}
	return errors.Join(errs...)
}

func atois(words []string) ([]int, error) {
	numbers := make([]int, len(words))
	for i, w := range words {
		n, err := strconv.Atoi(w)
		if err != nil {
			return nil, err
		}
		numbers[i] = n
	}
	return numbers, nil
}
