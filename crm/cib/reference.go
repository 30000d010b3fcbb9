package cib

import "strings"

// references checks that ids are there where they must be, are given once, and
// that what is referred to exists.
func (v *validator) references(conf *Element) {
	ids := make(map[string]*Element)
	for at, e := range Walk(conf) {
		id, ok := e.Lookup("id")
		if !ok || !declares(e) {
			continue
		}
		if first := ids[id]; first != nil {
			v.add(Error, at, "the id %q is used twice, also by the <%s> on line %d: rename one", id, first.name, first.line)
			continue
		}
		ids[id] = e
	}
	for at, e := range Walk(conf) {
		v.refersTo(at, e, ids)
	}
}

// declares tells whether the element's id names it, rather than another element.
// Node ids are names outside of the document's.
func declares(e *Element) bool {
	return vocabulary[e.name].attrs["id"].kind == "id"
}

func (v *validator) refersTo(at Path, e *Element, ids map[string]*Element) {
	attrs := vocabulary[e.name].attrs
	for _, a := range e.attrs {
		switch attrs[a.Name].kind {
		case "resource":
			if target := ids[a.Value]; target == nil || !isResource(target) && target.name != "tag" && target.name != "template" {
				v.add(Error, at, "%s=%q is no resource, template or tag: create it or name another", a.Name, a.Value)
			}
		case "ref":
			switch target := ids[a.Value]; {
			case target == nil:
				v.add(Error, at, "%s=%q refers to nothing: no element has that id", a.Name, a.Value)
			case a.Name == "template" && target.name != "template":
				v.add(Warning, at, "template=%q is a <%s>, not a template: the resource is ignored", a.Value, target.name)
			case a.Name == "id-ref" && target.name != e.name && !isAttributeSet(target):
				v.add(Warning, at, "id-ref=%q is a <%s>, not a <%s>", a.Value, target.name, e.name)
			}
		case "aclrole":
			if target := ids[a.Value]; target == nil || target.name != "acl_role" {
				v.add(Error, at, "id=%q is no acl_role: create it or name another", a.Value)
			}
		case "devices":
			for device := range strings.SplitSeq(a.Value, ",") {
				if target := ids[strings.TrimSpace(device)]; target == nil || !isResource(target) {
					v.add(Warning, at, "the device %q is no resource: the level cannot succeed", device)
				}
			}
		}
	}
	if e.name == "obj_ref" && ids[e.ID()] == nil {
		v.add(Warning, at, "the tag holds %q, and no element has that id", e.ID())
	}
}

func isResource(e *Element) bool {
	switch e.name {
	case "primitive", "group", "clone", "master", "bundle":
		return true
	}
	return false
}

func isAttributeSet(e *Element) bool {
	switch e.name {
	case "meta_attributes", "instance_attributes", "cluster_property_set", "utilization":
		return true
	}
	return false
}
