package simulate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestMutatedCIBs plans and carries out CIBs with bytes changed, doubled and removed: nothing in
// them may make the program fail in any other way than by saying so.
func TestMutatedCIBs(t *testing.T) {
	var seeds []string
	for _, name := range []string{
		filepath.Join("testdata", "pair.xml"),
		filepath.Join("..", "..", "display", "testdata", "mixed.xml"),
		filepath.Join("..", "..", "simulate", "testdata", "two.xml"),
	} {
		src, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		// Without validation more of it reaches the scheduler.
		seeds = append(seeds, strings.Replace(string(src), `validate-with="pacemaker-3.9"`, `validate-with="none"`, 1))
	}
	rapid.Check(t, func(rt *rapid.T) {
		s := rapid.SampledFrom(seeds).Draw(rt, "cib")
		for range rapid.IntRange(1, 3).Draw(rt, "changes") {
			at := rapid.IntRange(0, len(s)-1).Draw(rt, "at")
			end := min(len(s), at+rapid.IntRange(0, 60).Draw(rt, "length"))
			switch rapid.IntRange(0, 3).Draw(rt, "kind") {
			case 0:
				s = s[:at] + rapid.SampledFrom(strings.Split("0123456789abc-:_ ", "")).Draw(rt, "byte") + s[at+1:]
			case 1:
				s = s[:end] + s[at:]
			case 2:
				s = s[:at] + s[end:]
			case 3:
				other := rapid.IntRange(0, len(s)-1).Draw(rt, "other")
				s = s[:at] + s[other:min(len(s), other+end-at)] + s[end:]
			}
			if s == "" {
				return
			}
		}
		run(t, s, "-p", "-S", "-sU")
		run(t, s, "-p", "-S", "--output-as=xml")
	})
}
