package tools

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/exit"
	"systole/crm/score"
	"systole/crm/shell/change"
	"systole/crm/shell/source"
	"systole/crm/shell/tool"
)

// attribute is a parsed call of crm_attribute.
type attribute struct {
	name, id, set, pattern string
	value, fallback        string
	hasValue, hasFallback  bool
	query, del             bool
	typ, lifetime, node    string
	utilization, quiet     bool
	promotion              string
	isPromotion            bool
}

// CrmAttribute is crm_attribute: options of the cluster, attributes of nodes.
func CrmAttribute(ctx context.Context, stdio *tool.IO, args []string) int {
	return crmAttribute.tool()(ctx, stdio, optionalArgs(args, "-p", "--promotion"))
}

var crmAttribute = command{
	name:  "crm_attribute",
	about: "ask for and change cluster options and attributes of nodes",
	notes: "\nExample: say where a node stands\n  crm_attribute --node a --name site --update north\n",
	flags: func(fs *pflag.FlagSet) func(*program, []string) error {
		var a attribute
		fs.StringVarP(&a.name, "name", "n", "", "name of the attribute or option")
		fs.StringVarP(&a.id, "id", "i", "", "id of the nvpair")
		fs.StringVarP(&a.set, "set-name", "s", "", "id of the set")
		fs.StringVarP(&a.pattern, "pattern", "P", "", "all attributes whose names match")
		fs.StringVarP(&a.promotion, "promotion", "p", "", "the promotion score of a resource, by default of the one whose agent calls")
		fs.BoolVarP(&a.query, "query", "G", false, "print the value")
		fs.StringVarP(&a.value, "update", "v", "", "set the value")
		fs.BoolVarP(&a.del, "delete", "D", false, "delete it")
		fs.StringVarP(&a.fallback, "default", "d", "", "value to print when there is none")
		fs.StringVarP(&a.lifetime, "lifetime", "l", "", "reboot or forever")
		fs.StringVarP(&a.node, "node", "N", "", "attribute of a node")
		fs.StringVarP(&a.typ, "type", "t", "", "crm_config, nodes, status, rsc_defaults, op_defaults or tickets")
		fs.BoolVarP(&a.utilization, "utilization", "z", false, "a utilization attribute of the node")
		fs.BoolVarP(&a.quiet, "quiet", "q", false, "print the value alone")
		fs.BoolVarP(&a.quiet, "quiet-old", "Q", false, "")
		fs.StringVarP(&a.node, "node-old", "U", "", "")
		fs.BoolP("inhibit-policy-engine", "!", false, "")
		for _, h := range []string{"quiet-old", "node-old", "inhibit-policy-engine"} {
			fs.Lookup(h).Hidden = true
		}
		fs.Lookup("promotion").NoOptDefVal = " "
		fs.SetNormalizeFunc(renamed(map[string]string{
			"attr-name": "name", "attr-value": "update", "attr-id": "id", "get-value": "query", "delete-attr": "delete", "node-uname": "node", "uname": "node",
		}))
		return func(p *program, args []string) error {
			a.hasValue, a.hasFallback, a.isPromotion = fs.Changed("update"), fs.Changed("default"), fs.Changed("promotion")
			return a.run(p)
		}
	},
}

// renamed lets old long options stand for new ones.
func renamed(names map[string]string) func(*pflag.FlagSet, string) pflag.NormalizedName {
	return func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if n, ok := names[name]; ok {
			name = n
		}
		return pflag.NormalizedName(name)
	}
}

func (a *attribute) run(p *program) error {
	if a.isPromotion {
		rsc := strings.TrimSpace(a.promotion)
		if rsc == "" {
			rsc = p.Getenv("OCF_RESOURCE_INSTANCE")
		}
		if rsc == "" {
			return exit.Errorf(exit.Usage, "-p/--promotion must be called from an OCF resource agent or with a resource ID specified")
		}
		a.name = "master-" + rsc
		if a.lifetime == "" {
			a.lifetime = "reboot"
		}
	}
	if err := a.place(p); err != nil {
		return err
	}
	switch {
	case a.del:
		return a.delete(p)
	case a.hasValue:
		return a.update(p)
	}
	return a.ask(p)
}

