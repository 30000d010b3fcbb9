package preview

import (
	"errors"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
)

var now = time.Unix(1_800_000_000, 0).UTC()

// document is a cluster of one node without fencing, with these resources.
func document(t *testing.T, resources string) *cib.Element {
	t.Helper()
	root, err := cib.Parse([]byte(`<cib have-quorum="1" validate-with="pacemaker-3.9"><configuration><crm_config><cluster_property_set id="o"><nvpair id="f" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>` +
		`<nodes><node id="1" uname="a"/></nodes><resources>` + resources + `</resources><constraints/></configuration><status>` +
		`<node_state id="1" uname="a" in_ccm="true" crmd="online" join="member" expected="member"><lrm id="1"><lrm_resources/></lrm></node_state></status></cib>`))
	if err != nil {
		t.Fatal(err)
	}
	return root
}

const p, q = `<primitive id="p" class="ocf" provider="heartbeat" type="Dummy"/>`, `<primitive id="q" class="ocf" provider="heartbeat" type="Dummy"/>`

// Only what the change brings is shown: p would start with and without it.
func TestOnlyWhatIsNew(t *testing.T) {
	for _, c := range []struct{ before, after, want string }{
		{p, p, "The cluster would do nothing because of this change.\n"},
		{"", "", "The cluster would do nothing because of this change.\n"},
		{p, p + q, "The cluster would:\n  * Start      q ( a )\n"},
		{p + q, p, "The cluster would do nothing because of this change.\n"},
	} {
		var b strings.Builder
		if err := Write(&b, document(t, c.before), document(t, c.after), now); err != nil {
			t.Fatal(err)
		}
		if b.String() != c.want {
			t.Errorf("from %q to %q: %q, want %q", c.before, c.after, b.String(), c.want)
		}
	}
}

type closed struct{}

var errClosed = errors.New("closed")

func (closed) Write([]byte) (int, error) { return 0, errClosed }

func TestWriteErrors(t *testing.T) {
	for _, after := range []string{p, p + q} {
		if err := Write(closed{}, document(t, p), document(t, after), now); !errors.Is(err, errClosed) {
			t.Errorf("%v", err)
		}
	}
}
