package node

import (
	"maps"
	"testing"
	"time"
)

func TestStalls(t *testing.T) {
	at := time.Unix(1000, 0)
	heard := func(b, c uint64) map[string]hearing {
		return map[string]hearing{"b": {applied: b}, "c": {applied: c}}
	}
	s := stalls(nil, 10, heard(10, 7), at)
	s = stalls(s, 12, heard(11, 7), at.Add(time.Second))   // b is behind and moves
	s = stalls(s, 14, heard(13, 7), at.Add(2*time.Second)) // c stands still
	want := map[string]stall{"b": {13, at.Add(2 * time.Second)}, "c": {7, at}}
	if !maps.Equal(s, want) {
		t.Errorf("got %v, want %v", s, want)
	}
	if s = stalls(s, 14, heard(14, 14), at.Add(3*time.Second)); len(s) != 0 {
		t.Errorf("all have followed, got %v", s)
	}
}