// place decides which section the attribute is in, and of which node.
func (a *attribute) place(p *program) error {
	switch a.lifetime {
	case "reboot":
		a.typ = "status"
	case "forever":
		a.typ = "nodes"
	case "":
	default:
		if a.typ == "" {
			a.typ = a.lifetime // "status", "nodes": as some scripts write
		}
	}
	if a.typ == "" {
		a.typ = "crm_config"
		if a.node != "" || a.utilization {
			a.typ = "nodes"
		}
	}
	switch a.typ {
	case "nodes", "status":
		if a.node == "" || a.node == "localhost" {
			n, err := p.localNode()
			if err != nil {
				return err
			}
			a.node = n
		}
	case "crm_config", "rsc_defaults", "op_defaults", "tickets":
	default:
		return exit.Errorf(exit.Usage, "%q is no section with attributes; use crm_config, nodes, status, rsc_defaults, op_defaults or tickets", a.typ)
	}
	if a.name == "" && a.id == "" && a.pattern == "" && (a.hasValue || a.del) {
		return exit.Errorf(exit.Usage, "name the attribute with -n")
	}
	return nil
}

// owner finds the element the attribute belongs to, and how to look for it.
func (a *attribute) owner(root *cib.Element) (grown, owner *cib.Element, at change.Attr, err error) {
	switch a.typ {
	case "nodes":
		n, err := nodeElement(root, a.node)
		if err != nil {
			return root, nil, change.Attr{}, err
		}
		at = change.NodeAttr(n.ID(), a.name, a.utilization)
		owner, grown = n, root
	case "tickets":
		grown, owner = change.Tickets(root)
		at = change.Attr{Tag: "instance_attributes", Name: a.name, Default: "status-tickets"}
	default:
		grown, owner, at = change.Options(root, change.OptionSections[a.typ], a.name)
	}
	if a.set != "" {
		at.Set = a.set
	}
	at.ID = a.id
	return grown, owner, at, nil
}

func (a *attribute) ask(p *program) error {
	type found struct{ name, value string }
	var list []found
	if a.typ == "status" {
		attrs, err := p.transient(a.node, a.name)
		if err != nil {
			return err
		}
		if a.pattern != "" {
			if attrs, err = matching(attrs, a.pattern); err != nil {
				return err
			}
		}
		for _, t := range attrs {
			list = append(list, found{t.Name, t.Value})
		}
	} else {
		c, err := p.src.Read(p.ctx)
		if err != nil {
			return err
		}
		_, owner, at, err := a.owner(c.Root())
		if err != nil {
			return err
		}
		for _, f := range change.Find(owner, at) {
			list = append(list, found{f.Name, f.Value})
		}
		if a.pattern != "" {
			kept := list[:0]
			for _, f := range list {
				if m, err := matching([]api.Attr{{Name: f.name}}, a.pattern); err != nil {
					return err
				} else if len(m) > 0 {
					kept = append(kept, f)
				}
			}
			list = kept
		}
	}
	if len(list) == 0 {
		if !a.hasFallback {
			return exit.Errorf(exit.NoSuch, "Error performing operation: No such device or address")
		}
		list = []found{{a.name, a.fallback}}
	}
	for _, f := range list {
		a.print(p, f.name, f.value)
	}
	return nil
}

// print writes one attribute.
func (a *attribute) print(p *program, name, value string) {
	switch {
	case p.xml != nil:
		p.xml.add(cib.New("attribute", "name", name, "value", value, "scope", a.typ))
	case a.quiet:
		p.Println(value)
	default:
		p.Printf("scope=%s  name=%s value=%s\n", a.typ, name, value)
	}
}

