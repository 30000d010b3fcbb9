package display

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/status"
	"systole/crm/transition"
	"systole/resources"
)

// Root is the outermost element of an XML view.
type Root struct {
	// Old wraps the view in crm_mon (crm_mon -X) instead of pacemaker-result.
	Old bool
	// Request is the command line, as the newer root repeats it.
	Request string
	// Version is what the old root reports of the program.
	Version string
}

// APIVersion is the version of the XML output format, that of the field's 2.1.5.
const APIVersion = "2.25"

// XML writes the view as one document, ended by its status.
func (v *View) XML(w io.Writer, root Root) error {
	var e *cib.Element
	if root.Old {
		e = cib.New("crm_mon", "version", root.Version).Append(v.Elements()...)
	} else {
		e = Result(root.Request, Outcome{Code: 0, Message: "OK"}, v.Elements()...)
	}
	_, err := io.WriteString(w, e.String()+"\n")
	return err
}

// Outcome is how a tool ended, as its XML says it.
type Outcome struct {
	Code    int
	Message string
	Errors  []string
}

// Result is the root element of every tool's XML output.
func Result(request string, o Outcome, content ...*cib.Element) *cib.Element {
	st := cib.New("status", "code", strconv.Itoa(o.Code), "message", o.Message)
	if len(o.Errors) > 0 {
		errs := cib.New("errors")
		for _, text := range o.Errors {
			errs = errs.Append(cib.New("error").WithText(text))
		}
		st = st.Append(errs)
	}
	return cib.New("pacemaker-result", "api-version", APIVersion, "request", request).
		Append(content...).Append(st)
}

// Elements are the parts of the view that were asked for.
func (v *View) Elements() []*cib.Element {
	var all []*cib.Element
	add := func(e *cib.Element) {
		if e != nil && len(e.Children()) > 0 {
			all = append(all, e)
		}
	}
	if v.Daemon != "" {
		all = append(all, cib.New("pacemakerd", "sys_from", "pacemakerd", "state", "running", "last_updated", v.isotime(v.Updated)))
	}
	add(v.summaryElement())
	if v.shows(ShowNodes) {
		all = append(all, v.nodesElement())
	}
	if v.shows(ShowResources) {
		if e := v.resourcesElement(); len(e.Children()) > 0 || len(v.Status.Roots) > 0 && !v.Options.GroupByNode {
			all = append(all, e)
		}
	}
	if v.shows(ShowAttributes) {
		add(v.attributesElement())
	}
	if v.shows(ShowOperations|ShowFailCounts) && len(v.reporting()) > 0 {
		all = append(all, v.historyElement())
	}
	if v.shows(ShowFailures) {
		add(v.failuresElement())
	}
	if v.shows(ShowFencing) {
		if e := v.fencingElement(); e != nil {
			all = append(all, e)
		}
	}
	if v.shows(ShowTickets) {
		add(v.ticketsElement())
	}
	if v.shows(ShowBans) {
		add(v.bansElement())
	}
	return all
}

// element makes an element from name/value pairs and leaves out pairs without a value.
func element(tag string, pairs ...string) *cib.Element {
	var kept []string
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			kept = append(kept, pairs[i], pairs[i+1])
		}
	}
	return cib.New(tag, kept...)
}

func yesno(b bool) string { return strconv.FormatBool(b) }

