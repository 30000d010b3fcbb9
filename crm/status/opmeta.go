package status

import (
	"strconv"
	"strings"
	"time"

	"systole/crm/isotime"
	"systole/crm/model"
)

// OnFail is what an operation's failure leads to, ordered by severity.
type OnFail uint8

// The reactions to a failure.
const (
	OnFailIgnore OnFail = iota
	OnFailDemote
	OnFailRestart
	OnFailResetRemote
	OnFailRestartContainer
	OnFailBan
	OnFailBlock
	OnFailStop
	OnFailStandby
	OnFailFence
)

// OpMeta is what the effective meta attributes of an operation say.
type OpMeta struct {
	// Config is the op element used, nil when the operation is not configured.
	Config *model.Op
	// Values are the meta attributes with interval, timeout and start-delay in milliseconds, as they go into the graph.
	Values map[string]string
	OnFail OnFail
	// FailRole is the role the resource is to have after a failure of the operation.
	FailRole Role
}

// defaultTimeoutMillis is the timeout of operations that configure none (20s since Pacemaker 0.6).
const defaultTimeoutMillis = 20_000

type opKey struct {
	config         *model.Resource
	container      bool
	task           string
	intervalMillis uint32
	managed        bool
}

// FindOp is the configured operation with the name and interval, nil if there is none. Disabled ones count on request.
func FindOp(c *model.Resource, name string, intervalMillis uint32, disabled bool) *model.Op {
	if op := findExactOp(c, name, intervalMillis, disabled); op != nil {
		return op
	}
	if name == "migrate_to" || name == "migrate_from" {
		return findExactOp(c, "migrate", 0, disabled)
	}
	return nil
}

func findExactOp(c *model.Resource, name string, intervalMillis uint32, disabled bool) *model.Op {
	if c == nil {
		return nil
	}
	for i := range c.Ops {
		op := &c.Ops[i]
		if op.Name != name || interval(op.Interval) != intervalMillis {
			continue
		}
		if enabled, ok := Truth(op.Source.Get("enabled")); !disabled && ok && !enabled {
			continue
		}
		return op
	}
	return nil
}

// OpMeta finds the effective meta attributes of an operation.
func (ev *Evaluator) OpMeta(r ResID, task string, intervalMillis uint32, notify bool) *OpMeta {
	rsc := &ev.s.Resources[r]
	key := opKey{rsc.Config, rsc.Container != NoRes, task, intervalMillis, rsc.Managed}
	if m, ok := ev.opMeta[key]; ok && rsc.Config != nil {
		return m
	}
	m := ev.evalOpMeta(rsc, task, intervalMillis, notify)
	ev.opMeta[key] = m
	return m
}

func (ev *Evaluator) evalOpMeta(rsc *Resource, task string, intervalMillis uint32, notify bool) *OpMeta {
	op := FindOp(rsc.Config, task, intervalMillis, true)
	if op == nil && notify {
		op = FindOp(rsc.Config, "notify", 0, true)
	}
	ctx := ruleContext{Class: rsc.class(), Provider: rsc.provider(), Type: rsc.agent(), Op: task, IntervalMillis: intervalMillis}
	v := map[string]string{}
	if op != nil {
		ev.values(v, model.Sets(op.Source, "meta_attributes"), ctx, false)
		for _, a := range op.Source.Attrs() {
			v[a.Name] = a.Value
		}
	}
	if task == "monitor" && intervalMillis == 0 && v["timeout"] == "" {
		if t := mostFrequentMonitorTimeout(rsc.Config); t != "" {
			v["timeout"] = t
		}
	}
	ev.values(v, ev.s.Config.OpDefaults, ctx, false)
	delete(v, "id")
	if intervalMillis > 0 {
		v["interval"] = strconv.FormatUint(uint64(intervalMillis), 10)
	} else {
		delete(v, "interval")
	}
	if rsc.FenceDevice && (task == "start" || task == "monitor" && intervalMillis == 0) {
		if t := ev.Params(rsc.Index, NoNode)["pcmk_monitor_timeout"]; t != "" {
			v["timeout"] = t
		}
	}
	timeout, ok := Millis(v["timeout"])
	if !ok || timeout <= 0 {
		timeout = defaultTimeoutMillis
	}
	v["timeout"] = strconv.FormatInt(min(timeout, 1<<31-1), 10)
	validateOnFail(rsc.Config, task, op, v)
	ev.startDelay(v, intervalMillis)
	m := &OpMeta{Config: op, Values: v}
	m.OnFail = ev.onFail(rsc, task, intervalMillis, v["on-fail"])
	m.FailRole = failRole(rsc, task, m.OnFail)
	return m
}

