package change

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// Attr says which attribute of which owner.
type Attr struct {
	// Tag of the sets: instance_attributes, meta_attributes, utilization,
	// cluster_property_set.
	Tag string
	// Set is the id of the one set meant; "" is any, and for a new one the Default.
	Set string
	// ID of the nvpair; "" is any.
	ID   string
	Name string
	// Default is the id of a set that has to be made.
	Default string
}

// Found is an attribute that is there.
type Found struct {
	Set, Pair   *cib.Element
	Name, Value string
}

// Find lists the attributes of an owner that match; an empty name matches all.
func Find(owner *cib.Element, a Attr) []Found {
	var out []Found
	for set := range owner.Each(a.Tag) {
		if a.Set != "" && set.ID() != a.Set {
			continue
		}
		for nv := range set.Each("nvpair") {
			if (a.Name == "" || nv.Get("name") == a.Name) && (a.ID == "" || nv.ID() == a.ID) {
				out = append(out, Found{set, nv, nv.Get("name"), nv.Get("value")})
			}
		}
	}
	return out
}

// Set gives an owner an attribute: an existing one gets the value, a new one
// goes into the set named, or the default one. It returns the new owner, and
// the ids of set and nvpair.
func Set(owner *cib.Element, a Attr, value string) (changed *cib.Element, setID, pairID string) {
	if found := Find(owner, a); len(found) > 0 {
		f := found[0]
		set := replaceChild(f.Set, f.Pair, f.Pair.With("value", value))
		return replaceChild(owner, f.Set, set), f.Set.ID(), f.Pair.ID()
	}
	setID = a.Set
	if setID == "" {
		setID = a.Default
	}
	pairID = a.ID
	if pairID == "" {
		pairID = SanitizeID(setID + "-" + a.Name)
	}
	pair := cib.New("nvpair", "id", pairID, "name", a.Name, "value", value)
	for set := range owner.Each(a.Tag) {
		if set.ID() == setID {
			return replaceChild(owner, set, set.Append(pair)), setID, pairID
		}
	}
	return owner.Append(cib.New(a.Tag, "id", setID).Append(pair)), setID, pairID
}

// Delete takes the first matching attribute away; the set stays, perhaps empty.
func Delete(owner *cib.Element, a Attr) (changed *cib.Element, f Found, ok bool) {
	found := Find(owner, a)
	if len(found) == 0 {
		return owner, Found{}, false
	}
	f = found[0]
	set := f.Set.WithChildren(slices.DeleteFunc(slices.Clone(f.Set.Children()), func(c *cib.Element) bool { return c == f.Pair })...)
	return replaceChild(owner, f.Set, set), f, true
}

func replaceChild(e, old, by *cib.Element) *cib.Element {
	children := slices.Clone(e.Children())
	children[slices.Index(children, old)] = by
	return e.WithChildren(children...)
}

// SanitizeID makes an XML id of a text: what one may not have becomes a dot.
func SanitizeID(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '.'
	}, s)
}

// With replaces an owner that was found in root.
func With(root, owner, changed *cib.Element) *cib.Element {
	if owner == changed {
		return root
	}
	return replace(root, owner, changed)
}

// ResourceAttr is the attribute of a resource: its default set is named after it.
func ResourceAttr(tag, rsc, name string) Attr {
	return Attr{Tag: tag, Name: name, Default: rsc + "-" + tag}
}

// SetResource sets an attribute of a resource.
func SetResource(root *cib.Element, rsc *cib.Element, tag, name, value string) *cib.Element {
	changed, _, _ := Set(rsc, ResourceAttr(tag, rsc.ID(), name), value)
	return With(root, rsc, changed)
}

// NodeAttr is the permanent attribute of a node, by its id; utilization has a set of its own.
func NodeAttr(nodeID, name string, utilization bool) Attr {
	if utilization {
		return Attr{Tag: "utilization", Name: name, Default: "nodes-" + nodeID + "-utilization"}
	}
	return Attr{Tag: "instance_attributes", Name: name, Default: "nodes-" + nodeID}
}

// OptionSection describes where cluster-wide options are.
type OptionSection struct {
	Section, Tag, Default string
}

// OptionSections are the places of options by crm_attribute's type.
var OptionSections = map[string]OptionSection{
	"crm_config":   {"crm_config", "cluster_property_set", "cib-bootstrap-options"},
	"rsc_defaults": {"rsc_defaults", "meta_attributes", "rsc-options"},
	"op_defaults":  {"op_defaults", "meta_attributes", "op-options"},
}

// Options is the section's element, made if missing, and the attribute in it.
func Options(root *cib.Element, s OptionSection, name string) (withSection, section *cib.Element, a Attr) {
	withSection, section = ensure(root, "configuration", s.Section)
	return withSection, section, Attr{Tag: s.Tag, Name: name, Default: s.Default}
}

// Tickets is the element below status that holds tickets, made if missing.
func Tickets(root *cib.Element) (withTickets, tickets *cib.Element) {
	return ensure(root, "status", "tickets")
}

// SetProperty sets a cluster property.
func SetProperty(root *cib.Element, name, value string) *cib.Element {
	root, section, a := Options(root, OptionSections["crm_config"], name)
	changed, _, _ := Set(section, a, value)
	return With(root, section, changed)
}

// Property is the value of a cluster property, from the first set that has it.
func Property(root *cib.Element, name string) (string, bool) {
	section := root.Path("configuration", "crm_config")
	if section == nil {
		return "", false
	}
	if f := Find(section, Attr{Tag: "cluster_property_set", Name: name}); len(f) > 0 {
		return f[0].Value, true
	}
	return "", false
}
