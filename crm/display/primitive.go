package display

import (
	"strings"

	"systole/crm/model"
	"systole/crm/status"
	"systole/resources"
)

// placement says which node a primitive's line names.
type placement uint8

const (
	placedWhere placement = iota // the node or nodes it is active on
	placedHere                   // none: the line stands below its node
)

// name is a resource's name as people know it: instances of anonymous clones without
// their number, except groups, which could not be told apart otherwise.
func (v *View) name(r *status.Resource) string {
	if r.Kind == model.Primitive && !v.unique(r) {
		return r.BaseID
	}
	return r.ID
}

// unique tells whether instances of a resource are told apart by number.
func (v *View) unique(r *status.Resource) bool {
	c := v.clone(r)
	return c == nil || c.Unique
}

// clone is the innermost clone a resource is part of, nil without one.
func (v *View) clone(r *status.Resource) *status.Resource {
	for r.Parent != status.NoRes {
		r = &v.Status.Resources[r.Parent]
		if r.Kind == model.Clone {
			return r
		}
	}
	return nil
}

func (v *View) primitiveLine(r *status.Resource, name string, where placement) Line {
	var node *status.Node
	if where == placedWhere {
		node = v.soleNode(r)
	}
	return v.primitiveAt(r, name, node, where == placedWhere && len(r.Active) > 1)
}

// soleNode is the one node a primitive is active on, or locked to; nil if several or none.
func (v *View) soleNode(r *status.Resource) *status.Node {
	switch {
	case len(r.Active) == 1:
		return &v.Status.Nodes[r.Active[0]]
	case len(r.Active) == 0 && r.Locked != status.NoNode:
		return &v.Status.Nodes[r.Locked]
	case len(r.Active) == 0 && r.PendingTask != "" && r.PendingNode != status.NoNode:
		return &v.Status.Nodes[r.PendingNode]
	}
	return nil
}

// primitiveAt makes the line "NAME\t(AGENT):\t STATE NODE (flags) [ nodes ]".
func (v *View) primitiveAt(r *status.Resource, name string, node *status.Node, list bool) Line {
	var b strings.Builder
	b.WriteString(name + "\t(" + agent(r) + "):\t")
	if r.Orphan {
		b.WriteString(" ORPHANED")
	}
	b.WriteString(v.stateWords(r, node))
	if node != nil {
		b.WriteString(" " + node.Name)
	}
	if flags := v.flags(r, node); len(flags) > 0 {
		b.WriteString(" (" + strings.Join(flags, ", ") + ")")
	}
	if list {
		b.WriteString(" " + bracketed(v.names(r.Active)))
	}
	return Line{Text: b.String(), Class: v.class(r)}
}

// agent is the colon form of a primitive's agent.
func agent(r *status.Resource) string {
	if r.Config == nil {
		return ""
	}
	return resources.AgentID{Class: resources.Class(r.Config.Class), Provider: r.Config.Provider, Type: r.Config.Type}.String()
}

// stateWords is the state with a space before each word: " Started", " FAILED Promoted",
// " Stopped (not installed) ".
func (v *View) stateWords(r *status.Resource, node *status.Node) string {
	switch {
	case r.Failed && r.Role == status.RolePromoted:
		return " FAILED " + r.Role.String()
	case r.Failed:
		return " FAILED"
	}
	state := " " + v.roleWord(r)
	if r.Role == status.RoleStopped {
		if why := v.failedProbe(r, node); why != "" {
			state += " (" + why + ") "
		}
	}
	return state
}

// roleWord is the role, or what is being done about it ("Starting").
func (v *View) roleWord(r *status.Resource) string {
	if word := pendingWords[resources.Action(v.pending(r))]; word != "" {
		return word
	}
	if r.Role == status.RoleStarted {
		if c := v.clone(r); c != nil && c.Promotable {
			return status.RoleUnpromoted.String()
		}
	}
	return r.Role.String()
}

// pending is the operation in progress on a resource, "" without one.
func (v *View) pending(r *status.Resource) string {
	if v.Options.NoPending {
		return ""
	}
	return r.PendingTask
}

