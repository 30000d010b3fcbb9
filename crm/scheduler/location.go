package scheduler

import (
	"regexp"
	"strings"

	"systole/crm/cib"
	"systole/crm/model"
	"systole/crm/score"
	"systole/crm/status"
)

// locationRule is a location constraint in force: scores of a resource on nodes.
type locationRule struct {
	id    string
	res   status.ResID
	role  status.Role // limits the rule to instances that will have it; RoleUnknown for no limit
	nodes []nodeScore
	mode  discovery
}

type nodeScore struct {
	node  status.NodeID
	score int32
}

func (r *run) addLocation(l *locationRule) {
	if len(l.nodes) == 0 {
		return
	}
	r.locations = append(r.locations, l)
	r.res[l.res].locations = append(r.res[l.res].locations, l)
}

// nodeHealth makes the location preferences that node-health-strategy asks for, from the node attributes #health….
func (r *run) nodeHealth() {
	option := func(name string) int32 { return points(r.s.Options.All[name]) }
	var red, yellow, green, base int32
	switch r.s.Options.HealthStrategy {
	case "migrate-on-red":
		red = minusInfinity
	case "only-green":
		red, yellow = minusInfinity, minusInfinity
	case "progressive", "custom":
		red, yellow, green = minusInfinity, option("node-health-yellow"), option("node-health-green")
		if _, set := r.s.Options.All["node-health-red"]; set {
			red = option("node-health-red")
		}
		if r.s.Options.HealthStrategy == "progressive" {
			base = option("node-health-base")
		}
	default:
		return
	}
	for _, n := range r.s.NodesByName {
		health := base
		for name, value := range r.s.Nodes[n].Attributes {
			if !strings.HasPrefix(name, "#health") {
				continue
			}
			switch strings.ToLower(value) {
			case "red":
				health = add(health, red)
			case "yellow":
				health = add(health, yellow)
			case "green":
				health = add(health, green)
			default:
				health = add(health, points(value))
			}
		}
		if health == 0 {
			continue
		}
		for _, id := range r.s.Roots {
			if health < 0 && status.True(r.rsc(id).Meta["allow-unhealthy-nodes"]) {
				continue
			}
			r.addLocation(&locationRule{id: r.s.Options.HealthStrategy, res: id, nodes: []nodeScore{{n, health}}})
		}
	}
}

// location1 reads one rsc_location.
func (r *run) location1(c *model.Location) {
	sets := r.expandSets(c.Sets)
	switch {
	case len(sets) > 0:
		for _, s := range sets {
			for _, name := range s.Members {
				if id, ok := r.find(name); ok {
					text := c.Score
					if s.Score != "" {
						text = s.Score
					}
					r.locate(c, id, s.Role, text, nil)
				}
			}
		}
	case c.Pattern != "":
		r.locatePattern(c)
	default:
		s, _, ok := r.side(c.Resource)
		if !ok {
			return
		}
		for _, name := range s.Members {
			if id, found := r.find(name); found {
				r.locate(c, id, c.Role, c.Score, nil)
			}
		}
	}
}

// locatePattern applies a constraint to all top-level resources whose name matches, or with a leading ! does not.
func (r *run) locatePattern(c *model.Location) {
	text, invert := strings.CutPrefix(c.Pattern, "!")
	pattern, err := regexp.CompilePOSIX(text)
	if err != nil {
		return
	}
	for _, id := range r.s.Roots {
		groups := pattern.FindStringSubmatch(r.rsc(id).ID)
		if (groups != nil) == invert {
			continue
		}
		r.locate(c, id, c.Role, c.Score, groups)
	}
}

func (r *run) locate(c *model.Location, id status.ResID, role, scoreText string, groups []string) {
	mode := probeAlways
	switch c.Discovery {
	case "never":
		mode = probeNever
	case "exclusive":
		mode = probeExclusive
	}
	if scoreText != "" {
		n, ok := r.s.Node(c.Node)
		if !ok {
			n = r.nodeByID(c.Node)
		}
		if n == nil {
			return
		}
		r.discoverOnly(id, mode)
		r.addLocation(&locationRule{id: c.ID, res: id, role: locationRole(role), mode: mode,
			nodes: []nodeScore{{n.Index, points(scoreText)}}})
		return
	}
	for _, rule := range c.Rules {
		r.discoverOnly(id, mode)
		r.locateByRule(c, id, role, r.ev.Resolve(rule), mode, groups)
	}
}

