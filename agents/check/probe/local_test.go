package probe

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"systole/agents/check"
)

var nowhere = netip.MustParseAddrPort("192.0.2.7:81")

// program writes a shell script.
func program(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "check.sh")
	if err := os.WriteFile(name, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestScript(t *testing.T) {
	t.Setenv("CHECK_TEST_SECRET", "not for scripts")
	exits := "script path=" + program(t, "echo first\necho at work\nexit $1\n") + " timeout=10s"
	wantUp(t, "0", ask(t, exits+" arg=0", nowhere), "exit status 0: at work")
	wantDown(t, "1", ask(t, exits+" arg=1", nowhere), "exit status 1: at work")
	wantDown(t, "2", ask(t, exits+" arg=2", nowhere), "exit status 2")
	wantDown(t, "1, dynamic", ask(t, exits+" arg=1 dynamic", nowhere), "exit status 1")
	for code, want := range map[string]check.Weight{
		"0": {}, "2": {Mode: check.Absolute}, "100": {Mode: check.Absolute, Value: 98}, "255": {Mode: check.Absolute, Value: 253},
	} {
		r := ask(t, exits+" dynamic arg="+code, nowhere)
		wantUp(t, code+", dynamic", r, "exit status "+code)
		if r.Weight != want {
			t.Errorf("exit status %s: weight %+v, want %+v", code, r.Weight, want)
		}
	}
	env := "script path=" + program(t, `echo "$CHECK_ADDRESS $CHECK_PORT $CHECK_TIMEOUT ${CHECK_TEST_SECRET:-none} $*"`) + " timeout=10s"
	wantUp(t, "environment", ask(t, env+" arg={address}:{port} arg='a b' arg=''", nowhere), "192.0.2.7 81 10 none 192.0.2.7:81 a b")
	wantUp(t, "another port", ask(t, env+" port=82 connect-to=2001:db8::1", nowhere), "2001:db8::1 82")
	wantDown(t, "signal", ask(t, "script timeout=10s path="+program(t, "kill -9 $$\n"), nowhere), "ended by signal 9")
	wantDown(t, "missing", ask(t, "script timeout=10s path=/nonexistent/script", nowhere), "no such file or directory")
}

// A script that hangs is ended with all that it started in its process group.
func TestScriptThatHangs(t *testing.T) {
	dir := t.TempDir()
	pidfile := filepath.Join(dir, "pid")
	path := program(t, "trap '' TERM\nsleep 1000 & echo $! > "+pidfile+"\nwait\nwait\n")
	wantDown(t, "hangs", ask(t, "script timeout=1s path="+path, nowhere), "no complete answer within 1s")
	text, err := os.ReadFile(pidfile)
	if err != nil {
		t.Fatal(err)
	}
	pid := strings.TrimSpace(string(text))
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for began := time.Now(); alive(pid); <-tick.C {
		if time.Since(began) > 10*time.Second {
			t.Fatalf("the script's child %s lives on", pid)
		}
	}
}

// alive tells whether the process runs, which one that waits to be reaped does not.
func alive(pid string) bool {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	return err == nil && !strings.Contains(string(stat), ") Z ") && !strings.Contains(string(stat), ") X ")
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weight")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec := "file timeout=10s path=" + path
	wantUp(t, "missing", ask(t, spec, nowhere), "0 in /")
	for text, up := range map[string]bool{"0": true, " 0\n": true, "": true, "1": false, "-5": false} {
		write(text)
		if r := ask(t, spec, nowhere); r.OK != up || !r.OK && !strings.Contains(r.Reason, "wanted 0") {
			t.Errorf("%q: up=%v %q", text, r.OK, r.Reason)
		}
	}
	for _, text := range []string{"many", "1 2", "99999999999999", strings.Repeat("1", 100)} {
		write(text)
		wantDown(t, text, ask(t, spec, nowhere), "is not a number")
		wantDown(t, text, ask(t, spec+" weight=1", nowhere), "is not a number")
	}
	write("-7\n")
	r := ask(t, spec+" weight=3", nowhere)
	wantUp(t, "-7", r, "-7 in /")
	if want := (check.Weight{Mode: check.Relative, Value: -21}); r.Weight != want {
		t.Errorf("-7 times 3: weight %+v, want %+v", r.Weight, want)
	}
	wantDown(t, "a directory", ask(t, "file timeout=10s path="+filepath.Dir(path), nowhere), "is a directory")
}

func TestNewRefuses(t *testing.T) {
	v6 := netip.MustParseAddrPort("[2001:db8::1]:80")
	for _, c := range []struct {
		spec   string
		target netip.AddrPort
		want   string
	}{
		{"tcp", netip.MustParseAddrPort("192.0.2.7:0"), "check tcp of 192.0.2.7:0: no port: write port=…"},
		{"tcp port=1", netip.AddrPort{}, "no address: name the server or write connect-to=…"},
		{"ping source=192.0.2.1", v6, "option source: 192.0.2.1 is of another family"},
	} {
		spec, err := check.Parse(c.spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := New(check.Check{Target: c.target, Spec: spec}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.spec, err, c.want)
		}
	}
	for _, k := range check.Kinds() {
		if _, err := New(check.Check{Target: nowhere, Spec: check.Spec{Kind: k}}); err != nil {
			t.Errorf("%s has no prober: %v", k, err)
		}
	}
	if _, err := New(check.Check{Target: nowhere, Spec: check.Spec{Kind: "new"}}); err == nil {
		t.Error("an unknown kind has a prober")
	}
	q := question{Spec: check.Spec{Kind: check.LDAP}}
	if err := q.address(netip.AddrPortFrom(nowhere.Addr(), 0)); err != nil || q.server.Port() != 389 {
		t.Errorf("ldap without a port is asked at %s: %v", q.server, err)
	}
	if r := ask(t, "none", nowhere); !r.OK {
		t.Errorf("none: %q", r.Reason)
	}
}

func TestClip(t *testing.T) {
	if got := clip("a\r\n\x1b[31mb\xff" + strings.Repeat("é", 200)); len(got) > maxReason+4 || !strings.HasPrefix(got, "a [31mb?é") || !strings.HasSuffix(got, "é…") {
		t.Errorf("clipped to %q", got)
	}
}