func mostFrequentMonitorTimeout(c *model.Resource) string {
	if c == nil {
		return ""
	}
	least, timeout := uint32(1<<32-1), ""
	for _, op := range c.Ops {
		ms := interval(op.Interval)
		if op.Name != "monitor" || ms == 0 || ms >= least {
			continue
		}
		if enabled, ok := Truth(op.Source.Get("enabled")); ok && !enabled {
			continue
		}
		least, timeout = ms, op.Source.Get("timeout")
	}
	return timeout
}

// startDelay normalizes start-delay, or derives it from interval-origin so that a recurring operation keeps to its grid.
func (ev *Evaluator) startDelay(v map[string]string, intervalMillis uint32) {
	if d, ok := v["start-delay"]; ok {
		if ms, ok := Millis(d); ok {
			v["start-delay"] = strconv.FormatInt(min(max(ms, 0), 1<<31-1), 10)
		} else {
			v["start-delay"] = "0"
		}
		return
	}
	origin, ok := v["interval-origin"]
	if !ok || intervalMillis == 0 {
		return
	}
	at, err := isotime.Parse(origin, ev.s.Now)
	seconds := int64(intervalMillis) / 1000
	if err != nil || seconds == 0 {
		return
	}
	delay := int64(ev.s.Now.Sub(at)/time.Second) % seconds
	if delay <= 0 {
		delay = -delay
	} else {
		delay = seconds - delay
	}
	v["start-delay"] = strconv.FormatInt(delay*1000, 10)
}

// validateOnFail takes out values that the operation cannot have, and lets a demote follow the promoted monitor's.
func validateOnFail(c *model.Resource, task string, op *model.Op, v map[string]string) {
	value, set := v["on-fail"]
	lower := strings.ToLower(value)
	switch {
	case task == "stop" && (lower == "standby" || lower == "demote" || lower == "stop"):
		delete(v, "on-fail")
	case task == "demote" && !set:
		if c == nil {
			return
		}
		for _, op := range c.Ops {
			of := op.Source.Get("on-fail")
			enabled, ok := Truth(op.Source.Get("enabled"))
			if of == "" || op.Name != "monitor" || ParseRole(op.Source.Get("role")) != RolePromoted ||
				interval(op.Interval) == 0 || ok && !enabled || strings.EqualFold(of, "demote") {
				continue
			}
			v["on-fail"] = of
		}
	case task == "lrm_delete" && lower != "ignore":
		v["on-fail"] = "ignore"
	case lower == "demote":
		if op == nil || op.Name != "promote" &&
			(op.Name != "monitor" || interval(op.Interval) == 0 || ParseRole(op.Source.Get("role")) != RolePromoted) {
			delete(v, "on-fail")
		}
	}
}

func (ev *Evaluator) onFail(rsc *Resource, task string, intervalMillis uint32, value string) OnFail {
	result, explicit := OnFailIgnore, true
	switch strings.ToLower(value) {
	case "block":
		result = OnFailBlock
	case "fence":
		result = OnFailFence
		if !ev.s.Options.Fencing {
			result = OnFailStop
		}
	case "standby":
		result = OnFailStandby
	case "ignore", "nothing":
	case "migrate":
		result = OnFailBan
	case "stop":
		result = OnFailStop
	case "restart":
		result = OnFailRestart
	case "restart-container":
		result, explicit = OnFailRestartContainer, rsc.Container != NoRes
	case "demote":
		result = OnFailDemote
	default:
		explicit = false
	}
	probe := task == "monitor" && intervalMillis == 0
	reset := false
	if rsc.RemoteConnection && !probe && task != "start" {
		if n, ok := ev.s.Node(rsc.ID); ok && n.Kind == Remote {
			reset = true
			if !rsc.Managed {
				explicit = false
			}
		}
	}
	switch {
	case explicit:
		return result
	case rsc.Container != NoRes:
		return OnFailRestartContainer
	case reset && rsc.Managed:
		return OnFailResetRemote
	case reset:
		return OnFailStop
	case task == "stop" && ev.s.Options.Fencing:
		return OnFailFence
	case task == "stop":
		return OnFailBlock
	}
	return OnFailRestart
}

func failRole(rsc *Resource, task string, onFail OnFail) Role {
	switch {
	case onFail == OnFailStop, onFail == OnFailResetRemote && rsc.ReconnectInterval != 0:
		return RoleStopped
	case task == "promote":
		return RoleUnpromoted
	}
	return RoleStarted
}

func (r *Resource) class() string    { return r.agentPart(0) }
func (r *Resource) provider() string { return r.agentPart(1) }
func (r *Resource) agent() string    { return r.agentPart(2) }

func (r *Resource) agentPart(i int) string {
	if r.Config == nil {
		return ""
	}
	return [...]string{r.Config.Class, r.Config.Provider, r.Config.Type}[i]
}
