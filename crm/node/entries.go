package node

import (
	"fmt"
	"strconv"
	"time"

	"systole/crm/cib"
	"systole/crm/command"
	"systole/crm/controller"
	"systole/crm/exit"
	"systole/resources"
)

// entries translates a change the controller wants into entries of the log.
func (n *Node) entries(ch controller.Change) []command.Entry {
	switch ch := ch.(type) {
	case controller.NodeState:
		return n.nodeEntries(ch)
	case controller.Pending:
		e := n.entry(command.KindResult)
		for _, o := range ch.Orders {
			e.Results = append(e.Results, pendingResult(o))
		}
		return []command.Entry{e}
	case controller.CancelPending:
		e := n.entry(command.KindResult)
		e.Results = []command.Result{{Node: ch.Node, Call: -1, Resource: ch.Resource, Operation: ch.Operation,
			IntervalMS: ch.Interval.Milliseconds(), Key: ch.Key, Status: int(resources.StatusCancelled), RC: int(resources.CodeNone)}}
		return []command.Entry{e}
	case controller.ForgetFailures:
		e := n.entry(command.KindCleanup)
		e.Cleanup = &command.Cleanup{Node: ch.Node, Resource: ch.Resource, Operation: ch.Operation,
			IntervalMS: ch.Interval.Milliseconds(), FailuresOnly: true}
		return []command.Entry{e}
	case controller.ForgetHistory:
		return []command.Entry{n.deletion(fmt.Sprintf("//node_state[@id='%s']/lrm/lrm_resources/lrm_resource[@id='%s']", ch.NodeID, ch.Resource))}
	case controller.Office:
		e := n.entry(command.KindCIB)
		root := cib.New("cib", "have-quorum", "1", "dc-uuid", ch.NodeID)
		e.Change = &command.Change{Ops: []command.Op{{Kind: cib.OpModify, Data: root.String()}}}
		return []command.Entry{e}
	}
	panic(fmt.Sprintf("change %T has no entry", ch))
}

func (n *Node) deletion(xpath string) command.Entry {
	e := n.entry(command.KindCIB)
	e.Change = &command.Change{Ops: []command.Op{{Kind: cib.OpDelete, XPath: xpath}}}
	return e
}

func (n *Node) nodeEntries(s controller.NodeState) []command.Entry {
	e := n.entry(command.KindNode)
	e.Node = &command.Node{
		Name: s.Node, ID: s.NodeID, Incarnation: s.Incarnation, Clear: s.Gone,
		Set: map[string]string{
			"in_ccm": strconv.FormatBool(s.InCCM), "crmd": word(s.Online, "online", "offline"),
			"join": word(s.Online, "member", "down"), "expected": word(s.Expected, "member", "down"),
			"crm-debug-origin":   "systoled",
			command.AttrUnproven: word(s.Unproven, "true", ""),
		},
	}
	if s.Policy != "" {
		e.Node.Set[command.AttrPolicy] = s.Policy
		e.Node.Set[controller.AttrGiveUp] = s.GiveUp
		e.Node.Set[command.AttrRestartGrant] = s.Restart
	}
	if s.Incarnation != "" {
		e.Node.Set[controller.AttrIncarnation] = s.Incarnation
	}
	if s.Forget {
		return []command.Entry{n.deletion(fmt.Sprintf("//node_state[@id='%s']/lrm", s.NodeID)), e}
	}
	return []command.Entry{e}
}

func word(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// harmless says that a change was refused because it was made already.
func harmless(ch controller.Change, err error) bool {
	switch ch.(type) {
	case controller.ForgetHistory, controller.ForgetFailures, controller.NodeState:
		return exit.Of(err) == exit.NoSuch
	}
	return false
}

// pendingResult is the record of an operation that is about to be ordered.
func pendingResult(o controller.Order) command.Result {
	r := resultOf(o.Op, o.Key.String())
	r.Node, r.Call = o.Op.Node, -1
	r.Status, r.RC = int(resources.StatusPending), int(resources.CodeNone)
	r.LastChange = time.Now()
	return r
}

// resultOf fills in what a result has of its operation.
func resultOf(op resources.Op, key string) command.Result {
	id := op.Instance
	if id == "" {
		id = op.Resource
	}
	return command.Result{
		Resource: id, Class: string(op.Agent.Class), Provider: op.Agent.Provider, Type: op.Agent.Type,
		Operation: string(op.Action), IntervalMS: op.Interval.Milliseconds(), Key: key,
	}
}
