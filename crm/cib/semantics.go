package cib

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"systole/crm/isotime"
	"systole/crm/score"
)

// sections: what every document has.
func (v *validator) sections() {
	for _, section := range []string{"configuration", "status"} {
		if v.root.Child(section) == nil {
			v.add(Error, nil, "<cib> has no <%s>", section)
		}
	}
	if v.root.Child("configuration") == nil {
		return
	}
	for _, section := range []string{"crm_config", "nodes", "resources", "constraints"} {
		if v.root.Path("configuration", section) == nil {
			v.add(Error, nil, "<configuration> has no <%s>: add an empty one", section)
		}
	}
}

// semantics checks what the vocabulary alone cannot say: which attributes and
// children an element needs together.
func (v *validator) semantics(conf *Element) {
	for at, e := range Walk(conf) {
		if check := shapes[e.name]; check != nil {
			check(v, at, e)
		}
	}
	if i := slices.IndexFunc(conf.children, func(e *Element) bool { return e.name == "constraints" }); i >= 0 {
		v.under = append(v.under, i)
		v.orderCycles(conf.children[i])
	}
}

// shapes are the checks by tag.
var shapes = map[string]func(v *validator, at Path, e *Element){
	"primitive": func(v *validator, at Path, e *Element) {
		v.agent(at, e)
		v.operations(at, e)
	},
	"template": (*validator).agent,
	"node":     (*validator).node,
	"tag": func(v *validator, at Path, e *Element) {
		if e.Child("obj_ref") == nil {
			v.add(Error, at, "the tag holds nothing: add an obj_ref or delete the tag")
		}
	},
	"port-mapping":    func(v *validator, at Path, e *Element) { v.exactlyOne(at, e, "port", "range") },
	"storage-mapping": func(v *validator, at Path, e *Element) { v.exactlyOne(at, e, "source-dir", "source-dir-root") },
	"group":           (*validator).group,
	"clone":           (*validator).clone,
	"master":          (*validator).clone,
	"bundle":          (*validator).bundle,
	"op":              (*validator).operation,
	"nvpair":          (*validator).nvpair,
	"rsc_location":    (*validator).location,
	"rsc_colocation":  (*validator).colocation,
	"rsc_order":       (*validator).order,
	"rsc_ticket":      (*validator).ticket,
	"fencing-level":   (*validator).level,
	"rule":            (*validator).rule,
	"acl_permission":  (*validator).permission,

	"cluster_property_set": (*validator).set, "meta_attributes": (*validator).set, "instance_attributes": (*validator).set, "utilization": (*validator).set,
	"resource_set": (*validator).set,
}

func (v *validator) agent(at Path, e *Element) {
	if _, ok := e.Lookup("template"); ok {
		if e.Get("class") != "" || e.Get("type") != "" || e.Get("provider") != "" {
			v.add(Error, at, "a resource of a template takes class, provider and type from there: remove them here")
		}
		return
	}
	provider, hasProvider := e.Lookup("provider")
	switch class := e.Get("class"); {
	case class == "" || e.Get("type") == "":
		v.add(Error, at, "a resource needs class and type, or a template")
	case class == "ocf" && provider == "":
		v.add(Error, at, "an ocf resource needs a provider, such as heartbeat")
	case class != "ocf" && hasProvider:
		v.add(Error, at, "a resource of class %s has no provider: remove it", class)
	}
}

func (v *validator) node(at Path, e *Element) {
	if t := e.Get("type"); (t == "normal" || t == "pending") && v.schema == schemaCurrent {
		v.add(Error, at, "type=%q is called member now", t)
	}
}

// operations finds recurring operations that collide: the executor tells them
// apart by name and interval only.
func (v *validator) operations(at Path, e *Element) {
	lists := 0
	for range e.Each("operations") {
		lists++
	}
	if lists > 1 {
		v.add(Error, at, "<operations> is there %d times: put all operations into one", lists)
	}
	seen := make(map[string]string)
	for op := range e.Child("operations").Each("op") {
		interval, err := isotime.ParseInterval(op.Get("interval"))
		if err != nil || interval == 0 {
			continue
		}
		key := op.Get("name") + " " + interval.String()
		if other, twice := seen[key]; twice {
			v.add(Warning, at, "the operations %q and %q have the same name and interval: only one will run", other, op.ID())
		}
		seen[key] = op.ID()
	}
}

