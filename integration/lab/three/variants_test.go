package three

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"systole/integration/lab/stage"
)

// Every variant has its file, and the README its steps; no step is left out by all.
func TestStepsAreInTheReadme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(example, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	used := []string{machines, diskAndPasswords}
	for _, v := range variants {
		if _, err := os.Stat(filepath.Join(example, v.config)); err != nil {
			t.Errorf("%s: %v", v.name, err)
		}
		used = append(used, slices.Concat(v.further, v.making)...)
	}
	for _, heading := range used {
		if blocks, err := stage.Steps(string(text), heading); err != nil || len(blocks) == 0 {
			t.Errorf("%q has %d blocks: %v", heading, len(blocks), err)
		}
	}
	for line := range strings.Lines(string(text)) {
		heading, ok := strings.CutPrefix(line, "## With ")
		if ok && !slices.Contains(used, "With "+strings.TrimSpace(heading)) {
			t.Errorf("no variant takes the steps of %q", strings.TrimSpace(line))
		}
	}
}
