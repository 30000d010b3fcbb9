package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// perfect is a small case of our own.
var perfect = Outputs{
	Summary: `Current cluster status:
  * Node List:
    * Online: [ a b ]

Transition Summary:
  * Fence (reboot) c 'peer is gone'
  * Start      x     (  a )
  * Stop       y     (  b )  due to node availability (blocked)

Executing Cluster Transition:
  * Resource action: x   start on a

Revised Cluster Status:
  * Node List:
    * Online: [ a b ]
`,
	Scores: "pcmk__primitive_assign: x allocation score on a: 0\npcmk__primitive_assign: x allocation score on b: -INFINITY\npcmk__group_assign: g allocation score on a: 0\n",
	Dot:    " digraph \"g\" {\n\"p\" -> \"q\" [ style = bold]\n\"q\" -> \"r\" [ style = bold]\n\"p\" [ style=bold]\n\"q\" [ style=bold]\n\"r\" [ style=bold]\n}\n",
	Exp:    `<transition_graph cluster-delay="60s" batch-limit="0" transition_id="1"><synapse id="0"><action_set><rsc_op id="1" operation_key="k" on_node="a"><attributes x="1" y="2"/></rsc_op></action_set><inputs/></synapse><synapse id="1"><action_set><rsc_op id="2" operation_key="l" on_node="a"/></action_set><inputs><trigger><rsc_op id="1"/></trigger></inputs></synapse></transition_graph>`,
}

func TestMeasures(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(*Outputs)
		fails  string // measures that fail, sorted
	}{
		{"nothing", func(*Outputs) {}, ""},
		{"blanks", func(o *Outputs) { o.Summary = strings.ReplaceAll(o.Summary, "  * ", "\t*  ") + "\n\n" }, ""},
		{"order of status lines", func(o *Outputs) {
			o.Summary = strings.Replace(o.Summary, "  * Node List:\n    * Online: [ a b ]\n", "    * Online: [ a b ]\n  * Node List:\n", 1)
		}, "summary upstream"},
		{"reasons", func(o *Outputs) {
			o.Summary = strings.NewReplacer("peer is gone", "was asked", "node availability", "no quorum").Replace(o.Summary)
		}, "summary upstream"},
		{"blocked", func(o *Outputs) { o.Summary = strings.Replace(o.Summary, " (blocked)", "", 1) }, "plan sem summary upstream"},
		{"a missing section", func(o *Outputs) { o.Summary, _, _ = strings.Cut(o.Summary, "Revised") }, "after sem summary upstream"},
		{"a group's score", func(o *Outputs) {
			o.Scores = strings.Replace(o.Scores, "g allocation score on a: 0", "g allocation score on a: 1", 1)
		}, "scores upstream"},
		{"a primitive's score", func(o *Outputs) { o.Scores = strings.Replace(o.Scores, "-INFINITY", "0", 1) }, "pscores scores upstream"},
		{"an edge that follows from others", func(o *Outputs) {
			o.Dot = strings.Replace(o.Dot, "\"p\" [", "\"p\" -> \"r\" [ style = bold]\n\"p\" [", 1)
		}, "dot upstream"},
		{"an edge that does not", func(o *Outputs) {
			o.Dot = strings.Replace(o.Dot, "\"q\" -> \"r\" [ style = bold]\n", "", 1)
		}, "dot order upstream"},
		{"a style", func(o *Outputs) { o.Dot = strings.Replace(o.Dot, "\"r\" [ style=bold]", "\"r\" [ style=dashed]", 1) }, "dot nodes order upstream"},
		{"action numbers", func(o *Outputs) { o.Exp = strings.ReplaceAll(o.Exp, `rsc_op id="1"`, `rsc_op id="9"`) }, "exp upstream"},
		{"ignored attributes", func(o *Outputs) { o.Exp = strings.Replace(o.Exp, `batch-limit="0"`, `batch-limit="30"`, 1) }, ""},
		{"an input", func(o *Outputs) { o.Exp = strings.Replace(o.Exp, `<trigger><rsc_op id="1"/></trigger>`, "", 1) }, "exp graph upstream"},
		{"a broken graph", func(o *Outputs) { o.Exp = o.Exp[:40] }, "exp graph upstream"},
		{"a message", func(o *Outputs) { o.Stderr = "warning" }, "upstream"},
		{"first status", func(o *Outputs) { o.Status1 = 1 }, "after before exec plan sem summary upstream"},
		{"second status", func(o *Outputs) { o.Status2 = 1 }, "dot exp graph nodes order pscores scores upstream"},
		{"silence", func(o *Outputs) { *o = Outputs{} }, strings.Join(slices.Sorted(slices.Values(Measures)), " ")},
	} {
		got := perfect
		c.change(&got)
		var fails []string
		for _, m := range Measures {
			if !Compare(perfect, got).Pass[m] {
				fails = append(fails, m)
			}
		}
		slices.Sort(fails)
		if got := strings.Join(fails, " "); got != c.fails {
			t.Errorf("changed %s: fails %q, want %q", c.what, got, c.fails)
		}
	}
}

