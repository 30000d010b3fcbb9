package cib

import "slices"

// configSections are the scopes below configuration, in the order a new
// document has them.
var configSections = []string{
	"crm_config", "nodes", "resources", "constraints", "rsc_defaults", "op_defaults",
	"fencing-topology", "acls", "tags", "alerts",
}

// Sections are the scope names that [CIB.Section] and [Op] know, without "cib".
func Sections() []string {
	return append([]string{"configuration"}, append(slices.Clone(configSections), "status", "tickets")...)
}

// sectionPath gives the tags below the root for a scope name.
func sectionPath(scope string) ([]string, bool) {
	switch {
	case scope == "" || scope == "cib" || scope == "all":
		return nil, true
	case scope == "configuration" || scope == "status":
		return []string{scope}, true
	case scope == "tickets":
		return []string{"status", "tickets"}, true
	case slices.Contains(configSections, scope):
		return []string{"configuration", scope}, true
	}
	return nil, false
}
