package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"

	"systole/crm/cib"
	"systole/crm/command"
)

func TestHistorySurvivesRestartsAndSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		for i := range 20 {
			c.dc().must(set("x", fmt.Sprint(i)))
		}
		c.settle()
		want := c.dc().History()
		if n := len(want); n != 21 { // and the first CIB
			t.Fatalf("%d revisions, want 21", n)
		}
		last := want[20]
		if last.User != "tester" || last.Client != "test" || last.Origin != "a" || last.Summary != "modify crm_config" || last.Time.Unix() != 1700000000 {
			t.Errorf("the last revision: %+v", last)
		}
		version := want[10].Version.String()
		_, config, ok := c.dc().Revision(version)
		if !ok {
			t.Fatalf("revision %s is not kept", version)
		}
		for _, n := range c.running() { // one after the other from a snapshot
			if err := n.raft.Snapshot().Error(); err != nil {
				t.Fatal(err)
			}
			n.crash()
			n.reboot()
			time.Sleep(2 * time.Second)
		}
		// and one that never saw the log
		late := c.add("z")
		late.start(nil)
		c.join(late)
		for _, n := range c.running() {
			if diff := cmp.Diff(want, n.History()); diff != "" {
				t.Errorf("%s has another history: %s", n.name, diff)
			}
			_, got, _ := n.Revision(version)
			if got == nil || got.String() != config.String() {
				t.Errorf("%s has another revision %s:\n%v", n.name, version, got)
			}
		}
		c.sameCIB()
		if _, _, ok := c.dc().Revision("0.4711"); ok {
			t.Error("a revision that never was is found")
		}
		if _, a, ok := c.dc().Revision("5"); !ok {
			t.Error("no revision by its epoch")
		} else if _, b, _ := c.dc().Revision("0.5"); a != b {
			t.Error("0.5 is not 5")
		}
	})
}

// bigCIB has n resources.
func bigCIB(n int) *cib.CIB {
	var res []*cib.Element
	for i := range n {
		id := fmt.Sprintf("r%d", i)
		res = append(res, cib.New("primitive", "id", id, "class", "ocf", "provider", "pacemaker", "type", "Dummy").Append(
			cib.New("operations").Append(cib.New("op", "id", id+"-monitor", "name", "monitor", "interval", "10s"))))
	}
	root := testCIB().Root()
	config := root.Child("configuration")
	children := append([]*cib.Element(nil), config.Children()...)
	for i, c := range children {
		if c.Name() == "resources" {
			children[i] = c.WithChildren(res...)
		}
	}
	out, err := cib.FromRoot(root.WithChildren(config.WithChildren(children...), root.Child("status")))
	if err != nil {
		panic(err)
	}
	return out
}

