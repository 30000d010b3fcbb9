package structure

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"systole/crm/exit"
)

func TestEveryPackageHasAComment(t *testing.T) {
	all := parse(t)
	for _, pkg := range all.packages() {
		var comments []string
		name := ""
		for _, s := range all[pkg] {
			name = s.file.Name.Name
			if s.file.Doc != nil {
				comments = append(comments, s.file.Doc.Text())
			}
		}
		want := "Package " + name + " "
		if name == "main" {
			want = "Command "
		}
		switch {
		case len(comments) == 0:
			t.Errorf("%s has no package comment", pkg)
		case len(comments) > 1:
			t.Errorf("%s has %d package comments: godoc runs them together", pkg, len(comments))
		case !strings.HasPrefix(comments[0], want):
			t.Errorf("%s: the package comment begins %q, want %q", pkg, firstLine(comments[0]), want)
		}
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func TestNothingIsLeftUndone(t *testing.T) {
	all := parse(t)
	for _, pkg := range all.packages() {
		for _, s := range all[pkg] {
			for _, group := range s.file.Comments {
				for _, word := range []string{"TODO", "FIXME", "XXX"} {
					if strings.Contains(group.Text(), word) {
						t.Errorf("%s: %s", s.position(group), word)
					}
				}
			}
		}
	}
}

// maxLines is where a file holds a second idea; about 500 is what one should have.
const maxLines = 900

func TestFilesHoldOneIdea(t *testing.T) {
	all := parse(t)
	for _, pkg := range all.packages() {
		for _, s := range all[pkg] {
			if n := s.fset.File(s.file.Pos()).LineCount(); n > maxLines && !ast.IsGenerated(s.file) {
				t.Errorf("%s has %d lines, more than %d", s.path, n, maxLines)
			}
		}
	}
}

// Every exit status is a row of the table that crm_error and the manual are made
// of, and the API's own names for them have the same numbers.
func TestExitCodes(t *testing.T) {
	all := parse(t)
	known := slices.Collect(exit.Codes())
	for name, value := range constants(all["crm/exit"], "Code") {
		c := exit.Code(value)
		if !slices.Contains(known, c) || c.String() == "" || !strings.HasPrefix(c.Name(), "CRM_EX_") {
			t.Errorf("exit.%s (%d) has no row with name and text", name, value)
		}
	}
	for name, value := range constants(all["crm/api"], "") {
		if strings.HasPrefix(name, "Code") && !slices.Contains(known, exit.Code(value)) {
			t.Errorf("api.%s (%d) is no exit status", name, value)
		}
	}
}

// constants are the exported integer constants of a package that have the type
// ("" for none), as literals.
func constants(files []source, typ string) map[string]int {
	found := map[string]int{}
	for _, s := range files {
		for _, decl := range s.file.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.CONST {
				continue
			}
			for _, spec := range gen.Specs {
				v := spec.(*ast.ValueSpec)
				id, _ := v.Type.(*ast.Ident)
				if (id == nil) != (typ == "") || id != nil && id.Name != typ {
					continue
				}
				for i, name := range v.Names {
					if i >= len(v.Values) || !name.IsExported() {
						continue
					}
					if lit, ok := v.Values[i].(*ast.BasicLit); ok && lit.Kind == token.INT {
						if n, err := strconv.Atoi(lit.Value); err == nil {
							found[name.Name] = n
						}
					}
				}
			}
		}
	}
	return found
}

// A fuzz target without a seed tests nothing in an ordinary run: each must add
// one in the source, or have some in testdata/fuzz.
func TestFuzzTargetsHaveSeeds(t *testing.T) {
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") || strings.Contains(name, "/structure/") {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for part := range strings.SplitSeq(string(text), "\nfunc ") {
			target, _, ok := strings.Cut(part, "(f *testing.F)")
			if !ok || !strings.HasPrefix(target, "Fuzz") || strings.Contains(part, "f.Add(") {
				continue
			}
			seeds, _ := filepath.Glob(filepath.Join(filepath.Dir(name), "testdata", "fuzz", target, "*"))
			if len(seeds) == 0 && !strings.Contains(part, "(f)") { // a helper may add them
				t.Errorf("%s: %s has no seed", name, target)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Tests do not wait by the clock: they wait for a condition, or run in virtual
// time. In a child process that a test starts to be killed, sleeping is its job.
func TestTestsDoNotSleep(t *testing.T) {
	excused := map[string]string{"agents/process/process_test.go": "its children sleep until they are killed"}
	err := filepath.WalkDir(root, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, "_test.go") {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil || strings.HasPrefix(rel, "integration") || excused[filepath.ToSlash(rel)] != "" {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), "time.Sleep(") && !strings.Contains(string(text), `"testing/synctest"`) {
			t.Errorf("%s sleeps: wait for a condition, or use testing/synctest", rel)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
