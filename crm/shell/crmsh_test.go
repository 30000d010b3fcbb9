package shell_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"systole/crm/cib"
	"systole/crm/clitext"
)

// crmshSession is what crmsh is asked to do; every line but the last ones is an
// edit that is committed at the end.
const crmshSession = `configure
node n1
node n2 attributes site=b
property stonith-enabled=false
primitive a ocf:pacemaker:Dummy params fake=1 op monitor interval=10s timeout=20s meta target-role=Started
primitive b ocf:pacemaker:Dummy
primitive c ocf:pacemaker:Stateful op monitor interval=10s role=Master op monitor interval=11s role=Slave
group g a b
clone k c meta promotable=true
location l g 100: n1
location m g rule -inf: not_defined pingd or pingd lte 0
colocation with inf: g k:Master
order first Mandatory: k:promote g:start
rsc_defaults resource-stickiness=100
commit
modgroup g remove b
rename b bb
delete m
filter "sed s/fake=1/fake=2/" a
primitive d ocf:pacemaker:Dummy
tag t a d
commit
up
resource meta d set priority 5
resource param d set fake x
resource ban d n2
node attribute n1 set rack 1
configure show
`

// TestCrmshOnOurTools runs the unmodified crmsh, where it is installed, on our
// programs and on Pacemaker's, and compares what it shows and the CIB it leaves.
func TestCrmshOnOurTools(t *testing.T) {
	for _, program := range []string{"/usr/sbin/crm", "/usr/sbin/cibadmin", "/usr/lib/ocf/resource.d/pacemaker/Dummy"} {
		if _, err := os.Stat(program); err != nil {
			t.Skipf("nothing to compare with: %v", err)
		}
	}
	if testing.Short() {
		t.Skip("crmsh takes some seconds")
	}
	ours, err := exec.LookPath("cibadmin") // the directory of links that testscript put first in PATH
	if err != nil || strings.HasPrefix(ours, "/usr/") {
		t.Fatalf("cibadmin in PATH is %q, not ours (%v)", ours, err)
	}
	const debian = "/usr/sbin:/usr/bin:/sbin:/bin"
	theirText, theirCIB := crmsh(t, debian)
	ourText, ourCIB := crmsh(t, filepath.Dir(ours)+":"+debian)
	if ourText != theirText {
		t.Errorf("crmsh shows on our tools:\n%s\non Pacemaker's:\n%s", ourText, theirText)
	}
	if !clitext.Equivalent(ourCIB.Child("configuration"), theirCIB.Child("configuration")) {
		t.Errorf("crmsh leaves with our tools:\n%s\nwith Pacemaker's:\n%s", ourCIB, theirCIB)
	}
}

// crmsh runs the session with a search path, on a new file.
func crmsh(t *testing.T, path string) (shown string, root *cib.Element) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "cib.xml")
	if err := os.WriteFile(file, []byte(cib.Empty().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/crm", "-D", "plain", "-F")
	cmd.Env = []string{"CIB_file=" + file, "HOME=" + dir, "PATH=" + path, "LC_ALL=C.UTF-8"}
	cmd.Stdin = strings.NewReader(crmshSession)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("crmsh with PATH=%s: %v\n%s", path, err, out)
	}
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if root, err = cib.Parse(doc); err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(string(out), "\n"), regexp.MustCompile(`(WARNING|INFO|ERROR)`).MatchString)
	return strings.Join(lines, "\n"), root
}
