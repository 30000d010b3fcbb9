package conf

import (
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"systole/crm/lease"
	"systole/crm/store"
)

var compareAddrs = cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })

func TestDefaults(t *testing.T) {
	want := Config{
		Bind: netip.MustParseAddrPort("[::]:7737"), ClusterDir: "/var/lib/systole", RunDir: "/run/systole",
		LogLevel: slog.LevelInfo, DetectWithin: lease.DefaultDetectWithin, Voters: store.DefaultVoters,
		Realtime: true, Group: "haclient", Inputs: 100,
	}
	if diff := cmp.Diff(want, Default(), compareAddrs); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	got, err := Parse("empty", strings.NewReader(""))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
		t.Errorf("an empty file (-want +got):\n%s", diff)
	}
}

func TestEveryKeyIsRead(t *testing.T) {
	text := `
# a comment
node-name = node-1
bind = 10.0.0.1:7000	# why not
advertise=192.0.2.1:7000
cluster-dir = /srv/systole
run-dir = /run/other
log-level = debug
detect-within = 1s
voters = 3
witness = yes
watchdog = /dev/watchdog
realtime = no
metrics = 127.0.0.1:9664
group = admins
inputs = 7
`
	want := Config{
		NodeName: "node-1", Bind: netip.MustParseAddrPort("10.0.0.1:7000"), Advertise: netip.MustParseAddrPort("192.0.2.1:7000"),
		ClusterDir: "/srv/systole", RunDir: "/run/other", LogLevel: slog.LevelDebug, DetectWithin: time.Second, Voters: 3,
		Witness: true, Watchdog: "/dev/watchdog", Metrics: netip.MustParseAddrPort("127.0.0.1:9664"), Group: "admins", Inputs: 7,
	}
	got, err := Parse("x", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, o := range options {
		if !strings.Contains(text, "\n"+o.Key) {
			t.Errorf("key %s is not in this test", o.Key)
		}
	}
}

func TestErrorsNamePlaceAndRemedy(t *testing.T) {
	rows := []struct{ text, want string }{
		{"votes = 3", `f:1: "votes" is unknown: did you mean voters?`},
		{"\nclusterdir = /x", `f:2: "clusterdir" is unknown: did you mean cluster-dir?`},
		{"colour = blue", `f:1: "colour" is unknown: systole.conf(5) lists all keys`},
		{"voters", `f:1: "voters" is not of the form key = value`},
		{"voters = 0", "f:1: voters = 0: use a number from 1 to 9"},
		{"voters = many", "f:1: voters = many: use a number from 1 to 9"},
		{"voters = 3\n#\nvoters = 5", "f:3: voters was set in line 1 already: remove one of the two"},
		{"detect-within = 500", "f:1: detect-within = 500: use a number and a unit"},
		{"detect-within = 1ms", "f:1: detect-within = 1ms: detect-within 1ms is outside"},
		{"bind = localhost", "f:1: bind = localhost: use an IP address and a port"},
		{"advertise = [::]:7737", "f:1: advertise = [::]:7737: other nodes cannot dial that"},
		{"cluster-dir = data", "f:1: cluster-dir = data: use a plain absolute path"},
		{"log-level = chatty", "f:1: log-level = chatty: use debug, info, warn or error"},
		{"witness = maybe", "f:1: witness = maybe: use yes or no"},
		{"node-name = a b", `f:1: node-name = a b: "a b" cannot be a node's name`},
		{"inputs = -1", "f:1: inputs = -1: use a number from 0"},
		{"group = a b", "f:1: group = a b: use the name of one group"},
	}
	for _, r := range rows {
		_, err := Parse("f", strings.NewReader(r.text))
		if err == nil || !strings.HasPrefix(err.Error(), r.want) {
			t.Errorf("%q:\n got %v\nwant %s", r.text, err, r.want)
		}
	}
	_, err := Parse("f", strings.NewReader("a = 1\nvoters = 3\nb = 2"))
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("two mistakes are not reported together: %v", err)
	}
	if _, err := Parse("f", strings.NewReader(strings.Repeat("#", maxFile+1))); err == nil {
		t.Error("a huge file was read")
	}
}