func (v *View) summaryElement() *cib.Element {
	e := cib.New("summary")
	if v.shows(ShowStack) {
		e = e.Append(cib.New("stack", "type", v.stack()))
	}
	if v.shows(ShowDC) {
		e = e.Append(v.dcElement())
	}
	if v.shows(ShowTimes) {
		root := v.Status.Source
		e = e.Append(cib.New("last_update", "time", v.asctime(v.Updated)),
			cib.New("last_change", "time", root.Get("cib-last-written"), "user", root.Get("update-user"),
				"client", root.Get("update-client"), "origin", root.Get("update-origin")))
	}
	if v.shows(ShowCounts) {
		e = e.Append(cib.New("nodes_configured", "number", strconv.Itoa(len(v.Status.Nodes))),
			cib.New("resources_configured", "number", strconv.Itoa(v.instances()),
				"disabled", strconv.Itoa(v.Status.Disabled), "blocked", strconv.Itoa(v.Status.Blocked)))
	}
	if v.shows(ShowOptions) {
		o := v.Status.Options
		e = e.Append(cib.New("cluster_options",
			"stonith-enabled", yesno(o.Fencing),
			"symmetric-cluster", yesno(o.Symmetric),
			"no-quorum-policy", quorumPolicyNames[o.NoQuorum],
			"maintenance-mode", yesno(o.Maintenance),
			"stop-all-resources", yesno(o.StopAll),
			"stonith-timeout-ms", strconv.FormatInt(fencingTimeout(o), 10),
			"priority-fencing-delay-ms", strconv.FormatInt(o.PriorityFencingDelay.Milliseconds(), 10)))
	}
	return e
}

// fencingTimeout is the property in milliseconds.
func fencingTimeout(o status.Options) int64 {
	if ms, ok := status.Millis(o.FenceTimeout); ok {
		return ms
	}
	return transition.DefaultFencingTimeout.Milliseconds()
}

var quorumPolicyNames = map[status.NoQuorumPolicy]string{
	status.NoQuorumStop: "stop", status.NoQuorumFreeze: "freeze", status.NoQuorumIgnore: "ignore",
	status.NoQuorumDemote: "demote", status.NoQuorumFence: "suicide",
}

func (v *View) dcElement() *cib.Element {
	n := v.dcNode()
	if n == nil {
		return cib.New("current_dc", "present", "false")
	}
	return cib.New("current_dc", "present", "true", "version", v.dcVersion(), "name", n.Name, "id", n.ID,
		"with_quorum", yesno(v.Status.Quorum), "mixed_version", yesno(v.mixedVersion()))
}

func (v *View) nodesElement() *cib.Element {
	var nodes []*cib.Element
	for _, id := range v.Status.NodesByName {
		n := &v.Status.Nodes[id]
		if !v.wantsNode(n) {
			continue
		}
		kind := "member"
		switch n.Kind {
		case status.Remote, status.Guest:
			kind = "remote"
		case status.Ping:
			kind = "ping"
		}
		container := ""
		if c := v.container(n); c != nil {
			container = c.ID
		}
		e := element("node", "name", n.Name, "id", n.ID,
			"online", yesno(n.Online), "standby", yesno(n.Standby), "standby_onfail", yesno(n.StandbyOnFail),
			"maintenance", yesno(n.Maintenance), "pending", yesno(n.Pending), "unclean", yesno(n.Unclean),
			"health", v.health(n), "feature_set", feature(n), "shutdown", yesno(n.Shutdown),
			"expected_up", yesno(n.Expected), "is_dc", yesno(n.IsDC),
			"resources_running", strconv.Itoa(len(n.Active)), "type", kind, "id_as_resource", container)
		if v.Options.GroupByNode {
			var here []*cib.Element
			for _, r := range n.Active {
				if res := &v.Status.Resources[r]; v.wantsResource(res) {
					here = append(here, v.resourceElement(res))
				}
			}
			e = e.WithChildren(here...)
		}
		nodes = append(nodes, e)
	}
	return cib.New("nodes").WithChildren(nodes...)
}

func (v *View) resourcesElement() *cib.Element {
	var all []*cib.Element
	for _, id := range v.Status.Roots {
		r := &v.Status.Resources[id]
		switch {
		case !v.wantsResource(r), v.implied(r), r.Orphan && !v.wholly(r),
			v.Options.GroupByNode && (v.wholly(r) || !v.Options.Inactive), !v.Options.Inactive && !v.partly(r), v.elsewhere(r):
			continue
		}
		all = append(all, v.resourceElement(r))
	}
	return cib.New("resources").WithChildren(all...)
}

