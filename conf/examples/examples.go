// Package examples holds the example sites as they stand. It is data: what
// crm template makes of them for another site is said in crm/template.
package examples

import "embed"

// Files are the sites that are templates, by their paths here.
//
//go:embed ha-lamp/*.crm ha-lamp/README.md ha-lamp/files lvs-*/*.crm
var Files embed.FS
