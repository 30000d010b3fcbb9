package line

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWriteRead(t *testing.T) {
	var b bytes.Buffer
	want := Reply{ID: 7, Code: 3, Out: []byte("a\nb\x00\xff"), Fence: &FenceCall{Action: "off", Plug: "b"}}
	b.WriteString("a kernel's remark\n")
	if err := Write(&b, want); err != nil {
		t.Fatal(err)
	}
	r := NewReader(&b)
	var got Reply
	if err := r.Read(&got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := r.Read(&got); !errors.Is(err, io.EOF) {
		t.Errorf("at the end: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"id":1,"argv":["true"]}` + "\n")
	f.Add("noise\n{}\n{\"id\":")
	f.Fuzz(func(t *testing.T, text string) {
		r := NewReader(strings.NewReader(text))
		for range strings.Count(text, "\n") + 2 {
			var req Request
			if errors.Is(r.Read(&req), io.EOF) {
				return
			}
		}
		t.Error("no end")
	})
}
