package display

import (
	"systole/crm/scheduler"
	"systole/crm/status"
	"systole/crm/transition"
)

// WholeDrawing is the plan with the actions that nothing needs drawn as well (crm_simulate -a).
func WholeDrawing(r *scheduler.Result) transition.Drawing {
	var d transition.Drawing
	name := func(a *scheduler.Action) string {
		if a.Node == status.NoNode {
			return a.Key
		}
		return transition.DrawnName(a.Key, r.Status.Nodes[a.Node].Name)
	}
	for i := range r.Plan.Actions {
		a := &r.Plan.Actions[i]
		d.Actions = append(d.Actions, transition.DrawnAction{Name: name(a), Executed: a.InGraph, Optional: a.Optional, Pseudo: a.Pseudo})
		for _, id := range a.Before {
			first := &r.Plan.Actions[id-1]
			d.Edges = append(d.Edges, transition.DrawnEdge{From: name(first), To: name(a), Solid: a.InGraph && first.InGraph})
		}
	}
	return d
}
