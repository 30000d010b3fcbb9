package proc

import (
	"context"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func child(t *testing.T, args ...string) (*exec.Cmd, *Handle) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	h, err := Open(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); h.Close() })
	return cmd, h
}

func TestWaitAndEnd(t *testing.T) {
	cmd, h := child(t, "sleep", "60")
	if p, ok := Find(cmd.Process.Pid); !ok || p.Parent != os.Getpid() || p.PID != cmd.Process.Pid {
		t.Errorf("found %+v, %t", p, ok)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if h.Wait(ctx) || h.Ended() {
		t.Error("ended although it sleeps")
	}
	if !h.End(t.Context(), Step{unix.SIGTERM, 0}) {
		t.Error("not ended by TERM")
	}
	if _, ok := Find(cmd.Process.Pid); ok {
		t.Error("a zombie counts as living")
	}
	if err := h.Signal(unix.SIGTERM); err != nil {
		t.Error(err)
	}
}

func TestLadder(t *testing.T) {
	_, h := child(t, "sleep", "60")
	began := time.Now()
	if !h.End(t.Context(), Step{unix.SIGSTOP, 30 * time.Millisecond}, Step{unix.SIGKILL, 0}) {
		t.Error("not ended")
	}
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("the first rung had only %v", took)
	}
}

func TestPIDFile(t *testing.T) {
	path := t.TempDir() + "/pid"
	for content, want := range map[string]int{"123\n": 123, " 7 ": 7, "": 0, "x": 0, "-5": 0, "1": 0, "99999999999999999999": 0} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ReadPIDFile(path); got != want {
			t.Errorf("pid of %q is %d, want %d", content, got, want)
		}
	}
	if got := ReadPIDFile(path + ".none"); got != 0 {
		t.Errorf("pid of no file is %d", got)
	}
}

func FuzzStat(f *testing.F) {
	f.Add("12 (a) b) S 1 12 12 0 -1")
	f.Add("1 (x) Z 0 0 0")
	f.Fuzz(func(t *testing.T, stat string) { parseStat(stat) })
}

// The kernel tells that execve has succeeded before it shows the new environment:
// of some hundred children looked at at once, one has none yet.
func TestBeganIsKnownFromTheFirstMoment(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 { // they get in each other's way, which makes the moment longer
		wg.Go(func() {
			for range 200 {
				cmd := exec.Command("cat") // until its input ends
				cmd.Env = []string{"MINE=yes", "OF=us"}
				in, err := cmd.StdinPipe()
				if err != nil {
					t.Error(err)
					return
				}
				if err := cmd.Start(); err != nil {
					t.Error(err)
					return
				}
				ours, other := Began(cmd.Process.Pid, "MINE=yes", "OF=us"), Began(cmd.Process.Pid, "MINE=ye")
				in.Close()
				cmd.Wait()
				if !ours || other {
					t.Errorf("begun with what it was given: %t, with something else: %t", ours, other)
					return
				}
			}
		})
	}
	wg.Wait()
}
