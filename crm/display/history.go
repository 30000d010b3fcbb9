package display

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/status"
	"systole/crm/transition"
	"systole/resources"
)

// operation is one entry of a node's operation history.
type operation struct {
	element  *cib.Element
	Key      string // RSC_TASK_INTERVALMS
	keyless  bool   // the entry has no operation_key, so Key is its id
	Task     string // "probe" for a monitor without interval
	Node     string
	Call     int
	Code     resources.Code
	Status   resources.Status
	Reason   string
	Interval int64 // milliseconds, as the other lengths of time
	Exec     string
	Queue    string
	Changed  time.Time // zero when unknown
}

func readOperation(e *cib.Element, node string) operation {
	number := func(name string) int64 {
		n, _ := strconv.ParseInt(e.Get(name), 10, 64)
		return n
	}
	op := operation{
		element:  e,
		Key:      e.Get("operation_key"),
		Task:     e.Get("operation"),
		Node:     node,
		Call:     int(number("call-id")),
		Code:     resources.Code(number("rc-code")),
		Status:   resources.Status(number("op-status")),
		Reason:   e.Get("exit-reason"),
		Interval: number("interval"),
		Exec:     e.Get("exec-time"),
		Queue:    e.Get("queue-time"),
	}
	if op.Key == "" { // histories of very old clusters
		op.Key, op.keyless = e.ID(), true
	}
	if op.Task == string(resources.ActionMonitor) && op.Interval == 0 {
		op.Task = "probe"
	}
	if t := number("last-rc-change"); t > 0 {
		op.Changed = time.Unix(t, 0)
	}
	return op
}

// absence tells that a probe found the agent not installed, or its parameters not to fit the
// node, which is no failure worth listing: the resource simply cannot be there.
func (op operation) absence() bool {
	return op.Task == "probe" &&
		(op.Code == resources.ErrInstalled || op.Code == resources.ErrArgs || op.Status == resources.StatusNotInstalled)
}

// telling leaves out of a history what says nothing: notifications, and probes that found
// nothing.
func (op operation) telling() bool {
	return op.Task != string(resources.ActionNotify) && !(op.Task == "probe" && op.Code == resources.NotRunning)
}

// resourceHistory is what one node remembers of one resource.
type resourceHistory struct {
	ID        string
	Resource  *status.Resource // nil when nothing of that name is known
	Threshold int32
	Fails     int32
	LastFail  time.Time
	Ops       []operation // by call number
}

// history reads a node's operation history in the order of the CIB.
func (v *View) history(n *status.Node, ev *status.Evaluator) []resourceHistory {
	var all []resourceHistory
	if n.State == nil {
		return nil
	}
	for e := range n.State.Path("lrm", "lrm_resources").Each("lrm_resource") {
		h := resourceHistory{ID: e.ID(), Threshold: transition.Infinity, Resource: v.onNodeByHistory(n, e.ID())}
		if h.Resource != nil {
			if !v.wantsResource(h.Resource) {
				continue
			}
			h.ID = v.name(h.Resource)
			h.Threshold = h.Resource.MigrationThreshold
			h.Fails, h.LastFail = ev.FailCount(h.Resource.Index, n.Index, false, false, nil)
		}
		for op := range e.Each("lrm_rsc_op") {
			if o := readOperation(op, n.Name); o.telling() {
				h.Ops = append(h.Ops, o)
			}
		}
		if len(h.Ops) == 0 && h.Fails == 0 {
			continue
		}
		slices.SortStableFunc(h.Ops, func(a, b operation) int { return cmp.Compare(a.Call, b.Call) })
		all = append(all, h)
	}
	return all
}

// onNodeByHistory finds the resource a history entry speaks of: the instance of an
// anonymous clone that is on the node, or any.
func (v *View) onNodeByHistory(n *status.Node, id string) *status.Resource {
	for _, r := range n.Active {
		if res := &v.Status.Resources[r]; res.HistoryName() == id || res.ID == id {
			return res
		}
	}
	if r, ok := v.Status.Resource(id); ok {
		return r
	}
	for i := range v.Status.Resources {
		if r := &v.Status.Resources[i]; r.Kind == model.Primitive && r.BaseID == id {
			return r
		}
	}
	return nil
}

