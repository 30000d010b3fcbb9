package tools

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/model"
	"systole/crm/rules"
	"systole/crm/shell/change"
	"systole/crm/shell/ra"
	"systole/crm/shell/source"
	"systole/crm/status"
	"systole/resources"
)

// edit commits a change of the CIB for crm_resource.
func (a *resourceCall) edit(p *program, f func(root *cib.Element) (*cib.Element, error)) error {
	_, _, err := p.src.Update(p.ctx, source.Change{Client: "crm_resource"}, f)
	return err
}

// target is the resource an attribute goes to: the clone of a primitive for meta
// attributes that mean nothing on an instance.
func (a *resourceCall) target(p *program, root *cib.Element, name string) (*cib.Element, error) {
	e, in := change.Resource(root, a.resource)
	if e == nil {
		return nil, exit.Errorf(exit.NoSuch, "Resource '%s' not found\nError performing operation: No such object", a.resource)
	}
	if !a.meta || a.force || in == nil || in.Name() != "clone" && in.Name() != "master" || !slices.Contains([]string{"target-role", "is-managed", "maintenance"}, name) {
		return e, nil
	}
	if len(change.Find(e, change.Attr{Tag: "meta_attributes", Name: name})) > 0 {
		return e, nil
	}
	p.Printf("Performing update of '%s' on '%s', the parent of '%s'\n", name, in.ID(), a.resource)
	return in, nil
}

func (a *resourceCall) setParameter(p *program, name string) error {
	if a.value == "" {
		return exit.Errorf(exit.Usage, "You need to supply a value with the -v option")
	}
	var lines []string
	err := a.edit(p, func(root *cib.Element) (*cib.Element, error) {
		lines = nil
		e, err := a.target(p, root, name)
		if err != nil {
			return nil, err
		}
		owners := []string{e.ID()}
		if a.recursive {
			owners = dependents(root, e.ID())
		}
		for _, id := range owners {
			owner, _ := change.Resource(root, id)
			if owner == nil {
				continue
			}
			at := change.ResourceAttr(a.tag(), id, name)
			at.Set, at.ID = a.set, a.nvpair
			isNew := len(change.Find(owner, at)) == 0
			changed, set, pair := change.Set(owner, at, a.value)
			root = change.With(root, owner, changed)
			line := fmt.Sprintf("Set '%s' option: id=%s", id, pair)
			if isNew {
				line += " set=" + set
			}
			lines = append(lines, fmt.Sprintf("%s name=%s value=%s", line, name, a.value))
		}
		return root, nil
	})
	if err == nil && !a.quiet {
		for _, l := range lines {
			p.Println(l)
		}
	}
	return err
}

// dependents are a resource and all that is placed with it, directly or not.
func dependents(root *cib.Element, id string) []string {
	out := []string{id}
	for i := 0; i < len(out); i++ {
		for _, c := range model.Decode(root).Constraints {
			if l, ok := c.(*model.Colocation); ok && l.Primary == out[i] && !slices.Contains(out, l.Dependent) && !strings.HasPrefix(l.Score, "-") {
				out = append(out, l.Dependent)
			}
		}
	}
	return out
}

func (a *resourceCall) deleteParameter(p *program, name string) error {
	var gone change.Found
	var owner *cib.Element
	ok := false
	err := a.edit(p, func(root *cib.Element) (*cib.Element, error) {
		e, err := a.target(p, root, name)
		if err != nil {
			return nil, err
		}
		owner = e
		at := change.ResourceAttr(a.tag(), e.ID(), name)
		at.Set, at.ID = a.set, a.nvpair
		var changed *cib.Element
		if changed, gone, ok = change.Delete(e, at); !ok {
			return root, nil
		}
		return change.With(root, e, changed), nil
	})
	if err == nil && ok && !a.quiet {
		p.Printf("Deleted '%s' option: id=%s name=%s\n", owner.ID(), gone.Pair.ID(), name)
	}
	return err
}

