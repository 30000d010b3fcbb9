package keepalived

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"systole/crm/importer"
)

// site is what one file says.
type site struct {
	report     *importer.Report
	node       string
	instances  []*instance
	syncGroups []*syncGroup
	services   []importer.Service
	sync       []syncDaemon
	timeouts   importer.Line
}

// syncGroup is a vrrp_sync_group.
type syncGroup struct {
	at      importer.Place
	name    string
	members []string
	shared  instance // only its tracks
}

// syncDaemon is lvs_sync_daemon; instance is whose state it follows.
type syncDaemon struct {
	importer.Sync
	instance string
}

// compare reports where another director's file says something else than the first.
func (s *site) compare(other *site) {
	for _, i := range other.instances {
		k := slices.IndexFunc(s.instances, func(j *instance) bool { return j.name == i.name })
		switch {
		case k < 0:
			s.report.Unsupported(i.at, "the first file has no instance %s: its addresses are left out", i.name)
		case !slices.Equal(s.instances[k].addresses, i.addresses):
			s.report.Unsupported(i.at, "the first file has other addresses for %s: those are taken", i.name)
		}
	}
	first := map[string]importer.Service{}
	for _, v := range s.services {
		first[v.Name()] = v
	}
	for _, v := range other.services {
		w, ok := first[v.Name()]
		switch {
		case !ok:
			s.report.Unsupported(v.At, "the first file has no service %s: it is left out", v.Name())
		case !slices.Equal(w.Lines, v.Lines):
			s.report.Unsupported(v.At, "the first file configures %s otherwise (%s): that is taken", v.Name(), w.At)
		}
	}
}

// unit is what becomes one group of resources: an instance, or those of a sync group.
type unit struct {
	name      string
	instances []*instance
	tracks    []track
	director  importer.Director
}

// units sorts the instances by what moves together, in the order of the file.
func (s *site) units() []*unit {
	var units []*unit
	in := map[string]*unit{}
	for _, g := range s.syncGroups {
		u := &unit{name: g.name, tracks: g.shared.tracks}
		for _, m := range g.members {
			switch {
			case !slices.ContainsFunc(s.instances, func(i *instance) bool { return i.name == m }):
				s.report.Unsupported(g.at, "there is no instance %s", m)
			case in[m] != nil:
				s.report.Unsupported(g.at, "%s is in two groups: it moves with %s", m, in[m].name)
			default:
				in[m] = u
			}
		}
	}
	for _, i := range s.instances {
		u := in[i.name]
		if u == nil {
			u = &unit{name: i.name}
			in[i.name] = u
		}
		if !slices.Contains(units, u) {
			units = append(units, u)
		}
		u.instances = append(u.instances, i)
		u.tracks = append(u.tracks, i.tracks...)
	}
	return units
}

func (u *unit) holds(a netip.Addr) bool {
	for _, i := range u.instances {
		if slices.ContainsFunc(i.addresses, func(b address) bool { return b.ip == a }) {
			return true
		}
	}
	return false
}

func (u *unit) has(name string) bool {
	return slices.ContainsFunc(u.instances, func(i *instance) bool { return i.name == name })
}

// assemble makes the configuration of the sites: all from the first, and from
// each which node it prefers.
func assemble(sites []*site) importer.Config {
	var c importer.Config
	s := sites[0]
	units := s.units()
	rest := s.distribute(units)
	for _, u := range units {
		s.unit(&c, u, sites)
	}
	if len(rest.Services) > 0 {
		rest.Timeouts = s.timeouts
		rest.Define(&c, "director")
	}
	c.Define(importer.Object{Kind: "property", ID: "cib-bootstrap-options", Words: []string{"stonith-enabled=false"}})
	return c
}

// distribute gives each unit the services of its addresses, and returns those of none.
func (s *site) distribute(units []*unit) (rest importer.Director) {
	all := importer.Director{Services: s.services}
	all.Sound(s.report)
	for _, v := range all.Services {
		i := slices.IndexFunc(units, func(u *unit) bool { return v.Addr.IsValid() && u.holds(v.Addr) })
		switch {
		case i < 0 && len(units) == 1:
			i = 0
		case i < 0 && len(units) > 1 && !v.Addr.IsValid():
			s.report.Changed(v.At, "it is served where %s is active; move it if its mark is for another group's addresses", units[0].name)
			i = 0
		case i < 0:
			s.report.Changed(v.At, "no instance has its address: the director of it stands alone, and the address must be on its node by other means")
			rest.Services = append(rest.Services, v)
			continue
		}
		units[i].director.Services = append(units[i].director.Services, v)
	}
	for _, d := range s.sync {
		for i, u := range units {
			if d.instance == "" && i == 0 || u.has(d.instance) {
				u.director.Sync = d.Sync
			}
		}
	}
	for _, u := range units {
		u.director.Timeouts = s.timeouts
		for _, i := range u.instances {
			if i.syncOn != "" && u.director.Sync.Interface == "" {
				u.director.Sync = importer.Sync{Interface: i.syncOn}
			}
		}
	}
	return rest
}

