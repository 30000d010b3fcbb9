package clitext

import (
	"os"
	"slices"
	"testing"

	"systole/crm/cib"
)

// TestSchema: the schema we install for crmsh, which takes the names of
// attributes and the words they may have from it, knows what this language knows.
func TestSchema(t *testing.T) {
	doc, err := os.ReadFile("../../conf/schema/systole.rng")
	if err != nil {
		t.Fatal(err)
	}
	root, err := cib.Parse(doc)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string][]string{} // attributes by element
	elements := map[string]bool{}
	for e := range cib.All(root) {
		if e.Name() != "element" {
			continue
		}
		name := e.Get("name")
		elements[name] = true
		for x := range cib.All(e) {
			if x.Name() == "attribute" {
				has[name] = append(has[name], x.Get("name"))
			}
		}
	}
	for _, k := range kinds {
		if !elements[k.tag] {
			t.Errorf("the schema has no element %s", k.tag)
		}
	}
	for _, a := range opAttrs {
		if !slices.Contains(has["op"], a) {
			t.Errorf("the schema's op has no attribute %s", a)
		}
	}
	for _, name := range dateFields {
		if !slices.Contains(has["rule"], name) && name != "yearsdays" {
			found := false
			for e := range cib.All(root) {
				found = found || e.Name() == "attribute" && e.Get("name") == name
			}
			if !found {
				t.Errorf("the schema has no date field %s", name)
			}
		}
	}
}
