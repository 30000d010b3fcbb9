package agents

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"systole/resources"
)

// TestTwinsTakeTheirParameters: a configuration of the heartbeat agent means the same
// here, so every parameter it has is known.
func TestTwinsTakeTheirParameters(t *testing.T) {
	const root = "/usr/lib/ocf"
	r := scripts(t)
	for _, name := range []string{"Filesystem", "IPsrcaddr", "Route", "exportfs", "mysql", "nfsserver", "nginx"} {
		script := filepath.Join(root, "resource.d", "heartbeat", name)
		if _, err := os.Stat(script); err != nil {
			t.Skip("needs the heartbeat agents (package resource-agents): ", err)
		}
		cmd := exec.Command(script, "meta-data")
		cmd.Env = append(os.Environ(), "OCF_ROOT="+root)
		doc, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		theirs, err := resources.ParseMetadata(doc)
		if err != nil {
			t.Fatalf("%s: %v", script, err)
		}
		doc, err = r.MetaData(t.Context(), resources.AgentID{Class: resources.ClassOCF, Provider: NativeProvider, Type: name})
		if err != nil {
			t.Fatal(err)
		}
		ours, err := resources.ParseMetadata(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range theirs.Parameters {
			if ours.Parameter(p.Name) == nil {
				t.Errorf("%s has no parameter %s", name, p.Name)
			}
		}
	}
}
