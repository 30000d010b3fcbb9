package mon

import (
	"bytes"
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

	"systole/crm/cib"
	"systole/crm/display"
	"systole/crm/shell/tool"
	"systole/crm/status"
)

func TestMain(m *testing.M) {
	time.Local = time.UTC // asctime prints local times
	os.Exit(m.Run())
}

// cibs is where the CIBs of the display tests are.
var cibs = filepath.Join("..", "..", "display", "testdata")

// moment hides what changes with every run.
var moment = regexp.MustCompile(`(Last updated: |last_update time=")[^"\n]*`)

// run is one call of the tool on a CIB file.
func run(t *testing.T, cib string, args ...string) (out string, code int) {
	t.Helper()
	var b, e bytes.Buffer
	env := map[string]string{"CIB_file": cib}
	code = Run(t.Context(), &tool.IO{
		In: strings.NewReader(""), Out: &b, Err: &e, Name: "crm_mon",
		Env: func(name string) string { return env[name] },
	}, args)
	return moment.ReplaceAllString(b.String()+e.String(), "$1(now)"), code
}

// TestGolden holds whole pictures of the CIBs under crm/display/testdata. Rewrite with
// go test ./crm/shell/mon -rewrite and read the difference.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "crm_mon" {
				d.Fatalf(t, "unknown command %s", d.Cmd)
			}
			out, code := run(t, filepath.Join(cibs, d.CmdArgs[0].Key), strings.Fields(d.Input)...)
			if code != 0 {
				out += fmt.Sprintf("exit status %d\n", code)
			}
			return out
		})
	})
}

// optionSets are compared with Debian's crm_mon.
var optionSets = strings.Split(strings.TrimSpace(`
-1
-1 -r
-1 -n
-1 -n -r
-1 -b
-1 -b -r
-1 -b -n
-1 -b -n -r
-1 -R
-1 -R -r
-1 -R -n -r
-1 -A
-1 -f
-1 -o
-1 -t
-1 -t -f
-1 -c
-1 -L
-1 -D
-1 -D -r
-1 -s
-1 -rfAn
-1 --include=options
-1 --exclude=resources,nodes
-1 --exclude=all --include=nodes
-1 -U summary -I tickets
-1 --resource vip
-1 -r --resource web
-1 -r --resource nginx
-1 -r --resource db
-1 -r --resource db-clone
-1 -r --resource gg
-1 -r --resource box
-1 -r --resource nosuch
-1 --node alpha
-1 -n --node alpha
-1 --node nosuch
-1 -N
-X
-X -r
-X -n
-X -n -r
--output-as=xml
--output-as xml -r -f -o -t
--output-as=xml --resource vip
--output-as=xml --node beta
--output-as=xml --exclude=all --include=nodes
--output-as=xml -1 -I none
-1 -R -A -t -c -L -r
`), "\n")

// TestAgainstDebian prints the same CIB with the field's program and with ours.
func TestAgainstDebian(t *testing.T) {
	const debian = "/usr/sbin/crm_mon"
	if out, err := exec.Command(debian, "--version").Output(); err != nil || !strings.Contains(string(out), "Pacemaker 2.1.5") {
		t.Skip("no Pacemaker 2.1.5 here (package pacemaker-cli-utils of Debian 12)")
	}
	files, err := filepath.Glob(filepath.Join(cibs, "*.xml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no CIBs in %s: %v", cibs, err)
	}
	request := regexp.MustCompile(` request="[^"]*"`)
	for _, file := range files {
		for _, set := range optionSets {
			cmd := exec.CommandContext(t.Context(), debian, strings.Fields(set)...)
			cmd.Env = append(os.Environ(), "CIB_file="+file, "LC_ALL=C", "TZ=UTC")
			theirs, err := cmd.Output()
			if err != nil {
				t.Errorf("%s %s on %s: %v", debian, set, file, err)
				continue
			}
			want := moment.ReplaceAllString(string(theirs), "$1(now)")
			got, _ := run(t, file, strings.Fields(set)...)
			if diff := cmp.Diff(request.ReplaceAllString(want, ""), request.ReplaceAllString(got, "")); diff != "" {
				t.Errorf("crm_mon %s on %s (-Debian +ours):\n%s", set, filepath.Base(file), diff)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	for args, want := range map[string]int{
		"--bogus":                     64,
		"--output-as=pictures":        64,
		"-1 -I nothing":               64,
		"-1 -m=7":                     64,
		"-i never":                    64,
		"-d":                          64,
		"--help":                      0,
		"--version":                   0,
		"-1 -m3 -Lban -i 10":          0,
		"--output-as=html -1":         0,
		"--output-as=html --html-cgi": 0,
	} {
		if out, code := run(t, filepath.Join(cibs, "mixed.xml"), strings.Fields(args)...); code != want {
			t.Errorf("crm_mon %s: exit status %d, want %d\n%s", args, code, want, out)
		}
	}
	if out, code := run(t, "/nonexistent/cib.xml", "--output-as=xml"); code != 105 || !strings.Contains(out, `<status code="105"`) {
		t.Errorf("missing file: exit status %d, output\n%s", code, out)
	}
}

// TestExternalAgent hands every new result, and no old one, to the program.
func TestExternalAgent(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	agent := filepath.Join(dir, "agent")
	script := "#!/bin/sh\necho \"$CRM_notify_recipient $CRM_notify_node $CRM_notify_rsc $CRM_notify_task $CRM_notify_rc $CRM_notify_target_rc\" >>" + log + "\n"
	if err := os.WriteFile(agent, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	m := &monitor{request: request{agent: agent, receiver: "me"}, stdio: &tool.IO{Out: &bytes.Buffer{}, Err: os.Stderr}}
	first := view(t, "mixed.xml", nil)
	m.report(t.Context(), first)
	m.report(t.Context(), first)
	m.report(t.Context(), view(t, "mixed.xml", func(src string) string {
		return strings.Replace(src, `transition-magic="0:0;2:1:0:`, `transition-magic="0:7;9:1:0:`, 1)
	}))
	got, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if want := "me alpha vip monitor 0 0\n"; string(got) != want {
		t.Errorf("the agent was told\n%swant\n%s", got, want)
	}
}

// view reads one of the CIBs, changed.
func view(t *testing.T, name string, change func(string) string) *display.View {
	t.Helper()
	src, err := os.ReadFile(filepath.Join(cibs, name))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		src = []byte(change(string(src)))
	}
	root, err := cib.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	return &display.View{Status: status.Unpack(root, time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC))}
}
