package shell

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/change"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
	"systole/crm/shell/tools"
	"systole/crm/status"
)

// tool runs one of the Pacemaker-named programs on the shell's CIB.
func (sh *Shell) tool(ctx context.Context, name string, t tool.Tool, args ...string) error {
	stdio := *sh.io
	stdio.Name = name
	stdio.Env = sh.env
	if code := t(ctx, &stdio, args); code != 0 {
		return exit.With(exit.Code(code), errTold)
	}
	return nil
}

// change is [Shell.tool] for one that changes something: its consequences are waited for when asked.
func (sh *Shell) change(ctx context.Context, name string, t tool.Tool, args ...string) error {
	if err := sh.tool(ctx, name, t, args...); err != nil {
		return err
	}
	return sh.settle(ctx)
}

// errTold is the error of a program that has said itself what went wrong.
var errTold = errors.New("")

// env is the environment with the CIB this shell works on.
func (sh *Shell) env(name string) string {
	p := sh.src.Place()
	switch name {
	case "CIB_file":
		if p.Kind != source.Live {
			return p.Path
		}
		return ""
	case "CIB_shadow":
		return ""
	case "SYSTOLE_SOCKET":
		if p.Kind == source.Live && p.Path != "" {
			return p.Path
		}
	}
	return sh.io.Getenv(name)
}

// runningOn are the nodes a resource is active on.
func runningOn(root *cib.Element, id string, now time.Time) []string {
	return change.RunningOn(status.Unpack(root, now), id)
}

// mustExist refuses resources that are not configured, naming the nearest.
func mustExist(root *cib.Element, id string) (*cib.Element, error) {
	if e, _ := change.Resource(root, id); e != nil {
		return e, nil
	}
	return nil, exit.Errorf(exit.NoSuch, "there is no resource %q%s", id, didYouMean(id, resourceIDs(root)))
}

// setMeta sets a meta attribute of resources; of containers, members lose
// theirs, which would outweigh it.
func setMeta(comment, name, value string, rivals ...string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.update(ctx, comment, func(root *cib.Element) (*cib.Element, error) {
			for _, id := range c.args {
				var err error
				if root, err = withMeta(root, id, name, value, rivals); err != nil {
					return nil, err
				}
			}
			return root, nil
		})
	}
}

func withMeta(root *cib.Element, id, name, value string, rivals []string) (*cib.Element, error) {
	e, err := mustExist(root, id)
	if err != nil {
		return nil, err
	}
	if _, in := change.Resource(root, id); in != nil && (in.Name() == "clone" || in.Name() == "master") {
		e = in // the instances of a clone have no will of their own
	}
	owner := e.ID()
	for _, p := range change.Primitives(e) {
		if p.ID() != owner {
			root = dropMeta(root, p.ID(), name)
		}
	}
	if e.Name() == "clone" || e.Name() == "master" {
		for _, c := range e.Children() {
			if c.Name() == "group" {
				root = dropMeta(root, c.ID(), name)
			}
		}
	}
	for _, r := range rivals {
		root = dropMeta(root, owner, r)
	}
	e, _ = change.Resource(root, owner)
	at := change.ResourceAttr("meta_attributes", owner, name)
	for set := range e.Each("meta_attributes") { // an existing set, if it holds always
		if set.Child("rule") == nil && set.ID() != "" {
			at.Default = set.ID()
			break
		}
	}
	changed, _, _ := change.Set(e, at, value)
	return change.With(root, e, changed), nil
}

// dropMeta takes a meta attribute of a resource away.
func dropMeta(root *cib.Element, id, name string) *cib.Element {
	e, _ := change.Resource(root, id)
	for {
		changed, _, ok := change.Delete(e, change.Attr{Tag: "meta_attributes", Name: name})
		if !ok {
			return root
		}
		root = change.With(root, e, changed)
		e = changed
	}
}

