package metrics

import (
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"systole/crm/model"
	"systole/crm/score"
	"systole/crm/status"
)

// The names, labels and values of ha_cluster_exporter's pacemaker collector.
var (
	nodes             = gauge("ha_cluster_pacemaker_nodes", "The status of each node, one series for each possible status.", "node", "type", "status")
	nodeAttributes    = gauge("ha_cluster_pacemaker_node_attributes", "The attributes of each node, permanent and transient; the value is a label.", "node", "name", "value")
	resources         = gauge("ha_cluster_pacemaker_resources", "The status of each resource, one series for each possible status.", "node", "resource", "role", "managed", "status", "agent", "group", "clone")
	stonith           = gauge("ha_cluster_pacemaker_stonith_enabled", "Whether the cluster option stonith-enabled is set.")
	maintenance       = gauge("ha_cluster_pacemaker_maintenance_mode_enabled", "Whether the cluster option maintenance-mode is set.")
	failCount         = gauge("ha_cluster_pacemaker_fail_count", "How often a resource has failed on a node.", "node", "resource")
	migration         = gauge("ha_cluster_pacemaker_migration_threshold", "After how many failures a resource leaves the node.", "node", "resource")
	lastChange        = counter("ha_cluster_pacemaker_config_last_change", "When the CIB was last written, in seconds since 1970.")
	locations         = gauge("ha_cluster_pacemaker_location_constraints", "The score of each location constraint that names a node.", "constraint", "node", "resource", "role")
	cibLastWrittenFmt = time.ANSIC // the attribute cib-last-written
)

// pacemaker adds what follows from the CIB.
func pacemaker(out *series, s *status.Status, dc string) {
	for _, id := range s.NodesByName {
		pacemakerNode(out, &s.Nodes[id], dc)
	}
	for i := range s.Resources {
		if r := &s.Resources[i]; r.Kind == model.Primitive {
			pacemakerResource(out, s, r)
		}
	}
	failures(out, s)
	out.add(stonith, truth(s.Options.Fencing))
	out.add(maintenance, truth(s.Options.Maintenance))
	if at, err := time.Parse(cibLastWrittenFmt, s.Source.Get("cib-last-written")); err == nil {
		out.add(lastChange, float64(at.Unix()))
	}
	for _, c := range s.Config.Constraints {
		if l, ok := c.(*model.Location); ok && l.Node != "" && l.Resource != "" {
			if v, err := score.Parse(l.Score); err == nil {
				out.add(locations, number(v), l.ID, l.Node, l.Resource, strings.ToLower(l.Role))
			}
		}
	}
}

func pacemakerNode(out *series, n *status.Node, dc string) {
	kind := "member"
	switch n.Kind {
	case status.Remote, status.Guest:
		kind = "remote"
	case status.Ping:
		kind = "ping"
	}
	for _, st := range []struct {
		name string
		is   bool
	}{
		{"online", n.Online}, {"standby", n.Standby}, {"standby_onfail", n.StandbyOnFail}, {"maintenance", n.Maintenance},
		{"pending", n.Pending}, {"unclean", n.Unclean}, {"shutdown", n.Shutdown}, {"expected_up", n.Expected}, {"dc", n.Name == dc},
	} {
		out.add(nodes, truth(st.is), n.Name, kind, st.name)
	}
	for _, name := range slices.Sorted(maps.Keys(n.Attributes)) {
		if !strings.HasPrefix(name, "#") { // #uname and the like are made up by the scheduler
			out.add(nodeAttributes, 1, n.Name, name, n.Attributes[name])
		}
	}
}

// pacemakerResource adds a primitive: once for each node where it is active,
// else once without a node. The instances of an anonymous clone share one name,
// as the status displays have it.
func pacemakerResource(out *series, s *status.Status, r *status.Resource) {
	name := r.ID
	if r.Instance != "" && !r.Unique {
		name = r.BaseID
	}
	group, clone := within(s, r)
	where := []string{""}
	if r.IsActive() {
		where = nil
		for _, n := range r.Active {
			where = append(where, s.Nodes[n].Name)
		}
	}
	managed := "false"
	if r.Managed {
		managed = "true"
	}
	for _, node := range where {
		for _, st := range []struct {
			name string
			is   bool
		}{
			{"active", r.IsActive()}, {"orphaned", r.Orphan}, {"blocked", r.Blocked}, {"failed", r.Failed}, {"failure_ignored", r.FailureIgnored},
		} {
			out.add(resources, truth(st.is), node, name, role(r), managed, st.name, agent(r.Config), group, clone)
		}
	}
}

// role is a resource's present role, in lower case; what nobody has seen running is stopped.
func role(r *status.Resource) string {
	if r.Role == status.RoleUnknown {
		return "stopped"
	}
	return strings.ToLower(r.Role.String())
}

// within are the group and the clone or bundle a primitive is in, "" for none.
func within(s *status.Status, r *status.Resource) (group, clone string) {
	for p := r.Parent; p != status.NoRes; p = s.Resources[p].Parent {
		switch parent := &s.Resources[p]; parent.Kind {
		case model.Group:
			group = parent.BaseID
		case model.Clone, model.Bundle:
			clone = parent.BaseID
		}
	}
	return group, clone
}

// agent is "ocf:heartbeat:IPaddr2", "" for what a bundle implies.
func agent(c *model.Resource) string {
	switch {
	case c == nil || c.Class == "":
		return ""
	case c.Provider == "":
		return c.Class + ":" + c.Type
	}
	return c.Class + ":" + c.Provider + ":" + c.Type
}

// failures adds failcount and threshold of everything that has run somewhere.
func failures(out *series, s *status.Status) {
	ev := s.Evaluator()
	for _, n := range s.NodesByName {
		node := &s.Nodes[n]
		if node.State == nil {
			continue
		}
		for i := range s.Resources {
			r := &s.Resources[i]
			if r.Kind != model.Primitive || ev.History(n, r.HistoryName()) == nil {
				continue
			}
			count, _ := ev.FailCount(r.Index, n, true, false, nil)
			out.add(failCount, number(score.Score(count)), node.Name, r.HistoryName())
			out.add(migration, float64(r.MigrationThreshold), node.Name, r.HistoryName())
		}
	}
}

// number is a score as a float; INFINITY is infinite.
func number(s score.Score) float64 {
	switch {
	case s >= score.Infinity:
		return math.Inf(1)
	case s <= -score.Infinity:
		return math.Inf(-1)
	}
	return float64(s)
}
