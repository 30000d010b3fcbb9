package cib

import (
	"fmt"
	"strings"
	"testing"

	"systole/crm/exit"
)

func TestXPath(t *testing.T) {
	root := mustParse(t, opBase)
	for expr, want := range map[string]string{
		"/":                                 "/cib",
		"/cib":                              "/cib",
		"//primitive":                       "/cib/configuration/resources/primitive[@id='p'] /cib/configuration/resources/primitive[@id='q']",
		"//primitive[@id='q']":              "/cib/configuration/resources/primitive[@id='q']",
		"//primitive[2]/@type":              "/cib/configuration/resources/primitive[@id='q']",
		"//@id[.='p-mon']":                  "/cib/configuration/resources/primitive[@id='p']/operations/op[@id='p-mon']",
		"//op/ancestor::primitive":          "/cib/configuration/resources/primitive[@id='p']",
		"//comment()":                       "/cib/configuration/resources",
		"//node[@uname='b'] | //node_state": "/cib/configuration/nodes/node[@id='2'] /cib/status/node_state[@id='1']",
		"//node[@uname!='b']":               "/cib/configuration/nodes/node[@id='1']",
		"//primitive[operations/op]":        "/cib/configuration/resources/primitive[@id='p']",
		"//primitive[last()]":               "/cib/configuration/resources/primitive[@id='q']",
		"//primitive/following-sibling::*":  "/cib/configuration/resources/primitive[@id='q']",
		"//primitive[@id='q']/preceding-sibling::primitive": "/cib/configuration/resources/primitive[@id='p']",
		"//nvpair[contains(@name,'stonith')]/..":            "/cib/configuration/crm_config/cluster_property_set[@id='cib-bootstrap-options']",
		"//nothing":                                         "",
	} {
		x, err := CompileXPath(expr)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		paths, err := x.Find(root)
		if err != nil {
			t.Errorf("%s: %v", expr, err)
			continue
		}
		var got []string
		for _, p := range paths {
			got = append(got, p.IDPath(root))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", expr, got, want)
		}
	}
}

func TestXPathErrors(t *testing.T) {
	root := mustParse(t, opBase)
	for _, expr := range []string{"", "//[", "count(//x)", "'a'", "1+1", "foo(", "//x[", strings.Repeat("/a", MaxXPath)} {
		if _, err := Select(root, expr); exit.Of(err) != exit.DataErr {
			t.Errorf("Select(%.20q): %v", expr, err)
		}
	}
}

// An expression that would stall every node of the cluster is ended.
func TestXPathIsBounded(t *testing.T) {
	resources := New("resources")
	for i := range 500 {
		resources = resources.Append(New("primitive", "id", fmt.Sprintf("r%d", i)))
	}
	root := New("cib").Append(New("configuration").Append(resources))
	for expr, ended := range map[string]bool{"//primitive[//primitive[//primitive[@id='none']]]": true, "//primitive[@id='r499']": false, "//*[@id='r499']": false} {
		x, err := CompileXPath(expr)
		if err != nil {
			t.Fatal(err)
		}
		found, err := x.find(root, 12*502)
		if ended && (exit.Of(err) != exit.DataErr || !strings.Contains(err.Error(), "more specific")) || !ended && (err != nil || len(found) != 1) {
			t.Errorf("%s: %d found, %v", expr, len(found), err)
		}
	}
}

// Every element is found again by its own id path.
func TestIDPathFinds(t *testing.T) {
	root := mustParse(t, strings.ReplaceAll(opBase, "<constraints/>", `<constraints><foo/><foo/><foo id="it's"/><bar id='"'/></constraints>`))
	for p, e := range Walk(root) {
		if e.Name() == "#comment" {
			continue
		}
		found, err := Select(root, p.IDPath(root))
		if err != nil || len(found) != 1 || found[0] != e {
			t.Errorf("%s finds %v, %v", p.IDPath(root), found, err)
		}
	}
}

// FuzzXPath: whatever the expression, the answer comes, without panic, and is in the tree.
func FuzzXPath(f *testing.F) {
	for _, seed := range []string{"//primitive[@id='p']", "/cib/status//lrm_rsc_op[@call-id > 3]", "//a|//b", "//*[last()]/@*", "string-length(//a)", "//x[position() mod 2 = 1]", "//node()[not(self::op)]", "..//ancestor-or-self::*"} {
		f.Add(seed)
	}
	root, err := Parse([]byte(opBase))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if len(expr) > 200 {
			return // longer only costs time
		}
		found, err := Select(root, expr)
		if err != nil {
			return
		}
		all := make(map[*Element]bool)
		for e := range All(root) {
			all[e] = true
		}
		for _, e := range found {
			if !all[e] {
				t.Fatalf("%q found an element that is not in the tree: %s", expr, e)
			}
		}
	})
}

func BenchmarkXPathByID(b *testing.B) {
	resources := New("resources")
	var primitives []*Element
	for i := range 5000 {
		primitives = append(primitives, New("primitive", "id", fmt.Sprintf("r%d", i), "class", "ocf").Append(New("meta_attributes", "id", fmt.Sprintf("r%d-m", i))))
	}
	root := Empty().Root().WithChildren(New("configuration").Append(resources.WithChildren(primitives...)))
	for b.Loop() {
		if found, err := Select(root, "//primitive[@id='r4000']"); err != nil || len(found) != 1 {
			b.Fatal(found, err)
		}
	}
}
