package cib

import (
	"bytes"
	stdxml "encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func mustParse(t testing.TB, text string) *Element {
	t.Helper()
	e, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return e
}

func TestParse(t *testing.T) {
	e := mustParse(t, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- out -->\n<cib a='1'\n  b=\"x&#10;&amp;&#x41;\">\n <!-- in --><x>t&lt;<![CDATA[<&]]></x>\r\n<y\r\n/></cib>\n")
	if e.Get("a") != "1" || e.Get("b") != "x\n&A" || e.Line() != 3 {
		t.Errorf("root: %v line %d", e.Attrs(), e.Line())
	}
	c := e.Children()
	if len(c) != 3 || c[0].Name() != "#comment" || c[0].Text() != " in " || c[1].Text() != "t<<&" || c[2].Line() != 6 {
		t.Errorf("children of %s", e)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "line 1: document has no element",
		"<a>":                "line 1: document ends inside <a>",
		"<a>\n</b>":          "line 2: end tag </b> inside <a> opened on line 1",
		"<a/><b/>":           "second root element",
		"<a b='1' b='2'/>":   "attribute b twice",
		"<a b='1'c='2'/>":    "no white space before attribute c",
		"<a b=1/>":           "not quoted",
		"<a b/>":             "not quoted",
		"<a b='<'/>":         "write &lt;",
		"<a b='&nbsp;'/>":    "unknown entity &nbsp;",
		"<a b='& '/>":        "write &amp;",
		"<a b='&#0;'/>":      "unknown entity",
		"<a>\x01</a>":        "control character",
		"<a>\xff</a>":        "not UTF-8",
		"<a>\x00</a>":        "NUL",
		"<a>]]></a>":         "write ]]&gt;",
		"<a><!-- -- --></a>": "-- inside a comment",
		"text<a/>":           "outside the root",
		"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>":    "document type",
		"<?xml version='1.0' encoding='latin1'?><a/>": "only UTF-8",
		"<1a/>":               "not an element name",
		"<a":                  "does not end",
		"<a></a":              "end tag without >",
		"<a><![CDATA[x</a>":   "CDATA",
		"<a>\n<b>\n<!-- </a>": "line 3: comment does not end",
	} {
		_, err := Parse([]byte(text))
		if _, ok := errors.AsType[*SyntaxError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q): %v, want %q", text, err, want)
		}
	}
}

func TestParseBounds(t *testing.T) {
	deep := strings.Repeat("<a>", 30) + strings.Repeat("</a>", 30)
	if _, err := Parse([]byte(deep), MaxDepth(29)); err == nil || !strings.Contains(err.Error(), "deeper than 29") {
		t.Errorf("depth: %v", err)
	}
	if _, err := Parse([]byte(deep), MaxDepth(30)); err != nil {
		t.Error(err)
	}
	if _, err := Parse([]byte(deep), MaxBytes(len(deep)-1)); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("size: %v", err)
	}
}

func TestPrintedIsParsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawDocument(t)
		for _, text := range [][]byte{e.AppendXML(nil), e.AppendCompact(nil)} {
			got, err := Parse(text)
			if err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			if !Equal(got, e) || !bytes.Equal(got.AppendXML(nil), e.AppendXML(nil)) {
				t.Fatalf("got %s\nwant %s", got, e)
			}
		}
	})
}

func TestPrint(t *testing.T) {
	const want = `<cib>
  <!-- c -->
  <a x="&lt;&gt;&amp;&quot;&apos;&#10;&#9;">t&gt;</a>
  <b>
    <c/>
  </b>
</cib>
`
	e := New("cib").Append(New(commentName).WithText(" c "), New("a", "x", "<>&\"'\n\t").WithText("t>"), New("b").Append(New("c")))
	if got := string(e.AppendXML(nil)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// FuzzParse holds the parser against encoding/xml: whatever we take it takes
// too and reads the same, and what we refuse we refuse for a known reason.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		`<cib epoch="1"><configuration><!-- c --><resources/></configuration><status/></cib>`,
		"<a b='&lt;&#x20AC;'>x<![CDATA[ ]]>y</a>", "<?xml version=\"1.0\"?><a/>", "<a><b></a></b>", "<a b='1'\tc=\"2\"/>\n",
		"<ä/>", "<a:b c:d='x'/>", "<a>\r\n</a>", "<!---->", "<a b='x\ny'/>", "<a/><!-- x --><?pi y?>", "\xef\xbb\xbf<a/>",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, err := Parse(doc)
		want, oracleErr := oracle(doc)
		if err == nil && oracleErr != nil {
			t.Fatalf("accepted %q, encoding/xml says %v", doc, oracleErr)
		}
		if err != nil {
			if oracleErr == nil && !stricter(err) {
				t.Fatalf("refused %q: %v", doc, err)
			}
			return
		}
		if !Equal(blanked(got), blanked(want)) {
			t.Fatalf("%q: got %s, encoding/xml reads %s", doc, got, want)
		}
		again, err := Parse(got.AppendXML(nil))
		if err != nil || !Equal(again, got) {
			t.Fatalf("%q: printed and parsed again: %v, %s, want %s", doc, err, again, got)
		}
	})
}