func (a *attribute) update(p *program) error {
	if a.typ == "status" {
		if a.pattern != "" {
			return a.updateMatching(p, &a.value)
		}
		err := p.setTransient(api.AttrUpdate{Node: a.node, Name: a.name, Value: &a.value, Set: a.set})
		if exit.Of(err) == exit.NoSuch && !p.src.Live() {
			fmt.Fprintf(p.Err, "Error setting %s=%s (section=status, set=%s): No such device or address\n", a.name, a.value, a.set)
			return exit.Errorf(exit.NoSuch, "Error performing operation: No such device or address")
		}
		return err
	}
	_, _, err := p.src.Update(p.ctx, source.Change{Client: "crm_attribute"}, func(root *cib.Element) (*cib.Element, error) {
		grown, owner, at, err := a.owner(root)
		if err != nil {
			return nil, err
		}
		changed, _, _ := change.Set(owner, at, counted(a.name, a.value, func() string {
			if f := change.Find(owner, at); len(f) > 0 {
				return f[0].Value
			}
			return ""
		}))
		return change.With(grown, owner, changed), nil
	})
	return err
}

// updateMatching changes all transient attributes whose names match.
func (a *attribute) updateMatching(p *program, value *string) error {
	attrs, err := p.transient(a.node, "")
	if err != nil {
		return err
	}
	if attrs, err = matching(attrs, a.pattern); err != nil {
		return err
	}
	for _, t := range attrs {
		if err := p.setTransient(api.AttrUpdate{Node: t.Node, Name: t.Name, Value: value}); err != nil {
			return err
		}
	}
	return nil
}

func (a *attribute) delete(p *program) error {
	if a.typ == "status" {
		if a.pattern != "" {
			return a.updateMatching(p, nil)
		}
		had := p.fileAttribute(a)
		err := p.setTransient(api.AttrUpdate{Node: a.node, Name: a.name, Set: a.set})
		if err == nil && had != nil {
			p.Printf("Deleted status attribute: id=%s name=%s\n", had.ID(), a.name)
		}
		return err
	}
	var gone change.Found
	ok := false
	_, _, err := p.src.Update(p.ctx, source.Change{Client: "crm_attribute"}, func(root *cib.Element) (*cib.Element, error) {
		grown, owner, at, err := a.owner(root)
		if err != nil {
			return nil, err
		}
		var changed *cib.Element
		if changed, gone, ok = change.Delete(owner, at); !ok {
			return root, nil
		}
		return change.With(grown, owner, changed), nil
	})
	if err == nil && ok && p.xml == nil {
		what := "option"
		if a.typ == "nodes" {
			what = "attribute"
		}
		p.Printf("Deleted %s %s: id=%s name=%s\n", a.typ, what, gone.Pair.ID(), gone.Name)
	}
	return err
}

// counted carries out value++ and value+=N (also written with the attribute's
// own name) on an attribute that is there; any other value is taken as it is.
func counted(name, value string, old func() string) string {
	before := old()
	if before == "" {
		return value
	}
	for _, prefix := range []string{name, "value"} {
		rest, ok := strings.CutPrefix(value, prefix)
		if !ok {
			continue
		}
		step := int64(1)
		if n, found := strings.CutPrefix(rest, "+="); found {
			var err error
			if step, err = strconv.ParseInt(n, 10, 64); err != nil {
				continue
			}
		} else if rest != "++" {
			continue
		}
		was, err := score.Parse(before)
		if err != nil {
			was = 0
		}
		return was.Add(score.Of(step)).String()
	}
	return value
}

// fileAttribute is the nvpair of a transient attribute in a file; the daemon's
// attributes are deleted without a word.
func (p *program) fileAttribute(a *attribute) *cib.Element {
	if p.src.Live() {
		return nil
	}
	c, err := p.src.Read(p.ctx)
	if err != nil {
		return nil
	}
	for ns := range c.Status().Each("node_state") {
		if ns.Get("uname") != a.node {
			continue
		}
		if f := change.Find(orEmpty(ns.Child("transient_attributes")), change.Attr{Tag: "instance_attributes", Name: a.name, Set: a.set}); len(f) > 0 {
			return f[0].Pair
		}
	}
	return nil
}