// A replace brings a tree that shares nothing; the history must not grow by it.
func TestHistorySharesWhatDidNotChange(t *testing.T) {
	var h history
	for i := range 50 {
		c := bigCIB(200)
		fresh, err := cib.ParseCIB([]byte(c.WithVersion(cib.Version{Epoch: i}).String()))
		if err != nil {
			t.Fatal(err)
		}
		h = h.with(uint64(i), fresh, set("x", "1"))
	}
	seen := make(map[*cib.Element]bool)
	var walk func(e *cib.Element)
	walk = func(e *cib.Element) {
		seen[e] = true
		for _, c := range e.Children() {
			walk(c)
		}
	}
	for _, r := range h {
		walk(r.config)
	}
	if most := 610; len(seen) > most {
		t.Errorf("50 revisions hold %d elements, want at most %d", len(seen), most)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	var h history
	for i := range maxRevisions + 10 {
		h = h.with(uint64(i), testCIB().WithVersion(cib.Version{Epoch: i}), command.Entry{})
	}
	if len(h) != maxRevisions || h[0].Index != 10 {
		t.Errorf("%d revisions from %d, want %d", len(h), h[0].Index, maxRevisions)
	}
	h = nil
	for i := range 40 { // each wholly different
		c := bigCIB(1000 + i)
		res := c.Configuration().Child("resources")
		for j, r := range res.Children() {
			res.Children()[j] = r.With("description", fmt.Sprint(i))
		}
		h = h.with(uint64(i), c, command.Entry{})
	}
	total := 0
	for _, r := range h[1:] {
		total += r.cost
	}
	if total > maxHistoryElements || len(h) < 2 {
		t.Errorf("%d revisions hold %d elements, want at most %d", len(h), total, maxHistoryElements)
	}
}

// Whatever the state, a snapshot gives it back.
func TestSnapshotRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	m := newMachine(func(err error) { t.Fatal(err) })
	for i := range uint64(200) {
		e := set(fmt.Sprintf("o%d", rng.IntN(5)), fmt.Sprint(rng.IntN(9)))
		data, err := command.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		l := &raft.Log{Index: i + 1, Term: 1 + i/50, Type: raft.LogCommand, Data: data}
		if i%60 == 59 {
			l = &raft.Log{Index: i + 1, Term: 1 + i/50, Type: raft.LogCommand, Extensions: encodeMark("b")}
		}
		m.ApplyBatch([]*raft.Log{l})
		var file bytes.Buffer
		want := m.state()
		if err := writeSnapshot(&file, want); err != nil {
			t.Fatal(err)
		}
		got, err := readSnapshot(&file)
		if err != nil {
			t.Fatal(err)
		}
		if got.index != want.index || got.term != want.term || got.mark != want.mark || got.cib.String() != want.cib.String() || !sameHistory(got.history, want.history) {
			t.Fatalf("entry %d: the snapshot gives back another state", i)
		}
	}
}

func sameHistory(a, b history) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !reflect.DeepEqual(a[i].Revision, b[i].Revision) || a[i].cost != b[i].cost || a[i].config.String() != b[i].config.String() {
			return false
		}
	}
	return true
}

// Replaying the log, or a snapshot and the rest of it, gives the same state.
func TestReplayEquivalence(t *testing.T) {
	var logs []*raft.Log
	for i := range uint64(100) {
		data, err := command.Encode(set(fmt.Sprintf("o%d", i%7), fmt.Sprint(i)))
		if err != nil {
			t.Fatal(err)
		}
		logs = append(logs, &raft.Log{Index: i + 1, Term: 1, Type: raft.LogCommand, Data: data})
	}
	fail := func(err error) { t.Fatal(err) }
	whole := newMachine(fail)
	whole.ApplyBatch(logs)
	for cut := 0; cut <= len(logs); cut += 9 {
		first, second := newMachine(fail), newMachine(fail)
		first.ApplyBatch(logs[:cut])
		var file bytes.Buffer
		if err := writeSnapshot(&file, first.state()); err != nil {
			t.Fatal(err)
		}
		if err := second.Restore(readCloser{&file}); err != nil {
			t.Fatal(err)
		}
		for _, l := range logs[cut:] { // and not in the same batches
			second.Apply(l)
		}
		if a, b := whole.state(), second.state(); a.cib.String() != b.cib.String() || !sameHistory(a.history, b.history) || a.index != b.index {
			t.Fatalf("a snapshot after %d entries and the rest give another state", cut)
		}
	}
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

func FuzzReadSnapshot(f *testing.F) {
	m := newMachine(func(error) {})
	for i := range uint64(3) {
		data, _ := command.Encode(set("x", fmt.Sprint(i)))
		m.Apply(&raft.Log{Index: i + 1, Term: 1, Type: raft.LogCommand, Data: data})
	}
	f.Add(m.state().history.append(nil))
	f.Add([]byte{1, 1, 'a', 0, 0, 0, 0})
	f.Add([]byte{0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := decoder{rest: b}
		h := d.history()
		if d.err != nil {
			return
		}
		again := decoder{rest: h.append(nil)}
		if got := again.history(); again.err != nil || !sameHistory(got, h) {
			t.Errorf("%x: the history read is not the history written: %v", b, again.err)
		}
	})
}