// A program given by a relative path runs in every case's directory; one that is missing
// is an error, not a score of nothing.
func TestFind(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin", "tool"), []byte("#!/bin/sh\necho $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	p, err := find([]string{"bin/tool", "said"})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if code := p.call(t.Context(), t.TempDir(), time.Minute, &out, &out, nil); code != 0 || out.String() != "said\n" {
		t.Errorf("status %d, %q", code, out.String())
	}
	if _, err := find([]string{"bin/nosuch"}); err == nil {
		t.Error("a missing program is no error")
	}
}

func TestFloor(t *testing.T) {
	results := []Result{
		{Case: Case{Name: "a", Area: "one"}, Verdict: Verdict{Pass: map[string]bool{"sem": true}}},
		{Case: Case{Name: "b", Area: "one"}, Verdict: Verdict{Pass: map[string]bool{"sem": true, "dot": true}}},
	}
	path := filepath.Join(t.TempDir(), "floor")
	if err := writeFloor(path, results); err != nil {
		t.Fatal(err)
	}
	if err := checkFloor(path, results); err != nil {
		t.Errorf("the figures just written are not enough: %v", err)
	}
	results[1].Pass = map[string]bool{"sem": true}
	if err := checkFloor(path, results); err == nil || !strings.Contains(err.Error(), "one: dot passes 0 of 2 cases, the floor is 1 of 2") {
		t.Errorf("a drop is reported as %v", err)
	}
}

