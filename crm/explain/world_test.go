package explain

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/crm/clitext"
	"systole/crm/simulate"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// configured loads a text of crm configure into a document.
func configured(t *testing.T, root *cib.Element, text string) *cib.Element {
	t.Helper()
	d := clitext.NewDraft(root.Child("configuration"))
	if err := d.Load(text, clitext.LoadUpdate); err != nil {
		t.Fatal(err)
	}
	return root.ReplaceChild(root.IndexFunc(func(e *cib.Element) bool { return e.Name() == "configuration" }), d.Configuration())
}

// cluster is a document with all its nodes online.
func cluster(t *testing.T, nodes []string, text string) *cib.Element {
	t.Helper()
	var states []*cib.Element
	var all strings.Builder
	for i, n := range nodes {
		id := strconv.Itoa(i + 1)
		all.WriteString("node " + id + ": " + n + "\n")
		states = append(states, cib.New("node_state", "id", id, "uname", n, "in_ccm", "true", "crmd", "online", "join", "member", "expected", "member").
			WithChildren(cib.New("lrm", "id", id).WithChildren(cib.New("lrm_resources"))))
	}
	root := cib.Empty().Root().With("have-quorum", "1")
	root = configured(t, root, "property stonith-enabled=false\n"+all.String()+text)
	return in(root, []string{"status"}, func(e *cib.Element) *cib.Element { return e.WithChildren(states...) })
}

// settled carries plans out until the cluster is at rest.
func settled(t *testing.T, root *cib.Element) *cib.Element {
	t.Helper()
	rounds := simulate.Settle(root, now, 10)
	last := rounds[len(rounds)-1]
	if len(last.Steps) > 0 {
		t.Fatal("the cluster does not come to rest")
	}
	return last.CIB
}