// promote and demote set the role of a promotable clone.
func setRole(comment, role string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.update(ctx, comment, func(root *cib.Element) (*cib.Element, error) {
			e, err := mustExist(root, c.args[0])
			if err != nil {
				return nil, err
			}
			for _, in := change.Resource(root, e.ID()); in != nil; _, in = change.Resource(root, e.ID()) {
				e = in
			}
			f := change.Find(e, change.Attr{Tag: "meta_attributes", Name: "promotable"})
			if e.Name() != "master" && (len(f) == 0 || !status.True(f[0].Value)) {
				return nil, exit.Errorf(exit.Usage, "%s is not promotable; only a clone with promotable=true has roles", c.args[0])
			}
			return withMeta(root, e.ID(), "target-role", role, nil)
		})
	}
}

func resourceMaintenance(ctx context.Context, c *call) error {
	value := "true"
	if len(c.args) == 2 {
		on, ok := onOff(c.args[1])
		if !ok {
			return exit.Errorf(exit.Usage, "write on or off after the resource")
		}
		value = fmt.Sprint(on)
	}
	c.args = c.args[:1]
	return setMeta("resource maintenance", "maintenance", value, "is-managed")(ctx, c)
}

// onOff reads a switch.
func onOff(s string) (on, ok bool) {
	switch strings.ToLower(s) {
	case "on", "true", "yes", "1", "y":
		return true, true
	case "off", "false", "no", "0", "n":
		return false, true
	}
	return false, false
}

// resourceMove and resourceBan make the constraints of crm_resource.
func resourceMove(ctx context.Context, c *call) error { return relocate(ctx, c, change.Move) }
func resourceBan(ctx context.Context, c *call) error  { return relocate(ctx, c, change.BanFrom) }

func relocate(ctx context.Context, c *call, move func(*cib.Element, change.Relocation, time.Time) (*cib.Element, change.Relocated, error)) error {
	r := change.Relocation{Resource: c.args[0], Force: c.set.force}
	for _, a := range c.args[1:] {
		switch {
		case a == "force":
			r.Force = true
		case r.Node == "" && r.Lifetime == "" && !isLifetime(a):
			r.Node = a
		case r.Lifetime == "":
			r.Lifetime = a
		default:
			return exit.Errorf(exit.Usage, "%q is too much; write RESOURCE [NODE] [LIFETIME] [force]", a)
		}
	}
	var done change.Relocated
	err := c.update(ctx, "resource move", func(root *cib.Element) (*cib.Element, error) {
		if _, err := mustExist(root, r.Resource); err != nil {
			return nil, err
		}
		if n := change.Node(root, r.Node); r.Node != "" && n == nil {
			return nil, exit.Errorf(exit.NoSuch, "there is no node %q%s", r.Node, didYouMean(r.Node, nodeNames(root)))
		}
		next, d, err := move(root, r, c.now())
		done = d
		if exit.Of(err) == exit.Exists {
			err = exit.Errorf(exit.Exists, "%s is on %s already", r.Resource, r.Node)
		}
		return next, err
	})
	if err != nil || c.set.dryRun {
		return err
	}
	until := "until crm resource clear " + r.Resource
	if !done.Until.IsZero() {
		until = "until " + done.Until.UTC().Format(change.UntilFormat)
	}
	if done.Banned != "" {
		c.info("%s must not run on %s, %s", r.Resource, done.Banned, until)
	}
	if r.Node != "" && done.Banned != r.Node {
		c.info("%s is to run on %s, %s", r.Resource, r.Node, until)
	}
	return nil
}

// isLifetime tells a duration (PT5M, P1D) or date from the name of a node.
func isLifetime(s string) bool {
	return len(s) > 1 && s[0] == 'P' && (s[1] == 'T' || s[1] >= '0' && s[1] <= '9') || len(s) >= 10 && s[4] == '-' && s[7] == '-'
}

func resourceClear(ctx context.Context, c *call) error {
	cl := change.Cleared{Resource: c.args[0]}
	if len(c.args) > 1 {
		cl.Node = c.args[1]
	}
	var ids []string
	err := c.update(ctx, "resource clear", func(root *cib.Element) (*cib.Element, error) {
		if _, err := mustExist(root, cl.Resource); err != nil {
			return nil, err
		}
		var next *cib.Element
		next, ids = change.Clear(root, cl)
		return next, nil
	})
	if err == nil {
		for _, id := range ids {
			c.info("removed constraint %s", id)
		}
	}
	return err
}

