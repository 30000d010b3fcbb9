package command

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"systole/crm/cib"
)

func TestDecode(t *testing.T) {
	for in, want := range map[string]string{
		"":                               "empty",
		"\x03{}":                         "format version 3",
		"\x02{}":                         "compressed",
		"\x01{":                          "log entry",
		"\x01{\"kind\":\"novel\"}":       `kind "novel"`,
		"\x01{\"kind\":\"cib\",\"x\":1}": "too old",
		"\x01{\"kind\":\"cib\"} {}":      "data after the entry",
	} {
		if _, err := Decode([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Decode(%q): %v, want %q", in, err, want)
		}
	}
	_, err := Decode([]byte("\x01{\"kind\":\"novel\"}"))
	if _, ok := errors.AsType[*UnknownError](err); !ok {
		t.Errorf("%v is no UnknownError", err)
	}
	e, err := Decode([]byte("\x01{\"kind\":\"novel\",\"ignorable\":true,\"stuff\":[1]}"))
	if err != nil || e.Kind != "novel" || !e.Ignorable {
		t.Errorf("ignorable: %+v, %v", e, err)
	}
}

// What is large and cannot be compressed is refused before it reaches the log.
func TestEncodeBound(t *testing.T) {
	noise := make([]byte, MaxEntry)
	rand.NewChaCha8([32]byte{}).Read(noise)
	e := Entry{Kind: KindCIB, Change: &Change{Ops: []Op{{Data: base64.StdEncoding.EncodeToString(noise)}}}}
	if _, err := Encode(e); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
}

// A CIB of 10 MB fits into one entry, so that it is replaced as a whole or not at all.
func TestLargeReplace(t *testing.T) {
	var b strings.Builder
	b.WriteString(`<resources>`)
	for i := 0; b.Len() < 10<<20; i++ {
		fmt.Fprintf(&b, `<primitive id="p%d" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="p%d-m" name="monitor" interval="%ds"/></operations></primitive>`, i, i, i%60+1)
	}
	b.WriteString(`</resources>`)
	e := Entry{Kind: KindCIB, Change: &Change{Ops: []Op{{Kind: "replace", Section: "resources", Data: b.String()}}}}
	data, err := Encode(e)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil || !reflect.DeepEqual(got, e) {
		t.Errorf("%d bytes came back as another entry, or not at all: %v", len(data), err)
	}
}

// FuzzDecode: what decodes, encodes and decodes to the same, and applying it
// neither panics (it would on every node) nor makes what cannot be read back.
func FuzzDecode(f *testing.F) {
	for _, e := range []Entry{
		{Kind: KindCIB, Change: &Change{Ops: []Op{{Kind: "modify", Data: `<a b="c"/>`}}}},
		result(Result{Node: "a", Resource: "r", Operation: "monitor", IntervalMS: 10000, Extra: map[string]string{"op-digest": "x"}}),
		{Kind: KindNode, Node: &Node{Name: "a", Set: map[string]string{"join": "member"}}},
		{Kind: KindAttrs, Attrs: &Attrs{Node: "a", Changes: []AttrChange{{Name: "x", Add: 1}}}},
		{Kind: "novel", Ignorable: true},
		{Kind: KindCleanup, Cleanup: &Cleanup{Node: "a", FailedOnly: true}},
		{Kind: KindCIB, Change: &Change{Ops: []Op{{Kind: "delete", XPath: "//node[@id='1']/.."}, {Kind: "create", Section: "status", Data: `<x><y>t</y></x>`}}}},
		{Kind: KindCIB, Change: &Change{Ops: []Op{{Kind: "patch", Data: `<diff format="2"><change operation="move" path="/cib/configuration/nodes/node[@id='1']" position="1"/></diff>`}}}},
	} {
		b, err := Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		if b, err = pack(b[1:]); err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			return
		}
		again, err := Encode(e)
		if err != nil {
			t.Fatalf("%+v: %v", e, err)
		}
		got, err := Decode(again)
		if err != nil || !reflect.DeepEqual(normal(got), normal(e)) {
			t.Fatalf("%+v then %+v, %v", e, got, err)
		}
		c := must(t, cluster(t), result(outcome(1, "monitor", 10000, 7, Counted)))
		next, _ := Apply(c, e)
		if again, err := cib.ParseCIB([]byte(next.String())); err != nil || again.String() != next.String() {
			t.Fatalf("%+v made %s, which cannot be read back: %v", e, next, err)
		}
	})
}

// normal makes times that are the same instant and zone look the same to DeepEqual.
func normal(e Entry) Entry {
	e.Time = e.Time.UTC()
	for i := range e.Results {
		e.Results[i].LastChange = e.Results[i].LastChange.UTC()
		if len(e.Results[i].Extra) == 0 {
			e.Results[i].Extra = nil
		}
	}
	if e.Node != nil && len(e.Node.Set) == 0 {
		e.Node.Set = nil
	}
	if len(e.Results) == 0 {
		e.Results = nil
	}
	return e
}
