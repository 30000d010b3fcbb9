package clitext

import (
	"slices"
	"strings"
)

// Nearest is the known word a misspelled one was most likely meant to be: the
// only one that begins with it, or the one with the smallest edit distance, if
// that is at most a third of its length (at least 2, for up to three letters 1).
// "" when none is near. Ties go to the first in sorted order.
func Nearest(word string, known []string) string {
	if only := onlyWithPrefix(word, known); only != "" {
		return only
	}
	limit := max(2, len(word)/3)
	if len(word) <= 3 {
		limit = 1 // of short words everything is near
	}
	best, bestDistance := "", limit+1
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(word, k, bestDistance); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	return best
}

// onlyWithPrefix is the one known word that begins with a word of at least two letters.
func onlyWithPrefix(word string, known []string) string {
	only := ""
	for _, k := range known {
		if len(word) < 2 || !strings.HasPrefix(k, word) || k == only {
			continue
		}
		if only != "" {
			return ""
		}
		only = k
	}
	return only
}

// distance is the Levenshtein distance, or limit when it is not below that.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j+1]+1, row[j]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return min(row[len(b)], limit)
}