func (v *validator) operation(at Path, e *Element) {
	if _, ok := e.Lookup("id-ref"); ok {
		return
	}
	for _, name := range []string{"id", "name", "interval"} {
		if _, ok := e.Lookup(name); !ok {
			v.add(Error, at, "<op> has no %s", name)
		}
	}
	if e.Get("start-delay") != "" && e.Get("interval-origin") != "" {
		v.add(Error, at, "start-delay and interval-origin exclude each other: remove one")
	}
	for _, name := range []string{"interval", "timeout", "start-delay"} {
		if text, ok := e.Lookup(name); ok && valueKinds["interval"](text) != "" {
			v.add(Warning, at, "%s=%q cannot be read: %s", name, text, valueKinds["interval"](text))
		}
	}
	if e.Get("name") == "stop" && e.Get("on-fail") == "demote" || e.Get("name") == "promote" && e.Get("on-fail") == "restart-container" {
		v.add(Warning, at, "on-fail=%q means nothing for %s", e.Get("on-fail"), e.Get("name"))
	}
}

func (v *validator) group(at Path, e *Element) {
	if e.Child("primitive") == nil {
		v.add(Error, at, "the group has no primitive: add one or delete the group")
	}
}

func (v *validator) clone(at Path, e *Element) {
	n := 0
	for _, c := range e.children {
		if isResource(c) || c.name == "template" {
			n++
		}
	}
	if n != 1 {
		v.add(Error, at, "<%s> must hold one primitive or group, this has %d", e.name, n)
	}
}

func (v *validator) bundle(at Path, e *Element) {
	containers, primitives := 0, 0
	for _, c := range e.children {
		switch c.name {
		case "docker", "podman", "rkt":
			containers++
			v.bound(at, "replicas", c.Get("replicas"), MaxReplicas)
		case "primitive":
			primitives++
		}
	}
	if containers != 1 {
		v.add(Error, at, "the bundle must hold one of docker, podman, rkt, this has %d", containers)
	}
	if primitives > 1 {
		v.add(Error, at, "the bundle may hold one primitive, this has %d", primitives)
	}
	if n := e.Child("network"); primitives == 1 && (n == nil || n.Get("ip-range-start") == "" && n.Get("control-port") == "") {
		v.add(Warning, at, "the bundle's primitive cannot be reached: give its network an ip-range-start or a control-port")
	}
}

// location: what (one of rsc, rsc-pattern, sets) and where (node with score, or rules).
func (v *validator) location(at Path, e *Element) {
	v.exactlyOne(at, e, "rsc", "rsc-pattern", "resource_set")
	_, node := e.Lookup("node")
	_, hasScore := e.Lookup("score")
	rules := e.Child("rule") != nil
	switch {
	case node && !hasScore && v.schema == schemaCurrent && e.Child("lifetime") == nil:
		v.add(Error, at, "a location with a node needs a score")
	case node && rules:
		v.add(Error, at, "a location has a node or rules, not both")
	case !node && !rules:
		v.add(Error, at, "a location needs a node with a score, or a rule")
	}
}

func (v *validator) colocation(at Path, e *Element) {
	v.pairOrSets(at, e, "rsc", "with-rsc")
	if text, ok := e.Lookup("influence"); ok && valueKinds["truth"](text) != "" {
		v.add(Warning, at, "influence=%q is neither true nor false", text)
	}
}

func (v *validator) order(at Path, e *Element) {
	if _, old := e.Lookup("from"); old {
		return
	}
	v.pairOrSets(at, e, "first", "then")
	if e.Get("kind") != "" && e.Get("score") != "" {
		v.add(Error, at, "kind and score exclude each other: remove score")
	}
	if e.Get("first") != "" && e.Get("first") == e.Get("then") && cmp.Or(e.Get("first-action"), "start") == cmp.Or(e.Get("then-action"), e.Get("first-action"), "start") {
		v.add(Warning, at, "%q is ordered after itself", e.Get("first"))
	}
}

func (v *validator) ticket(at Path, e *Element) {
	v.exactlyOne(at, e, "rsc", "resource_set")
}

func (v *validator) pairOrSets(at Path, e *Element, one, other string) {
	_, hasOne := e.Lookup(one)
	_, hasOther := e.Lookup(other)
	sets := e.Child("resource_set") != nil
	if hasOne != hasOther || sets == hasOne {
		v.add(Error, at, "<%s> needs either %s and %s, or resource sets", e.name, one, other)
	}
}

// exactlyOne: of attributes and children, one must be there.
func (v *validator) exactlyOne(at Path, e *Element, names ...string) {
	n := 0
	for _, name := range names {
		if _, ok := e.Lookup(name); ok || e.Child(name) != nil {
			n++
		}
	}
	if n != 1 {
		v.add(Error, at, "<%s> needs exactly one of %s, this has %d", e.name, strings.Join(names, ", "), n)
	}
}

