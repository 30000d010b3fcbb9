package display

import (
	"strings"

	"systole/crm/status"
)

// nodeState is the field's word for a node's state, "online", "UNCLEAN (offline)", "standby"…, with its health if that is bad.
func (v *View) nodeState(n *status.Node) string {
	state := membership(n)
	switch v.health(n) {
	case "red":
		state += " (health is RED)"
	case "yellow":
		state += " (health is YELLOW)"
	}
	return state
}

func membership(n *status.Node) string {
	switch {
	case n.Unclean && n.Online:
		return "UNCLEAN (online)"
	case n.Unclean && n.Pending:
		return "UNCLEAN (pending)"
	case n.Unclean:
		return "UNCLEAN (offline)"
	case n.Pending:
		return "pending"
	case n.StandbyOnFail && n.Online:
		return "standby (on-fail)"
	case n.Standby && n.Online && len(n.Active) > 0:
		return "standby (with active resources)"
	case n.Standby && n.Online:
		return "standby"
	case n.Standby:
		return "OFFLINE (standby)"
	case n.Maintenance && n.Online:
		return "maintenance"
	case n.Maintenance:
		return "OFFLINE (maintenance)"
	case n.Online:
		return "online"
	}
	return "OFFLINE"
}

// health is green, yellow or red by the worst of the node's #health attributes; numbers are not shown
// (Pacemaker Explained, "Tracking Node Health"). Without a strategy every node is green.
func (v *View) health(n *status.Node) string {
	if s := v.Status.Options.All["node-health-strategy"]; s == "" || s == "none" {
		return "green"
	}
	worst := "green"
	for name, value := range n.Attributes {
		if !strings.HasPrefix(name, "#health") {
			continue
		}
		switch strings.ToLower(value) {
		case "red":
			return "red"
		case "yellow":
			worst = "yellow"
		}
	}
	return worst
}

// nodeKind is the word before the name of a node that is listed by itself.
func (v *View) nodeKind(n *status.Node) string {
	switch v.kind(n) {
	case status.Remote:
		return "RemoteNode"
	case status.Guest:
		return "GuestNode"
	}
	return "Node"
}

// nodeName is the name as shown: with detail also the id, and for a guest where it runs.
func (v *View) nodeName(n *status.Node) string {
	if !v.Options.Detail {
		return n.Name
	}
	if v.kind(n) == status.Guest {
		return n.Name + "@" + v.guestHost(n)
	}
	if n.ID != n.Name {
		return n.Name + " (" + n.ID + ")"
	}
	return n.Name
}

// guestHost is the node that runs the guest's container, "" if none does.
func (v *View) guestHost(n *status.Node) string {
	if c := v.container(n); c != nil && len(c.Active) > 0 {
		return v.Status.Nodes[c.Active[0]].Name
	}
	return ""
}

// container is the resource a guest node lives in.
func (v *View) container(n *status.Node) *status.Resource {
	if !n.IsRemote() || n.Connection == status.NoRes {
		return nil
	}
	if c := v.Status.Resources[n.Connection].Container; c != status.NoRes {
		return &v.Status.Resources[c]
	}
	return nil
}

// kind is what a node shows itself as: also a remote node nobody configured any more is a
// guest while its connection is known to live in a container.
func (v *View) kind(n *status.Node) status.NodeKind {
	if v.container(n) != nil {
		return status.Guest
	}
	return n.Kind
}

// nodeList collects the usual nodes in lists and names the others one by one.
func (v *View) nodeList() []Line {
	var lines []Line
	var online, offline, remoteOn, remoteOff, guestOn []string
	for _, id := range v.Status.NodesByName {
		n := &v.Status.Nodes[id]
		if !v.wantsNode(n) {
			continue
		}
		state := v.nodeState(n)
		plain := state == "online" || state == "OFFLINE"
		switch {
		case v.Options.Detail || !plain:
			text := v.nodeKind(n) + " " + v.nodeName(n) + ": " + state
			if v.Options.Detail {
				text += v.featureNote(n)
			}
			lines = append(lines, Line{Text: text, Class: nodeClass(n)})
		case n.Online && v.kind(n) == status.Remote:
			remoteOn = append(remoteOn, n.Name)
		case n.Online && v.kind(n) == status.Guest:
			guestOn = append(guestOn, n.Name)
		case n.Online:
			online = append(online, n.Name)
		case v.kind(n) == status.Remote:
			remoteOff = append(remoteOff, n.Name)
		case v.kind(n) == status.Guest: // an absent guest is told by its container
		default:
			offline = append(offline, n.Name)
		}
	}
	for _, l := range []struct {
		title string
		names []string
	}{{"Online", online}, {"OFFLINE", offline}, {"RemoteOnline", remoteOn}, {"RemoteOFFLINE", remoteOff}, {"GuestOnline", guestOn}} {
		if len(l.names) > 0 {
			lines = append(lines, Line{Text: l.title + ": " + bracketed(l.names)})
		}
	}
	return lines
}

func nodeClass(n *status.Node) string {
	switch {
	case !n.Online || n.Unclean:
		return "offline"
	case n.Standby || n.StandbyOnFail:
		return "standby"
	case n.Maintenance:
		return "maint"
	}
	return "online"
}

// oldestFeature is what a node that announces no feature set is known to be older than:
// the attribute came with that set (Pacemaker 2.1.5).
const oldestFeature = "<3.15.1"

func feature(n *status.Node) string {
	switch {
	case n.Kind != status.Member || !n.Online:
		return ""
	case n.Feature == "":
		return oldestFeature
	}
	return n.Feature
}

func (v *View) featureNote(n *status.Node) string {
	if f := feature(n); f != "" {
		return ", feature set " + f
	}
	return ""
}

// nodesWithResources is the node list of -n: every node with what runs on it.
func (v *View) nodesWithResources() []Line {
	var lines []Line
	for _, id := range v.Status.NodesByName {
		n := &v.Status.Nodes[id]
		if !v.wantsNode(n) {
			continue
		}
		resources := v.onNode(n)
		if v.Options.Brief && len(resources) == 0 {
			continue
		}
		text := v.nodeKind(n) + " " + v.nodeName(n) + ": " + v.nodeState(n)
		if v.Options.Detail {
			text += v.featureNote(n)
		}
		lines = append(lines, Line{
			Text:  text + ":",
			Class: nodeClass(n),
			Sub:   []Line{{Text: "Resources:", Sub: resources}},
		})
	}
	return lines
}

func (v *View) onNode(n *status.Node) []Line {
	var rs []*status.Resource
	for _, id := range n.Active {
		if r := &v.Status.Resources[id]; v.wantsResource(r) {
			rs = append(rs, r)
		}
	}
	if v.Options.Brief {
		return v.brief(rs, briefOnNode)
	}
	var lines []Line
	for _, r := range rs {
		if r.RemoteConnection && r.Internal && !v.Options.Detail {
			continue // a bundle's connection: crm_mon shows it as the guest node
		}
		lines = append(lines, v.primitiveLine(r, v.name(r), placedHere))
	}
	return lines
}

func bracketed(names []string) string { return "[ " + strings.Join(names, " ") + " ]" }
