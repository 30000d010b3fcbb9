package controller

import (
	"time"

	"systole/crm/cib"
	"systole/crm/isotime"
)

// The facts the controller itself reads in the CIB. What they mean for
// resources is the scheduler's business.

// configured are the ids of the full nodes by name, in document order.
func configured(c *cib.CIB) (names []string, ids map[string]string) {
	ids = map[string]string{}
	for n := range c.Section("nodes").Each("node") {
		if t := n.Get("type"); t == "remote" || t == "ping" {
			continue
		}
		names = append(names, n.Get("uname"))
		ids[n.Get("uname")] = n.ID()
	}
	return names, ids
}

func nodeID(c *cib.CIB, name string) string {
	_, ids := configured(c)
	if id, ok := ids[name]; ok {
		return id
	}
	if s := nodeState(c, name); s != nil {
		return s.ID()
	}
	return name
}

// nodeState is a node's node_state, nil without one.
func nodeState(c *cib.CIB, name string) *cib.Element {
	for s := range c.Status().Each("node_state") {
		if s.Get("uname") == name {
			return s
		}
	}
	return nil
}

// Gone says whether the CIB knows that a node runs nothing: it was never seen,
// left, or its loss was proven. Such a node got no orders since, because a DC
// records a node as online before it orders anything there.
func Gone(c *cib.CIB, node string) bool {
	s := nodeState(c, node)
	return s == nil || !isTrue(s.Get("in_ccm")) && s.Get("crmd") != "online" && s.Get("expected") != "member" && !isTrue(s.Get("unproven"))
}

// property is a cluster option's value, the first set's, "" when not configured.
func property(c *cib.CIB, names ...string) string {
	for set := range c.Section("crm_config").Each("cluster_property_set") {
		for nv := range set.Each("nvpair") {
			for _, name := range names {
				if nv.Get("name") == name {
					return nv.Get("value")
				}
			}
		}
	}
	return ""
}

// Fencing says whether only fencing proves the loss of a node.
func Fencing(c *cib.CIB) bool { return fencing(c) }

// fencing is stonith-enabled; the default is true.
func fencing(c *cib.CIB) bool {
	v := property(c, "stonith-enabled", "fencing-enabled")
	return v == "" || isTrue(v)
}

// interval is a cluster option that is a length of time; what cannot be read,
// and 0, count as not configured.
func interval(c *cib.CIB, name string, otherwise time.Duration) time.Duration {
	d, err := isotime.ParseInterval(property(c, name))
	if err != nil || d <= 0 {
		return otherwise
	}
	return d
}

// isTrue reads a boolean as the field writes it.
func isTrue(v string) bool {
	switch v {
	case "true", "on", "yes", "y", "1", "True", "TRUE", "On", "ON", "Yes", "YES":
		return true
	}
	return false
}