// resourceTool runs crm_resource with the resource and node of the arguments.
func resourceTool(option string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		args := []string{option}
		rest := slices.DeleteFunc(slices.Clone(c.args), func(a string) bool { return a == "force" })
		if len(rest) < len(c.args) || c.set.force {
			args = append(args, "--force")
		}
		if len(rest) > 0 {
			args = append(args, "--resource", rest[0])
		}
		if len(rest) > 1 {
			args = append(args, "--node", rest[1])
		}
		return c.change(ctx, "crm_resource", tools.CrmResource, args...)
	}
}

// resourceStatus lists resources, or says where some are.
func resourceStatus(ctx context.Context, c *call) error {
	if len(c.args) == 0 {
		return c.tool(ctx, "crm_resource", tools.CrmResource, "--list")
	}
	return resourceLocate(ctx, c)
}

func resourceLocate(ctx context.Context, c *call) error {
	ids := c.args
	if len(ids) == 0 {
		base, err := c.src.ReadLocal(ctx)
		if err != nil {
			return err
		}
		for _, e := range base.Section("resources").Children() {
			if change.IsResource(e.Name()) {
				ids = append(ids, e.ID())
			}
		}
	}
	for _, id := range ids {
		if err := c.tool(ctx, "crm_resource", tools.CrmResource, "--locate", "--resource", id); err != nil {
			return err
		}
	}
	return nil
}

// resourceAttribute is param, meta and utilization.
func resourceAttribute(kind ...string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		rsc, verb, name := c.args[0], c.args[1], c.args[2]
		args := append(slices.Clone(kind), "--resource", rsc)
		switch {
		case verb == "set" && len(c.args) == 4:
			args = append(args, "--set-parameter", name, "--parameter-value="+c.args[3])
		case verb == "delete" && len(c.args) == 3:
			args = append(args, "--delete-parameter", name)
		case verb == "show" && len(c.args) == 3:
			args = append(args, "--get-parameter", name)
		default:
			return exit.Errorf(exit.Usage, "write RESOURCE set NAME VALUE, RESOURCE delete NAME, or RESOURCE show NAME")
		}
		return c.change(ctx, "crm_resource", tools.CrmResource, args...)
	}
}

// resourceSecret is secret.
func resourceSecret(ctx context.Context, c *call) error {
	return c.tool(ctx, "cibsecret", tools.Cibsecret, tools.SecretArgs(c.args)...)
}

// resourceFailcount is failcount show, set and delete.
func resourceFailcount(ctx context.Context, c *call) error {
	rsc, verb, node := c.args[0], c.args[1], c.args[2]
	switch {
	case verb == "show" && len(c.args) == 3:
		return c.tool(ctx, "crm_failcount", tools.CrmFailcount, "-G", "-r", rsc, "-N", node)
	case verb == "delete" && len(c.args) == 3:
		return c.change(ctx, "crm_failcount", tools.CrmFailcount, "-D", "-r", rsc, "-N", node)
	case verb == "set" && len(c.args) >= 4:
		return c.setFailcount(ctx, rsc, node, c.args[3], c.args[4:])
	}
	return exit.Errorf(exit.Usage, "write RESOURCE show NODE, RESOURCE delete NODE, or RESOURCE set NODE VALUE [OPERATION [INTERVAL]]")
}

// setFailcount writes the fail count of the operation that has one, or of the one named.
func (c *call) setFailcount(ctx context.Context, rsc, node, value string, op []string) error {
	client, err := c.src.Client()
	if err != nil {
		return err
	}
	attrs, err := client.Attrs(ctx, node, "")
	if err != nil {
		return source.Coded(err)
	}
	prefix := "fail-count-" + rsc + "#"
	var found []string
	for _, a := range attrs {
		if strings.HasPrefix(a.Name, prefix) {
			found = append(found, a.Name)
		}
	}
	name := ""
	switch {
	case len(op) > 0:
		ms := int64(0)
		if len(op) > 1 {
			var ok bool
			if ms, ok = status.Millis(op[1]); !ok {
				return exit.Errorf(exit.Usage, "%q is not an interval; write it in seconds", op[1])
			}
		}
		name = fmt.Sprintf("%s%s_%d", prefix, op[0], ms)
	case len(found) == 1:
		name = found[0]
	case len(found) == 0:
		return exit.Errorf(exit.NoSuch, "%s has no fail count on %s; name the operation: failcount %s set %s %s monitor 10", rsc, node, rsc, node, value)
	default:
		return exit.Errorf(exit.Multiple, "%s has several fail counts on %s (%s); name the operation", rsc, node, strings.Join(found, ", "))
	}
	return source.Coded(client.UpdateAttr(ctx, api.AttrUpdate{Node: node, Name: name, Value: &value}))
}

