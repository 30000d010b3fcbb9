package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// buildPrograms builds the daemon, the shell and the demo itself.
func buildPrograms(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	for name, pkg := range map[string]string{"systoled": "systole/cmd/systoled", "crm": "systole/cmd/crm", "systole-demo": "systole/integration/demo"} {
		cmd := exec.Command("go", "build", "-o", filepath.Join(bin, name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	}
	for _, tool := range []string{"crm_attribute", "crm_resource"} {
		if err := os.Symlink("crm", filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	return bin
}

// demo runs one demo of real daemons in namespaces and returns its output and whether it succeeded.
func demo(t *testing.T, bin string, args ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(bin, "systole-demo"), append([]string{"run"}, args...)...).CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("demo %v did not end: %s", args, out)
	}
	return string(out), err == nil
}

func TestDemo(t *testing.T) {
	bin := buildPrograms(t)

	t.Run("survives", func(t *testing.T) {
		out, ok := demo(t, bin)
		if !ok || !strings.HasSuffix(out, "\ndemo: ok\n") {
			t.Fatalf("demo failed:\n%s", out)
		}
		if n := strings.Count(out, "   outage "); n != 4 {
			t.Errorf("%d outages shown, want 4:\n%s", n, out)
		}
	})

	// The demo can fail: broken on purpose, it must.
	for _, broken := range []struct{ how, says string }{
		{"announce", "the page was not served again"},
		{"owners", "two nodes answered"},
	} {
		t.Run("broken "+broken.how, func(t *testing.T) {
			out, ok := demo(t, bin, "--break", broken.how)
			if ok || !strings.Contains(out, broken.says) {
				t.Errorf("succeeded: %v; want a failure that says %q:\n%s", ok, broken.says, out)
			}
		})
	}
}