// stricter: refusals that the XML specification or this package's own rules ask for and encoding/xml does not.
func stricter(err error) bool {
	for _, rule := range []string{"twice", "second root", "outside the root", "document type", "no white space", "deeper than", "no element", "name",
		"NUL byte", "encoding", "XML version", "does not end", "processing instruction", "without a name", "unknown entity", "control character", "not UTF-8", "not allowed"} {
		if strings.Contains(err.Error(), rule) {
			return true
		}
	}
	return false
}

// oracle builds the tree with encoding/xml, with our rules for white space.
func oracle(doc []byte) (*Element, error) {
	d := stdxml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(doc, []byte("\xef\xbb\xbf"))))
	root := &Element{}
	stack := []*Element{root}
	texts := []string{""}
	for {
		tok, err := d.RawToken()
		if err == io.EOF {
			if len(stack) != 1 || len(root.children) == 0 {
				return nil, errors.New("incomplete")
			}
			return root.children[0], nil
		}
		if err != nil {
			return nil, err
		}
		top := len(stack) - 1
		switch tok := tok.(type) {
		case stdxml.StartElement:
			e := &Element{name: qualified(tok.Name)}
			for _, a := range tok.Attr {
				e.attrs = append(e.attrs, Attr{qualified(a.Name), a.Value})
			}
			stack, texts = append(stack, e), append(texts, "")
			stack[top].children = append(stack[top].children, e)
		case stdxml.EndElement:
			if top == 0 || stack[top].name != qualified(tok.Name) {
				return nil, errors.New("mismatched end tag")
			}
			e, text := stack[top], texts[top]
			e.text = strings.Trim(text, xmlSpace)
			stack, texts = stack[:top], texts[:top]
		case stdxml.CharData:
			texts[top] += string(tok)
		case stdxml.Comment:
			if top > 0 {
				stack[top].children = append(stack[top].children, &Element{name: commentName, text: string(tok)})
			}
		}
	}
}

// blanked makes all white space in attributes blanks: the specification wants
// that of a literal line end, and encoding/xml cannot tell it from &#10;.
func blanked(e *Element) *Element {
	c := *e
	c.attrs, c.children = nil, nil
	for _, a := range e.attrs {
		c.attrs = append(c.attrs, Attr{a.Name, strings.NewReplacer("\t", " ", "\n", " ", "\r", " ").Replace(a.Value)})
	}
	for _, child := range e.children {
		c.children = append(c.children, blanked(child))
	}
	return &c
}

func qualified(n stdxml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

// document of about size bytes, as a cluster with many resources has it.
func bigDocument(size int) []byte {
	var b bytes.Buffer
	b.WriteString("<cib epoch=\"1\">\n  <configuration>\n    <resources>\n")
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, `      <primitive id="rsc-%d" class="ocf" provider="heartbeat" type="Dummy">
        <operations>
          <op id="rsc-%d-monitor-10s" name="monitor" interval="10s" timeout="20s" on-fail="restart"/>
        </operations>
        <meta_attributes id="rsc-%d-meta">
          <nvpair id="rsc-%d-meta-target-role" name="target-role" value="Started &amp; well"/>
        </meta_attributes>
      </primitive>
`, i, i, i, i)
	}
	b.WriteString("    </resources>\n  </configuration>\n  <status/>\n</cib>\n")
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	doc := bigDocument(10 << 20)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(doc); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkPrint(b *testing.B) {
	root, err := Parse(bigDocument(10 << 20))
	if err != nil {
		b.Fatal(err)
	}
	var out []byte
	for b.Loop() {
		out = root.AppendXML(out[:0])
	}
	b.SetBytes(int64(len(out)))
}

func BenchmarkValidate(b *testing.B) {
	root, err := Parse(bigDocument(10 << 20))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		Validate(root)
	}
}

func BenchmarkDiff(b *testing.B) {
	root, err := Parse(bigDocument(10 << 20))
	if err != nil {
		b.Fatal(err)
	}
	resources := Path{0, 0}
	edited := resources.Set(root, resources.In(root).ReplaceChild(7, New("primitive", "id", "other")))
	for b.Loop() {
		if len(Diff(root, edited).Changes) != 2 {
			b.Fatal(Diff(root, edited).XML())
		}
	}
}
