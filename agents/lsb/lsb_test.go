package lsb

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"systole/resources"
)

const header = `#!/bin/sh
### BEGIN INIT INFO
# Provides:          web httpd
# Required-Start:    $network
# Short-Description: Start the web
# Description:       Starts the web server
#                    and whatever it needs.
# X-Other:           nothing
### END INIT INFO
# Description: not this one
`

func script(t *testing.T, body string) (Config, *Agent) {
	t.Helper()
	cfg := Config{Dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(cfg.Dir, "web"), []byte(header+body), 0o755); err != nil {
		t.Fatal(err)
	}
	a, err := cfg.Find("web")
	if err != nil {
		t.Fatal(err)
	}
	return cfg, a
}

func TestCodes(t *testing.T) {
	for _, c := range []struct {
		verb   resources.Action
		exit   int
		code   resources.Code
		status resources.Status
	}{
		{"start", 0, resources.OK, 0}, {"start", 5, resources.ErrInstalled, 0}, {"start", 7, resources.NotRunning, 0}, {"start", 99, resources.ErrGeneric, 0},
		{"stop", 0, resources.OK, 0}, {"stop", 1, resources.ErrGeneric, 0},
		{"monitor", 0, resources.OK, 0}, {"monitor", 1, resources.NotRunning, 0}, {"monitor", 2, resources.NotRunning, 0}, {"monitor", 3, resources.NotRunning, 0},
		{"monitor", 4, resources.ErrGeneric, 0}, {"monitor", 150, resources.ErrInstalled, 0}, {"monitor", 151, resources.ErrPerm, 0}, {"status", 3, resources.NotRunning, 0},
		{"promote", 0, resources.ErrUnimplemented, 0},
	} {
		_, a := script(t, fmt.Sprintf("[ $1 = status -o $1 = start -o $1 = stop ] && exit %d\nexit 77\n", c.exit))
		res := a.Execute(t.Context(), resources.Op{Action: c.verb})
		if res.Code != c.code || res.Status != c.status {
			t.Errorf("%s with exit %d: code %d, status %d; want %d, %d", c.verb, c.exit, res.Code, res.Status, c.code, c.status)
		}
	}
}

func TestTimeoutIsNotStopped(t *testing.T) {
	_, a := script(t, "sleep 60\n")
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if res := a.Execute(ctx, resources.Op{Action: "monitor"}); res.Status != resources.StatusTimeout || res.Code == resources.NotRunning {
		t.Errorf("result %+v", res)
	}
}

func TestFindListDescribe(t *testing.T) {
	cfg, a := script(t, "exit 0\n")
	if err := os.WriteFile(filepath.Join(cfg.Dir, "README"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := cfg.Types(); !slices.Equal(got, []string{"web"}) {
		t.Errorf("types %q", got)
	}
	for _, bad := range []string{"", "none", "README", "../x", ".web"} {
		if _, err := cfg.Find(bad); err == nil {
			t.Errorf("found %q", bad)
		}
	}
	data, err := a.MetaData(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if m, err := resources.ParseMetadata(data); err != nil || m.Name != "web" || m.Short != "Start the web" || m.Long != "Starts the web server and whatever it needs." {
		t.Errorf("metadata %+v, %v", m, err)
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(header)
	f.Add("### BEGIN INIT INFO\n# Description:\n#  a\n#\tb\n")
	f.Fuzz(func(t *testing.T, s string) {
		if a, b := ParseHeader(s), ParseHeader(s); !reflect.DeepEqual(a, b) {
			t.Error("not the same twice")
		}
	})
}
