package status

import (
	"crypto/md5"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"systole/crm/cib"
)

// Change says how the parameters an operation ran with compare with the present ones.
type Change uint8

// The outcomes of a comparison.
const (
	Unchanged   Change = iota
	Unknown            // the history carries no digest
	Changed            // something has changed that an agent may be able to reload
	NeedRestart        // something has changed that needs a restart
)

// Digests are the fingerprints of an operation's present parameters.
type Digests struct {
	Change Change
	// Secure tells whether without the parameters that reports hide nothing has changed.
	SecureUnchanged bool
	All             string
}

// addressPlaceholder stands for the name of the node a bundle's container runs on.
const addressPlaceholder = "#uname"

// needsRemoteName tells whether a connection's address is known only when its container has been placed.
func (ev *Evaluator) needsRemoteName(r ResID) bool {
	return ev.s.Resources[r].RemoteConnection && strings.EqualFold(ev.Params(r, NoNode)["addr"], addressPlaceholder)
}

// NeedsRemoteName tells whether a connection's address is known only when its container has been placed.
func (ev *Evaluator) NeedsRemoteName(r ResID) bool { return ev.needsRemoteName(r) }

func (h *history) digestChanged(op *cib.Element) bool {
	c := h.CompareDigests(h.res, h.node, op).Change
	return c == Changed || c == NeedRestart
}

// CompareDigests compares the parameters a history entry ran with to the present ones.
func (ev *Evaluator) CompareDigests(r ResID, n NodeID, op *cib.Element) Digests {
	task, ms := op.Get("operation"), historyInterval(op)
	all, extra := ev.digestParams(r, n, task, ms)
	d := Digests{All: digestOf(all)}
	restart, hasRestart := op.Lookup("op-restart-digest")
	if slices.Contains(ev.s.Expired, op) {
		restart, hasRestart = "expired", true // forces the operation to be scheduled again
	}
	recorded, hasAll := op.Lookup("op-digest")
	switch {
	case hasRestart && digestOf(restartParams(all, op)) != restart:
		d.Change = NeedRestart
	case !hasAll:
		d.Change = Unknown
	case d.All != recorded:
		d.Change = Changed
		if extra && ms == 0 {
			d.Change = NeedRestart // so that the operation's own parameters take effect
		}
	}
	if secure, ok := op.Lookup("op-secure-digest"); ok && d.Change != Unchanged {
		d.SecureUnchanged = digestOf(ev.secureParams(r, n, all, op)) == secure
	}
	return d
}

// digestParams are the parameters that count for an operation: the resource's, the operation's own, and for a
// recurring operation its timeout. Extra tells whether the operation has any of its own.
func (ev *Evaluator) digestParams(r ResID, n NodeID, task string, intervalMillis uint32) (all map[string]string, extra bool) {
	all = map[string]string{}
	if ev.needsRemoteName(r) && ev.BundleHost != nil {
		if host, ok := ev.BundleHost(r); ok {
			all["addr"] = host
		}
	}
	addMissing(all, ev.Params(r, n))
	meta := ev.OpMeta(r, task, intervalMillis, false)
	own := ev.OpParams(meta.Config, n)
	addMissing(all, own)
	for name := range all {
		switch {
		case strings.Contains(name, "CRM_meta_"), name == "id", name == "crm_feature_set", name == "op-digest",
			name == "on_node", name == "on_node_uuid", name == "pcmk_external_ip":
			delete(all, name)
		}
	}
	if intervalMillis > 0 {
		all["CRM_meta_timeout"] = meta.Values["timeout"]
	}
	return all, len(own) > 0
}

// restartParams are those whose change needs a restart: the ones the entry lists, or all.
func restartParams(all map[string]string, op *cib.Element) map[string]string {
	list, ok := op.Lookup("op-force-restart")
	if !ok {
		return all
	}
	return only(all, func(name string) bool { return listed(list, name) })
}

// secureParams are those that reports do not hide.
func (ev *Evaluator) secureParams(r ResID, n NodeID, all map[string]string, op *cib.Element) map[string]string {
	hidden := op.Get("op-secure-params")
	old := olderThan(op.Get("crm_feature_set"), "3.16.0")
	from := all
	if old {
		from = ev.Params(r, n) // without the operation's own and the timeout
	}
	fence := ev.s.Resources[r].FenceDevice
	return only(from, func(name string) bool {
		return !listed(hidden, name) && !(old && fence && strings.HasPrefix(name, "pcmk_")) && !strings.HasPrefix(name, "CRM_meta_") ||
			name == "CRM_meta_timeout" && !old
	})
}

func only(params map[string]string, keep func(string) bool) map[string]string {
	out := map[string]string{}
	for name, value := range params {
		if keep(name) {
			out[name] = value
		}
	}
	return out
}

func listed(list, name string) bool { return strings.Contains(list, " "+name+" ") }

// digestOf is the field's fingerprint of parameters: MD5 of an XML element with them as attributes in order of name.
func digestOf(params map[string]string) string {
	e := cib.New("parameters")
	for _, name := range slices.Sorted(maps.Keys(params)) {
		e = e.With(name, params[name])
	}
	b := append([]byte(" "), e.AppendCompact(nil)...)
	sum := md5.Sum(append(b, '\n'))
	return hex.EncodeToString(sum[:])
}

// DigestOf is the fingerprint of parameters as lrm_rsc_op records it.
func DigestOf(params map[string]string) string { return digestOf(params) }
