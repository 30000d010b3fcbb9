package status

// MergeSort sorts a list stably by merging its halves, the shorter one first. For an order that is one, it gives what any
// stable sort does. The field's comparisons of operations (a pending one has no call id) and of instances are not always
// transitive, and what comes first then depends on which elements are compared; these are the comparisons it makes.
func MergeSort[T any](list []T, compare func(a, b T) int) {
	mergeSort(list, make([]T, len(list)), compare)
}

func mergeSort[T any](list, spare []T, compare func(a, b T) int) {
	if len(list) < 2 {
		return
	}
	half := len(list) / 2
	mergeSort(list[:half], spare, compare)
	mergeSort(list[half:], spare, compare)
	left := spare[:copy(spare, list[:half])]
	right, out := list[half:], list[:0]
	for len(left) > 0 && len(right) > 0 {
		if compare(left[0], right[0]) <= 0 {
			out, left = append(out, left[0]), left[1:]
		} else {
			out, right = append(out, right[0]), right[1:]
		}
	}
	copy(list[len(out):], left) // what is left of the right half is where it belongs
}
