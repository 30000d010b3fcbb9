package simulate

import (
	"slices"
	"strconv"
	"time"

	"systole/crm/cib"
)

// origin is what entries written by a simulation carry as crm-debug-origin.
const origin = "crm_simulate"

// world is a CIB under simulation: the document with its node states taken apart, so
// that thousands of results cost no copies of the whole.
type world struct {
	root    *cib.Element
	states  []*nodeState
	byName  map[string]*nodeState
	rest    []*cib.Element // children of status that are no node_state: tickets
	now     time.Time      // stamped on results
	feature string
}

// nodeState is one node_state with its operation history taken apart.
type nodeState struct {
	element   *cib.Element   // with its children, of which the lrm is stale
	history   []*cib.Element // lrm_resource entries
	index     map[string]int // place in history by resource id
	hasLRM    bool
	untouched bool // nothing of the history was changed: element may be used as it is
}

func newWorld(root *cib.Element, now time.Time) *world {
	w := &world{root: root, byName: map[string]*nodeState{}, now: now, feature: cib.CurrentFeatureSet}
	if st := root.Child("status"); st != nil {
		for _, e := range st.Children() {
			if e.Name() == "node_state" {
				w.add(newNodeState(e))
			} else {
				w.rest = append(w.rest, e)
			}
		}
	}
	return w
}

func newNodeState(e *cib.Element) *nodeState {
	s := &nodeState{element: e, index: map[string]int{}, untouched: true}
	lrm := e.Child("lrm")
	s.hasLRM = lrm != nil
	if rs := lrm.Child("lrm_resources"); rs != nil {
		s.history = slices.Clone(rs.Children())
		for i, r := range s.history {
			s.index[r.ID()] = i
		}
	}
	return s
}

func (w *world) add(s *nodeState) {
	w.states = append(w.states, s)
	if name := s.element.Get("uname"); name != "" {
		w.byName[name] = s
	} else if n := w.configured("id", s.element.ID()); n != nil {
		w.byName[n.Get("uname")] = s
	} else {
		w.byName[s.element.ID()] = s
	}
}

// name is the node's name; very old documents have only the id.
func (s *nodeState) name() string {
	if name := s.element.Get("uname"); name != "" {
		return name
	}
	return s.element.ID()
}

// node is the state of a node, made when the node is known and has none; id may be "",
// and is then the configured one. It is nil for a name that nobody knows.
func (w *world) node(name, id string) *nodeState {
	if s := w.byName[name]; s != nil {
		return s
	}
	if id == "" {
		n := w.configured("uname", name)
		if n == nil {
			return nil
		}
		id = n.ID()
	}
	w.add(newNodeState(cib.New("node_state", "id", id, "uname", name, "in_ccm", "false", "crmd", "offline",
		"join", "down", "expected", "down", "crm-debug-origin", origin)))
	return w.byName[name]
}

// configured finds a nodes/node entry by one of its attributes.
func (w *world) configured(attr, value string) *cib.Element {
	for n := range w.root.Path("configuration", "nodes").Each("node") {
		if n.Get(attr) == value {
			return n
		}
	}
	return nil
}

// finish puts the CIB together again.
func (w *world) finish() *cib.Element {
	children := make([]*cib.Element, 0, len(w.states)+len(w.rest))
	for _, s := range w.states {
		children = append(children, s.finish())
	}
	children = append(children, w.rest...)
	return withChild(w.root, cib.New("status").WithChildren(children...))
}

func (s *nodeState) finish() *cib.Element {
	if s.untouched {
		return s.element
	}
	if !s.hasLRM {
		return s.element.WithChildren(withoutChild(s.element, "lrm")...)
	}
	lrm := s.element.Child("lrm")
	if lrm == nil {
		lrm = cib.New("lrm", "id", s.element.ID())
	}
	return withChild(s.element, lrm.WithChildren(cib.New("lrm_resources").WithChildren(s.history...)))
}

// withChild replaces the first child of the same tag, or adds it at the end.
func withChild(e, child *cib.Element) *cib.Element {
	children := slices.Clone(e.Children())
	for i, c := range children {
		if c.Name() == child.Name() {
			children[i] = child
			return e.WithChildren(children...)
		}
	}
	return e.WithChildren(append(children, child)...)
}

func withoutChild(e *cib.Element, tags ...string) []*cib.Element {
	return slices.DeleteFunc(slices.Clone(e.Children()), func(c *cib.Element) bool { return slices.Contains(tags, c.Name()) })
}

// set changes attributes of the node_state.
func (s *nodeState) set(pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		s.element = s.element.With(pairs[i], pairs[i+1])
	}
}

// forget removes the node's operation history and transient attributes.
func (s *nodeState) forget() {
	s.element = s.element.WithChildren(withoutChild(s.element, "lrm", "transient_attributes")...)
	s.history, s.index, s.hasLRM, s.untouched = nil, map[string]int{}, false, false
}

// resource is a resource's history entry, made from like when there is none.
func (s *nodeState) resource(like *cib.Element) *cib.Element {
	if i, ok := s.index[like.ID()]; ok {
		return s.history[i]
	}
	return like
}

func (s *nodeState) put(r *cib.Element) {
	s.hasLRM, s.untouched = true, false
	if i, ok := s.index[r.ID()]; ok {
		s.history[i] = r
		return
	}
	s.index[r.ID()] = len(s.history)
	s.history = append(s.history, r)
}

// remove forgets a resource's history on the node.
func (s *nodeState) remove(id string) {
	i, ok := s.index[id]
	if !ok {
		return
	}
	s.untouched = false
	s.history = slices.Delete(s.history, i, i+1)
	delete(s.index, id)
	for other, at := range s.index {
		if at > i {
			s.index[other] = at - 1
		}
	}
}

// attribute sets a transient attribute; value computes the new value from the old one.
func (s *nodeState) attribute(name string, value func(old string) string) {
	id := s.element.ID()
	ta := s.element.Child("transient_attributes")
	if ta == nil {
		ta = cib.New("transient_attributes", "id", id)
	}
	set := ta.Child("instance_attributes")
	if set == nil {
		set = cib.New("instance_attributes", "id", "status-"+id)
	}
	pairs := slices.Clone(set.Children())
	for i, p := range pairs {
		if p.Get("name") == name {
			pairs[i] = p.With("value", value(p.Get("value")))
			s.element = withChild(s.element, withChild(ta, set.WithChildren(pairs...)))
			return
		}
	}
	pair := cib.New("nvpair", "id", set.ID()+"-"+idText(name), "name", name, "value", value(""))
	s.element = withChild(s.element, withChild(ta, set.Append(pair)))
}

// dropAttributes removes transient attributes that match.
func (s *nodeState) dropAttributes(match func(name string) bool) {
	ta := s.element.Child("transient_attributes")
	if ta == nil {
		return
	}
	sets := slices.Clone(ta.Children())
	for i, set := range sets {
		sets[i] = set.WithChildren(slices.DeleteFunc(slices.Clone(set.Children()), func(p *cib.Element) bool { return match(p.Get("name")) })...)
	}
	s.element = withChild(s.element, ta.WithChildren(sets...))
}

// idText makes a name fit for an XML id.
func idText(name string) string {
	b := []byte(name)
	for i, c := range b {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
		default:
			b[i] = '.'
		}
	}
	return string(b)
}

func (w *world) seconds() string { return strconv.FormatInt(w.now.Unix(), 10) }
