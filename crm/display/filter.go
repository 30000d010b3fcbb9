package display

import (
	"slices"

	"systole/crm/model"
	"systole/crm/status"
)

// wantsNode applies --node: a node's name, or a tag that holds it.
func (v *View) wantsNode(n *status.Node) bool {
	only := v.Options.Node
	return only == "" || n.Name == only || slices.Contains(v.Status.Config.Tags[only], n.ID) || slices.Contains(v.Status.Config.Tags[only], n.Name)
}

// wantsResource applies --resource: the id of a resource, of one it is part of or of a
// part of it, or a tag that holds one of these.
func (v *View) wantsResource(r *status.Resource) bool {
	if v.Options.Resource == "" || v.named(r) {
		return true
	}
	for p := r; p.Parent != status.NoRes; {
		p = &v.Status.Resources[p.Parent]
		if v.named(p) {
			return true
		}
	}
	return v.partNamed(r)
}

func (v *View) partNamed(r *status.Resource) bool {
	ids := r.Children
	if r.Kind == model.Bundle {
		ids = v.parts(r)
	}
	return slices.ContainsFunc(ids, func(id status.ResID) bool {
		c := &v.Status.Resources[id]
		return v.named(c) || v.partNamed(c)
	})
}

func (v *View) named(r *status.Resource) bool {
	only := v.Options.Resource
	if r.ID == only || r.BaseID == only {
		return true
	}
	tagged := v.Status.Config.Tags[only]
	return slices.Contains(tagged, r.ID) || slices.Contains(tagged, r.BaseID)
}