// pendingWords stand in place of the role while an operation that changes it is in progress.
var pendingWords = map[resources.Action]string{
	resources.ActionStart: "Starting", resources.ActionStop: "Stopping",
	resources.ActionPromote: "Promoting", resources.ActionDemote: "Demoting",
	resources.ActionMigrateTo: "Migrating", resources.ActionMigrateFrom: "Migrating",
}

// targetRole is the configured target-role, RoleUnknown without one.
func targetRole(r *status.Resource) status.Role {
	switch strings.ToLower(r.Meta["target-role"]) {
	case "stopped":
		return status.RoleStopped
	case "started":
		return status.RoleStarted
	case "slave", "unpromoted":
		return status.RoleUnpromoted
	case "master", "promoted":
		return status.RolePromoted
	}
	return status.RoleUnknown
}

// failedProbe says that a probe (on a node, unless nil) found that the resource cannot be there
// (see absence): the failures that leave it simply stopped. "" when none did.
func (v *View) failedProbe(r *status.Resource, node *status.Node) string {
	if v.Options.Dialect == Dialect215 {
		return "" // told since 2.1.7
	}
	for _, f := range v.Status.Failures {
		if f.Res == status.NoRes || node != nil && f.Node != node.Index {
			continue
		}
		failed := &v.Status.Resources[f.Res]
		if failed != r && failed.HistoryName() != r.HistoryName() {
			continue
		}
		if op := readOperation(f.Op, ""); op.absence() {
			return v.codeText(op.Code)
		}
	}
	return ""
}

// flags are the remarks in parentheses, in the field's order.
func (v *View) flags(r *status.Resource, node *status.Node) []string {
	var f []string
	if node != nil && !node.Online && node.Unclean {
		f = append(f, "UNCLEAN")
	}
	if node != nil && r.Locked == node.Index {
		f = append(f, "LOCKED")
	}
	if v.pending(r) == string(resources.ActionMonitor) {
		f = append(f, "Monitoring")
	}
	switch target := targetRole(r); {
	case target == status.RoleStopped:
		f = append(f, "disabled")
	case target == status.RoleUnpromoted && v.promotable(r):
		f = append(f, "target-role:"+r.Meta["target-role"])
	}
	switch {
	case r.Blocked:
		f = append(f, "blocked")
	case r.Maintenance && v.Options.Dialect == Dialect302:
		f = append(f, "maintenance")
	case !r.Managed:
		f = append(f, "unmanaged")
	}
	if r.FailureIgnored {
		f = append(f, "failure ignored")
	}
	return f
}

func (v *View) promotable(r *status.Resource) bool {
	c := v.clone(r)
	return c != nil && c.Promotable
}

func (v *View) class(r *status.Resource) string {
	switch {
	case !r.Managed:
		return "rsc-managed"
	case r.Failed:
		return "rsc-failed"
	case len(r.Active) == 0:
		return "rsc-failed"
	case len(r.Active) > 1:
		return "rsc-multiple"
	case r.FailureIgnored:
		return "rsc-failure-ignored"
	}
	return "rsc-ok"
}

func (v *View) names(ids []status.NodeID) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = v.Status.Nodes[id].Name
	}
	return names
}

// codeText is the name of a return code as each version of the tools writes it.
func (v *View) codeText(c resources.Code) string {
	text, ok := codeTexts[c]
	if !ok {
		return "unknown"
	}
	if v.Options.Dialect == Dialect302 && text != "" {
		return strings.ToUpper(text[:1]) + text[1:]
	}
	return text
}

var codeTexts = map[resources.Code]string{
	resources.OK: "ok", resources.ErrGeneric: "error", resources.ErrArgs: "invalid parameter",
	resources.ErrUnimplemented: "unimplemented feature", resources.ErrPerm: "insufficient privileges",
	resources.ErrInstalled: "not installed", resources.ErrConfigured: "not configured",
	resources.NotRunning: "not running", resources.RunningPromoted: "promoted",
	resources.FailedPromoted: "promoted (failed)", resources.Degraded: "degraded",
	resources.DegradedPromoted: "promoted (degraded)",
}