// resourceRestart stops resources and starts them again.
func resourceRestart(ctx context.Context, c *call) error {
	for _, id := range c.args {
		if err := c.tool(ctx, "crm_resource", tools.CrmResource, "--restart", "--resource", id); err != nil {
			return err
		}
	}
	return nil
}

func resourceScores(ctx context.Context, c *call) error {
	base, err := c.src.ReadLocal(ctx)
	if err != nil {
		return err
	}
	return c.simulate(ctx, base.String(), []string{"-x", "-", "-s", "-U"})
}

// resourceTrace has an agent's operations write traces, or ends that.
func resourceTrace(on bool) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		op, interval, dir := "", "", ""
		for i, a := range c.args[1:] {
			switch i {
			case 0:
				op = a
			case 1:
				interval = a
			case 2:
				dir = a
			}
		}
		if op == "probe" {
			op, interval = "monitor", "0"
		}
		return c.update(ctx, "resource trace", func(root *cib.Element) (*cib.Element, error) {
			e, err := mustExist(root, c.args[0])
			if err != nil {
				return nil, err
			}
			for _, p := range change.Primitives(e) {
				now, _ := change.Resource(root, p.ID())
				root = change.With(root, now, traced(now, op, interval, dir, on))
			}
			return root, nil
		})
	}
}

// traced sets or takes away the trace parameters of operations.
func traced(p *cib.Element, op, interval, dir string, on bool) *cib.Element {
	ops := p.Child("operations")
	if ops == nil {
		if !on {
			return p
		}
		ops = cib.New("operations")
		p = p.Append(ops)
	}
	list := slices.Clone(ops.Children())
	wanted := []string{op}
	if op == "" {
		wanted = []string{"start", "stop"}
	}
	for _, name := range wanted {
		has := slices.ContainsFunc(list, func(o *cib.Element) bool {
			return o.Get("name") == name && (interval == "" || o.Get("interval") == interval)
		})
		if on && !has {
			at := interval
			if at == "" {
				at = "0"
			}
			list = append(list, cib.New("op", "id", p.ID()+"-"+name+"-"+at, "name", name, "interval", at))
		}
	}
	for i, o := range list {
		if op != "" && o.Get("name") != op || interval != "" && o.Get("interval") != interval {
			continue
		}
		at := change.Attr{Tag: "instance_attributes", Default: o.ID() + "-instance_attributes"}
		for name, value := range map[string]string{"trace_ra": "1", "trace_dir": dir} {
			at.Name = name
			if on && value != "" {
				o, _, _ = change.Set(o, at, value)
			} else if !on {
				o, _, _ = change.Delete(o, at)
			}
		}
		if set := o.Child("instance_attributes"); !on && set != nil && len(set.Children()) == 0 {
			o = o.WithChildren(slices.DeleteFunc(slices.Clone(o.Children()), func(c *cib.Element) bool { return c == set })...)
		}
		list[i] = o
	}
	children := slices.Clone(p.Children())
	children[slices.Index(children, ops)] = ops.WithChildren(list...)
	return p.WithChildren(children...)
}

// maintenanceMode sets the property that keeps the cluster off everything.
func maintenanceMode(value string) func(context.Context, *call) error {
	return func(ctx context.Context, c *call) error {
		return c.update(ctx, "maintenance", func(root *cib.Element) (*cib.Element, error) {
			return change.SetProperty(root, "maintenance-mode", value), nil
		})
	}
}
