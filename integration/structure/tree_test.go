package structure

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "systole"

// root is the module's directory as this package's tests see it.
const root = "../.."

// source is one Go file that is not a test.
type source struct {
	path string // from the module's root
	file *ast.File
	fset *token.FileSet
}

// tree is every package of the module by its path below the module; "" does not occur.
type tree map[string][]source

// placeholder keeps dependencies in go.mod while nothing imports them yet.
const placeholder = "internal_tmp"

func parse(t *testing.T) tree {
	t.Helper()
	all := tree{}
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if d.IsDir() {
			if base := d.Name(); base == "testdata" || base == placeholder || rel != "." && strings.HasPrefix(base, ".") || rel == "build" || rel == "bin" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(rel))
		all[pkg] = append(all[pkg], source{filepath.ToSlash(rel), f, fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("only %d packages found: is %s the module's root?", len(all), root)
	}
	return all
}

// packages are the paths in order.
func (all tree) packages() []string {
	var names []string
	for p := range all {
		names = append(names, p)
	}
	slices.Sort(names)
	return names
}

// imports are a package's imports, each once.
func (all tree) imports(pkg string) []string {
	var list []string
	for _, s := range all[pkg] {
		for _, i := range s.file.Imports {
			p, err := strconv.Unquote(i.Path.Value)
			if err == nil {
				list = append(list, p)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// ours gives the path below the module of one of its own packages.
func ours(imported string) (string, bool) { return strings.CutPrefix(imported, module+"/") }

// under says whether pkg is parent or below it.
func under(pkg, parent string) bool {
	return pkg == parent || strings.HasPrefix(pkg, parent+"/")
}

// position is "file:line" of a node.
func (s source) position(n ast.Node) string {
	return path.Join(s.path) + ":" + strconv.Itoa(s.fset.Position(n.Pos()).Line)
}
