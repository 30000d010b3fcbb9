// Package options is the one table of what can be set in a cluster: cluster
// properties, the extra parameters of fence devices, and the meta attributes of
// resources and operations. The daemons' metadata documents, the verification
// of configurations, completion and the manual are all made from it.
//
// Names, types and defaults are Pacemaker 2.1's, which configurations rely on;
// the descriptions are ours.
package options

import (
	"slices"

	"systole/resources"
)

// Version is the Pacemaker release whose behaviour and vocabulary the tools follow.
const Version = "2.1.5"

// Daemon is the program a property is documented by, as crmsh and pcs ask for it.
type Daemon string

// The daemons with a metadata document.
const (
	Controller Daemon = "pacemaker-controld"
	Scheduler  Daemon = "pacemaker-schedulerd"
	Manager    Daemon = "pacemaker-based"
	Fencer     Daemon = "pacemaker-fenced"
)

// titles are the first lines of the documents.
var titles = map[Daemon]string{
	Controller: "Options of the controller",
	Scheduler:  "Options of the scheduler",
	Manager:    "Options of the configuration store",
	Fencer:     "Parameters any fence device may have",
}

// Metadata is the document of one daemon: an OCF description of its options.
func Metadata(d Daemon) *resources.Metadata {
	m := &resources.Metadata{Name: string(d), Version: Version, API: "1.1", Short: titles[d], Long: titles[d] + "."}
	for _, o := range tables[d] {
		p := o
		if p.Long == "" {
			p.Long = p.Short
		}
		m.Parameters = append(m.Parameters, p)
	}
	return m
}

// Property is a cluster property by name.
func Property(name string) (resources.Parameter, bool) {
	for _, d := range []Daemon{Controller, Scheduler, Manager} {
		if i := slices.IndexFunc(tables[d], func(p resources.Parameter) bool { return p.Name == name }); i >= 0 {
			return tables[d][i], true
		}
	}
	return resources.Parameter{}, false
}

// Properties are the names of all cluster properties, sorted.
func Properties() []string {
	var names []string
	for _, d := range []Daemon{Controller, Scheduler, Manager} {
		for _, p := range tables[d] {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// DeviceParameters are the parameters every fence device takes besides its agent's.
func DeviceParameters() []resources.Parameter { return tables[Fencer] }

// MetaAttributes are the meta attributes of resources, sorted.
func MetaAttributes() []string { return slices.Clone(metaAttributes) }

// OperationAttributes are the attributes of operations, sorted.
func OperationAttributes() []string { return slices.Clone(operationAttributes) }

var metaAttributes = []string{
	"allow-migrate", "allow-unhealthy-nodes", "clone-max", "clone-min", "clone-node-max", "container", "container-attribute-target",
	"critical", "failure-timeout", "globally-unique", "interleave", "is-managed", "maintenance", "master-max", "master-node-max",
	"migration-threshold", "multiple-active", "notify", "ordered", "priority", "promotable", "promoted-max", "promoted-node-max",
	"remote-addr", "remote-allow-migrate", "remote-connect-timeout", "remote-node", "remote-port", "requires", "resource-stickiness",
	"target-role",
}

var operationAttributes = []string{
	"OCF_CHECK_LEVEL", "enabled", "interval", "interval-origin", "name", "on-fail", "record-pending", "role", "start-delay", "timeout",
}
