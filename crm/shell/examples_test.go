package shell_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
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
			cib := filepath.Join(t.TempDir(), "cib.xml")
			if err := os.WriteFile(cib, []byte(fourNodes), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, args := range [][]string{{"-f", example}, {"verify"}} {
				var out, errs bytes.Buffer
				io := tool.IO{In: bytes.NewReader(nil), Out: &out, Err: &errs, Name: "crm", Env: func(name string) string {
					return map[string]string{"CIB_file": cib, "HOME": t.TempDir(), "PATH": os.Getenv("PATH")}[name]
				}}
				if rc := shell.Run(context.Background(), &io, args); rc != 0 || errs.Len() > 0 {
					t.Errorf("crm %v: status %d\n%s%s", args, rc, out.String(), errs.String())
				}
			}
		})
	}
}

const fourNodes = `<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="0">
<configuration><crm_config/><nodes>
<node id="1" uname="director-a"/><node id="2" uname="director-b"/><node id="3" uname="web-1"/><node id="4" uname="web-2"/>
</nodes><resources/><constraints/></configuration><status/></cib>`
