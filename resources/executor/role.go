package executor

import "systole/resources"

// Role is what the executor believes of a resource here.
type Role int

// The roles. RoleUnknown means it may be active: an operation failed, was
// interrupted or has not ended. Only a clean stop or a probe gives RoleStopped.
const (
	RoleStopped Role = iota
	RoleUnknown
	RoleStarted
	RolePromoted
)

// String names the role as the CIB does.
func (r Role) String() string {
	switch r {
	case RoleStopped:
		return "Stopped"
	case RoleStarted:
		return "Started"
	case RolePromoted:
		return "Promoted"
	default:
		return "Unknown"
	}
}

// activates tells the actions that need the right to run.
func activates(a resources.Action) bool {
	return a == resources.ActionStart || a == resources.ActionPromote || a == resources.ActionMigrateFrom
}

// endsRecurring tells the actions that change the role: the monitors of the old
// role end when the order is accepted and the DC orders those of the new one.
func endsRecurring(a resources.Action) bool {
	switch a {
	case resources.ActionStart, resources.ActionStop, resources.ActionPromote, resources.ActionDemote,
		resources.ActionMigrateTo, resources.ActionMigrateFrom:
		return true
	}
	return false
}

// reloaded tells an operation after which a resource runs with new parameters.
func reloaded(op resources.Op, res resources.Result) bool {
	return (op.Action == resources.ActionReload || op.Action == resources.ActionReloadAgent) &&
		res.Status == resources.StatusDone && res.Code == resources.OK
}

// roleAfter is what to believe after an operation that was run. Whatever is not
// a clear answer leaves RoleUnknown.
func roleAfter(was Role, op resources.Op, res resources.Result) Role {
	done := res.Status == resources.StatusDone
	switch op.Action {
	case resources.ActionStart, resources.ActionDemote, resources.ActionMigrateFrom:
		if done && (res.Code == resources.OK || res.Code == resources.Degraded) {
			return RoleStarted
		}
		return RoleUnknown
	case resources.ActionPromote:
		if done && (res.Code == resources.OK || res.Code == resources.DegradedPromoted) {
			return RolePromoted
		}
		return RoleUnknown
	case resources.ActionStop:
		if done && (res.Code == resources.OK || res.Code == resources.NotRunning) {
			return RoleStopped
		}
		return RoleUnknown
	case resources.ActionMonitor:
		return roleAfterMonitor(was, op, res, done)
	default:
		return was
	}
}

func roleAfterMonitor(was Role, op resources.Op, res resources.Result, done bool) Role {
	switch {
	case done && (res.Code == resources.OK || res.Code == resources.Degraded):
		return RoleStarted
	case done && (res.Code == resources.RunningPromoted || res.Code == resources.DegradedPromoted):
		return RolePromoted
	case done && op.IsProbe() && (res.Code == resources.NotRunning || res.Code == resources.ErrInstalled):
		return RoleStopped
	case was == RoleStopped && !op.IsProbe():
		return was
	default:
		return RoleUnknown // a failed service may have left parts of itself: only a stop clears that
	}
}
