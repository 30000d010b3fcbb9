package transition

import (
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strings"

	"systole/crm/cib"
)

// Digest is the op-digest of an operation with these graph attributes: by it a later
// scheduler sees that parameters changed since. MD5 over an XML text of the parameters
// in Pacemaker's own spelling (found by trying crm_simulate -O), so that either may read the
// other's history. Of the CRM_meta_* facts only the time-out of a recurring operation counts.
func Digest(attrs []cib.Attr, recurring bool) string {
	var params []cib.Attr
	for _, at := range attrs {
		if digested(at.Name, recurring) {
			params = append(params, at)
		}
	}
	slices.SortFunc(params, func(a, b cib.Attr) int { return strings.Compare(a.Name, b.Name) })
	var b strings.Builder
	b.WriteString(" <parameters")
	for _, at := range params {
		b.WriteString(" " + at.Name + `="`)
		digestEscaper.WriteString(&b, at.Value)
		b.WriteByte('"')
	}
	b.WriteString("/>\n")
	sum := md5.Sum([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}

var digestEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;", "'", "&apos;",
	"\n", `\n`, "\r", `\r`, "\t", "    ")

func digested(name string, recurring bool) bool {
	if strings.HasPrefix(name, "CRM_meta_") {
		return recurring && name == "CRM_meta_timeout"
	}
	switch name {
	case "id", "crm_feature_set", "op-digest", "on_node", "on_node_uuid", "pcmk_external_ip":
		return false
	}
	return true
}