// discoverOnly notes that a resource is to be discovered only where constraints say so: even if this one concerns no node
// now, or another role.
func (r *run) discoverOnly(id status.ResID, mode discovery) {
	if mode == probeExclusive {
		r.res[id].exclusive = true
	}
}

func (r *run) nodeByID(id string) *status.Node {
	for i := range r.s.Nodes {
		if strings.EqualFold(r.s.Nodes[i].ID, id) && id != "" {
			return &r.s.Nodes[i]
		}
	}
	return nil
}

// locationRole is the role a location constraint is limited to. Whatever is promoted was unpromoted first, so only Promoted is a limit.
func locationRole(text string) status.Role {
	switch role := status.ParseRole(text); role {
	case status.RoleStarted, status.RoleUnpromoted:
		return status.RoleUnknown
	default:
		return role
	}
}

func (r *run) locateByRule(c *model.Location, id status.ResID, role string, rule *cib.Element, mode discovery, groups []string) {
	if v := rule.Get("role"); v != "" {
		role = v
	}
	l := &locationRule{id: c.ID, res: id, role: locationRole(role), mode: mode}
	text, byValue := rule.Lookup("score")
	attribute := expandGroups(rule.Get("score-attribute"), groups)
	for _, n := range r.s.NodesByName {
		if !r.ev.RuleHolds(rule, id, n, groups) {
			continue
		}
		value := int32(score.ParseOr(text, 0))
		if !byValue {
			got, set := r.s.Nodes[n].Attributes[attribute]
			if value = minusInfinity; set {
				value = points(got)
			}
		}
		l.nodes = append(l.nodes, nodeScore{n, value})
	}
	r.addLocation(l)
}

