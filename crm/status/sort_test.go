package status

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestPropMergeSort: for a true order it is the stable sort of the standard library.
func TestPropMergeSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOf(rapid.IntRange(0, 100)).Draw(t, "list")
		tens := func(a, b int) int { return cmp.Compare(a/10, b/10) }
		want := slices.Clone(list)
		slices.SortStableFunc(want, tens)
		got := slices.Clone(list)
		MergeSort(got, tens)
		if !slices.Equal(got, want) {
			t.Fatalf("%v sorted by tens gives %v, want %v", list, got, want)
		}
	})
}

// TestMergeSortCircle: where the order goes in a circle (2 before 3 before 1 before 2), the halves decide.
func TestMergeSortCircle(t *testing.T) {
	circle := func(a, b int) int {
		switch {
		case a == b:
			return 0
		case a%3+1 == b:
			return -1
		}
		return 1
	}
	got := []int{1, 3, 2}
	MergeSort(got, circle)
	if want := []int{1, 2, 3}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
