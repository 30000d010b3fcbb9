package scheduler

import (
	"slices"

	"systole/crm/status"
)

// connectionState is what can be expected of a remote node's connection.
type connectionState uint8

const (
	connectionUnknown connectionState = iota
	connectionAlive
	connectionResting
	connectionFailed
	connectionStopped
)

func (r *run) connectionState(n status.NodeID) connectionState {
	node := &r.s.Nodes[n]
	conn := node.Connection
	st := &r.res[conn]
	host := r.s.CurrentNode(conn)
	switch {
	case st.next == status.RoleStopped || st.node == status.NoNode:
		switch {
		case host != status.NoNode && r.nodes[host].unclean:
			return connectionFailed
		case !st.failed:
			return connectionStopped
		case st.next == status.RoleStopped && r.rsc(conn).ReconnectInterval != 0 && node.RemoteWasFenced && !shutdownWanted(node):
			return connectionUnknown // until the interval is over and the connection is tried again
		}
		return connectionFailed
	case host == status.NoNode:
		return connectionUnknown
	case r.nodes[host].unclean || !r.nodes[host].online:
		return connectionResting
	case len(r.rsc(conn).Active) > 1 && st.partialSource != status.NoNode && st.partialTarget != status.NoNode:
		return connectionResting
	}
	return connectionAlive
}

// connectionMoves tells whether a node is a remote one whose connection goes from one cluster node to another.
func (r *run) connectionMoves(n status.NodeID) bool {
	if n == status.NoNode || r.s.Nodes[n].Kind != status.Remote || r.s.Nodes[n].Connection == status.NoRes {
		return false
	}
	conn := r.s.Nodes[n].Connection
	began, ended := r.s.CurrentNode(conn), r.res[conn].node
	return began != status.NoNode && ended != status.NoNode && began != ended
}

func shutdownWanted(n *status.Node) bool {
	s := n.Attributes["shutdown"]
	return s != "" && s != "0"
}

func (r *run) failedRemote(n status.NodeID) bool {
	node := &r.s.Nodes[n]
	return node.Kind == status.Remote && node.Connection != status.NoRes && r.connectionState(n) == connectionFailed
}

func (r *run) afterStart(conn status.ResID, a actionID, extra orderFlags) {
	r.actionAfter(conn, "start", a, preserved|runnableFirst|extra)
}

func (r *run) beforeStop(a actionID, conn status.ResID, extra orderFlags) {
	r.actionBefore(a, conn, "stop", preserved|extra)
}

// orderRemoteConnections has what happens on remote nodes happen while the connection is up.
func (r *run) orderRemoteConnections() {
	if !r.s.HaveRemotes {
		return
	}
	for k := len(r.actions) - 1; k >= 0; k-- {
		id := actionID(k)
		a := &r.actions[k]
		if a.res == status.NoRes {
			continue
		}
		if r.rsc(a.res).RemoteConnection && a.task == "clear_failcount" {
			r.actionBefore(id, a.res, "start", orderOptional)
			continue
		}
		if a.node == status.NoNode || !r.s.Nodes[a.node].IsRemote() || a.is(pseudo) {
			continue
		}
		conn := r.s.Nodes[a.node].Connection
		if conn == status.NoRes {
			continue
		}
		if a.task == "start" {
			// What moves to a remote node stays where it is until the connection is up.
			list := r.res[a.res].actions
			for i := len(list) - 1; i >= 0; i-- {
				if s := &r.actions[list[i]]; s.node != a.node && s.task == "stop" {
					r.actionAfter(conn, "start", list[i], orderOptional)
				}
			}
		}
		if r.rsc(conn).Container != status.NoRes {
			r.orderInGuest(id, conn)
		} else {
			r.orderOnRemote(id, conn)
		}
	}
}

func (r *run) orderOnRemote(id actionID, conn status.ResID) {
	a := &r.actions[id]
	task, n := a.task, a.node
	switch {
	case task == "migrate_from" && r.arrivesProbed(id):
		task = "start"
	case task == "migrate_to", task == "migrate_from":
		task = "stop"
	}
	state := r.connectionState(n)
	stopped := r.res[conn].next == status.RoleStopped
	switch task {
	case "start", "promote":
		extra := orderNone
		if state == connectionFailed {
			extra = impliesThen
		}
		r.afterStart(conn, id, extra)
	case "stop":
		switch {
		case state == connectionAlive:
			r.beforeStop(id, conn, impliesFirst)
		case state == connectionFailed:
			r.fenceNode(n, "resources are active but connection is unrecoverable", false)
		case stopped:
			r.beforeStop(id, conn, impliesFirst)
		default:
			r.afterStart(conn, id, orderNone)
		}
	case "demote":
		if state == connectionResting || state == connectionUnknown {
			r.afterStart(conn, id, orderNone)
		}
	default:
		if a.interval > 0 {
			r.afterStart(conn, id, impliesThen)
			return
		}
		if task == "monitor" && state == connectionFailed {
			r.fenceNode(n, "resources are in unknown state and connection is unrecoverable", false)
		}
		if r.s.CurrentNode(conn) != status.NoNode && state == connectionStopped {
			r.beforeStop(id, conn, runnableFirst)
		} else {
			r.afterStart(conn, id, orderNone)
		}
	}
}

// arrivesProbed tells whether what a migration brings to a remote node has to be probed there first. The probe waits for the
// connection, so the arrival cannot be had before the connection moves.
func (r *run) arrivesProbed(migrateFrom actionID) bool {
	a := &r.actions[migrateFrom]
	return slices.ContainsFunc(r.findOn(a.res, "monitor", 0, a.node), func(p actionID) bool { return !r.actions[p].is(optional) })
}

func (r *run) orderInGuest(id actionID, conn status.ResID) {
	container := r.rsc(conn).Container
	a := &r.actions[id]
	if r.res[container].failed {
		r.fenceNode(a.node, "container failed", false)
	}
	a = &r.actions[id]
	switch a.task {
	case "start", "promote":
		r.afterStart(container, id, impliesThen)
		r.afterStart(conn, id, orderNone)
	case "stop", "demote", "migrate_to", "migrate_from":
		if !r.res[container].failed {
			r.beforeStop(id, conn, orderNone)
		}
	default:
		switch {
		case a.interval == 0:
			r.afterStart(conn, id, orderNone)
		case a.task == "monitor":
			r.afterStart(conn, id, impliesThen)
		}
	}
}

// router is the cluster node that an action on a remote node goes through; NoNode for one on a cluster node.
func (r *run) router(id actionID) status.NodeID {
	a := &r.actions[id]
	if a.task == "stonith" || a.node == status.NoNode || !r.s.Nodes[a.node].IsRemote() {
		return status.NoNode
	}
	conn := r.s.Nodes[a.node].Connection
	if conn == status.NoRes {
		return status.NoNode
	}
	began, ended := r.s.CurrentNode(conn), r.res[conn].node
	partial := r.rsc(conn).Container == status.NoRes && r.res[conn].partialTarget != status.NoNode
	switch {
	case began == status.NoNode:
		return ended
	case ended == status.NoNode, began == ended:
		return began
	}
	task := a.task
	if task == "notify" {
		task = a.metaValue("notify_operation")
	}
	switch task {
	case "migrate_from":
		if !partial && !r.arrivesProbed(id) {
			return began
		}
	case "cancel", "stop", "demote", "migrate_to":
		if !partial {
			return began // before the connection moves
		}
	}
	return ended
}
