package clitext

import (
	"regexp"
	"slices"
	"strings"

	"systole/crm/cib"
)

var aclRights = []string{"read", "write", "deny"}

// shortcut is a word of a role that stands for an XPath.
type shortcut struct {
	word string // before the first colon
	// xpath has %1 and %2 for the parts after colons.
	xpath string
	parts int
}

// shortcuts of crmsh; the printer tries them in order, so more parts come first.
var shortcuts = []shortcut{
	{"meta", "//primitive[@id='%1']/meta_attributes/nvpair[@name='%2']", 2},
	{"meta", "//primitive[@id='%1']/meta_attributes", 1},
	{"params", "//primitive[@id='%1']/instance_attributes/nvpair[@name='%2']", 2},
	{"params", "//primitive[@id='%1']/instance_attributes", 1},
	{"utilization", "//primitive[@id='%1']/utilization", 1},
	{"location", "//rsc_location[@id='cli-prefer-%1' and @rsc='%1']", 1},
	{"property", "//crm_config/cluster_property_set/nvpair[@name='%1']", 1},
	{"property", "//crm_config/cluster_property_set", 0},
	{"nodeattr", "//nodes/node/instance_attributes/nvpair[@name='%1']", 1},
	{"nodeattr", "//nodes/node/instance_attributes", 0},
	{"nodeutil", "//nodes/node/utilization[@uname='%1']", 1},
	{"nodeutil", "//nodes/node/utilization", 0},
	{"node", "//nodes/node[@uname='%1']", 1},
	{"node", "//nodes/node", 0},
	{"status", "/cib/status", 0},
	{"cib", "/cib", 0},
}

// role reads `role ID {read|write|deny SPEC…}…`.
func (b *builder) role(s *scan) (*cib.Element, error) {
	id, err := b.ident(s, "role")
	if err != nil {
		return nil, err
	}
	e := description(s, cib.New("acl_role", "id", id))
	for s.more() {
		w := s.next()
		if !fits(w, aclRights...) {
			return nil, errorAt(w, "expected read, write or deny before what it is about")
		}
		p := cib.New("acl_permission", "kind", w.text)
		specs := 0
		for s.more() && !s.is(aclRights...) {
			specs++
			if p, err = aclSpec(p, s.next()); err != nil {
				return nil, err
			}
		}
		switch _, typed := p.Lookup("object-type"); {
		case specs == 0:
			return nil, errorAt(w, "nothing after %s; add what it is about, such as xpath:, ref:, type: or status", w.text)
		case p.Get("attribute") != "" && !typed:
			return nil, errorAt(w, "attribute: goes with type: only; add type:TAG")
		}
		e = e.Append(p.With("id", b.freshNumber(id+"-", 0)))
	}
	if len(e.Children()) == 0 {
		return nil, errorAt(s.peek(), "role %s has no rule; add one such as read status", id)
	}
	return e, nil
}

// aclSpec reads one word of a permission.
func aclSpec(p *cib.Element, w word) (*cib.Element, error) {
	name, rest, colon := strings.Cut(w.text, ":")
	if colon && rest != "" {
		switch name {
		case "xpath":
			return p.With("xpath", rest), nil
		case "tag", "type":
			return p.With("object-type", rest), nil
		case "ref":
			return p.With("reference", rest), nil
		case "attribute", "attr":
			return p.With("attribute", rest), nil
		}
	}
	args := strings.Split(w.text, ":")[1:]
	for _, sc := range shortcuts {
		if sc.word == name && sc.parts == len(args) && !slices.Contains(args, "") {
			x := sc.xpath
			for i, a := range args {
				x = strings.ReplaceAll(x, "%"+itoa(i+1), a)
			}
			return p.With("xpath", x), nil
		}
	}
	return nil, errorAt(w, "not something a role can be about; use xpath:, type:, ref:, attribute:, or a shortcut (meta:RSC:ATTR, params:RSC:ATTR, utilization:RSC, location:RSC, property:NAME, node:NAME, nodeattr:NAME, nodeutil:NAME, status, cib)")
}

func printRole(p *printer, e *cib.Element) []string {
	parts := append([]string{p.keyword + " " + e.ID()}, printDescription(e)...)
	for a := range e.Each("acl_permission") {
		words := []string{a.Get("kind")}
		if x, ok := a.Lookup("xpath"); ok {
			words = append(words, printXPath(x))
		}
		if v, ok := a.Lookup("reference"); ok {
			words = append(words, "ref:"+v)
		}
		if v, ok := a.Lookup("attribute"); ok {
			words = append(words, "attr:"+v)
		}
		if v, ok := a.Lookup("object-type"); ok {
			words = append(words, "type:"+v)
		}
		parts = append(parts, strings.Join(words, " "))
	}
	return parts
}

// printXPath finds the shortcut for an XPath, else writes it out.
func printXPath(x string) string {
	for _, sc := range shortcuts {
		pattern := regexp.QuoteMeta(sc.xpath)
		if first := strings.Index(pattern, "%1"); first >= 0 {
			pattern = pattern[:first] + "([^':]+)" + pattern[first+2:]
		}
		pattern = strings.ReplaceAll(strings.ReplaceAll(pattern, "%2", "([^':]+)"), "%1", "([^':]+)")
		m := regexp.MustCompile("^" + pattern + "$").FindStringSubmatch(x)
		if m == nil || len(m) == 3 && sc.parts == 1 && m[1] != m[2] {
			continue
		}
		return strings.Join(append([]string{sc.word}, m[1:1+sc.parts]...), ":")
	}
	return "xpath:" + quoteAlways(x)
}

// quoteAlways writes a value in quotation marks, as crmsh does an XPath.
func quoteAlways(s string) string {
	if q := quote(s); strings.HasPrefix(q, `"`) {
		return q
	}
	return `"` + s + `"`
}

func (b *builder) target(s *scan) (*cib.Element, error)   { return b.roles(s, "acl_target") }
func (b *builder) aclGroup(s *scan) (*cib.Element, error) { return b.roles(s, "acl_group") }

// roles reads `acl_target USER ROLE…`.
func (b *builder) roles(s *scan, tag string) (*cib.Element, error) {
	id, err := b.ident(s, "user")
	if err != nil {
		return nil, err
	}
	e := cib.New(tag, "id", id)
	for s.more() {
		w := s.next()
		role := strings.TrimPrefix(w.text, "role:")
		if !validID(role) {
			return nil, errorAt(w, "not the id of a role")
		}
		e = e.Append(cib.New("role", "id", role))
	}
	return e, nil
}

func printTarget(p *printer, e *cib.Element) []string {
	parts := []string{p.keyword + " " + e.ID()}
	for r := range e.Each("role") {
		parts = append(parts, r.ID())
	}
	return parts
}
