package cluster

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"systole/crm/api"
	"systole/crm/cib"
	"systole/crm/exit"
)

func TestBackupAndRestore(t *testing.T) {
	w := newWorld(t)
	a := w.begin()
	r, err := a.server.backup(t.Context(), struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range [][]byte{a.dir.trust.Keys[0]} {
		if bytes.Contains(r.Archive, secret) {
			t.Error("the backup holds the cluster key")
		}
	}
	path := t.TempDir()
	report, err := Restore(bytes.NewReader(r.Archive), RestoreOptions{Dir: path, Addr: "10.0.0.1:7737", Node: "n2", User: "tester", Now: w.now()})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(report.Done, "\n"), "Node n1 joins again") {
		t.Errorf("report: %q", report.Done)
	}
	d, err := OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	if id := d.Identity(); id.Node != "n2" || id.Cluster != "test" || !id.Bootstrap || id.ClusterID == a.dir.Identity().ClusterID {
		t.Errorf("identity: %+v", id)
	}
	first, err := d.FirstCIB()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := cib.ParseCIB(first)
	if err != nil {
		t.Fatalf("the restored CIB: %v\n%s", err, first)
	}
	text := doc.String()
	for _, want := range []string{`id="vip"`, `<node id="2" uname="n2">`, `<instance_attributes id="i"/>`} {
		if !strings.Contains(text, want) {
			t.Errorf("the restored CIB lacks %s:\n%s", want, text)
		}
	}
	for _, not := range []string{"n1", "node_state"} {
		if strings.Contains(text, not) {
			t.Errorf("the restored CIB still holds %s:\n%s", not, text)
		}
	}
}

func TestRestoreRefusesWhatIsNoBackup(t *testing.T) {
	good, err := archive(manifest{Format: backupFormat, Cluster: "c", Node: "n1"}, []byte("<cib><configuration/></cib>"))
	if err != nil {
		t.Fatal(err)
	}
	newer, err := archive(manifest{Format: 9, Cluster: "c"}, []byte("<cib><configuration/></cib>"))
	if err != nil {
		t.Fatal(err)
	}
	noCIB, err := archive(manifest{Format: backupFormat, Cluster: "c"}, []byte("<x/>"))
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"empty": nil, "text": []byte("hello"), "cut": good[:len(good)/2], "newer": newer, "no CIB": noCIB} {
		_, err := Restore(bytes.NewReader(b), RestoreOptions{Dir: t.TempDir(), Addr: "10.0.0.1:1", Node: "n1", Now: time.Now()})
		if err == nil {
			t.Errorf("%s: restored", name)
			continue
		}
		wantRefusal(t, err, int(exit.DataErr), "backup: ")
	}
	if _, err := Restore(bytes.NewReader(good), RestoreOptions{Dir: t.TempDir(), Addr: "10.0.0.1:1", Node: "n1", Now: time.Now()}); err != nil {
		t.Errorf("a good one: %v", err)
	}
}

func TestRecover(t *testing.T) {
	w, a, b, c := three(t)
	w.set("n3", func(m *Member) { m.Voter = true })
	for _, n := range []*testNode{a, b, c} {
		if err := n.server.keep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	a.stop()
	servers := w.list()
	rebuilt := 0
	try := func(lost ...string) error {
		_, err := Recover(t.Context(), RecoverOptions{Dir: a.dir.Path(), Lost: lost, User: "tester", Now: w.now(),
			Servers: func() ([]Member, error) { return servers, nil },
			Rebuild: func() ([]string, error) {
				rebuilt++
				servers = servers[:1]
				return []string{"n2", "n3"}, nil
			}})
		return err
	}
	wantRefusal(t, try("n2", "n3"), api.CodeUnsafe, "refused: n2, n3 answers")
	b.stop()
	wantRefusal(t, try("n2", "n3"), api.CodeUnsafe, "refused: n3 answers")
	c.stop()
	wantRefusal(t, try("n2"), api.CodeUnsafe, "--lost n3")
	wantRefusal(t, try(), api.CodeUnsafe, "--lost n2 --lost n3")
	wantRefusal(t, try("n2", "n3", "n4"), api.CodeNoSuch, "n4 is not another voter", "n2, n3")
	if rebuilt != 0 {
		t.Fatal("the store was rebuilt in spite of a refusal")
	}
	if err := try("n2", "n3"); err != nil {
		t.Fatal(err)
	}
	if rebuilt != 1 {
		t.Errorf("rebuilt %d times", rebuilt)
	}
	d, err := OpenDir(a.dir.Path())
	if err != nil {
		t.Fatal(err)
	}
	if tr := d.Trust(); tr.Revoked["n2"] == 0 || tr.Revoked["n3"] == 0 || tr.Revoked["n1"] != 0 {
		t.Errorf("revoked: %v", tr.Revoked)
	}
	if old := b.dir.Trust().Keys[0]; len(d.Trust().Keys) != 1 || string(d.Trust().Keys[0]) == string(old) {
		t.Error("a lost node's beats would still be heard: the cluster key is the old one")
	}
	if m := d.Members(); len(m) != 1 || m[0].Name != "n1" {
		t.Errorf("members: %v", m)
	}
	log, err := os.ReadFile(d.file(fileAudit))
	if err != nil || !strings.Contains(string(log), `"user":"tester","action":"recover","what":"node n1 alone; declared lost: n2, n3"`) {
		t.Errorf("audit log: %s, %v", log, err)
	}
	wantRefusal(t, try("n2", "n3"), api.CodeNoSuch, "none")
}

func TestRecoverReportsAFailedRebuild(t *testing.T) {
	w, a, b, c := three(t)
	a.stop()
	b.stop()
	c.stop()
	boom := errors.New("store is locked")
	servers := func() ([]Member, error) { return w.list(), nil }
	_, err := Recover(t.Context(), RecoverOptions{Dir: a.dir.Path(), Lost: []string{"n2"}, Now: w.now(), Servers: servers, Rebuild: func() ([]string, error) { return nil, boom }})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	d, err := OpenDir(a.dir.Path())
	if err != nil || len(d.Members()) != 3 || len(d.Trust().Revoked) != 0 {
		t.Errorf("after the failure: %v, %v", d.Members(), err)
	}
}

func TestStatusNamesALostQuorum(t *testing.T) {
	w, a, b, _ := three(t)
	st, err := a.server.status(t.Context(), struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	if st.Voters != 2 || st.Majority != 2 || st.Online != 2 || !st.HasCAKey || st.DC != "n1" {
		t.Errorf("status: %+v", st)
	}
	if len(st.Warnings) != 1 || !strings.Contains(st.Warnings[0], "Two nodes vote") {
		t.Errorf("warnings: %q", st.Warnings)
	}
	w.dc = ""
	if got := strings.Join(a.server.Warnings(t.Context()), "\n"); !strings.Contains(got, "There is no DC at the moment.") || strings.Contains(got, "Quorum is lost") {
		t.Errorf("an election, with all nodes there: %s", got)
	}
	b.stop()                                       // the CIB goes on calling it online
	for _, w.unknown = range []bool{false, true} { // true: started again without a majority
		got := strings.Join(a.server.Warnings(t.Context()), "\n")
		if !strings.Contains(got, "Quorum is lost: of 2 voters n2 do not answer") || !strings.Contains(got, `"crm cluster recover --lost n2"`) {
			t.Errorf("warnings: %s", got)
		}
	}
}
