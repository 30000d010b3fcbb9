package clitext

import "testing"

func TestNearest(t *testing.T) {
	known := []string{"start", "stop", "status", "move", "IPaddr2", "Dummy", "Delay", "a"}
	for word, want := range map[string]string{
		"stpo": "stop", "sta": "", "stat": "status", "statu": "status", "mvoe": "move", "ipaddr2": "IPaddr2", "Du": "Dummy", "Dumy": "Dummy",
		"x": "a", "zz": "", "completely": "", "": "a",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