// relocate is move and ban.
func (a *resourceCall) relocate(p *program, command string) error {
	var done change.Relocated
	err := a.edit(p, func(root *cib.Element) (*cib.Element, error) {
		r := change.Relocation{Resource: a.resource, Node: a.node, Lifetime: a.lifetime, Promoted: a.promoted, Force: a.force}
		move := change.Move
		if command == "ban" {
			move = change.BanFrom
		}
		next, d, err := move(root, r, p.now)
		done = d
		if exit.Of(err) == exit.NoSuch {
			err = exit.With(exit.NoSuch, fmt.Errorf("%w\nError performing operation: No such object", err))
		}
		return next, err
	})
	if err != nil {
		return err
	}
	for _, n := range done.Notes {
		p.Println(n)
	}
	if done.Banned != "" && !a.quiet {
		what := "running"
		if done.Promoted {
			what = "being promoted"
		}
		p.Printf("WARNING: Creating rsc_location constraint '%s' with a score of -INFINITY for resource %s on %s.\n"+
			"\tThis will prevent %s from %s on %s until the constraint is removed using the clear option or by editing the CIB with an appropriate tool\n"+
			"\tThis will be the case even if %s is the last node in the cluster\n",
			change.BanID(done.Resource, done.Banned), done.Resource, done.Banned, done.Resource, what, done.Banned, done.Banned)
	}
	return nil
}

func (a *resourceCall) clear(p *program) error {
	var ids []string
	err := a.edit(p, func(root *cib.Element) (*cib.Element, error) {
		s := status.Unpack(root, p.now)
		if _, err := found(s, a.resource); err != nil {
			return nil, err
		}
		if _, ok := s.Node(a.node); a.node != "" && !ok {
			return nil, exit.Errorf(exit.NoSuch, "Node '%s' not found\nError performing operation: No such object", a.node)
		}
		c := change.Cleared{Resource: a.resource, Node: a.node, AnyPrefer: a.force}
		if a.expired {
			c.Expired = func(rule *cib.Element) bool { return rules.Eval(rule, rules.Facts{Now: p.now}).State == rules.Expired }
		}
		var next *cib.Element
		next, ids = change.Clear(root, c)
		return next, nil
	})
	if err == nil && !a.quiet {
		for _, id := range ids {
			p.Printf("Removing constraint: %s\n", id)
		}
	}
	return err
}

func (a *resourceCall) remove(p *program) error {
	if a.typ == "" {
		return exit.Errorf(exit.NoSuch, "You need to specify a resource type with -t\nError performing operation: No such object")
	}
	_, _, err := p.src.Write(p.ctx, source.Change{Client: "crm_resource", Ops: []cib.Op{{Kind: cib.OpDelete, Section: "resources", Data: cib.New(a.typ, "id", a.resource)}}})
	return err
}

// cleanup forgets failures, refresh all history.
func (a *resourceCall) cleanup(p *program, refresh bool) error {
	if !p.src.Live() {
		_, s, err := p.state()
		if err != nil {
			return err
		}
		what := "all resources"
		if a.resource != "" {
			if _, err := found(s, a.resource); err != nil {
				return err
			}
			what = a.resource
		}
		fmt.Fprintf(p.Err, "Dry run: skipping clean-up of %s on %s due to CIB_file\n", what, orAll(a.node))
		return nil
	}
	client, err := p.client()
	if err != nil {
		return err
	}
	r := api.ResourceRequest{Verb: api.ResourceCleanup, Resource: a.resource, Node: a.node, Operation: a.operation, Force: a.force}
	if refresh {
		r.Verb = api.ResourceRefresh
	}
	if ms, ok := status.Millis(a.interval); ok {
		r.Interval = api.Millis(ms)
	}
	reply, err := client.Resource(p.ctx, r)
	if err != nil {
		return source.Coded(err)
	}
	for _, d := range reply.Done {
		if a.resource == "" {
			break
		}
		p.Printf("Cleaned up %s on %s\n", d.Resource, d.Node)
	}
	if a.resource == "" || len(reply.Done) == 0 {
		what := "all resources"
		if a.resource != "" {
			what = a.resource
		}
		p.Printf("Cleaned up %s on %s\n", what, orAll(a.node))
	}
	return nil
}

