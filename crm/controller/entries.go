package controller

import (
	"fmt"
	"strconv"

	"systole/crm/cib"
	"systole/crm/command"
	"systole/resources"
)

// Entries are what a change is in the log, in the order in which they are to be
// committed. stamp has time, user, client and origin; the rest is filled in.
func Entries(ch Change, stamp command.Entry) []command.Entry {
	e := stamp
	switch ch := ch.(type) {
	case NodeState:
		return nodeEntries(ch, stamp)
	case Pending:
		e.Kind = command.KindResult
		for _, o := range ch.Orders {
			e.Results = append(e.Results, pendingResult(o, stamp))
		}
	case CancelPending:
		e.Kind = command.KindResult
		e.Results = []command.Result{{Node: ch.Node, Call: -1, Resource: ch.Resource, Operation: ch.Operation,
			IntervalMS: ch.Interval.Milliseconds(), Key: ch.Key, Status: int(resources.StatusCancelled), RC: int(resources.CodeNone)}}
	case ForgetFailures:
		e.Kind = command.KindCleanup
		e.Cleanup = &command.Cleanup{Node: ch.Node, Resource: ch.Resource, Operation: ch.Operation,
			IntervalMS: ch.Interval.Milliseconds(), FailuresOnly: true}
	case ForgetHistory:
		return []command.Entry{deletion(fmt.Sprintf("//node_state[@id='%s']/lrm/lrm_resources/lrm_resource[@id='%s']", ch.NodeID, ch.Resource), stamp)}
	case Office:
		root := cib.New("cib", "have-quorum", "1", "dc-uuid", ch.NodeID)
		e.Kind = command.KindCIB
		e.Change = &command.Change{Ops: []command.Op{{Kind: cib.OpModify, Data: root.String()}}}
	default:
		panic(fmt.Sprintf("change %T has no entry", ch))
	}
	return []command.Entry{e}
}

func deletion(xpath string, stamp command.Entry) command.Entry {
	e := stamp
	e.Kind = command.KindCIB
	e.Change = &command.Change{Ops: []command.Op{{Kind: cib.OpDelete, XPath: xpath}}}
	return e
}

func nodeEntries(s NodeState, stamp command.Entry) []command.Entry {
	e := stamp
	e.Kind = command.KindNode
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
		e.Node.Set[AttrGiveUp] = s.GiveUp
		e.Node.Set[command.AttrRestartGrant] = s.Restart
	}
	if s.Incarnation != "" {
		e.Node.Set[AttrIncarnation] = s.Incarnation
	}
	var before []command.Entry
	if s.Forget {
		before = append(before, deletion(fmt.Sprintf("//node_state[@id='%s']/lrm", s.NodeID), stamp))
	}
	if s.Restarted {
		wish := stamp
		wish.Kind = command.KindAttrs
		wish.Attrs = &command.Attrs{Node: s.Node, ID: s.NodeID, Changes: []command.AttrChange{{Name: "shutdown", Delete: true}}}
		before = append(before, wish)
	}
	return append(before, e)
}

func word(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}

// pendingResult is the record of an operation that is about to be ordered.
func pendingResult(o Order, stamp command.Entry) command.Result {
	r := ResultOf(o.Op, o.Key.String())
	r.Node, r.Call = o.Op.Node, -1
	r.Status, r.RC = int(resources.StatusPending), int(resources.CodeNone)
	r.LastChange = stamp.Time
	return r
}

// ResultOf fills in what a result in the log has of its operation.
func ResultOf(op resources.Op, key string) command.Result {
	id := op.Instance
	if id == "" {
		id = op.Resource
	}
	return command.Result{
		Resource: id, Class: string(op.Agent.Class), Provider: op.Agent.Provider, Type: op.Agent.Type,
		Operation: string(op.Action), IntervalMS: op.Interval.Milliseconds(), Key: key,
	}
}
