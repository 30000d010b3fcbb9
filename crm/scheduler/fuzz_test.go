package scheduler_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"systole/crm/cib"
	"systole/crm/scheduler"
	"systole/crm/transition"
)

// FuzzSchedule: whatever a CIB says, there is a plan, and it can be written.
func FuzzSchedule(f *testing.F) {
	for _, doc := range seeds(f) {
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		root, err := cib.Parse(doc)
		if err != nil || root.Name() != "cib" || len(doc) > 20_000 {
			return
		}
		r := scheduler.Schedule(root, now, scheduler.Options{})
		var b bytes.Buffer
		if err := transition.WriteXML(&b, r.Graph); err != nil {
			t.Fatal(err)
		}
	})
}

// seeds are the golden cases' CIBs.
func seeds(f *testing.F) (out [][]byte) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.plan"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, c := range strings.Split(string(text), "\nplan\n")[1:] {
			world, _, _ := strings.Cut(c, "\n----")
			out = append(out, []byte(parseWorld(f, world+"\n").root().String()))
		}
	}
	return out
}