func orAll(node string) string {
	if node == "" {
		return "all nodes"
	}
	return node
}

func (a *resourceCall) fail(p *program) error {
	if a.node == "" {
		return exit.Errorf(exit.Usage, "Must supply a node name with -N")
	}
	client, err := p.client()
	if err != nil {
		return err
	}
	_, err = client.Resource(p.ctx, api.ResourceRequest{Verb: api.ResourceFail, Resource: a.resource, Node: a.node})
	return source.Coded(err)
}

// wait waits until the cluster has nothing to do.
func (a *resourceCall) wait(p *program) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	var limit time.Duration
	if a.timeout != "" {
		ms, ok := status.Millis(a.timeout)
		if !ok {
			return exit.Errorf(exit.Usage, "%q is not a time; write 30s or a number of seconds", a.timeout)
		}
		limit = time.Duration(ms) * time.Millisecond
	}
	settled, err := client.Settle(p.ctx, limit)
	switch {
	case err != nil:
		return source.Coded(err)
	case !settled.Settled:
		fmt.Fprintln(p.Err, "Pending actions:")
		for _, act := range settled.Pending {
			fmt.Fprintf(p.Err, "\t%s\n", act)
		}
		return exit.Errorf(exit.Timeout, "Error performing operation: Timeout occurred")
	}
	return nil
}

// restart stops a resource, waits, and starts it again.
func (a *resourceCall) restart(p *program) error {
	if _, err := p.client(); err != nil {
		return err
	}
	c, s, err := p.state()
	if err != nil {
		return err
	}
	r, err := found(s, a.resource)
	if err != nil {
		return err
	}
	if !r.IsActive() && len(slices.Collect(places(s, r))) == 0 {
		return exit.Errorf(exit.NoSuch, "%s is not running and so cannot be restarted", a.resource)
	}
	e, _ := change.Resource(c.Root(), r.BaseID)
	if e == nil {
		return exit.Errorf(exit.NoSuch, "Resource '%s' not found\nError performing operation: No such object", a.resource)
	}
	had := change.Find(e, change.Attr{Tag: "meta_attributes", Name: "target-role"})
	set := func(value string) error {
		return a.edit(p, func(root *cib.Element) (*cib.Element, error) {
			e, _ := change.Resource(root, r.BaseID)
			at := change.ResourceAttr("meta_attributes", e.ID(), "target-role")
			if value == "" {
				changed, _, _ := change.Delete(e, at)
				return change.With(root, e, changed), nil
			}
			changed, _, _ := change.Set(e, at, value)
			return change.With(root, e, changed), nil
		})
	}
	if err := set("Stopped"); err != nil {
		return err
	}
	p.Printf("Waiting for %s to stop\n", a.resource)
	stopErr := a.wait(p)
	before := ""
	if len(had) > 0 {
		before = had[0].Value
	}
	// Whatever the wait said, the resource must not be left stopped.
	if err := (&resourceCall{resource: a.resource}).restore(context.WithoutCancel(p.ctx), p, set, before); err != nil {
		return err
	}
	if stopErr != nil {
		return stopErr
	}
	p.Printf("Waiting for %s to start again\n", a.resource)
	return a.wait(p)
}

// restore puts target-role back, even after the user gave up waiting.
func (a *resourceCall) restore(ctx context.Context, p *program, set func(string) error, value string) error {
	old := p.ctx
	p.ctx = ctx
	defer func() { p.ctx = old }()
	return set(value)
}

// forceAction runs an agent's action on this node, past the cluster.
func (a *resourceCall) forceAction(p *program, action string) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	_, s, err := p.state()
	if err != nil {
		return err
	}
	r, err := found(s, a.resource)
	if err != nil {
		return err
	}
	real := map[string]string{"check": "monitor"}[action]
	if real == "" {
		real = action
	}
	req := api.ForceRequest{Resource: a.resource, Action: real}
	fmt.Sscanf(a.checkLevel, "%d", &req.Level)
	if ms, ok := status.Millis(a.timeout); ok {
		req.Timeout = api.Millis(ms)
	}
	reply, err := client.Force(p.ctx, req)
	if err != nil {
		return source.Coded(err)
	}
	return a.answered(p, "force-"+action, agentName(r), reply)
}

