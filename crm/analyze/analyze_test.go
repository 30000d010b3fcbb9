package analyze

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"systole/crm/cib"
	"systole/crm/clitext"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func cluster(t testing.TB, nodes []string, text string) *cib.Element {
	t.Helper()
	root := cib.Empty().Root().With("have-quorum", "1")
	d := clitext.NewDraft(root.Child("configuration"))
	var states []*cib.Element
	for i, n := range nodes {
		id := strconv.Itoa(i + 1)
		text = "node " + id + ": " + n + "\n" + text
		states = append(states, cib.New("node_state", "id", id, "uname", n, "in_ccm", "true", "crmd", "online", "join", "member", "expected", "member").
			WithChildren(cib.New("lrm", "id", id).WithChildren(cib.New("lrm_resources"))))
	}
	if err := d.Load("property stonith-enabled=false\n"+text, clitext.LoadUpdate); err != nil {
		t.Fatal(err)
	}
	return root.WithChildren(d.Configuration(), cib.New("status").WithChildren(states...))
}

func study(t testing.TB, root *cib.Element, o Options) (*Study, Report) {
	t.Helper()
	s, err := New(root, now, o)
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []Outcome
	for _, sc := range s.Scenarios() {
		o, err := s.Run(sc)
		if err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, o)
	}
	return s, s.Report(outcomes, nil)
}

func (r Report) of(t testing.TB, what string) Outcome {
	t.Helper()
	i := slices.IndexFunc(r.Outcomes, func(o Outcome) bool { return o.String() == what })
	if i < 0 {
		t.Fatalf("no scenario %q in\n%s", what, r)
	}
	return r.Outcomes[i]
}

// Three nodes; db may run on two of them, web on all, and lonely on one.
const three = `primitive db ocf:systole:Dummy
primitive web ocf:systole:Dummy
primitive lonely ocf:systole:Dummy
location db-a db 100: a
location db-not-c db -inf: c
location web-a web 50: a
location lonely-b lonely 10: b
location lonely-not-a lonely -inf: a
location lonely-not-c lonely -inf: c
`

func TestOneLoss(t *testing.T) {
	_, r := study(t, cluster(t, []string{"a", "b", "c"}, three), Options{Depth: 1, KeepQuorum: true})
	a := r.of(t, "loss of a")
	if len(a.Stops) > 0 || len(a.Moves) != 2 || a.Moves[0].Resource != "db" || a.Moves[0].To[0] != "b" {
		t.Errorf("loss of a: %+v", a)
	}
	if got := strings.Join(a.Unprotected, " "); got != "db lonely" {
		t.Errorf("after the loss of a, %q is unprotected, want db (only b is left) and lonely (was it before)", got)
	}
	if b := r.of(t, "loss of b"); strings.Join(b.Stops, " ") != "lonely" || strings.Join(b.Unprotected, " ") != "db" {
		t.Errorf("loss of b: %+v", b)
	}
	if r.Stopping != 2 { // the loss of b, and the failure of lonely
		t.Errorf("%d scenarios stop something, want 2:\n%s", r.Stopping, r)
	}
}

func TestTwoLosses(t *testing.T) {
	root := cluster(t, []string{"a", "b", "c"}, three)
	_, r := study(t, root, Options{Depth: 2, KeepQuorum: true})
	if o := r.of(t, "loss of a, b"); strings.Join(o.Stops, " ") != "db lonely" {
		t.Errorf("loss of a and b: %+v", o)
	}
	_, r = study(t, root, Options{Depth: 2})
	if o := r.of(t, "loss of a, c"); o.Quorum || len(o.Stops) != 3 {
		t.Errorf("two of three lost: quorum %v, stops %v; want no quorum, and everything stopped", o.Quorum, o.Stops)
	}
}

func TestResourceFailures(t *testing.T) {
	_, r := study(t, cluster(t, []string{"a", "b", "c"}, three), Options{Depth: 1, KeepQuorum: true})
	if o := r.of(t, "failure of lonely on b"); strings.Join(o.Stops, " ") != "lonely" {
		t.Errorf("lonely fails: %+v", o)
	}
	if o := r.of(t, "failure of db on a"); len(o.Stops) > 0 || strings.Join(o.Unprotected, " ") != "db" {
		t.Errorf("db fails: %+v, want it on b and nowhere to go from there", o)
	}
	if o := r.of(t, "failure of web on a"); len(o.Stops)+len(o.Unprotected) > 0 {
		t.Errorf("web fails: %+v, want it safe", o)
	}
}

// What is left to do is not what a failure does: the study begins at rest. Exceptions do not count.
func TestExceptions(t *testing.T) {
	s, err := New(cluster(t, []string{"a", "b", "c"}, three), now, Options{Depth: 1, KeepQuorum: true})
	if err != nil {
		t.Fatal(err)
	}
	var outcomes []Outcome
	for _, sc := range s.Scenarios() {
		o, err := s.Run(sc)
		if err != nil {
			t.Fatal(err)
		}
		outcomes = append(outcomes, o)
	}
	if r := s.Report(outcomes, []string{"lonely"}); r.Stopping != 0 {
		t.Errorf("with lonely excepted:\n%s", r)
	}
	if _, err := New(cluster(t, []string{"a"}, ""), now, Options{Depth: 3}); err == nil {
		t.Error("depth 3 is taken")
	}
}