// shared finds files that are given with the suite and are no part of this project.
func shared(t *testing.T, env string, path ...string) string {
	t.Helper()
	if dir := os.Getenv(env); dir != "" {
		return dir
	}
	p := filepath.Join(append([]string{"..", "..", "..", "shared"}, path...)...)
	if _, err := os.Stat(p); err != nil {
		t.Skipf("no %s: set %s", path[len(path)-1], env)
	}
	abs, err := filepath.Abs(p)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

// TestAgreesWithTheGivenScore measures a program that answers with the expected outputs,
// spoiled in many ways, by the given score tool and by ours.
func TestAgreesWithTheGivenScore(t *testing.T) {
	if testing.Short() {
		t.Skip("runs two shell scripts for every case")
	}
	cases := shared(t, "SYSTOLE_CASES", "scheduler-cases")
	score := shared(t, "SYSTOLE_SCORE", "tools", "sched_score.py")
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3 to run the given score tool with")
	}
	dir := t.TempDir()
	spoil(t, cases, dir)
	fake := filepath.Join(dir, "fake")
	script := `#!/bin/sh
name=$(basename "$2" .xml)
if [ "$3" = -S ]; then cat ` + dir + `/summary/$name.summary; exit $(cat ` + dir + `/status1/$name); fi
cp ` + dir + `/dot/$name.dot "$4"; cp ` + dir + `/exp/$name.exp "$6"; cat ` + dir + `/scores/$name.scores; cat ` + dir + `/stderr/$name.stderr >&2
exit $(cat ` + dir + `/status2/$name)
`
	if err := os.WriteFile(fake, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	report := filepath.Join(dir, "json")
	if out, err := exec.CommandContext(t.Context(), python, score, "--cases", cases, "--cmd", fake, "--no-areas", "--json", report).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var theirs []struct {
		Name  string
		Res   map[string]bool
		Share float64
	}
	b, err := os.ReadFile(report)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &theirs); err != nil {
		t.Fatal(err)
	}
	list, err := load(cases)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := measure(t.Context(), program{fake}, cases, list, 2, time.Minute, "")
	if err != nil {
		t.Fatal(err)
	}
	failed := map[string]int{}
	for i, r := range ours {
		if theirs[i].Name != r.Name {
			t.Fatalf("case %d is %s there and %s here", i, theirs[i].Name, r.Name)
		}
		for _, m := range Measures {
			if r.Pass[m] != theirs[i].Res[m] {
				t.Errorf("%s: %s is %v, the given tool says %v", r.Name, m, r.Pass[m], theirs[i].Res[m])
			}
			if !r.Pass[m] {
				failed[m]++
			}
		}
		if d := r.Share - theirs[i].Share; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s: share of lines %v, the given tool says %v", r.Name, r.Share, theirs[i].Share)
		}
	}
	for _, m := range Measures {
		if failed[m] == 0 || failed[m] == len(ours) {
			t.Errorf("the spoiled outputs do not try measure %s: %d of %d fail", m, failed[m], len(ours))
		}
	}
}

// spoil writes the expected outputs of all cases, each changed in one of several ways.
func spoil(t *testing.T, cases, dir string) {
	t.Helper()
	list, err := load(cases)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{"status1", "status2"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range list {
		o, err := expected(cases, c)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 12 {
		case 1:
			o.Summary = strings.ReplaceAll(o.Summary, "Started", "Stopped")
		case 2:
			o.Summary = strings.ReplaceAll(o.Summary, " due to ", " due to other ")
		case 3:
			o.Summary = strings.Replace(o.Summary, "* Resource action:", "* Resource actions:", 1)
		case 4:
			o.Scores = strings.Replace(o.Scores, ": 0", ": 1", 2)
		case 5:
			o.Scores = strings.Replace(o.Scores, "promotion score", "promoting score", 1)
		case 6:
			o.Dot = reverseBody(o.Dot)
		case 7:
			o.Dot = withoutLine(o.Dot, "->")
		case 8:
			o.Exp = strings.ReplaceAll(strings.ReplaceAll(o.Exp, ` id="3" `, ` id="x" `), ` id="4" `, ` id="3" `)
		case 9:
			o.Exp = withoutLine(o.Exp, "CRM_meta_timeout")
		case 10:
			o.Stderr = "warning\n"
			o.Dot = strings.ReplaceAll(o.Dot, "green", "red")
		case 11:
			o.Status1, o.Status2 = i%2, i/2%2
			o.Summary = strings.Replace(o.Summary, "Transition Summary:", "Transition:", 1)
		}
		if err := keepOutputs(dir, c, o); err != nil {
			t.Fatal(err)
		}
		for name, status := range map[string]int{"status1": o.Status1, "status2": o.Status2} {
			if err := os.WriteFile(filepath.Join(dir, name, c.Name), fmt.Append(nil, status), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func reverseBody(text string) string {
	ls := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(ls) > 2 {
		slices.Reverse(ls[1 : len(ls)-1])
	}
	return strings.Join(ls, "\n") + "\n"
}

func withoutLine(text, with string) string {
	ls := strings.SplitAfter(text, "\n")
	if i := slices.IndexFunc(ls, func(l string) bool { return strings.Contains(l, with) }); i >= 0 {
		ls = slices.Delete(ls, i, i+1)
	}
	return strings.Join(ls, "")
}