// resourceElement is a resource with everything below it.
func (v *View) resourceElement(r *status.Resource) *cib.Element {
	switch r.Kind {
	case model.Group:
		e := cib.New("group", "id", r.ID, "number_resources", strconv.Itoa(len(r.Children)),
			"managed", yesno(r.Managed), "disabled", yesno(v.disabled(r)))
		return e.Append(v.childElements(r)...)
	case model.Clone:
		e := element("clone", "id", r.ID, "multi_state", yesno(r.Promotable), "unique", yesno(r.Unique),
			"managed", yesno(r.Managed), "disabled", yesno(v.disabled(r)), "failed", yesno(r.Failed),
			"failure_ignored", yesno(r.FailureIgnored), "target_role", r.Meta["target-role"])
		return e.Append(v.childElements(r)...)
	case model.Bundle:
		return v.bundleElement(r)
	}
	e := element("resource", "id", v.name(r), "resource_agent", agent(r), "role", v.roleWord(r),
		"target_role", r.Meta["target-role"], "active", yesno(v.wholly(r)), "orphaned", yesno(r.Orphan),
		"blocked", yesno(r.Blocked), "managed", yesno(r.Managed), "failed", yesno(r.Failed),
		"failure_ignored", yesno(r.FailureIgnored), "nodes_running_on", strconv.Itoa(len(r.Active)))
	if v.pending(r) == string(resources.ActionMonitor) {
		e = e.With("pending", "Monitoring")
	}
	if r.Locked != status.NoNode {
		e = e.With("locked_to", v.Status.Nodes[r.Locked].Name)
	}
	for _, id := range r.Active {
		n := &v.Status.Nodes[id]
		e = e.Append(cib.New("node", "name", n.Name, "id", n.ID, "cached", yesno(n.Online)))
	}
	return e
}

func (v *View) childElements(r *status.Resource) []*cib.Element {
	var all []*cib.Element
	for _, id := range r.Children {
		if c := &v.Status.Resources[id]; !v.elsewhere(c) {
			all = append(all, v.resourceElement(c))
		}
	}
	return all
}

func (v *View) bundleElement(r *status.Resource) *cib.Element {
	engine := ""
	if r.Config != nil && r.Config.Bundle != nil {
		engine = r.Config.Bundle.Engine
	}
	e := cib.New("bundle", "id", r.ID, "type", engine, "image", r.Bundle.Image, "unique", yesno(r.Unique),
		"managed", yesno(r.Managed), "failed", yesno(r.Failed))
	for _, rep := range r.Bundle.Replicas {
		re := cib.New("replica", "id", strconv.Itoa(rep.Offset))
		for _, id := range replicaParts(rep) {
			re = re.Append(v.resourceElement(&v.Status.Resources[id]))
		}
		e = e.Append(re)
	}
	return e
}

func (v *View) attributesElement() *cib.Element {
	all := cib.New("node_attributes")
	for _, id := range v.Status.NodesByName {
		n := &v.Status.Nodes[id]
		if !n.Online || !v.wantsNode(n) {
			continue
		}
		e := cib.New("node", "name", n.Name)
		for _, a := range v.attributes(n) {
			at := cib.New("attribute", "name", a.Name, "value", a.Value)
			if a.Expected != "" {
				at = at.With("expected", a.Expected)
			}
			e = e.Append(at)
		}
		if len(e.Children()) > 0 {
			all = all.Append(e)
		}
	}
	return all
}

func (v *View) historyElement() *cib.Element {
	all := cib.New("node_history")
	ev := v.Status.Evaluator()
	for _, n := range v.reporting() {
		var entries []*cib.Element
		for _, h := range v.history(n, ev) {
			if v.shows(ShowOperations) || h.Fails > 0 {
				entries = append(entries, v.historyOf(h))
			}
		}
		if len(entries) > 0 {
			all = all.Append(cib.New("node", "name", n.Name).WithChildren(entries...))
		}
	}
	return all
}

