package source

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"systole/crm/exit"
)

// Who holds the file open while a tool works on it, as pcs does, reads what the tool wrote.
func TestWriteFileIsSeenByWhoHasItOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cib.xml")
	if err := os.WriteFile(path, []byte("the old and longer text"), 0o640); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := WriteFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(f)
	if err != nil || string(got) != "new" {
		t.Errorf("read %q, %v", got, err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
}

func TestWriteFileNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "shadow.x")
	if err := WriteFile(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st, err)
	}
	if err := WriteFile(dir, []byte("x")); exit.Of(err) != exit.CantCreate {
		t.Errorf("a directory: %v", err)
	}
}
