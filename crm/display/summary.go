package display

import (
	"strconv"
	"strings"

	"systole/crm/model"
	"systole/crm/status"
)

// instances counts the resource instances: every primitive, those that bundles imply
// included, and orphans that are active.
func (v *View) instances() int {
	n := 0
	for i := range v.Status.Resources {
		if r := &v.Status.Resources[i]; r.Kind == model.Primitive && (!r.Orphan || r.Role > status.RoleStopped) {
			n++
		}
	}
	return n
}

func (v *View) summary() Section {
	s := Section{Title: "Cluster Summary"}
	add := func(show Show, text string) {
		if v.shows(show) {
			s.Lines = append(s.Lines, Line{Text: text})
		}
	}
	add(ShowStack, "Stack: "+v.stack())
	add(ShowDC, "Current DC: "+v.dc())
	add(ShowTimes, "Last updated: "+v.asctime(v.Updated))
	add(ShowTimes, "Last change:  "+v.lastChange())
	add(ShowCounts, count(len(v.Status.Nodes), "node")+" configured")
	add(ShowCounts, count(v.instances(), "resource instance")+" configured"+v.stoppedCounts())
	if v.shows(ShowOptions) {
		for _, text := range v.clusterOptions() {
			s.Lines = append(s.Lines, Line{Text: text})
		}
	}
	return s
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func (v *View) stoppedCounts() string {
	var parts []string
	if n := v.Status.Disabled; n > 0 {
		parts = append(parts, strconv.Itoa(n)+" DISABLED")
	}
	if n := v.Status.Blocked; n > 0 {
		parts = append(parts, strconv.Itoa(n)+" BLOCKED from further action due to failure")
	}
	if len(parts) == 0 {
		return ""
	}
	return " (" + strings.Join(parts, ", ") + ")"
}

func (v *View) stack() string {
	if s := v.Status.Options.All["cluster-infrastructure"]; s != "" {
		return s
	}
	return "unknown"
}

func (v *View) dcNode() *status.Node {
	if v.Status.DC == status.NoNode {
		return nil
	}
	return &v.Status.Nodes[v.Status.DC]
}

func (v *View) dcVersion() string {
	if ver := v.Status.Options.All["dc-version"]; ver != "" {
		return ver
	}
	return v.Version
}

func (v *View) dc() string {
	n := v.dcNode()
	if n == nil {
		return "NONE"
	}
	version := v.dcVersion()
	if version == "" {
		version = "unknown"
	}
	quorum := "WITHOUT quorum"
	if v.Status.Quorum {
		quorum = "with quorum"
	}
	mixed := ""
	if v.mixedVersion() {
		mixed = "MIXED-VERSION "
	}
	return v.nodeName(n) + " (version " + version + ") - " + mixed + "partition " + quorum
}

// mixedVersion tells whether the online members announced different feature sets.
func (v *View) mixedVersion() bool {
	first := ""
	for i := range v.Status.Nodes {
		f := feature(&v.Status.Nodes[i])
		switch {
		case f == "":
		case first == "":
			first = f
		case f != first:
			return true
		}
	}
	return false
}

// lastChange says when the CIB was changed, by whom, with what and where.
func (v *View) lastChange() string {
	text := v.Status.Source.Get("cib-last-written")
	for _, part := range []struct{ word, attr string }{{"by", "update-user"}, {"via", "update-client"}, {"on", "update-origin"}} {
		if value := v.Status.Source.Get(part.attr); value != "" {
			text += " " + part.word + " " + value
		}
	}
	return text
}

func (v *View) clusterOptions() []string {
	o := v.Status.Options
	texts := []string{"STONITH of failed nodes disabled", "Cluster is asymmetric", "No quorum policy: " + quorumPolicyWords[o.NoQuorum]}
	if o.Fencing {
		texts[0] = "STONITH of failed nodes enabled"
	}
	if o.Symmetric {
		texts[1] = "Cluster is symmetric"
	}
	if o.Maintenance {
		texts = append(texts, "Resource management: DISABLED (the cluster will not attempt to start, stop, or recover services)")
	}
	if o.StopAll {
		texts = append(texts, "Resource management: STOPPED (the cluster will keep all resources stopped)")
	}
	return texts
}

var quorumPolicyWords = map[status.NoQuorumPolicy]string{
	status.NoQuorumStop:   "Stop ALL resources",
	status.NoQuorumFreeze: "Freeze resources",
	status.NoQuorumIgnore: "Ignore",
	status.NoQuorumDemote: "Demote promotable resources and stop all other resources",
	status.NoQuorumFence:  "Suicide",
}

// banner says that the cluster as a whole does nothing, or nothing but stop.
func (v *View) banner() (lines []Line, ok bool) {
	switch {
	case v.Status.Options.Maintenance:
		return []Line{
			{Text: "              *** Resource management is DISABLED ***"},
			{Text: "  The cluster will not attempt to start, stop or recover services"},
		}, true
	case v.Status.Options.StopAll:
		return []Line{
			{Text: "    *** Resource management is DISABLED ***"},
			{Text: "  The cluster will keep all resources stopped"},
		}, true
	}
	return nil, false
}
