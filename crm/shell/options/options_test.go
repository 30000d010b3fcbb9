package options

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"systole/crm/status"
	"systole/resources"
)

var daemons = []Daemon{Controller, Scheduler, Manager, Fencer}

// Every option says what it is, and its default is a value of its type.
func TestEveryOption(t *testing.T) {
	for _, d := range daemons {
		seen := map[string]bool{}
		for _, p := range tables[d] {
			if seen[p.Name] {
				t.Errorf("%s: %s is there twice", d, p.Name)
			}
			seen[p.Name] = true
			if p.Name == "" || p.Type == "" || p.Short == "" || strings.HasSuffix(p.Short, ".") {
				t.Errorf("%s: %q has type %q and description %q", d, p.Name, p.Type, p.Short)
			}
			if wrong := wrongDefault(p); wrong != "" {
				t.Errorf("%s: the default %q of %s %s", d, p.Default, p.Name, wrong)
			}
		}
	}
}

func wrongDefault(p resources.Parameter) string {
	switch p.Type {
	case resources.ParamBoolean:
		if _, ok := status.Truth(p.Default); !ok {
			return "is neither true nor false"
		}
	case resources.ParamInteger:
		if _, err := strconv.Atoi(p.Default); err != nil && p.Default != "" {
			return "is no integer"
		}
	case resources.ParamTime:
		if _, ok := status.Millis(p.Default); !ok && p.Default != "" {
			return "is no length of time"
		}
	case resources.ParamSelect:
		if !slices.Contains(p.Values, p.Default) {
			return "is not one of " + strings.Join(p.Values, ", ")
		}
	}
	return ""
}

// A property documented by two daemons reads the same in both.
func TestSharedPropertiesAgree(t *testing.T) {
	for _, d := range []Daemon{Controller, Scheduler, Manager} {
		for _, p := range tables[d] {
			q, ok := Property(p.Name)
			if !ok || q.Type != p.Type || q.Default != p.Default || q.Short != p.Short {
				t.Errorf("%s: %s is another one elsewhere: %+v, %+v", d, p.Name, p, q)
			}
		}
	}
	if _, ok := Property("no-such-property"); ok {
		t.Error("there is a property no-such-property")
	}
}

// The documents are well-formed, and say what the tables say.
func TestMetadataDocuments(t *testing.T) {
	for _, d := range daemons {
		doc := Metadata(d).XML()
		for r := xml.NewDecoder(bytes.NewReader(doc)); ; {
			if _, err := r.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", d, err)
			}
		}
		m, err := resources.ParseMetadata(doc)
		if err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		if len(m.Parameters) != len(tables[d]) || m.Name != string(d) || m.Version != Version {
			t.Errorf("%s: %s %s with %d parameters, want %d", d, m.Name, m.Version, len(m.Parameters), len(tables[d]))
		}
		for _, p := range tables[d] {
			q := m.Parameter(p.Name)
			if q == nil || q.Type != p.Type || q.Default != p.Default || q.Short != p.Short || q.Long == "" || !slices.Equal(q.Values, p.Values) {
				t.Errorf("%s: %s reads back as %+v", d, p.Name, q)
			}
		}
	}
}

// The lists are sorted, without doubles, and their own: a caller may change what it gets.
func TestLists(t *testing.T) {
	for name, list := range map[string]func() []string{"properties": Properties, "meta attributes": MetaAttributes, "operation attributes": OperationAttributes} {
		got := list()
		if len(got) == 0 || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Errorf("%s: %q", name, got)
		}
		got[0] = "changed"
		if list()[0] == "changed" {
			t.Errorf("%s: a caller changed the list", name)
		}
	}
	if !slices.Contains(MetaAttributes(), "target-role") || slices.Contains(MetaAttributes(), "stonith-enabled") {
		t.Error("meta attributes are not told apart from properties")
	}
}
