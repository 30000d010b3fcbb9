package main

import (
	"bytes"
	"strings"
	"testing"

	"systole/resources"
)

func TestMetadataOffersWhatTheClusterAsksFor(t *testing.T) {
	var out, errs bytes.Buffer
	if code := fence(nil, strings.NewReader("action=metadata\n"), &out, &errs); code != 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	meta, err := resources.ParseMetadata(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, action := range []string{"off", "reboot", "on", "status", "monitor", "list"} {
		if !meta.Offers(action) {
			t.Errorf("no action %s", action)
		}
	}
	if meta.Parameter("plug") == nil {
		t.Error("no parameter plug")
	}
}

func TestFenceRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		args  []string
		input string
		want  string
	}{
		"an unknown action": {nil, "action=explode\nplug=b\n", "unknown action"},
		"no plug":           {nil, "action=off\n", "needs a plug"},
		"no such line":      {nil, "# fine\n\naction\n", "line 3"},
		"arguments":         {[]string{"--ip", "x"}, "", "standard input"},
	} {
		var out, errs bytes.Buffer
		if code := fence(row.args, strings.NewReader(row.input), &out, &errs); code != 1 || !strings.Contains(errs.String(), row.want) {
			t.Errorf("%s: exit %d, %q", name, code, errs.String())
		}
	}
}

func FuzzParameters(f *testing.F) {
	f.Add("action=off\nplug=b\n")
	f.Add("# comment\n\n plug = b \n")
	f.Add("=\n==")
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parameters(nil, strings.NewReader(text))
		for name, value := range p {
			if err == nil && strings.ContainsAny(name+value, "\n") {
				t.Errorf("%q=%q holds a line end", name, value)
			}
		}
	})
}
