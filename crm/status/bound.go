package status

import (
	"systole/crm/cib"
	"systole/crm/model"
)

// maxMultiplied bounds the resources of one status that clones and bundles multiply: of what the configuration lists
// there are as many as it lists, but a thousand clones of a thousand instances of a long group are few lines.
const maxMultiplied = 200_000

// within is how many instances of a clone, or replicas of a bundle, are made of those asked for: at least one, at
// most the named bounds. What is cut is a problem, not an error: the rest of the cluster must go on.
func (u *unpacker) within(c *model.Resource, option string, asked int) int {
	limit := max(cib.MaxCloneInstances, len(u.s.Nodes))
	if c.Kind == model.Bundle {
		limit = cib.MaxReplicas
	}
	each := 1 // resources per instance
	for _, m := range c.Members {
		each += 1 + len(m.Members)
	}
	if c.Kind == model.Bundle {
		each += 3 // container, address and connection
	}
	limit = max(1, min(limit, (maxMultiplied-len(u.s.Resources))/each))
	if asked > limit {
		u.problem("%s %s: %s=%d is more than this cluster can hold: %d are made, write that or less", c.Kind, c.ID, option, asked, limit)
	}
	return min(max(asked, 1), limit)
}
