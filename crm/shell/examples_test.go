package shell_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"systole/crm/shell"
	"systole/crm/shell/tool"
)

// The LVS examples load as they stand into the cluster they are written for, and verify.
func TestExamplesOfLVS(t *testing.T) {
	files, err := filepath.Glob("../../conf/examples/lvs-*/*.crm")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, example := range files {
		t.Run(filepath.Base(filepath.Dir(example))+"/"+filepath.Base(example), func(t *testing.T) {
			if errs := load(t, []string{"director-a", "director-b", "web-1", "web-2"}, example); errs != "" {
				t.Error(errs)
			}
		})
	}
}

// The site of HA LAMP loads and verifies; DRBD's agent need not be installed here.
func TestExampleOfHALAMP(t *testing.T) {
	dir := "../../conf/examples/"
	six := []string{"director-a", "director-b", "web-1", "web-2", "store-a", "store-b"}
	errs := load(t, six, dir+"ha-lamp/fencing.crm", dir+"ha-lamp/site.crm") + load(t, append(six, "app-1", "app-2"), dir+"ha-lamp/fencing.crm", dir+"ha-lamp-split/site.crm")
	for line := range strings.Lines(errs) {
		if !strings.HasPrefix(line, "WARNING: disk: agent ocf:linbit:drbd is not installed") {
			t.Error(line)
		}
	}
}

// The variants of the site on three machines load and verify.
func TestExamplesOfThree(t *testing.T) {
	files, err := filepath.Glob("../../conf/examples/ha-lamp-three/*.crm")
	if err != nil || len(files) < 4 {
		t.Fatalf("%d examples: %v", len(files), err)
	}
	for _, example := range files {
		t.Run(filepath.Base(example), func(t *testing.T) {
			for line := range strings.Lines(load(t, []string{"n1", "n2", "n3"}, "../../conf/examples/stonith.crm", example)) {
				if !strings.Contains(line, "agent ocf:heartbeat:") || !strings.Contains(line, "is not installed") {
					t.Error(line)
				}
			}
		})
	}
}

// load runs scripts on a new cluster of some nodes, verifies, and returns the errors printed.
func load(t *testing.T, nodes []string, scripts ...string) string {
	t.Helper()
	var cib strings.Builder
	cib.WriteString(`<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes>`)
	for i, n := range nodes {
		fmt.Fprintf(&cib, `<node id="%d" uname="%s"/>`, i+1, n)
	}
	cib.WriteString(`</nodes><resources/><constraints/></configuration><status/></cib>`)
	file := filepath.Join(t.TempDir(), "cib.xml")
	if err := os.WriteFile(file, []byte(cib.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	calls := [][]string{}
	for _, s := range scripts {
		calls = append(calls, []string{"-f", s})
	}
	var all bytes.Buffer
	for _, args := range append(calls, []string{"verify"}) {
		var out, errs bytes.Buffer
		io := tool.IO{In: bytes.NewReader(nil), Out: &out, Err: &errs, Name: "crm", Env: func(name string) string {
			return map[string]string{"CIB_file": file, "HOME": t.TempDir(), "PATH": os.Getenv("PATH")}[name]
		}}
		if rc := shell.Run(context.Background(), &io, args); rc != 0 {
			t.Errorf("crm %v: status %d\n%s%s", args, rc, out.String(), errs.String())
		}
		all.Write(errs.Bytes())
	}
	return all.String()
}