func TestSampleIsTheDefault(t *testing.T) {
	sample := Sample()
	got, err := Parse("sample", strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got, compareAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// With its values uncommented it says the same.
	var b strings.Builder
	for line := range strings.Lines(sample) {
		if rest, ok := strings.CutPrefix(line, "#"); ok && !strings.HasPrefix(rest, " ") {
			line = rest
		}
		b.WriteString(line)
	}
	if got, err = Parse("sample", strings.NewReader(b.String())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got, compareAddrs); diff != "" {
		t.Errorf("uncommented (-want +got):\n%s", diff)
	}
	for name, want := range map[string]string{"systole.conf.sample": sample, "systole.conf.5": Manual()} {
		committed, err := os.ReadFile(name)
		if err != nil || string(committed) != want {
			t.Errorf("%s is not what the table gives (%v): run go generate ./conf", name, err)
		}
	}
}

func TestManualIsValidMarkup(t *testing.T) {
	page := Manual()
	for _, o := range options {
		if !strings.Contains(page, ".BR "+roff(o.Key)+" ") {
			t.Errorf("%s is not in the manual", o.Key)
		}
	}
	man, err := exec.LookPath("groff")
	if err != nil {
		t.Log("groff is not installed: the markup was not checked by it")
		return
	}
	cmd := exec.Command(man, "-man", "-Tutf8", "-ww")
	cmd.Stdin = strings.NewReader(page)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.Contains(string(out), "warning") {
		t.Errorf("groff: %v\n%s", err, out)
	}
}

func TestLoad(t *testing.T) {
	c, err := Load(filepath.Join(t.TempDir(), "absent"))
	if err != nil || c.NodeName == "" || strings.Contains(c.NodeName, ".") {
		t.Errorf("absent file: node name %q, %v", c.NodeName, err)
	}
	path := filepath.Join(t.TempDir(), "systole.conf")
	if err := os.WriteFile(path, []byte("node-name = n7\nvoter = 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), path+":2: ") {
		t.Errorf("got %v", err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a directory was read as a file")
	}
}

func TestPreflight(t *testing.T) {
	c := Default()
	base := t.TempDir()
	c.ClusterDir, c.RunDir = filepath.Join(base, "lib"), filepath.Join(base, "run")
	if err := Preflight(c); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(c.ClusterDir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("cluster-dir: %v, %v", info, err)
	}
	file := filepath.Join(base, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := c
	bad.ClusterDir, bad.RunDir, bad.Watchdog = filepath.Join(file, "x"), "/proc/x", filepath.Join(base, "absent")
	err := Preflight(bad)
	for _, want := range []string{"cluster-dir " + bad.ClusterDir, "run-dir /proc/x", "modprobe softdog"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
	bad.Watchdog = file
	if err := Preflight(bad); err == nil || !strings.Contains(err.Error(), "is not a device") {
		t.Errorf("got %v", err)
	}
}

// FuzzParse: no input panics, every error names the file, and what is read can
// be written down and read again.
func FuzzParse(f *testing.F) {
	f.Add("")
	f.Add(Sample())
	f.Add("voters = 3\nvoters = 3")
	f.Add("a=#=\x00\r\n = \n==")
	f.Add("node-name = \xff")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse("f", strings.NewReader(text))
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "f:") {
					t.Fatalf("error without a place: %q", line)
				}
			}
			return
		}
		if c.Voters < 1 || c.DetectWithin < lease.MinDetectWithin || c.ClusterDir == "" {
			t.Fatalf("impossible values: %+v", c)
		}
	})
}

func TestEditDistance(t *testing.T) {
	for _, r := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"voters", "voters", 0}, {"vote", "voters", 2}, {"bidn", "bind", 2}} {
		if got := editDistance(r.a, r.b); got != r.want {
			t.Errorf("%q to %q: %d, want %d", r.a, r.b, got, r.want)
		}
	}
}
