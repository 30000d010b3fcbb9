// Package given finds the field's regression data for tests. It is not part of
// this project, and not every machine has it: without it a test is skipped.
package given

import (
	"os"
	"path/filepath"
	"testing"
)

// Cases is the directory of the scheduler cases: the environment variable
// SYSTOLE_CASES, else shared/scheduler-cases beside the checkout.
func Cases(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{os.Getenv("SYSTOLE_CASES"), filepath.Join(checkout(t), "..", "shared", "scheduler-cases")} {
		if _, err := os.Stat(filepath.Join(dir, "MANIFEST.tsv")); dir != "" && err == nil {
			return dir
		}
	}
	t.Skip("no scheduler cases: set SYSTOLE_CASES to their directory")
	return ""
}

// checkout is the directory of go.mod: a test runs in that of its package.
func checkout(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		t.Fatal("no go.mod above the test's directory")
	}
}
