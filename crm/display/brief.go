package display

import (
	"fmt"
	"maps"
	"slices"

	"systole/crm/status"
)

// briefKind says where a summary of primitives stands, which decides its form.
type briefKind uint8

const (
	briefTop briefKind = iota
	briefGroup
	briefOnNode
)

// brief counts primitives by agent and node: "2/5\t(ocf:pacemaker:Dummy):\tActive alpha".
// The total is shown where inactive ones are wanted, and always within a group.
func (v *View) brief(rs []*status.Resource, kind briefKind) []Line {
	total := map[string]int{}
	active := map[string]map[string]int{} // agent → node → count
	for _, r := range rs {
		a := agent(r)
		total[a]++
		for _, n := range r.Active {
			if active[a] == nil {
				active[a] = map[string]int{}
			}
			active[a][v.Status.Nodes[n].Name]++
		}
	}
	withTotal := kind == briefGroup || kind == briefTop && v.Options.Inactive
	var lines []Line
	for _, a := range slices.Sorted(maps.Keys(total)) {
		if kind == briefOnNode {
			lines = append(lines, Line{Text: fmt.Sprintf("%d\t(%s):\tActive ", total[a], a)})
			continue
		}
		if len(active[a]) == 0 && withTotal {
			lines = append(lines, Line{Text: fmt.Sprintf("0/%d\t(%s):\tActive", total[a], a)})
		}
		for _, node := range slices.Sorted(maps.Keys(active[a])) {
			count := fmt.Sprint(active[a][node])
			if withTotal {
				count += fmt.Sprintf("/%d", total[a])
			}
			lines = append(lines, Line{Text: fmt.Sprintf("%s\t(%s):\tActive %s", count, a, node)})
		}
	}
	return lines
}
