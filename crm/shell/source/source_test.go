package source

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"testing"

	"systole/crm/cib"
	"systole/crm/exit"
)

func onFile(t *testing.T) (*Source, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cib.xml")
	if err := os.WriteFile(path, []byte(cib.Empty().String()), 0o640); err != nil {
		t.Fatal(err)
	}
	return At(Place{Kind: File, Path: path}, func(string) string { return "" }), path
}

func TestLocate(t *testing.T) {
	for _, tt := range []struct {
		env  map[string]string
		want Place
	}{
		{map[string]string{}, Place{Kind: Live}},
		{map[string]string{"SYSTOLE_SOCKET": "/s"}, Place{Kind: Live, Path: "/s"}},
		{map[string]string{"CIB_file": "/f"}, Place{Kind: File, Path: "/f"}},
		{map[string]string{"CIB_file": "/f", "CIB_shadow": "x", "CIB_shadow_dir": "/d"}, Place{Kind: Shadow, Path: "/d/shadow.x", Name: "x"}},
	} {
		if got := Locate(func(name string) string { return tt.env[name] }); got != tt.want {
			t.Errorf("%v: %+v, want %+v", tt.env, got, tt.want)
		}
	}
}

// TestUpdate: a change raises the epoch, keeps the file the same file with its
// mode, and a version read too early is refused.
func TestUpdate(t *testing.T) {
	s, path := onFile(t)
	open, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	add := func(id string) func(*cib.Element) (*cib.Element, error) {
		return func(root *cib.Element) (*cib.Element, error) {
			next, err := cib.FromRoot(root)
			if err != nil {
				return nil, err
			}
			after, err := next.Apply([]cib.Op{{Kind: cib.OpCreate, Section: "nodes", Data: cib.New("node", "id", id, "uname", id)}}, nil, cib.Stamp{})
			return after.Root(), err
		}
	}
	before, _, err := s.Update(t.Context(), Change{Client: "test"}, add("n1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Update(t.Context(), Change{Client: "test", DryRun: true}, add("n2")); err != nil {
		t.Fatal(err)
	}
	var seen bytes.Buffer
	if _, err := seen.ReadFrom(open); err != nil {
		t.Fatal(err)
	}
	now, err := cib.ParseCIB(seen.Bytes())
	if err != nil || now.Version().Epoch != before.Version().Epoch+1 || cib.FindID(now.Root(), "n1") == nil || cib.FindID(now.Root(), "n2") != nil {
		t.Errorf("the open file holds %v, %v", seen.String(), err)
	}
	if st, _ := os.Stat(path); st.Mode().Perm() != 0o640 {
		t.Errorf("the file's mode became %v", st.Mode())
	}
	old := before.Version()
	if _, _, err := s.Write(t.Context(), Change{Expect: &old, Ops: []cib.Op{{Kind: cib.OpBump}}}); exit.Of(err) != exit.Old {
		t.Errorf("a write on an old version: %v", err)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write([]byte("<cib/>")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"plain": []byte("<cib/>"), "gz": packed.Bytes()} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if doc, err := ReadFile(path); err != nil || string(doc) != "<cib/>" {
			t.Errorf("%s: %q, %v", name, doc, err)
		}
	}
	if _, err := ReadFile(filepath.Join(dir, "nosuch")); exit.Of(err) != exit.NoSuch {
		t.Errorf("missing file: %v", err)
	}
	if err := WriteFile("/dev/null", []byte("x")); exit.Of(err) != exit.CantCreate {
		t.Errorf("writing a device: %v", err)
	}
}
