package simulate

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzSimulate plans and carries out whatever parses as a CIB: nothing in it may make the
// program fail in any other way than by saying so.
func FuzzSimulate(f *testing.F) {
	for _, name := range []string{
		filepath.Join("testdata", "pair.xml"),
		filepath.Join("..", "..", "display", "testdata", "mixed.xml"),
		filepath.Join("..", "..", "display", "testdata", "well.xml"),
		filepath.Join("..", "..", "simulate", "testdata", "two.xml"),
	} {
		src, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(src))
	}
	f.Add(`<cib validate-with="none"><configuration><resources><clone id="c"/><group id="g"/><bundle id="b"/></resources></configuration><status><node_state/></status></cib>`)
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 40_000 {
			return // time, not depth
		}
		run(t, src, "-p", "-S", "-sU", "-G", "-", "-D", "-")
		run(t, src, "-p", "-S", "--output-as=xml")
	})
}