// reporting are the online nodes with a state, in the order of the status section.
func (v *View) reporting() []*status.Node {
	byState := make(map[*cib.Element]*status.Node, len(v.Status.Nodes))
	for i := range v.Status.Nodes {
		if n := &v.Status.Nodes[i]; n.State != nil && n.Online && v.wantsNode(n) {
			byState[n.State] = n
		}
	}
	var nodes []*status.Node
	for e := range v.Status.Source.Child("status").Each("node_state") {
		if n := byState[e]; n != nil {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// operations is the section of -o, or with only fail counts that of -f.
func (v *View) operations() Section {
	full := v.shows(ShowOperations)
	s := Section{Title: "Migration Summary"}
	if full {
		s.Title = "Operations"
	}
	ev := v.Status.Evaluator()
	for _, n := range v.reporting() {
		node := Line{Text: "Node: " + v.nodeName(n) + ":"}
		for _, h := range v.history(n, ev) {
			if !full && h.Fails == 0 {
				continue
			}
			line := Line{Text: h.ID + ": migration-threshold=" + strconv.Itoa(int(h.Threshold)) + v.failNote(h)}
			if full {
				line.Text += ":"
				for _, op := range h.Ops {
					line.Sub = append(line.Sub, Line{Text: v.operationText(op)})
				}
			}
			node.Sub = append(node.Sub, line)
		}
		if len(node.Sub) > 0 {
			s.Lines = append(s.Lines, node)
		}
	}
	return s
}

func (v *View) failNote(h resourceHistory) string {
	if h.Fails == 0 {
		return ""
	}
	note := " fail-count=" + strconv.Itoa(int(h.Fails))
	if !h.LastFail.IsZero() {
		note += " last-failure='" + v.asctime(h.LastFail) + "'"
	}
	return note
}

func (v *View) operationText(op operation) string {
	text := fmt.Sprintf("(%d) %s", op.Call, op.Task)
	var facts []string
	if op.Interval > 0 {
		facts = append(facts, fmt.Sprintf(`interval="%dms"`, op.Interval))
	}
	if v.Options.Timing {
		if !op.Changed.IsZero() {
			facts = append(facts, `last-rc-change="`+v.asctime(op.Changed)+`"`)
		}
		if op.Exec != "" {
			facts = append(facts, `exec-time="`+op.Exec+`ms"`)
		}
		if op.Queue != "" {
			facts = append(facts, `queue-time="`+op.Queue+`ms"`)
		}
		facts = append(facts, fmt.Sprintf("rc=%d (%s)", op.Code, v.codeText(op.Code)))
	}
	if len(facts) == 0 {
		return text
	}
	return text + ": " + strings.Join(facts, " ")
}

// failures are the failed operations that are still remembered.
func (v *View) failures() []operation {
	var ops []operation
	for _, f := range v.Status.Failures {
		n := &v.Status.Nodes[f.Node]
		if !v.wantsNode(n) || f.Res != status.NoRes && !v.wantsResource(&v.Status.Resources[f.Res]) {
			continue
		}
		if op := readOperation(f.Op, n.Name); !op.absence() {
			ops = append(ops, op)
		}
	}
	return ops
}

func (v *View) failureText(op operation) string {
	if v.Options.Detail {
		return v.failureInFull(op)
	}
	resource, task, interval, ok := transition.SplitOpKey(op.Key)
	if !ok {
		resource, task = op.Key, op.Task
	}
	text := resource + " "
	switch {
	case interval > 0:
		text += readable(interval) + "-interval "
	case task == string(resources.ActionMonitor):
		task = op.Task // probe
	}
	text += task + " on " + op.Node
	if op.Status == resources.StatusDone {
		text += " returned '" + v.codeText(op.Code) + "'"
	} else {
		text += " could not be executed (" + statusText(op.Status) + ")"
	}
	if op.Reason != "" {
		text += " (" + op.Reason + ")"
	}
	if !op.Changed.IsZero() {
		text += " at " + v.asctime(op.Changed)
	}
	if ms, err := strconv.ParseInt(op.Exec, 10, 64); err == nil && ms > 0 {
		text += " after " + readable(time.Duration(ms)*time.Millisecond)
	}
	return text
}

func (v *View) failureInFull(op operation) string {
	text := fmt.Sprintf("%s on %s '%s' (%d): call=%d, status='%s'", op.Key, op.Node, v.codeText(op.Code), op.Code, op.Call, statusText(op.Status))
	if op.Reason != "" {
		text += ", exitreason='" + op.Reason + "'"
	}
	if !op.Changed.IsZero() {
		text += ", last-rc-change='" + v.asctime(op.Changed) + "'"
	}
	if op.Queue != "" {
		text += ", queued=" + op.Queue + "ms"
	}
	if op.Exec != "" {
		text += ", exec=" + op.Exec + "ms"
	}
	return text
}

// readable writes a length of time as the tools do: "3ms", "1.500s", "1m5s", "1d2h". A unit is
// used for more than one of it, so that an interval reads as most people write it: "60s".
func readable(d time.Duration) string {
	var b strings.Builder
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d > unit.size {
			fmt.Fprintf(&b, "%d%s", d/unit.size, unit.name)
			d %= unit.size
		}
	}
	millis := d / time.Millisecond
	switch {
	case millis > 1000 && millis%1000 > 0:
		fmt.Fprintf(&b, "%d.%03ds", millis/1000, millis%1000)
	case millis > 1000:
		fmt.Fprintf(&b, "%ds", millis/1000)
	case millis > 0:
		fmt.Fprintf(&b, "%dms", millis)
	case b.Len() == 0:
		return "0s"
	}
	return b.String()
}

func statusText(s resources.Status) string {
	if text, ok := statusTexts[s]; ok {
		return text
	}
	return "UNKNOWN!"
}

var statusTexts = map[resources.Status]string{
	resources.StatusPending: "pending", resources.StatusDone: "complete",
	resources.StatusCancelled: "Cancelled", resources.StatusTimeout: "Timed Out",
	resources.StatusNotSupported: "NOT SUPPORTED", resources.StatusError: "Error",
	resources.StatusErrorHard: "Hard error", resources.StatusErrorFatal: "Fatal error",
	resources.StatusNotInstalled: "Not installed", resources.StatusNotConnected: "Internal communication failure",
	resources.StatusInvalid: "Cannot execute now", resources.StatusNoFenceDevice: "No fence device",
	resources.StatusNoSecrets: "CIB secrets unavailable",
}
