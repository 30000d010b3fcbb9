package clitext

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// monitor carries out `monitor RSC[:ROLE] INTERVAL[:TIMEOUT]`: one more monitor operation.
func (d *Draft) monitor(s Statement) error {
	sc := &scan{words: s.words, pos: 1}
	w, err := sc.need("the resource")
	if err != nil {
		return err
	}
	times, err := sc.need("the interval")
	if err != nil {
		return err
	}
	if err := sc.done("write monitor RESOURCE[:ROLE] INTERVAL[:TIMEOUT]"); err != nil {
		return err
	}
	id, role, _ := strings.Cut(w.text, ":")
	interval, timeout, _ := strings.Cut(times.text, ":")
	rsc, _ := d.resource(id)
	if rsc == nil || rsc.Name() != "primitive" {
		return &missingError{SyntaxError{w.line, w.text, "there is no such primitive; define it first"}}
	}
	n := newNamer(d.ids, nil)
	op := cib.New("op", "name", "monitor")
	if role != "" {
		op = op.With("role", roleName(role))
	}
	op = op.With("interval", interval)
	if timeout != "" {
		op = op.With("timeout", timeout)
	}
	op = op.With("id", n.fresh(id+"-monitor-"+interval))
	children := slices.Clone(rsc.Children())
	i := slices.IndexFunc(children, func(c *cib.Element) bool { return c.Name() == "operations" })
	if i < 0 {
		children = append(children, cib.New("operations"))
		i = len(children) - 1
	}
	children[i] = children[i].Append(op)
	k, _ := kindOf("resources", "primitive")
	d.put(k, rsc, rsc.WithChildren(children...))
	return nil
}
