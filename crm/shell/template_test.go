package shell

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"systole/crm/exit"
	"systole/crm/template"
)

// A person is asked for what was not given, and again after a slip.
func TestTemplateAsks(t *testing.T) {
	sh, out, errs := newShell(t, newFile(t))
	var asked []string
	sh.prompter = func(question string) (string, error) {
		asked = append(asked, question)
		switch {
		case strings.HasPrefix(question, "webs") && !strings.Contains(errs.String(), "ERROR"):
			return "Web 1/192.0.2.1", nil
		case strings.HasPrefix(question, "webs"):
			return " Web1/192.0.2.1\n", nil
		}
		return "", nil
	}
	if err := typed(t.Context(), sh, "template lvs-dr --var address=192.0.2.80"); err != nil {
		t.Fatal(err, errs)
	}
	if !strings.Contains(out.String(), "real 192.0.2.1:80 node=Web1\"") || !strings.Contains(errs.String(), `ERROR: webs: "Web 1" cannot be a node's name`) {
		t.Errorf("%s\n%s", out, errs)
	}
	if len(asked) != 7 || asked[0] != "interface [eth0]: " {
		t.Errorf("asked %q", asked)
	}
}

// Whoever leaves before the last answer has nothing written.
func TestTemplateWithoutAnswer(t *testing.T) {
	sh, _, _ := newShell(t, newFile(t))
	sh.prompter = func(string) (string, error) { return "", io.EOF }
	output := filepath.Join(t.TempDir(), "site.crm")
	err := typed(t.Context(), sh, "template lvs-dr -o "+output)
	if !errors.Is(err, io.EOF) || exit.Of(err) != exit.NoInput {
		t.Errorf("ended by %v", err)
	}
	if _, err := os.Stat(output); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was written: %v", err)
	}
	sh.prompter = func(string) (string, error) { t.Error("asked in spite of --yes"); return "", io.EOF }
	if err := typed(t.Context(), sh, "template lvs-dr --yes"); err != nil {
		t.Error(err)
	}
}

// A site that does not verify is not written, and the secrets it needs are told.
func TestTemplateVerifies(t *testing.T) {
	sh, _, _ := newShell(t, newFile(t))
	c := &call{Shell: sh}
	for script, want := range map[string]string{
		"configure\nfrobnicate\n":                                "frobnicate",
		"configure\nprimitive vip ocf:systole:IPaddr2\ncommit\n": "ip",
		"configure\nprimitive x ocf:systole:Nowhere\ncommit\n":   "Nowhere",
	} {
		if _, err := c.verifySite(t.Context(), siteOf(script)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", script, err)
		}
	}
	secrets, err := c.verifySite(t.Context(), siteOf("node\nattribute a set part web\nup\nconfigure\nproperty stonith-enabled=false\nprimitive d ocf:systole:Dummy params fake=\"lrm://\"\nprimitive x ocf:heartbeat:Nowhere\ncommit\n"))
	if err != nil || len(secrets) != 1 || secrets[0] != "d fake" {
		t.Errorf("secrets %q, %v", secrets, err)
	}
}

func siteOf(script string) template.Site {
	return template.Site{Nodes: []string{"a", "b"}, Files: []template.File{{Path: "site.crm", Text: script}}}
}
