package stage

import (
	"slices"
	"testing"
)

func TestSteps(t *testing.T) {
	const readme = "# Site\n\n## 1. One\n\nOn both:\n\n    a\n    b \\\n        c\n\nThen:\n\n    d\n\n## 2. Two\n\n    e\n"
	for heading, want := range map[string][]string{"1. One": {"a\nb \\\n    c\n", "d\n"}, "2. Two": {"e\n"}} {
		if got, err := Steps(readme, heading); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v, want %q", heading, got, err, want)
		}
	}
	if _, err := Steps(readme, "3. Three"); err == nil {
		t.Error("a heading that is not there has steps")
	}
}
