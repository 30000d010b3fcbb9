package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"systole/crm/cib"
	"systole/crm/lease"
	"systole/integration/sim/fabric"
)

// solo opens the store in dir on real time and runs it until stop.
func solo(tb testing.TB, dir string, bootstrap *cib.CIB) (s *Store, stop func() error) {
	tb.Helper()
	f := fabric.New(1).Attach("a:1", "a")
	s, err := Open(Config{Dir: dir, Node: "a", Bootstrap: bootstrap, Fabric: f, Timing: fastTiming(tb), Clock: Boottime})
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return s, func() error {
		cancel()
		f.Close()
		return <-ended
	}
}

func fastTiming(tb testing.TB) lease.Timing {
	t, err := lease.Derive(lease.MinDetectWithin)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// active waits until the store is the DC.
func active(tb testing.TB, s *Store) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), 10*time.Second)
	defer cancel()
	for dc := s.DC(); !dc.Active; dc = s.DC() {
		select {
		case <-dc.Next:
		case <-ctx.Done():
			tb.Fatalf("not the DC after 10 s: %+v", s.Stats())
		}
	}
}

func TestRestartOnDisk(t *testing.T) {
	dir := t.TempDir()
	s, stop := solo(t, dir, testCIB())
	active(t, s)
	id := s.ID()
	for i := range 5 {
		if _, err := s.Propose(t.Context(), set("x", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Propose(t.Context(), set("x", "9")); err == nil {
		t.Error("a closed store takes an entry")
	}
	s, stop = solo(t, dir, testCIB()) // a second bootstrap changes nothing
	defer stop()
	active(t, s)
	if s.ID() != id {
		t.Errorf("the raft id was %s and is %s", id, s.ID())
	}
	snap, err := s.Read(t.Context())
	if err != nil || value(snap.CIB, "x") != "4" || len(s.History()) != 6 {
		t.Errorf("x=%s, %d revisions, %v; want 4 and 6", value(snap.CIB, "x"), len(s.History()), err)
	}
	if !strings.HasPrefix(id, "a/") || len(id) < 12 {
		t.Errorf("raft id %q", id)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	used := t.TempDir()
	s, stop := solo(t, used, testCIB())
	active(t, s)
	if err := s.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	stop()
	broken := func(change func(dir string)) string {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(used)); err != nil {
			t.Fatal(err)
		}
		change(dir)
		return dir
	}
	overwrite := func(from, to int64) func(string) {
		return func(dir string) {
			f, err := os.OpenFile(filepath.Join(dir, logFile), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteAt([]byte(strings.Repeat("garbage.", int(to-from)/8)), from); err != nil {
				t.Fatal(err)
			}
		}
	}
	held := broken(func(string) {})
	for _, c := range []struct {
		name, dir, node string
		want            error
		says            string
	}{
		{"both meta pages are garbage", broken(overwrite(0, 8192)), "a", ErrCorrupt, "join again"},
		{"cut short", broken(func(dir string) { os.Truncate(filepath.Join(dir, logFile), 8192) }), "a", ErrCorrupt, "join again"},
		{"empty", broken(func(dir string) { os.WriteFile(filepath.Join(dir, logFile), []byte("hello"), 0o600) }), "a", ErrCorrupt, "join again"},
		{"every page is garbage but the first two", broken(overwrite(8192, 32768)), "a", ErrCorrupt, "join again"},
		{"the log is gone", broken(func(dir string) { os.Remove(filepath.Join(dir, logFile)) }), "a", ErrMissing, "put the file back"},
		{"of another node", used, "b", nil, "belongs to node a, not b"},
		{"a bad name", used, "a/b", nil, "slash"},
		{"in use", held, "a", ErrLocked, "another systoled"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.dir == held {
				other, err := openBolt(filepath.Join(held, logFile))
				if err != nil {
					t.Fatal(err)
				}
				defer other.Close()
			}
			f := fabric.New(1).Attach("a:1", "a")
			defer f.Close()
			s, err := Open(Config{Dir: c.dir, Node: c.node, Fabric: f, Timing: fastTiming(t), Clock: Boottime})
			if err == nil {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				s.Run(ctx)
				t.Fatal("it opened")
			}
			if c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v\nwant %v, with %q", err, c.want, c.says)
			}
		})
	}
}

// A disk that fills up takes the node out of service with that reason, not with a panic.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 3, rules{})
		full := c.dc()
		full.memory.Fill(true)
		full.Propose(t.Context(), set("x", "1"))
		full = c.nodes[full.name]
		err := <-full.ended
		full.ended <- err
		if !errors.Is(err, ErrFull) {
			t.Errorf("stopped with %v, want %v", err, ErrFull)
		}
		c.mu.Lock()
		full.Store = nil
		c.mu.Unlock()
		c.net.PowerOff(full.addr())
		full.memory.Fill(false)
		c.dc().must(set("x", "2"))
		full.reboot()
		time.Sleep(time.Second)
		c.settle()
		c.sameCIB()
	})
}

