package status

import (
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/model"
)

// NoQuorumPolicy is what to do with resources without quorum.
type NoQuorumPolicy uint8

// The policies.
const (
	NoQuorumStop NoQuorumPolicy = iota
	NoQuorumFreeze
	NoQuorumIgnore
	NoQuorumDemote
	NoQuorumFence
)

// Options are the effective cluster options.
type Options struct {
	// All holds every property as configured, by its current name.
	All map[string]string

	NoQuorum             NoQuorumPolicy
	Symmetric            bool
	Fencing              bool   // fencing-enabled
	FenceAction          string // "reboot" or "off"
	FenceTimeout         string // fencing-timeout as written
	StartupFencing       bool
	ConcurrentFencing    bool
	HaveWatchdog         bool
	PriorityFencingDelay time.Duration
	NodePendingTimeout   time.Duration
	Maintenance          bool
	StopAll              bool
	StopOrphans          bool // stop-removed-resources
	CancelOrphanActions  bool // cancel-removed-actions
	RemoveAfterStop      bool
	StartFailureFatal    bool
	Probes               bool // enable-startup-probes
	ShutdownLock         bool
	ShutdownLockLimit    time.Duration
	FenceRemoteNoQuorum  bool
	Placement            string // placement-strategy
	HealthStrategy       string
	ClusterDelay         string
	BatchLimit           string
	MigrationLimit       string
}

// renamed maps former names of properties to the present ones.
var renamed = map[string]string{
	"stonith-enabled": "fencing-enabled", "stonith_enabled": "fencing-enabled",
	"stonith-action": "fencing-action", "stonith_action": "fencing-action",
	"stonith-timeout":          "fencing-timeout",
	"stonith-watchdog-timeout": "fencing-watchdog-timeout", "stonith-max-attempts": "fencing-max-attempts",
	"no_quorum_policy": "no-quorum-policy", "symmetric_cluster": "symmetric-cluster",
	"stop-orphan-resources": "stop-removed-resources", "stop_orphan_resources": "stop-removed-resources",
	"stop-orphan-actions": "cancel-removed-actions", "stop_orphan_actions": "cancel-removed-actions",
	"remove_after_stop": "remove-after-stop", "startup_fencing": "startup-fencing",
	"default_resource_stickiness": "default-resource-stickiness", "is_managed_default": "is-managed-default",
	"transition_idle_timeout": "cluster-delay",
}

func (u *unpacker) options() {
	raw := map[string]string{}
	u.valuesFirst(raw, u.s.Config.Options, ruleContext{}, false, "cib-bootstrap-options")
	all := map[string]string{}
	for name, value := range raw {
		if now := renamed[name]; now == "" {
			all[name] = value
		}
	}
	for name, value := range raw {
		if now := renamed[name]; now != "" {
			if _, set := all[now]; !set {
				all[now] = value
			}
		}
	}
	flag := func(name string, otherwise bool) bool {
		if v, ok := Truth(all[name]); ok {
			return v
		}
		return otherwise
	}
	span := func(name string) time.Duration {
		ms, _ := Millis(all[name])
		return time.Duration(max(ms, 0)) * time.Millisecond
	}
	text := func(name, otherwise string) string {
		if v := all[name]; v != "" {
			return v
		}
		return otherwise
	}
	o := Options{
		All:                  all,
		Symmetric:            flag("symmetric-cluster", true),
		Fencing:              flag("fencing-enabled", true),
		FenceAction:          text("fencing-action", "reboot"),
		FenceTimeout:         text("fencing-timeout", "60s"),
		StartupFencing:       flag("startup-fencing", true),
		ConcurrentFencing:    flag("concurrent-fencing", true),
		HaveWatchdog:         flag("have-watchdog", false),
		PriorityFencingDelay: span("priority-fencing-delay"),
		NodePendingTimeout:   span("node-pending-timeout"),
		Maintenance:          flag("maintenance-mode", false),
		StopAll:              flag("stop-all-resources", false),
		StopOrphans:          flag("stop-removed-resources", true),
		CancelOrphanActions:  flag("cancel-removed-actions", true),
		RemoveAfterStop:      flag("remove-after-stop", false),
		StartFailureFatal:    flag("start-failure-is-fatal", true),
		Probes:               flag("enable-startup-probes", true),
		ShutdownLock:         flag("shutdown-lock", false),
		ShutdownLockLimit:    span("shutdown-lock-limit"),
		FenceRemoteNoQuorum:  flag("fence-remote-without-quorum", false),
		Placement:            text("placement-strategy", "default"),
		HealthStrategy:       text("node-health-strategy", "none"),
		ClusterDelay:         text("cluster-delay", "60s"),
		BatchLimit:           text("batch-limit", "0"),
		MigrationLimit:       text("migration-limit", "-1"),
	}
	if o.FenceAction == "poweroff" {
		o.FenceAction = "off"
	}
	if !o.Fencing {
		o.StartupFencing = false
	}
	o.NoQuorum = u.noQuorumPolicy(all["no-quorum-policy"], o.Fencing)
	u.s.Options = o
	u.s.HaveFencing = o.HaveWatchdog
}

func (u *unpacker) noQuorumPolicy(text string, fencing bool) NoQuorumPolicy {
	switch strings.ToLower(text) {
	case "ignore":
		return NoQuorumIgnore
	case "freeze":
		return NoQuorumFreeze
	case "demote":
		return NoQuorumDemote
	case "fence", "suicide":
		// Fencing everything is only for a partition that once had quorum.
		if fencing && (u.s.Quorum || number(u.s.Source.Get("no-quorum-panic"), 0) != 0) {
			return NoQuorumFence
		}
	}
	return NoQuorumStop
}

// wantsUnfencing tells whether any resource or default mentions unfencing; templates count as well.
func wantsUnfencing(c *model.Config) bool {
	conf := c.Source.Child("configuration")
	for _, section := range []string{"resources", "rsc_defaults"} {
		if mentionsUnfencing(conf.Child(section), false) {
			return true
		}
	}
	return false
}

func mentionsUnfencing(e *cib.Element, meta bool) bool {
	if e == nil {
		return false
	}
	for _, c := range e.Children() {
		switch c.Name() {
		case "nvpair":
			if n := c.Get("name"); meta && c.Get("value") == "unfencing" && (n == "provides" || n == "requires") {
				return true
			}
		case "meta_attributes":
			if mentionsUnfencing(c, true) {
				return true
			}
		case "operations", "instance_attributes", "utilization":
		default:
			if mentionsUnfencing(c, meta) {
				return true
			}
		}
	}
	return false
}
