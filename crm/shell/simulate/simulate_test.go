package simulate

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"

	"systole/crm/shell/tool"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// moment hides what changes with every run.
var moment = regexp.MustCompile(`(last-failure-[^= ]*(?:=|" value="))[0-9]+`)

func run(t *testing.T, stdin string, args ...string) (out string, code int) {
	t.Helper()
	var b bytes.Buffer
	code = Run(t.Context(), &tool.IO{In: strings.NewReader(stdin), Out: &b, Err: &b, Name: "crm_simulate"}, args)
	return moment.ReplaceAllString(b.String(), "${1}(now)"), code
}

// TestGolden holds whole reports. Rewrite with go test ./crm/shell/simulate -rewrite and read the difference.
func TestGolden(t *testing.T) {
	datadriven.RunTest(t, filepath.Join("testdata", "golden"), func(t *testing.T, d *datadriven.TestData) string {
		if d.Cmd != "crm_simulate" {
			d.Fatalf(t, "unknown command %s", d.Cmd)
		}
		args := append([]string{"-x", filepath.Join("testdata", d.CmdArgs[0].Key)}, strings.Fields(d.Input)...)
		out, code := run(t, "", args...)
		if code != 0 {
			out += fmt.Sprintf("exit status %d\n", code)
		}
		return out
	})
}

// eventSets are simulated by Debian's crm_simulate too.
var eventSets = strings.Split(strings.TrimSpace(`
-R
-S
-S -u n2
-S -d n1
-S -f n1
-S -d n1 -u n2
-S -i vip_monitor_10000@n1=7
-S -i vip_monitor_10000@n1=1 -F vip_stop_0@n1=1
-S -F vip_start_0@n1=1
-S -q 1 -w 1
-S -g t1 -r t2 -b t3 -e t1
-S -t 2026-05-05
-S -u n2 -F vm_migrate_to_0@n1=1
-S --output-as=xml
-S -u n2 --output-as=xml
-R -f n1 --output-as=xml
`), "\n")

// TestAgainstDebian compares reports, and the CIBs that come after, on a fresh pair of nodes
// and on what a simulation made of it.
func TestAgainstDebian(t *testing.T) {
	const debian = "/usr/sbin/crm_simulate"
	if out, err := exec.Command(debian, "--version").Output(); err != nil || !strings.Contains(string(out), "Pacemaker 2.1.5") {
		t.Skip("no Pacemaker 2.1.5 here (package pacemaker-cli-utils of Debian 12)")
	}
	dir := t.TempDir()
	fresh := filepath.Join("testdata", "pair.xml")
	settled := filepath.Join(dir, "settled.xml")
	if out, code := run(t, "", "-x", fresh, "-S", "-Q", "-O", settled); code != 0 {
		t.Fatalf("exit status %d\n%s", code, out)
	}
	request := regexp.MustCompile(` request="[^"]*"`)
	for _, file := range []string{fresh, settled} {
		for _, set := range eventSets {
			args := append([]string{"-x", file}, strings.Fields(set)...)
			cmd := exec.CommandContext(t.Context(), debian, args...)
			cmd.Env = append(os.Environ(), "CIB_shadow_dir="+dir, "LC_ALL=C", "TZ=UTC")
			theirs, err := cmd.Output()
			if err != nil {
				t.Errorf("%v: %v", cmd, err)
				continue
			}
			ours, _ := run(t, "", args...)
			want := request.ReplaceAllString(moment.ReplaceAllString(string(theirs), "${1}(now)"), "")
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(request.ReplaceAllString(ours, ""), "\n")); diff != "" {
				t.Errorf("crm_simulate %s on %s (-Debian +ours):\n%s", set, filepath.Base(file), diff)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]int{
		"--bogus":                                       64,
		"-x testdata/pair.xml -t never -R":              64,
		"-x testdata/pair.xml --output-as=html":         64,
		"-x testdata/pair.xml -F bogus":                 64,
		"-x testdata/pair.xml -i bogus":                 64,
		"-x testdata/pair.xml -u n9":                    105,
		"-x testdata/pair.xml -N 0":                     64,
		"-X -p":                                         64,
		"-x testdata/missing.xml -R":                    66,
		"-P testdata/missing":                           66,
		"-x testdata/golden -R":                         66,
		"-x testdata/pair.xml -R -G /nonexistent/graph": 74,
		"--help":                     0,
		"-$":                         0,
		"-P testdata -N 2":           0,
		"-x testdata/pair.xml -sSQj": 0,
		"--xml-file=testdata/pair.xml --simulate --show-scores --quiet": 0,
	} {
		if out, code := run(t, "", strings.Fields(args)...); code != want {
			t.Errorf("crm_simulate %s: exit status %d, want %d\n%s", args, code, want, out)
		}
	}
	invalid := `<cib validate-with="pacemaker-3.9"><configuration><crm_config/><nodes/><resources><primitive id="a" class="ocf"/><primitive id="a" class="ocf" provider="x" type="y"/></resources><constraints/></configuration></cib>`
	if out, code := run(t, invalid, "-p", "-S"); code != 78 || strings.Count(out, "error: ") < 2 {
		t.Errorf("invalid configuration: exit status %d\n%s", code, out)
	}
	if out, code := run(t, "<cib", "-p", "-S"); code != 66 || !strings.Contains(out, "read the CIB from -") {
		t.Errorf("malformed XML: exit status %d\n%s", code, out)
	}
}

// TestInPlaceSettles simulates on a compressed copy until nothing is left to do.
func TestInPlaceSettles(t *testing.T) {
	src, err := os.ReadFile(filepath.Join("testdata", "pair.xml"))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(src); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "cib.xml.gz")
	if err := os.WriteFile(file, packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := run(t, "", "-x", file, "-X", "-u", "n2"); code != 0 || !strings.Contains(out, "Start ") {
		t.Fatalf("first round: exit status %d\n%s", code, out)
	}
	out, code := run(t, "", "-x", file, "-R")
	if code != 0 || !strings.HasSuffix(out, "Transition Summary:\n") {
		t.Errorf("second round has something to do: exit status %d\n%s", code, out)
	}
}

func TestSavedFiles(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	_, code := run(t, "", "-x", "testdata/pair.xml", "-SQa", "-u", "n2", "-I", at("in"), "-O", at("out"), "-G", at("graph"), "-D", at("dot"), "--output-to", at("text"))
	if code != 0 {
		t.Fatalf("exit status %d", code)
	}
	for name, want := range map[string]string{
		"in":    `<node_state id="2" uname="n2" in_ccm="true" crmd="online"`,
		"out":   `<lrm_rsc_op id="vip_last_0" operation_key="vip_start_0"`,
		"graph": `operation_key="vip_start_0" on_node="n1"`,
		"dot":   `"vip_start_0 n1" [ style=bold color="green" fontcolor="black"]`,
		"text":  "",
	} {
		b, err := os.ReadFile(at(name))
		if err != nil || !strings.Contains(string(b), want) {
			t.Errorf("%s: %v, want %q in\n%.400s", name, err, want, b)
		}
	}
}