// An entry this version does not know stops the node before its CIB differs.
func TestUnknownEntryStopsTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := grow(t, 1, rules{})
		n := c.dc()
		_, err := n.commit(t.Context(), raft.Log{Data: []byte("\xffnot an entry")})
		if err != nil {
			t.Log(err)
		}
		n = c.nodes[n.name]
		err = <-n.ended
		n.ended <- err
		if _, ok := errors.AsType[*EntryError](err); !ok {
			t.Errorf("stopped with %v, want an EntryError", err)
		}
	})
}

const crashDir = "SYSTOLE_TEST_CRASH_DIR"

// TestKilled kills a process that commits, again and again: whatever it has
// acknowledged must be there afterwards.
func TestKilled(t *testing.T) {
	if dir := os.Getenv(crashDir); dir != "" {
		commitForever(t, dir)
		return
	}
	dir := t.TempDir()
	last := -1
	for round := range 6 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		seen, enough := 0, 10+37*round
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, ok := strings.CutPrefix(lines.Text(), "acknowledged ")
			if !ok {
				continue
			}
			if last, err = strconv.Atoi(n); err != nil {
				t.Fatal(err)
			}
			if seen++; seen == enough {
				cmd.Process.Kill() // what it still writes is torn off
			}
		}
		cmd.Wait()
		if seen < enough {
			t.Fatalf("round %d: the child acknowledged %d entries only", round, seen)
		}
		s, stop := solo(t, dir, nil)
		active(t, s)
		snap, err := s.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := strconv.Atoi(value(snap.CIB, "x")); got < last {
			t.Errorf("round %d: %d was acknowledged, %d is there", round, last, got)
		}
		stop()
	}
}

func commitForever(t *testing.T, dir string) {
	s, _ := solo(t, dir, testCIB())
	active(t, s)
	from := 0
	if snap, err := s.Read(t.Context()); err == nil {
		from, _ = strconv.Atoi(value(snap.CIB, "x"))
	}
	for i := from + 1; ; i++ {
		if _, err := s.Propose(t.Context(), set("x", fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
		fmt.Println("acknowledged", i)
	}
}

// A vote is one write: a crash cannot leave the term of one with the candidate of another.
func TestVoteIsWrittenAtOnce(t *testing.T) {
	m := memoryLog{raft.NewInmemStore(), NewMemory()}
	clock := func() time.Duration { return 0 }
	d := newDisk(m, m, clock, func(error) {})
	vote := func(d *disk) (uint64, string) {
		term, err := d.GetUint64(keyVoteTerm)
		if err != nil && !isNotFound(err) {
			t.Fatal(err)
		}
		cand, err := d.Get(keyVoteCand)
		if err != nil && !isNotFound(err) {
			t.Fatal(err)
		}
		return term, string(cand)
	}
	d.SetUint64(keyVoteTerm, 3)
	d.Set(keyVoteCand, []byte("a"))
	d.SetUint64(keyVoteTerm, 4) // and a crash
	if term, cand := vote(newDisk(m, m, clock, func(error) {})); term != 3 || cand != "a" {
		t.Errorf("after the crash the vote is for %q in term %d", cand, term)
	}
	d.Set(keyVoteCand, []byte("b"))
	if term, cand := vote(d); term != 4 || cand != "b" {
		t.Errorf("the vote is for %q in term %d", cand, term)
	}
}