// expandGroups puts the groups of a pattern's match in place of %0 to %9.
func expandGroups(s string, groups []string) string {
	if groups == nil || !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' {
			if n := int(s[i+1] - '0'); n < len(groups) {
				b.WriteString(groups[n])
			}
			i++
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// applyNodeCriteria turns what is known about single resources and nodes into scores: shutdown locks, locations,
// stickiness, failures and exclusive discovery.
func (r *run) applyNodeCriteria() {
	if r.s.Options.ShutdownLock {
		for _, id := range r.s.Roots {
			r.shutdownLock(id)
		}
	}
	for _, l := range r.locations {
		r.applyLocation(l.res, l)
	}
	for _, id := range r.s.Roots {
		r.applyStickiness(id)
	}
	for _, n := range r.s.NodesByName {
		for _, id := range r.s.Roots {
			r.checkThreshold(id, n)
			r.applyExclusiveDiscovery(id, n)
		}
	}
}

// applyLocation adds a location rule's scores to a resource and, as its kind demands, to what is under it.
func (r *run) applyLocation(id status.ResID, l *locationRule) {
	switch r.rsc(id).Kind {
	case model.Primitive:
		r.applyLocationHere(id, l)
	case model.Group:
		r.applyLocationHere(id, l)
		// The first member carries the group's preferences; the rest follow it and only have to be allowed there.
		rest := l
		if r.collocated(id) {
			rest = &locationRule{id: l.id, res: l.res, role: l.role, mode: l.mode}
			for _, n := range l.nodes {
				rest.nodes = append(rest.nodes, nodeScore{n.node, 0})
			}
		}
		for i, m := range r.res[id].children {
			if i == 0 {
				r.applyLocation(m, l)
			} else {
				r.applyLocation(m, rest)
			}
		}
	case model.Clone:
		r.applyLocationHere(id, l)
		for _, c := range r.res[id].children {
			r.applyLocation(c, l)
		}
	case model.Bundle:
		r.applyLocationToBundle(id, l)
	}
}

func (r *run) applyLocationHere(id status.ResID, l *locationRule) {
	if l.role != status.RoleUnknown && l.role != r.res[id].next {
		return
	}
	t := r.allowed(id)
	for _, n := range l.nodes {
		c := &t[n.node]
		if c.present {
			c.score = add(c.score, n.score)
		} else {
			*c = cell{present: true, score: n.score}
		}
		r.trace.score(id, n.node, n.score, l.id)
		if c.mode < l.mode {
			if l.mode == probeExclusive {
				r.res[id].exclusive = true
			}
			c.mode = l.mode
		}
	}
}

// applyStickiness lets a managed resource that is active on one node prefer to stay there.
func (r *run) applyStickiness(id status.ResID) {
	if kids := r.res[id].children; len(kids) > 0 {
		for _, c := range kids {
			r.applyStickiness(c)
		}
		return
	}
	rsc := r.rsc(id)
	if !r.res[id].managed || rsc.Stickiness < 1 || len(rsc.Active) != 1 {
		return
	}
	n := rsc.Active[0]
	if !r.s.Options.Symmetric && !r.allowed(id)[n].present {
		return
	}
	r.prefer(id, n, rsc.Stickiness, "stickiness")
}

// checkThreshold bans a resource from a node where it has failed too often.
func (r *run) checkThreshold(id status.ResID, n status.NodeID) {
	if kids := r.res[id].children; len(kids) > 0 {
		for _, c := range kids {
			r.checkThreshold(c, n)
		}
		return
	}
	rsc := r.rsc(id)
	if rsc.MigrationThreshold == 0 || rsc.FailureIgnored || r.clears[resNode{id, n}] {
		return
	}
	count, _ := r.ev.FailCount(id, n, true, true, nil)
	if count <= 0 || rsc.MigrationThreshold-count > 0 {
		return
	}
	banned := id
	if !rsc.Unique {
		banned = r.top(id)
	}
	r.ban(banned, n, "failed too often here (migration-threshold)")
}

// applyExclusiveDiscovery bans a resource that is to be discovered only on certain nodes from all others.
func (r *run) applyExclusiveDiscovery(id status.ResID, n status.NodeID) {
	if !r.res[id].exclusive && !r.res[r.top(id)].exclusive {
		return
	}
	for _, c := range r.res[id].children {
		r.applyExclusiveDiscovery(c, n)
	}
	if c := &r.allowed(id)[n]; c.present && c.mode != probeExclusive {
		c.score = minusInfinity
		r.trace.score(id, n, minusInfinity, "resource-discovery=exclusive elsewhere")
	}
}

// shutdownLock keeps what a cleanly stopped node ran waiting for it.
func (r *run) shutdownLock(id status.ResID) {
	rsc, st := r.rsc(id), &r.res[id]
	switch rsc.Kind {
	case model.Group, model.Clone:
		if rsc.Kind == model.Group {
			for _, c := range st.children {
				r.shutdownLock(c)
			}
		}
		return
	case model.Bundle:
		return // its containers cannot be locked
	}
	if rsc.FenceDevice || rsc.RemoteConnection {
		return
	}
	since := rsc.LockSince
	if st.locked != status.NoNode {
		if rsc.IsActive() { // started elsewhere although locked: leave it there
			r.wantForget(id, st.locked)
			st.locked = status.NoNode
		}
	} else if len(rsc.Active) == 1 {
		n := rsc.Active[0]
		if r.nodes[n].shutdown && !r.nodes[n].unclean {
			st.locked = n
			since = r.shutdownTime(n)
		}
	}
	if st.locked == status.NoNode {
		return
	}
	st.lockSince = since
	if limit := r.s.Options.ShutdownLockLimit; limit > 0 {
		r.recheckBy(since.Add(limit + 1e9))
	}
	for _, n := range r.s.NodesByName {
		if r.s.Nodes[n].Name != r.s.Nodes[st.locked].Name {
			r.ban(id, n, "shutdown lock to "+r.s.Nodes[st.locked].Name)
		}
	}
}
