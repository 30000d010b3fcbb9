package exit

import (
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"strconv"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	last, names := Code(-1), make(map[string]bool)
	for c := range Codes() {
		if c <= last || c > 255 {
			t.Errorf("%d after %d", c, last)
		}
		last = c
		if names[c.Name()] || !strings.HasPrefix(c.Name(), "CRM_EX_") || c.String() == "" || c.String() == Code(255).String() {
			t.Errorf("%d: %s %q", c, c.Name(), c)
		}
		names[c.Name()] = true
	}
	if got := Code(200).Name() + " " + Code(200).String(); got != "CRM_EX_UNKNOWN Unknown exit status" {
		t.Error(got)
	}
	for code, want := range map[Code]string{OK: "OK", Usage: "Incorrect usage", Config: "Invalid configuration", Disconnect: "Not connected", Old: "Update was older than existing configuration", NoSuch: "No such object", Exists: "Requested item already exists"} {
		if code.String() != want {
			t.Errorf("%d: %q, want %q", int(code), code, want)
		}
	}
}

// The genuine crm_error prints the same table. It is one of the programs this
// project replaces, so the test says so where there is none.
func TestAsCrmError(t *testing.T) {
	tool, err := exec.LookPath("/usr/sbin/crm_error")
	if err != nil {
		t.Skip("no /usr/sbin/crm_error (Debian: pacemaker-cli-utils) to compare with")
	}
	out, err := exec.CommandContext(t.Context(), tool, "-X", "-l", "-n").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if want := strings.Fields(rest); strings.Join(strings.Fields(Code(n).Name()+" "+Code(n).String()), " ") != strings.Join(want, " ") {
			t.Errorf("%d: %s %s, theirs %s", n, Code(n).Name(), Code(n), rest)
		}
	}
}

func TestErrorsCarryTheirStatus(t *testing.T) {
	base := Errorf(NoSuch, "open %s: %w", "x", fs.ErrNotExist)
	for err, want := range map[error]Code{
		nil:                            OK,
		errors.New("plain"):            Error,
		base:                           NoSuch,
		fmt.Errorf("around: %w", base): NoSuch,
		With(Config, base):             Config,
		&Failure{Code: Timeout}:        Timeout,
	} {
		if got := Of(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
	if With(Config, nil) != nil || !errors.Is(base, fs.ErrNotExist) || base.Error() != "open x: file does not exist" || (&Failure{Code: Timeout}).Error() != "Timeout occurred" {
		t.Error("wrapping")
	}
}
