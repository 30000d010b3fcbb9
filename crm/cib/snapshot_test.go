package cib

import (
	"testing"

	"pgregory.net/rapid"
)

// A node that restored a snapshot goes on exactly as one that did not: printed
// and read back in between, a series of operations gives the same bytes.
func TestOperationsAfterSnapshot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		straight, err := FromRoot(drawDocument(t))
		if err != nil {
			t.Fatal(err)
		}
		restored := straight
		for range rapid.IntRange(1, 6).Draw(t, "operations") {
			op := drawOp(t)
			next, err := straight.Apply([]Op{op}, nil, Stamp{})
			if restored, _ = ParseCIB([]byte(restored.String())); restored == nil {
				t.Fatalf("cannot be read back: %s", straight)
			}
			again, errAgain := restored.Apply([]Op{op}, nil, Stamp{})
			if (err == nil) != (errAgain == nil) || next.String() != again.String() || next.Version() != again.Version() {
				t.Fatalf("%+v gave\n%s\n%v\nand after a snapshot\n%s\n%v", op, next, err, again, errAgain)
			}
			straight, restored = next, again
		}
	})
}

// drawOp draws any operation.
func drawOp(t *rapid.T) Op {
	op := Op{
		Kind:        rapid.SampledFrom([]OpKind{OpCreate, OpModify, OpReplace, OpDelete, OpDeleteAll, OpErase, OpPatch, OpBump, OpUpgrade}).Draw(t, "kind"),
		Section:     rapid.SampledFrom([]string{"", "cib", "configuration", "status", "resources", "tags"}).Draw(t, "section"),
		AllowCreate: rapid.Bool().Draw(t, "allow create"),
		Data:        drawTree(t, 2),
	}
	if op.Kind == OpPatch {
		op.Data = Diff(drawDocument(t), drawDocument(t)).XML()
	} else if rapid.Bool().Draw(t, "by XPath") {
		op.XPath = rapid.SampledFrom([]string{"//primitive", "//*[@id='a']", "/cib", "//group/*", "//@x", "//comment()", "//configuration"}).Draw(t, "xpath")
	}
	return op
}
