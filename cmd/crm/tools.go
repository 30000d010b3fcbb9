package main

import (
	"systole/crm/lvs/ipvsadm"
	"systole/crm/shell"
	"systole/crm/shell/cibtools"
	"systole/crm/shell/mon"
	"systole/crm/shell/simulate"
	"systole/crm/shell/tool"
	"systole/crm/shell/tools"
)

// exitUsage is CRM_EX_USAGE.
const exitUsage = 64

// programs is every name the binary answers to; nil is a name that is known and
// says that it is not implemented. `make build` links each name to the binary.
var programs = map[string]tool.Tool{
	"crm":                  shell.Run,
	"attrd_updater":        tools.AttrdUpdater,
	"cibadmin":             cibtools.Cibadmin,
	"cibsecret":            tools.Cibsecret,
	"corosync-cfgtool":     tools.CorosyncCfgtool,
	"corosync-quorumtool":  tools.CorosyncQuorumtool,
	"crm_attribute":        tools.CrmAttribute,
	"crm_diff":             cibtools.CrmDiff,
	"crm_error":            cibtools.CrmError,
	"crm_failcount":        tools.CrmFailcount,
	"crm_master":           tools.CrmMaster,
	"crm_mon":              mon.Run,
	"crm_node":             tools.CrmNode,
	"crm_resource":         tools.CrmResource,
	"crm_rule":             cibtools.CrmRule,
	"crm_shadow":           cibtools.CrmShadow,
	"crm_simulate":         simulate.Run,
	"crm_standby":          tools.CrmStandby,
	"crm_ticket":           tools.CrmTicket,
	"crm_verify":           cibtools.CrmVerify,
	"crmadmin":             tools.Crmadmin,
	"ipvsadm":              ipvsadm.Run,
	"iso8601":              cibtools.ISO8601,
	"pacemaker-based":      tools.Based,
	"pacemaker-controld":   tools.Controld,
	"pacemaker-fenced":     tools.Fenced,
	"pacemaker-schedulerd": tools.Schedulerd,
	"pacemakerd":           tools.Pacemakerd,
	"stonith_admin":        tools.StonithAdmin,
}