func (v *validator) level(at Path, e *Element) {
	v.exactlyOne(at, e, "target", "target-pattern", "target-attribute")
	if len(e.Get("index")) > 1 {
		v.add(Warning, at, "index=%q: levels are 1 to 9, this one will not be tried", e.Get("index"))
	}
	_, attribute := e.Lookup("target-attribute")
	if _, value := e.Lookup("target-value"); attribute != value {
		v.add(Error, at, "target-attribute and target-value belong together")
	}
}

func (v *validator) rule(at Path, e *Element) {
	if _, ok := e.Lookup("id-ref"); ok {
		return
	}
	if _, ok := e.Lookup("id"); !ok {
		v.add(Error, at, "<rule> has no id")
	}
	if e.Get("score") != "" && e.Get("score-attribute") != "" {
		v.add(Error, at, "score and score-attribute exclude each other: remove one")
	}
	if !slices.ContainsFunc(e.children, func(c *Element) bool { return c.name != commentName }) {
		v.add(Error, at, "the rule has no expression")
	}
	for _, name := range []string{"expression", "date_expression"} {
		for x := range e.Each(name) {
			v.expression(at, x)
		}
	}
}

func (v *validator) expression(at Path, x *Element) {
	_, hasValue := x.Lookup("value")
	op := x.Get("operation")
	switch {
	case x.name == "expression" && !hasValue && op != "defined" && op != "not_defined":
		v.add(Warning, at, "the expression %q compares with no value", x.ID())
	case x.name == "date_expression" && op == "date_spec" && x.Child("date_spec") == nil:
		v.add(Error, at, "the date_expression %q has no date_spec", x.ID())
	case x.name == "date_expression" && (op == "in_range" || op == "") && x.Get("start") == "" && x.Get("end") == "":
		v.add(Error, at, "the date_expression %q has neither start nor end", x.ID())
	case x.name == "date_expression" && op == "gt" && x.Get("start") == "":
		v.add(Error, at, "the date_expression %q has no start", x.ID())
	case x.name == "date_expression" && op == "lt" && x.Get("end") == "":
		v.add(Error, at, "the date_expression %q has no end", x.ID())
	}
}

func (v *validator) permission(at Path, e *Element) {
	v.exactlyOne(at, e, "xpath", "reference", "object-type")
}

// set: attribute sets and resource sets have an id or refer to one that has.
func (v *validator) set(at Path, e *Element) {
	_, hasID := e.Lookup("id")
	_, hasRef := e.Lookup("id-ref")
	if hasID == hasRef {
		v.add(Error, at, "<%s> needs either an id or an id-ref", e.name)
	}
	if e.name == "resource_set" && hasID && e.Child("resource_ref") == nil {
		v.add(Error, at, "the resource set names no resource")
	}
	rules := 0
	for range e.Each("rule") {
		rules++
	}
	if rules > 1 {
		v.add(Error, at, "<%s> has %d rules and may have one: put them into one", e.name, rules)
	}
}

// orderCycles finds resources that must each start after the other.
func (v *validator) orderCycles(constraints *Element) {
	next := make(map[string][]string)
	where := make(map[string]Path)
	for at, e := range Walk(constraints) {
		if e.name != "rsc_order" || e.Get("kind") == "Optional" || e.Get("kind") == "Serialize" || e.Get("kind") == "" && score.ParseOr(e.Get("score"), 1) <= 0 {
			continue
		}
		if cmp.Or(e.Get("first-action"), "start") != "start" || cmp.Or(e.Get("then-action"), "start") != "start" || e.Get("first") == "" || e.Get("first") == e.Get("then") {
			continue
		}
		next[e.Get("first")] = append(next[e.Get("first")], e.Get("then"))
		where[e.Get("first")+" "+e.Get("then")] = slices.Clone(at)
	}
	const (
		fresh = iota
		open
		done
	)
	state := make(map[string]int)
	var visit func(rsc string, trail []string)
	visit = func(rsc string, trail []string) {
		state[rsc] = open
		trail = append(trail, rsc)
		for _, then := range next[rsc] {
			switch state[then] {
			case open:
				circle := append(slices.Clone(trail[slices.Index(trail, then):]), then)
				v.add(Warning, where[rsc+" "+then], "these must start one after the other in a circle, so none ever will: %s", strings.Join(circle, ", "))
			case fresh:
				visit(then, trail)
			}
		}
		state[rsc] = done
	}
	for _, rsc := range slices.Sorted(maps.Keys(next)) {
		if state[rsc] == fresh {
			visit(rsc, nil)
		}
	}
}
