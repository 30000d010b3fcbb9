package display

import (
	"fmt"
	"strconv"

	"systole/crm/cib"
	"systole/crm/simulate"
	"systole/crm/transition"
)

// ActionText is one line of "Executing Cluster Transition".
func ActionText(s simulate.Step) string {
	a := s.Action
	switch {
	case a.Kind == transition.KindPseudo:
		text := "Pseudo action:   " + a.Key
		if a.Node != "" {
			text += " on " + a.Node
		}
		return text
	case a.Kind == transition.KindResource:
		return fmt.Sprintf("Resource action: %-15s %s on %s", s.Resource, taskText(a), a.Node)
	case a.Task == transition.TaskFence:
		return "Fencing " + a.Node + " (" + a.Meta("stonith_action") + ")"
	}
	text := "Cluster action:  " + a.Task
	if s.Resource != "" {
		text += " for " + s.Resource
	}
	return text + " on " + a.Node
}

func taskText(a *transition.Action) string {
	if ms := a.Interval().Milliseconds(); ms > 0 {
		return a.Task + "=" + strconv.FormatInt(ms, 10)
	}
	return a.Task
}

// actionElement is the same action in crm_simulate's XML.
func actionElement(s simulate.Step) *cib.Element {
	a := s.Action
	switch {
	case a.Kind == transition.KindPseudo:
		return element("pseudo_action", "task", a.Key, "node", a.Node)
	case a.Kind == transition.KindResource:
		e := cib.New("rsc_action", "resource", s.Resource, "op", a.Task, "node", a.Node)
		if ms := a.Interval().Milliseconds(); ms > 0 {
			e = e.With("interval", strconv.FormatInt(ms, 10))
		}
		return e
	case a.Task == transition.TaskFence:
		return cib.New("fencing_action", "target", a.Node, "op", a.Meta("stonith_action"))
	}
	return element("cluster_action", "task", a.Task, "node", a.Node, "id", s.Resource)
}