// unit writes a group: the director first, so that the address appears when
// the table is ready and a client's packet never meets a host without it.
func (s *site) unit(c *importer.Config, u *unit, sites []*site) {
	var members []string
	var clone string
	if len(u.director.Services) > 0 {
		id, promotable := u.director.Define(c, u.name+"-director")
		if promotable {
			clone = id
		} else {
			members = append(members, id)
		}
	}
	n := 0
	for _, i := range u.instances {
		for _, a := range i.addresses {
			n++
			id := u.name + "-vip"
			if n > 1 {
				id = fmt.Sprintf("%s-vip-%d", u.name, n)
			}
			members = append(members, c.Define(a.object(id, i.device)))
		}
		for _, r := range i.objects {
			members = append(members, c.Define(r.object(u.name+"-route", i.device)))
		}
	}
	if len(members) == 0 {
		return
	}
	stickiness := 0
	if slices.ContainsFunc(u.instances, func(i *instance) bool { return i.noPreempt }) {
		stickiness = sticky
	}
	group := c.Define(importer.Object{Kind: "group", ID: u.name, Words: append(members, "meta", fmt.Sprintf("resource-stickiness=%d", stickiness))})
	if clone != "" {
		c.Follow(group, clone)
	}
	preferences(c, u, group, sites)
	confine(c, cmp.Or(clone, group), sites)
	for _, t := range u.tracks {
		t.define(c, group, factor(sites))
	}
}

// A promoted director with a warm table of connections is worth 5 more than the
// other one (agents/ipvs/DESIGN.md). Where priorities differ by less, scores are
// a multiple of them, so that the greater one still wins.
const (
	closeBy     = 5
	closeFactor = 10
)

// factor makes scores of priorities and weights.
func factor(sites []*site) int {
	priorities := map[string][]int{}
	for _, s := range sites {
		for _, i := range s.instances {
			priorities[i.name] = append(priorities[i.name], i.priority)
		}
	}
	for _, list := range priorities {
		list = slices.Compact(slices.Sorted(slices.Values(list)))
		for k := 1; k < len(list); k++ {
			if list[k]-list[k-1] <= closeBy {
				return closeFactor
			}
		}
	}
	return 1
}

// preferences are the priorities of the files.
func preferences(c *importer.Config, u *unit, group string, sites []*site) {
	for _, s := range sites {
		i := slices.IndexFunc(s.instances, func(i *instance) bool { return u.has(i.name) })
		if i >= 0 && s.node != "" {
			score := factor(sites) * s.instances[i].priority
			c.Define(importer.Object{Kind: "location", ID: group + "-on-" + s.node, Words: []string{group, fmt.Sprintf("%d:", score), s.node}})
		}
	}
}

// confine keeps a resource on the directors, where more than one is known.
func confine(c *importer.Config, rsc string, sites []*site) {
	var outside []string
	for _, s := range sites {
		if s.node != "" && !slices.Contains(outside, s.node) {
			if outside != nil {
				outside = append(outside, "and")
			}
			outside = append(outside, "#uname", "ne", importer.Quote(s.node))
		}
	}
	if len(outside) > 3 {
		c.Define(importer.Object{Kind: "location", ID: rsc + "-place", Words: append([]string{rsc, "rule", "-inf:"}, outside...)})
	}
}

func (a address) object(id, device string) importer.Object {
	words := []string{"ocf:systole:IPaddr2", importer.Break, "params", importer.Set("ip", a.ip.String())}
	words = append(words, fmt.Sprintf("cidr_netmask=%d", a.bits))
	if device = cmp.Or(a.device, device); device != "" {
		words = append(words, importer.Set("nic", device))
	}
	if a.broadcast != "" && a.broadcast != "+" {
		words = append(words, importer.Set("broadcast", a.broadcast))
	}
	if a.label != "" {
		words = append(words, importer.Set("iflabel", a.label))
	}
	if a.preferred != "" {
		words = append(words, importer.Set("preferred_lft", a.preferred))
	}
	return importer.Object{Kind: "primitive", ID: id, Words: append(words, importer.Break, "op monitor", "interval=5s", "timeout=20s")}
}

func (r route) object(id, device string) importer.Object {
	words := []string{"ocf:heartbeat:Route", importer.Break, "params", importer.Set("destination", r.destination)}
	for _, p := range []struct{ name, value string }{{"gateway", r.gateway}, {"device", cmp.Or(r.device, device)}, {"source", r.source}} {
		if p.value != "" {
			words = append(words, importer.Set(p.name, p.value))
		}
	}
	return importer.Object{Kind: "primitive", ID: id, Words: append(words, importer.Break, "op monitor", "interval=10s", "timeout=20s")}
}

// define writes what moves a group away when something tracked fails.
func (t track) define(c *importer.Config, group string, factor int) {
	attribute, name := importer.SanitizeID(t.name), t.name
	if t.kind == "interface" {
		attribute = "ethmonitor-" + name
		agent := c.Share(importer.Object{Kind: "primitive", ID: "link-" + name, Words: []string{"ocf:heartbeat:ethmonitor", importer.Break,
			"params", importer.Set("interface", name), importer.Break, "op monitor", "interval=10s", "timeout=60s"}})
		c.Share(importer.Object{Kind: "clone", ID: "links-" + name, Words: []string{agent}})
	}
	score, bad := fmt.Sprintf("%d:", factor*t.weight), "0"
	switch {
	case t.weight == 0:
		score = "-inf:"
	case t.weight > 0:
		bad = "1"
	}
	if t.reverse {
		bad = map[string]string{"0": "1", "1": "0"}[bad]
	}
	c.Define(importer.Object{Kind: "location", ID: group + "-by-" + attribute, Words: []string{group, "rule", score, attribute, "eq", bad}})
}
