package clitext

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"systole/crm/cib"
)

// TestAgainstCrmsh gives each example to crmsh, where it is installed, and
// compares: the XML both make of the text, and that each reads what the other
// prints. crmsh runs as a program; nothing of it is part of this one.
func TestAgainstCrmsh(t *testing.T) {
	crm := "/usr/sbin/crm"
	if out, err := exec.Command(crm, "--version").CombinedOutput(); err != nil || !bytes.Contains(out, []byte("4.4")) {
		t.Skipf("no crmsh 4.4 at %s to compare with (%v)", crm, err)
	}
	files, err := filepath.Glob("testdata/*.crm")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d := NewDraft(nil)
			if err := d.Load(string(text), LoadUpdate); err != nil {
				t.Fatal(err)
			}
			theirText, theirs := crmsh(t, crm, string(text))
			if diff := compare(known(d.Configuration()), known(theirs)); diff != "" {
				t.Errorf("made of %s: ours and crmsh's differ:\n%s", file, diff)
			}
			back := NewDraft(nil)
			if err := back.Load(theirText, LoadUpdate); err != nil {
				t.Fatalf("what crmsh prints does not load: %v\n%s", err, theirText)
			}
			ours, err := d.Show(nil, nil, ShowOptions{})
			if err != nil {
				t.Fatal(err)
			}
			_, again := crmsh(t, crm, ours)
			if diff := compare(known(d.Configuration()), known(again)); diff != "" {
				t.Errorf("crmsh makes something else of what we print:\n%s\ntext:\n%s", diff, ours)
			}
		})
	}
}

// crmsh gives a text to a session of crmsh on an empty CIB; back comes what it
// would show, as text and as XML. It is not committed: the agents need not exist.
func crmsh(t *testing.T, crm, text string) (shown string, conf *cib.Element) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "cib.xml")
	if err := os.WriteFile(file, []byte(cib.Empty().String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(crm, "-D", "plain")
	cmd.Dir = dir
	cmd.Env = []string{"CIB_file=" + file, "HOME=" + dir, "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}
	cmd.Stdin = strings.NewReader("configure\n" + withoutXML(text) + "\nshow\nshow xml\n")
	out, _ := cmd.Output() // it ends with an error where agents are not installed
	all := string(out)
	begin := strings.Index(all, "<?xml")
	end := strings.Index(all, "</cib>")
	if begin < 0 || end < 0 {
		t.Fatalf("crmsh printed no XML:\n%s", all)
	}
	root, err := cib.Parse([]byte(all[begin : end+len("</cib>")]))
	if err != nil {
		t.Fatalf("crmsh's XML: %v", err)
	}
	return messages.ReplaceAllString(all[:begin], ""), root.Child("configuration")
}

// messages are lines crmsh says besides.
var messages = regexp.MustCompile(`(?m)^(\x1b\[\d+m)?(WARNING|INFO|ERROR).*\n`)

// withoutXML drops statements that a session of crmsh cannot read (it takes
// their quotation marks away; its load can).
func withoutXML(text string) string {
	return regexp.MustCompile(`(?m)^xml (.*\\\n)*.*\n`).ReplaceAllString(text, "")
}

// known takes out what is ours on purpose: comments (a session of crmsh drops
// them) and the order of sections.
func known(conf *cib.Element) *cib.Element {
	var children []*cib.Element
	for _, c := range conf.Children() {
		if c.Name() != "#comment" && (len(c.Children()) > 0 || c.Get("id") != "") {
			children = append(children, known(c))
		} else if c.Name() != "#comment" && len(c.Attrs()) > 0 {
			children = append(children, c)
		}
	}
	return conf.WithChildren(children...)
}

// compare prints the first lines that differ; "" when the two are equivalent.
func compare(a, b *cib.Element) string {
	if Equivalent(sortSections(a), sortSections(b)) {
		return ""
	}
	as, bs := strings.Split(sortSections(canonical(a)).String(), "\n"), strings.Split(sortSections(canonical(b)).String(), "\n")
	var out []string
	for i := range max(len(as), len(bs)) {
		x, y := "", ""
		if i < len(as) {
			x = as[i]
		}
		if i < len(bs) {
			y = bs[i]
		}
		if x != y {
			out = append(out, "- "+x, "+ "+y)
		}
		if len(out) >= 12 {
			break
		}
	}
	return strings.Join(out, "\n")
}

// canonical sorts attributes and unlike siblings, for printing.
func canonical(e *cib.Element) *cib.Element {
	out := cib.New(e.Name())
	for _, a := range meaning(e) {
		out = out.With(a.Name, a.Value)
	}
	for _, c := range byTag(e) {
		out = out.Append(canonical(c))
	}
	return out
}