// answered prints what an agent said and ends with its code.
func (a *resourceCall) answered(p *program, what, agent string, reply api.ForceReply) error {
	name := a.resource
	if name == "" {
		name = agent
	}
	p.Printf("Operation %s for %s (%s) returned %d (%s)\n", what, name, agent, reply.Code, codeText(reply.Code))
	if reply.Reason != "" {
		p.Printf(" - %s\n", reply.Reason)
	}
	if out := strings.TrimSpace(reply.Output); out != "" && !a.quiet {
		p.Println(out)
	}
	return ended(exit.Code(reply.Code))
}

// codeText is the field's word for an agent's return code.
func codeText(code int) string {
	words := []string{"ok", "error", "invalid parameter", "unimplemented feature", "insufficient privileges", "not installed", "not configured", "not running", "promoted", "promoted (failed)"}
	if code >= 0 && code < len(words) {
		return words[code]
	}
	return "unknown exit status"
}

func agentName(r *status.Resource) string {
	if r.Config == nil {
		return ""
	}
	return resources.AgentID{Class: resources.Class(r.Config.Class), Provider: r.Config.Provider, Type: r.Config.Type}.String()
}

// validate asks an agent whether parameters are good: of a resource, or given.
func (a *resourceCall) validate(p *program) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	req := api.ForceRequest{Resource: a.resource, Action: "validate-all", Params: map[string]string{}}
	agent := ""
	if a.resource == "" {
		id := resources.AgentID{Class: resources.Class(a.class), Provider: a.provider, Type: a.agent}
		if a.class == "" || a.agent == "" {
			return exit.Errorf(exit.Usage, "name the resource with -r, or the agent with --class, --provider and --agent")
		}
		if _, err := ra.New(p.src).Metadata(p.ctx, id); err != nil {
			return err
		}
		agent = id.String()
		req.Agent = agent
		for _, o := range a.options {
			k, v, ok := strings.Cut(o, "=")
			if !ok {
				return exit.Errorf(exit.Usage, "--option wants NAME=VALUE, not %q", o)
			}
			req.Params[k] = v
		}
	}
	fmt.Sscanf(a.validateLevel, "%d", &req.Level)
	reply, err := client.Force(p.ctx, req)
	if err != nil {
		return source.Coded(err)
	}
	return a.answered(p, "validate", agent, reply)
}

// digests prints the fingerprints by which changes of parameters are noticed.
func (a *resourceCall) digests(p *program, args []string) error {
	_, s, err := p.state()
	if err != nil {
		return err
	}
	r, err := found(s, a.resource)
	if err != nil {
		return err
	}
	node, ok := s.Node(a.node)
	if !ok {
		return exit.Errorf(exit.NoSuch, "Node '%s' not found\nError performing operation: No such object", a.node)
	}
	params := map[string]string{}
	for k, v := range s.Evaluator().Params(r.Index, node.Index) {
		params[k] = v
	}
	for _, arg := range args {
		if k, v, ok := strings.Cut(arg, "="); ok {
			params[k] = v
		}
	}
	all := digestOf(params)
	if p.xml != nil {
		p.xml.add(cib.New("digests", "resource", a.resource, "node", a.node, "task", "start", "interval", "0ms").Append(
			cib.New("digest", "type", "all", "hash", all), cib.New("digest", "type", "nonprivate", "hash", all)))
		return nil
	}
	p.Printf("%s (all parameters)\n%s (non-private parameters)\n", all, all)
	return nil
}

// digestOf is the MD5 of the parameters as an element with sorted attributes, as
// op-digest has it.
func digestOf(params map[string]string) string {
	if len(params) > 0 {
		return status.DigestOf(params)
	}
	sum := md5.Sum([]byte(" <parameters/>\n"))
	return hex.EncodeToString(sum[:])
}
