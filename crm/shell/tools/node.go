package tools

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/shell/change"
	"systole/crm/shell/source"
)

// optionalArgs joins an option that may stand without a value to the word after
// it, if that is no option: "-p rsc" becomes "-p=rsc".
func optionalArgs(args []string, options ...string) []string {
	var out []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if slices.Contains(options, a) && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
			a += "=" + args[i+1]
			i++
		}
		out = append(out, a)
	}
	return out
}

// localNode is the name of this node: what the executor told the agent that
// calls us, the daemon's, or on a file the host's.
func (p *program) localNode() (string, error) {
	for _, name := range []string{"OCF_RESKEY_CRM_meta_on_node", "CRM_meta_on_node"} {
		if n := p.Getenv(name); n != "" {
			return n, nil
		}
	}
	if !p.src.Live() {
		return os.Hostname()
	}
	st, err := p.status()
	return st.Node, err
}

// status asks the daemon.
func (p *program) status() (api.Status, error) {
	client, err := p.src.Client()
	if err != nil {
		return api.Status{}, err
	}
	st, err := client.Status(p.ctx)
	return st, source.Coded(err)
}

// nodeElement finds the node entry; an unknown name is refused as Pacemaker does.
func nodeElement(root *cib.Element, name string) (*cib.Element, error) {
	if n := change.Node(root, name); n != nil {
		return n, nil
	}
	return nil, exit.Errorf(exit.NoSuch, "Could not map name=%s to a UUID", name)
}

// client is the live cluster, or the status that says that there is none.
func (p *program) client() (*api.Client, error) { return p.src.Client() }

// transient reads attributes of the status section: from the daemon, which
// knows those not written yet, or from the file.
func (p *program) transient(node, name string) ([]api.Attr, error) {
	if p.src.Live() {
		client, err := p.client()
		if err != nil {
			return nil, err
		}
		list, err := client.Attrs(p.ctx, node, name)
		return list, source.Coded(err)
	}
	c, err := p.src.Read(p.ctx)
	if err != nil {
		return nil, err
	}
	var out []api.Attr
	for ns := range c.Status().Each("node_state") {
		if node != "" && ns.Get("uname") != node {
			continue
		}
		for _, f := range change.Find(orEmpty(ns.Child("transient_attributes")), change.Attr{Tag: "instance_attributes", Name: name}) {
			out = append(out, api.Attr{Node: ns.Get("uname"), Name: f.Name, Value: f.Value})
		}
	}
	return out, nil
}

func orEmpty(e *cib.Element) *cib.Element {
	if e == nil {
		return cib.New("none")
	}
	return e
}

// matching are the attributes whose name matches a pattern.
func matching(list []api.Attr, pattern string) ([]api.Attr, error) {
	re, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, exit.With(exit.Usage, fmt.Errorf("pattern %q: %w", pattern, err))
	}
	return slices.DeleteFunc(list, func(a api.Attr) bool { return !re.MatchString(a.Name) }), nil
}

// setTransient changes a transient attribute; a nil value deletes it.
func (p *program) setTransient(u api.AttrUpdate) error {
	if p.src.Live() {
		client, err := p.client()
		if err != nil {
			return err
		}
		return source.Coded(client.UpdateAttr(p.ctx, u))
	}
	_, _, err := p.src.Update(p.ctx, source.Change{Client: p.Name}, func(root *cib.Element) (*cib.Element, error) {
		for ns := range root.Child("status").Each("node_state") {
			if ns.Get("uname") == u.Node {
				return setNodeState(root, ns, u), nil
			}
		}
		if u.Value == nil {
			return root, nil
		}
		return nil, exit.Errorf(exit.NoSuch, "No such device or address")
	})
	return err
}

// setNodeState changes the transient attributes below a node_state.
func setNodeState(root, ns *cib.Element, u api.AttrUpdate) *cib.Element {
	ta := ns.Child("transient_attributes")
	grown := ns
	if ta == nil {
		ta = cib.New("transient_attributes", "id", ns.ID())
		grown = ns.Append(ta)
	}
	a := change.Attr{Tag: "instance_attributes", Name: u.Name, Set: u.Set, Default: "status-" + ns.ID()}
	var changed *cib.Element
	if u.Value == nil {
		changed, _, _ = change.Delete(ta, a)
	} else {
		changed, _, _ = change.Set(ta, a, counted(u.Name, *u.Value, func() string {
			if f := change.Find(ta, a); len(f) > 0 {
				return f[0].Value
			}
			return ""
		}))
	}
	return change.With(root, ns, change.With(grown, ta, changed))
}
