package cib

import "slices"

// optionKinds says what the values of known options and meta-attributes look
// like. They are free text to the vocabulary, so a wrong one is a warning: the
// default is used in its place. Source: Pacemaker Explained, "Cluster Options",
// "Resource Meta-Attributes".
var optionKinds = map[string]func(string) string{
	// cluster options
	"stonith-enabled": valueKinds["truth"], "symmetric-cluster": valueKinds["truth"], "maintenance-mode": valueKinds["truth"],
	"stop-all-resources": valueKinds["truth"], "stop-orphan-resources": valueKinds["truth"], "stop-orphan-actions": valueKinds["truth"],
	"start-failure-is-fatal": valueKinds["truth"], "startup-fencing": valueKinds["truth"], "enable-acl": valueKinds["truth"],
	"concurrent-fencing": valueKinds["truth"], "remove-after-stop": valueKinds["truth"], "shutdown-lock": valueKinds["truth"],
	"no-quorum-policy":     oneOf("stop", "freeze", "ignore", "demote", "suicide", "fence"),
	"stonith-action":       oneOf("reboot", "off", "poweroff"),
	"placement-strategy":   oneOf("default", "utilization", "minimal", "balanced"),
	"node-health-strategy": oneOf("none", "migrate-on-red", "only-green", "progressive", "custom"),
	"fence-reaction":       oneOf("stop", "panic"),
	"stonith-timeout":      valueKinds["interval"], "cluster-delay": valueKinds["interval"], "dc-deadtime": valueKinds["interval"],
	"cluster-recheck-interval": valueKinds["interval"], "election-timeout": valueKinds["interval"], "shutdown-escalation": valueKinds["interval"],
	"node-health-base": valueKinds["score"],

	// meta-attributes
	"target-role": oneOf(roles...), "is-managed": valueKinds["truth"], "maintenance": valueKinds["truth"], "allow-migrate": valueKinds["truth"],
	"globally-unique": valueKinds["truth"], "interleave": valueKinds["truth"], "ordered": valueKinds["truth"], "notify": valueKinds["truth"], "promotable": valueKinds["truth"],
	"multiple-active":     oneOf("block", "stop_only", "stop_start", "stop_unexpected"),
	"requires":            oneOf("nothing", "quorum", "fencing", "unfencing"),
	"resource-stickiness": valueKinds["score"], "migration-threshold": valueKinds["score"], "priority": valueKinds["score"],
	"failure-timeout": valueKinds["interval"], "clone-max": valueKinds["count"], "clone-node-max": valueKinds["count"],
	"promoted-max": valueKinds["count"], "promoted-node-max": valueKinds["count"], "master-max": valueKinds["count"], "master-node-max": valueKinds["count"],
}

// nvpair checks the value of a known option. Instance attributes belong to
// agents, so only options and meta-attributes are looked at.
func (v *validator) nvpair(at Path, e *Element) {
	_, hasID := e.Lookup("id")
	_, hasRef := e.Lookup("id-ref")
	_, hasName := e.Lookup("name")
	switch {
	case hasID == hasRef:
		v.add(Error, at, "<nvpair> needs either an id or an id-ref")
	case hasID && !hasName:
		v.add(Error, at, "<nvpair> has no name")
	}
	check := optionKinds[e.Get("name")]
	value, hasValue := e.Lookup("value")
	if check == nil || !hasValue {
		return
	}
	set := slices.Concat(v.under, at[:len(at)-1]).In(v.root).name
	if set != "cluster_property_set" && set != "meta_attributes" {
		return
	}
	if wrong := check(value); wrong != "" {
		v.add(Warning, at, "%s=%q is not valid, so the default is used: %s", e.Get("name"), value, wrong)
	} else if e.Get("name") == "clone-max" {
		v.cloneMax(at, value)
	}
}
