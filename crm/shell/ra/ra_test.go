package ra

import (
	"strings"
	"testing"

	"systole/agents"
	"systole/crm/exit"
	"systole/crm/shell/source"
	"systole/resources"
)

// onFile knows the agents of a configuration in a file.
func onFile(t *testing.T) *Agents {
	t.Helper()
	path := t.TempDir() + "/cib.xml"
	return New(source.Open(func(name string) string {
		if name == "CIB_file" {
			return path
		}
		return ""
	}))
}

// TestParseID: the ways to write an agent. The types are the program's own, which are there on every machine.
func TestParseID(t *testing.T) {
	a := onFile(t)
	for _, c := range []struct {
		text string
		want resources.AgentID
		code exit.Code
	}{
		{"ocf:heartbeat:Dummy", resources.AgentID{Class: "ocf", Provider: "heartbeat", Type: "Dummy"}, 0},
		{"systemd:nginx", resources.AgentID{Class: "systemd", Type: "nginx"}, 0},
		{"systemd:getty@tty1:x", resources.AgentID{Class: "systemd", Type: "getty@tty1:x"}, 0},
		{"stonith:fence_x", resources.AgentID{Class: "stonith", Type: "fence_x"}, 0},
		{"fence_x", resources.AgentID{Class: "stonith", Type: "fence_x"}, 0},
		{"no-such-agent-anywhere", resources.AgentID{}, exit.NoSuch},
	} {
		got, err := a.ParseID(t.Context(), c.text)
		if got != c.want || exit.Of(err) != c.code {
			t.Errorf("%s: %v, %v; want %v, status %d", c.text, got, err, c.want, c.code)
		}
	}
}

// Each of the program's own agents can be found by its type, and has metadata that reads.
func TestNativeAgents(t *testing.T) {
	a := onFile(t)
	names, err := a.List(t.Context(), "ocf", agents.NativeProvider)
	if err != nil || len(names) == 0 {
		t.Fatalf("no native agents: %v", err)
	}
	for _, name := range names {
		m, err := a.Metadata(t.Context(), resources.AgentID{Class: resources.ClassOCF, Provider: agents.NativeProvider, Type: name})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Name == "" || !m.Offers("start") || !m.Offers("stop") || !m.Offers("monitor") {
			t.Errorf("%s: the metadata of %q lacks an action", name, m.Name)
		}
		if class, _ := a.Resolve(t.Context(), name); class != "ocf" {
			t.Errorf("%s: not found by its type alone", name)
		}
	}
}

// An agent that is missing is named, with the nearest there is, and status 5.
func TestMissingAgent(t *testing.T) {
	a := onFile(t)
	names, err := a.List(t.Context(), "ocf", agents.NativeProvider)
	if err != nil || len(names) == 0 {
		t.Fatalf("no native agents: %v", err)
	}
	id := resources.AgentID{Class: resources.ClassOCF, Provider: agents.NativeProvider, Type: names[0] + "x"}
	if _, err = a.Document(t.Context(), id); exit.Of(err) != exit.NotInstalled || !strings.Contains(err.Error(), "did you mean "+names[0]+"?") {
		t.Errorf("%v", err)
	}
	if _, again := a.Document(t.Context(), id); again != err {
		t.Errorf("asked twice: %v", again)
	}
	if a.Elsewhere(t.Context(), id) {
		t.Error("an agent of this program's own provider is expected elsewhere")
	}
	if !a.Elsewhere(t.Context(), resources.AgentID{Class: resources.ClassOCF, Provider: "no-such-provider", Type: "x"}) {
		t.Error("on a file, an agent of a provider that is not on this machine may be elsewhere")
	}
}
