package clitext

import (
	"slices"
	"strings"

	"systole/crm/cib"
)

// builder makes the element of one object from a statement.
type builder struct {
	*namer
	draft *Draft
	old   *cib.Element // the object it replaces, nil for a new one
}

// objects are the statements that define an object, by keyword.
var objects map[string]kind

// kind is one sort of object: how it is read and printed, where it lives.
type kind struct {
	keyword string
	tag     string // of its element
	section string // the child of configuration it is in
	// read makes the element from the words after the keyword.
	read func(b *builder, s *scan) (*cib.Element, error)
	// print gives the statement's parts, each but the first on a line of its own.
	print func(p *printer, e *cib.Element) []string
}

// kinds in the order show prints them (that of crmsh).
var kinds []kind

// synonyms are other spellings of keywords.
var synonyms = map[string]string{"master": "ms", "collocation": "colocation"}

func init() { // not an initializer: the functions named here use kinds
	kinds = []kind{
		{"node", "node", "nodes", (*builder).node, printNode},
		{"rsc_template", "template", "resources", (*builder).template, printPrimitive},
		{"primitive", "primitive", "resources", (*builder).primitive, printPrimitive},
		{"bundle", "bundle", "resources", (*builder).bundle, printBundle},
		{"group", "group", "resources", (*builder).group, printContainer},
		{"ms", "master", "resources", (*builder).ms, printContainer},
		{"clone", "clone", "resources", (*builder).clone, printContainer},
		{"tag", "tag", "tags", (*builder).tag, printTag},
		{"colocation", "rsc_colocation", "constraints", (*builder).colocation, printColocation},
		{"location", "rsc_location", "constraints", (*builder).location, printLocation},
		{"order", "rsc_order", "constraints", (*builder).order, printOrder},
		{"fencing_topology", "fencing-topology", "", (*builder).topology, printTopology},
		{"rsc_ticket", "rsc_ticket", "constraints", (*builder).ticket, printTicket},
		{"property", "cluster_property_set", "crm_config", (*builder).property, printProperty},
		{"rsc_defaults", "meta_attributes", "rsc_defaults", (*builder).rscDefaults, printProperty},
		{"op_defaults", "meta_attributes", "op_defaults", (*builder).opDefaults, printProperty},
		{"role", "acl_role", "acls", (*builder).role, printRole},
		{"acl_target", "acl_target", "acls", (*builder).target, printTarget},
		{"acl_group", "acl_group", "acls", (*builder).aclGroup, printTarget},
		{"alert", "alert", "alerts", (*builder).alert, printAlert},
	}
	objects = map[string]kind{}
	for _, k := range kinds {
		objects[k.keyword] = k
	}
	for alias, k := range synonyms {
		objects[alias] = objects[k]
	}
}

// kindOf finds the kind of an element of the configuration by its section and tag.
func kindOf(section, tag string) (kind, bool) {
	i := slices.IndexFunc(kinds, func(k kind) bool { return k.section == section && k.tag == tag })
	if i < 0 {
		return kind{}, false
	}
	return kinds[i], true
}

// Keywords are the statements that define objects, sorted, with synonyms.
func Keywords() []string {
	out := []string{"xml", "monitor", "user"}
	for k := range objects {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// ident takes the id of an object: X, id=X or $id=X.
func (b *builder) ident(s *scan, what string) (string, error) {
	w, err := s.need("the id of the " + what)
	if err != nil {
		return "", err
	}
	id := w.text
	if name, value, ok := w.pair(); ok && (name == "id" || name == "$id") {
		id = value
	}
	if !validID(id) {
		return "", errorAt(w, "%q cannot be an id; begin with a letter or _ and use letters, digits, - _ and . only", id)
	}
	return id, b.claim(w, id)
}

// validID follows XML names without colon; digits may begin one, because node
// ids are numbers and Pacemaker minds neither.
func validID(id string) bool {
	return id != "" && !strings.ContainsFunc(id, func(r rune) bool { return needsQuote(r) && r < 0x80 && r != '#' }) && id[0] != '-' && id[0] != '.'
}

// description takes description=… if it comes next.
func description(s *scan, e *cib.Element) *cib.Element {
	if name, value, ok := s.peek().pair(); ok && name == "description" {
		s.next()
		return e.With("description", value)
	}
	return e
}

// reference resolves $id-ref: the id of a set, or of an object that has one with the tag.
func (b *builder) reference(tag, id string) string {
	e := cib.FindID(b.draft.conf, id)
	if e == nil || e.Name() == tag {
		return id
	}
	for x := range cib.All(e) {
		if x.Name() == tag && x.ID() != "" {
			return x.ID()
		}
	}
	return id
}

// sections reads attribute sets until the end; keywords are those allowed.
func (b *builder) sections(s *scan, e *cib.Element, keywords ...string) (*cib.Element, error) {
	for s.more() {
		w := s.next()
		if w.quoted || !slices.Contains(keywords, w.text) {
			return nil, errorAt(w, "not expected here; what may follow is %s", strings.Join(keywords, ", "))
		}
		set, err := b.nvset(s, setTags[w.text], e.ID(), keywords...)
		if err != nil {
			return nil, err
		}
		e = e.Append(set)
	}
	return e, nil
}