func (v *View) historyOf(h resourceHistory) *cib.Element {
	e := cib.New("resource_history", "id", h.ID, "orphan", yesno(h.Resource == nil), "migration-threshold", strconv.Itoa(int(h.Threshold)))
	if h.Fails > 0 {
		e = e.With("fail-count", strconv.Itoa(int(h.Fails)))
		if !h.LastFail.IsZero() {
			e = e.With("last-failure", v.asctime(h.LastFail))
		}
	}
	if !v.shows(ShowOperations) {
		return e
	}
	for _, op := range h.Ops {
		o := cib.New("operation_history", "call", strconv.Itoa(op.Call), "task", op.Task,
			"rc", strconv.Itoa(int(op.Code)), "rc_text", v.codeText(op.Code))
		if op.Interval > 0 {
			o = o.With("interval", fmt.Sprintf("%dms", op.Interval))
		}
		if !op.Changed.IsZero() {
			o = o.With("last-rc-change", v.asctime(op.Changed))
		}
		if op.Exec != "" {
			o = o.With("exec-time", op.Exec+"ms")
		}
		if op.Queue != "" {
			o = o.With("queue-time", op.Queue+"ms")
		}
		e = e.Append(o)
	}
	return e
}

// escapedTwice repeats a habit of the field's 2.1.5, which programs have come to undo.
var escapedTwice = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;")

func (v *View) failuresElement() *cib.Element {
	all := cib.New("failures")
	for _, op := range v.failures() {
		reason, given := op.element.Lookup("exit-reason")
		if !given {
			reason = "none"
		}
		key := "op_key"
		if op.keyless {
			key = "id"
		}
		e := cib.New("failure", key, op.Key, "node", op.Node, "exitstatus", v.codeText(op.Code),
			"exitreason", escapedTwice.Replace(reason), "exitcode", strconv.Itoa(int(op.Code)),
			"call", strconv.Itoa(op.Call), "status", statusText(op.Status))
		if !op.Changed.IsZero() {
			e = e.With("last-rc-change", v.isotime(op.Changed)).With("queued", op.Queue).With("exec", op.Exec).
				With("interval", strconv.FormatInt(op.Interval, 10)).With("task", op.element.Get("operation"))
		}
		all = all.Append(e)
	}
	return all
}

func (v *View) fencingElement() *cib.Element {
	all := cib.New("fence_history")
	if v.FencingUnknown {
		return all.With("status", "102")
	}
	states := []string{FencePending: "pending", FenceDone: "success", FenceFailed: "failed"}
	want := []Show{FencePending: ShowFencingPending, FenceDone: ShowFencingSucceeded, FenceFailed: ShowFencingFailed}
	for _, f := range v.Fencing {
		if !v.shows(want[f.State]) {
			continue
		}
		e := element("fence_event", "action", f.Action, "target", f.Target, "client", f.Client, "origin", f.Origin,
			"status", states[f.State], "exit-reason", f.Reason, "delegate", f.Delegate)
		if f.State != FencePending {
			e = e.With("completed", v.isotime(f.Completed))
		}
		all = all.Append(e)
	}
	if len(all.Children()) == 0 {
		return nil
	}
	return all
}

func (v *View) ticketsElement() *cib.Element {
	all := cib.New("tickets")
	for _, t := range v.Status.Tickets {
		state := "revoked"
		if t.Granted {
			state = "granted"
		}
		e := cib.New("ticket", "id", t.ID, "status", state, "standby", yesno(t.Standby))
		if last, ok := v.lastGranted(t); ok {
			e = e.With("last-granted", last)
		}
		all = all.Append(e)
	}
	return all
}

func (v *View) bansElement() *cib.Element {
	all := cib.New("bans")
	for _, b := range v.bans() {
		weight := int(b.Score)
		all = all.Append(cib.New("ban", "id", b.ID, "resource", b.Resource, "node", b.Node.Name,
			"weight", strconv.Itoa(max(weight, -transition.Infinity)),
			"promoted-only", yesno(b.PromotedOnly), "master_only", yesno(b.PromotedOnly)))
	}
	return all
}
