package main

import "systole/crm/shell/tool"

// exitUsage is CRM_EX_USAGE.
const exitUsage = 64

// tools is every name the binary answers to; nil is a name that is known and
// says that it is not implemented. `make build` links each name to the binary.
var tools = map[string]tool.Tool{
	"crm":                  nil,
	"attrd_updater":        nil,
	"cibadmin":             nil,
	"cibsecret":            nil,
	"corosync-cfgtool":     nil,
	"corosync-quorumtool":  nil,
	"crm_attribute":        nil,
	"crm_diff":             nil,
	"crm_error":            nil,
	"crm_failcount":        nil,
	"crm_master":           nil,
	"crm_mon":              nil,
	"crm_node":             nil,
	"crm_resource":         nil,
	"crm_rule":             nil,
	"crm_shadow":           nil,
	"crm_simulate":         nil,
	"crm_standby":          nil,
	"crm_ticket":           nil,
	"crm_verify":           nil,
	"crmadmin":             nil,
	"ipvsadm":              nil,
	"iso8601":              nil,
	"pacemaker-based":      nil,
	"pacemaker-controld":   nil,
	"pacemaker-fenced":     nil,
	"pacemaker-schedulerd": nil,
	"pacemakerd":           nil,
	"stonith_admin":        nil,
}
