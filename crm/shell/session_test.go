package shell

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/exit"
	"systole/crm/shell/tool"
)

// newShell works on a file; out is what it prints.
func newShell(t *testing.T, file string) (sh *Shell, out, errs *bytes.Buffer) {
	t.Helper()
	out, errs = &bytes.Buffer{}, &bytes.Buffer{}
	stdio := &tool.IO{In: strings.NewReader(""), Out: out, Err: errs, Name: "crm", Env: func(name string) string {
		return map[string]string{"CIB_file": file, "HOME": t.TempDir()}[name]
	}}
	sh = &Shell{io: stdio, root: tree(), now: time.Now}
	sh.here = sh.root
	sh.set.sorted = true
	sh.open()
	return sh, out, errs
}

// newFile is an empty CIB with fencing off.
func newFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cib.xml")
	if err := os.WriteFile(file, []byte(cib.Empty().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	sh, _, errs := newShell(t, file)
	if err := typed(t.Context(), sh, "configure property stonith-enabled=false\nconfigure primitive a ocf:systole:Dummy\nconfigure primitive b ocf:systole:Dummy"); err != nil {
		t.Fatal(err, errs)
	}
	return file
}

// typed runs lines until one fails.
func typed(ctx context.Context, sh *Shell, text string) error {
	statements, err := clitext.Statements(text)
	if err != nil {
		return err
	}
	for _, s := range statements {
		if err := sh.run(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// TestConcurrentSessions: two sessions that change different objects both have
// their way; of two that change the same one, the second is refused.
func TestConcurrentSessions(t *testing.T) {
	for _, tt := range []struct {
		name, mine string
		want       exit.Code
	}{
		{"different objects", "set b.state /run/b", exit.OK},
		{"a new object", "primitive c ocf:systole:Dummy", exit.OK},
		{"the same object", "set a.state /run/other", exit.Old},
		{"one deleted that the other changed", "delete a", exit.Old},
		{"the same object, forced", "set a.state /run/other\ncommit force", exit.OK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := newFile(t)
			setup, _, _ := newShell(t, file)
			if err := typed(t.Context(), setup, "resource param a set state /run/a\nresource param b set state /run/b0"); err != nil {
				t.Fatal(err)
			}
			first, _, _ := newShell(t, file)
			if err := typed(t.Context(), first, "configure\nshow"); err != nil { // opens the session
				t.Fatal(err)
			}
			second, _, _ := newShell(t, file)
			if err := typed(t.Context(), second, "configure set a.state /run/theirs"); err != nil {
				t.Fatal(err)
			}
			err := typed(t.Context(), first, tt.mine+"\ncommit")
			if exit.Of(err) != tt.want {
				t.Fatalf("commit: %v (status %d), want status %d", err, exit.Of(err), tt.want)
			}
			doc, _ := os.ReadFile(file)
			if tt.want == exit.OK && !strings.Contains(tt.mine, "force") && !strings.Contains(string(doc), "/run/theirs") {
				t.Errorf("the other session's change is lost:\n%s", doc)
			}
		})
	}
}

// TestCompletion: what may follow, at every kind of place.
func TestCompletion(t *testing.T) {
	sh, _, _ := newShell(t, newFile(t))
	for _, tt := range []struct{ line, want string }{
		{"res", "resource "},
		{"resource st", "start "},
		{"resource stop ", "a "},
		{"configure primitive x ocf:systole:Du", "ocf:systole:Dummy "},
		{"configure primitive x ocf:systole:Dummy params st", "state="},
		{"configure primitive x ocf:systole:Dummy meta target", "target-role="},
		{"configure primitive x ocf:systole:Dummy op mon", "monitor "},
		{"configure property no-quo", "no-quorum-policy="},
		{"configure group g a ", "b "},
		{"configure order o Man", "Mandatory:"},
		{"help", "help "},
	} {
		_, got := sh.completeLine(t.Context(), tt.line)
		if !slices.Contains(got, tt.want) {
			t.Errorf("completing %q: %q is not among %q", tt.line, tt.want, got)
		}
	}
}

// TestTree: every command has a short help without full stop, every level its
// commands, and no two commands of a level share a name.
func TestTree(t *testing.T) {
	var walk func(c *command)
	walk = func(c *command) {
		if c.parent != nil && (c.short == "" || strings.HasSuffix(c.short, ".")) {
			t.Errorf("%s: short help is %q", c.usage(), c.short)
		}
		if c.isLevel() == (c.run != nil) {
			t.Errorf("%s: is it a level or a command?", c.usage())
		}
		seen := map[string]bool{}
		for _, n := range c.names() {
			if seen[n] {
				t.Errorf("%s: %s is there twice", c.usage(), n)
			}
			seen[n] = true
		}
		for _, s := range c.sub {
			walk(s)
		}
	}
	walk(tree())
}
