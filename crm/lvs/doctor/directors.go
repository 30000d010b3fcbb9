package doctor

import (
	"slices"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/status"
)

// Directors are the nodes that run a director by the cluster's configuration; of
// one that runs nowhere, the nodes where it was looked for.
func Directors(root *cib.Element, now time.Time) []string {
	s := status.Unpack(root, now)
	var active, looked []string
	for i := range s.Resources {
		r := &s.Resources[i]
		if c := r.Config; c == nil || r.Orphan || !(c.Provider == "systole" && c.Type == "ipvs" || c.Type == "ldirectord") {
			continue
		}
		for j := range s.Nodes {
			n := &s.Nodes[j]
			if slices.Contains(r.Active, n.Index) {
				active = append(active, n.Name)
			} else if n.Online && recorded(n, r.BaseID) {
				looked = append(looked, n.Name)
			}
		}
	}
	if len(active) == 0 {
		active = looked
	}
	slices.Sort(active)
	return slices.Compact(active)
}

func recorded(n *status.Node, resource string) bool {
	if n.State == nil {
		return false
	}
	for rsc := range n.State.Path("lrm", "lrm_resources").Each("lrm_resource") {
		if id, _, _ := strings.Cut(rsc.ID(), ":"); id == resource {
			return true
		}
	}
	return false
}
