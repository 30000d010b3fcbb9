package transition

import (
	"testing"

	"systole/crm/cib"
)

// The expected values were printed by Debian's crm_simulate 2.1.5 (-S -O) for such parameters.
func TestDigestEqualsTheFields(t *testing.T) {
	meta := []cib.Attr{{Name: "CRM_meta_interval", Value: "10000"}, {Name: "CRM_meta_timeout", Value: "20000"}, {Name: "crm_feature_set", Value: "3.16.1"}}
	for _, c := range []struct {
		params    []cib.Attr
		recurring bool
		want      string
	}{
		{nil, false, "f2317cad3d54cec5d7d7aa7d0bf35cf8"},
		{nil, true, "4811cef7f7f94e3a35a70be7916cb2fd"},
		{[]cib.Attr{{Name: "state", Value: "abc"}, {Name: "Zed", Value: "1"}}, false, "6f346142b887e4bfdb0939e94ca09dcc"},
		{[]cib.Attr{{Name: "state", Value: `a <&"'x`}, {Name: "Zed", Value: "1"}, {Name: "1num", Value: "q"}}, false, "b68d9723615e3211e5d3930ad854224b"},
		{[]cib.Attr{{Name: "state", Value: "a\nb\tc\rd é"}, {Name: "Zed", Value: "1"}}, false, "4026b8d737063f013d3c252b11e2c0fe"},
	} {
		if got := Digest(append(meta, c.params...), c.recurring); got != c.want {
			t.Errorf("digest of %v (recurring %v): got %s want %s", c.params, c.recurring, got, c.want)
		}
	}
}
