package ocf

import (
	"maps"
	"strconv"
	"strings"

	"systole/resources"
)

// metaFacts are the CRM_meta_* values of an operation, names without prefix.
func metaFacts(op resources.Op) map[string]string {
	facts := maps.Clone(op.Meta)
	if facts == nil {
		facts = map[string]string{}
	}
	timeout := op.Timeout
	if timeout == 0 {
		timeout = resources.DefaultTimeout
	}
	facts["timeout"] = strconv.FormatInt(timeout.Milliseconds(), 10)
	// Agents tell a probe from a recurring monitor by the interval's absence.
	delete(facts, "interval")
	delete(facts, "name")
	if op.Interval > 0 {
		facts["interval"] = strconv.FormatInt(op.Interval.Milliseconds(), 10)
		facts["name"] = string(op.Action)
	}
	if facts["on_node"] == "" && op.Node != "" {
		facts["on_node"] = op.Node
	}
	for _, pair := range [][2]string{{"promoted_max", "master_max"}, {"promoted_node_max", "master_node_max"}} {
		twin(facts, pair[0], pair[1])
	}
	notifyFacts(op, facts)
	return facts
}

// notifyLists are the sets of resource instances an agent of a clone with
// notify=true is told of. Those of older agents have a second name.
var notifyLists = []struct{ name, twin string }{
	{"start", ""}, {"stop", ""}, {"promote", ""}, {"demote", ""}, {"active", ""}, {"inactive", ""},
	{"promoted", "master"}, {"unpromoted", "slave"},
}

// notifyFacts completes what a clone with notify=true is told: both names of a
// list, and one space for an empty list. Agents test for the variable, and an
// empty string would be as good as none.
func notifyFacts(op resources.Op, facts map[string]string) {
	notify := op.Action == resources.ActionNotify
	for name := range facts {
		notify = notify || strings.HasPrefix(name, "notify_")
	}
	if !notify {
		return
	}
	for _, l := range notifyLists {
		for _, part := range []string{"_resource", "_uname"} {
			if l.name == "inactive" && part == "_uname" {
				continue // what is not active has no node
			}
			name := "notify_" + l.name + part
			if l.twin != "" {
				twin(facts, name, "notify_"+l.twin+part)
			}
			if strings.TrimSpace(facts[name]) == "" {
				facts[name] = " "
			}
			if l.twin != "" {
				twin(facts, name, "notify_"+l.twin+part)
			}
		}
	}
	for _, name := range []string{"notify_all_uname", "notify_available_uname"} {
		if facts[name] == "" {
			facts[name] = " "
		}
	}
}

// twin gives both names the same value when one of them has it.
func twin(facts map[string]string, a, b string) {
	switch {
	case facts[a] == "" && facts[b] != "":
		facts[a] = facts[b]
	case facts[a] != "":
		facts[b] = facts[a]
	}
}
