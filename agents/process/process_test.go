package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary is the child: what it does is chosen by CHILD.
func TestMain(m *testing.M) {
	switch os.Getenv("CHILD") {
	case "":
		os.Exit(m.Run())
	case "environ":
		dir, _ := os.Getwd()
		fmt.Printf("%q %q %q", os.Environ(), os.Args[1:], dir)
	case "cat":
		os.Stdout.ReadFrom(os.Stdin)
		os.Exit(3)
	case "loud":
		out := bytes.Repeat([]byte("x"), MaxStdout+100)
		os.Stdout.Write(out)
		os.Stderr.Write(append(out, "the end"...))
	case "group": // a child that ignores TERM, with a child of its own; it writes a file when it is ready
		signal.Ignore(syscall.SIGTERM)
		sub, err := os.StartProcess(os.Args[0], os.Args, &os.ProcAttr{
			Env: []string{"CHILD=deaf"}, Files: []*os.File{nil, os.Stdout, nil},
		})
		if err == nil {
			fmt.Println("group", os.Getpid(), sub.Pid)
			os.WriteFile(os.Args[1], nil, 0o600)
		}
		deaf()
	case "deaf":
		deaf()
	case "forker": // leaves a daemon behind that keeps its output open
		if _, err := os.StartProcess(os.Args[0], os.Args, &os.ProcAttr{
			Env: []string{"CHILD=linger", noRaceExit}, Files: []*os.File{nil, os.Stdout, os.Stderr}, Sys: &syscall.SysProcAttr{Setsid: true},
		}); err == nil {
			fmt.Print("started")
		}
	case "linger":
		time.Sleep(lingers)
	case "nice": // until it has what its argument says; it may be there before whoever gives it that
		got := ""
		for end := time.Now().Add(10 * time.Second); got != os.Args[1] && time.Now().Before(end); runtime.Gosched() {
			n, _ := syscall.Getpriority(syscall.PRIO_PROCESS, os.Getpid()) // the first thread's, which is what the parent gives
			adj, _ := os.ReadFile("/proc/self/oom_score_adj")
			got = fmt.Sprint(20-n, " ", strings.TrimSpace(string(adj)))
		}
		fmt.Print(got)
	}
}

// lingers is the life of the daemon that the forker leaves behind.
const lingers = 300 * time.Millisecond

func deaf() {
	signal.Ignore(syscall.SIGTERM)
	time.Sleep(time.Minute)
}

// noRaceExit takes away the second an instrumented child would wait at its exit.
const noRaceExit = "GORACE=atexit_sleep_ms=0"

func self(t *testing.T, what string, args ...string) Command {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Command{Path: exe, Args: args, Env: []string{"CHILD=" + what, noRaceExit}}
}

func TestEnvironmentIsExplicit(t *testing.T) {
	t.Setenv("INHERITED", "no")
	exit, err := Run(t.Context(), self(t, "environ", "a b", "$HOME;x"))
	if got, want := string(exit.Stdout), `["CHILD=environ" "`+noRaceExit+`"] ["a b" "$HOME;x"] "/"`; err != nil || got != want {
		t.Errorf("child saw %s, %v; want %s", got, err, want)
	}
}

func TestInputAndStatus(t *testing.T) {
	c := self(t, "cat")
	c.Stdin = []byte("action=off\n")
	exit, err := Run(t.Context(), c)
	if err != nil || exit.Code != 3 || string(exit.Stdout) != "action=off\n" {
		t.Errorf("exit %+v, %v", exit, err)
	}
	c.Stdin = nil
	if exit, err := Run(t.Context(), c); err != nil || exit.Code != 3 || len(exit.Stdout) != 0 {
		t.Errorf("without input: %+v, %v", exit, err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	exit, err := Run(t.Context(), self(t, "loud"))
	if err != nil || len(exit.Stdout) != MaxStdout || len(exit.Stderr) != MaxStderr || !bytes.Contains(exit.Stderr[len(exit.Stderr)-300:], []byte("the end")) {
		t.Errorf("kept %d and %d bytes, %v", len(exit.Stdout), len(exit.Stderr), err)
	}
}

func TestMissingProgram(t *testing.T) {
	if _, err := Run(t.Context(), Command{Path: "/nonexistent/agent"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	file := t.TempDir() + "/plain"
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), Command{Path: file}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

func TestTheWholeGroupEnds(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ready := t.TempDir() + "/ready"
	go func() {
		for range time.Tick(time.Millisecond) {
			if _, err := os.Stat(ready); err == nil || ctx.Err() != nil {
				cancel()
				return
			}
		}
	}()
	exit, err := Run(ctx, self(t, "group", ready))
	if err != nil || !exit.Killed || exit.Signal != syscall.SIGKILL || exit.Took < TermGrace {
		t.Fatalf("exit %+v, %v", exit, err)
	}
	f := strings.Fields(string(exit.Stdout))
	if len(f) != 3 {
		t.Fatalf("child said %q", exit.Stdout)
	}
	for _, s := range f[1:] {
		pid, _ := strconv.Atoi(s)
		for alive(pid) { // the grandchild is reaped by init in its own time
			if t.Context().Err() != nil {
				t.Fatalf("process %d still lives", pid)
			}
		}
	}
}

// alive is whether the process runs; a zombie does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestDaemonLeftBehindIsNotWaitedFor(t *testing.T) {
	quickest := time.Hour // on a busy machine some take as long as the child's child
	for range 20 {        // what was written before the exit is never missed
		began := time.Now()
		exit, err := Run(t.Context(), self(t, "forker"))
		if err != nil || string(exit.Stdout) != "started" {
			t.Fatalf("exit %+v, %v", exit, err)
		}
		quickest = min(quickest, time.Since(began))
	}
	if quickest >= lingers {
		t.Errorf("waited %v for what the child left behind", quickest)
	}
}

func TestOrdinaryPriority(t *testing.T) {
	runtime.LockOSThread() // and never unlocked: the thread with the odd priority ends with the test
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 5); err != nil {
		t.Fatal(err)
	}
	// Going back to 0 needs a privilege (or RLIMIT_NICE) that the daemon has; without it 5 stays.
	want := "5 0"
	if syscall.Setpriority(syscall.PRIO_PROCESS, 0, 0) == nil {
		want = "0 0"
		if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 5); err != nil {
			t.Fatal(err)
		}
	}
	exit, err := Run(t.Context(), self(t, "nice", want))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(exit.Stdout); got != want {
		t.Errorf("child has nice and oom_score_adj %q, want %q", got, want)
	}
}

func TestSpawn(t *testing.T) {
	pid, err := Spawn(self(t, "deaf"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGKILL) })
	if sid, _, _ := syscall.Syscall(syscall.SYS_GETSID, uintptr(pid), 0, 0); int(sid) != pid {
		t.Errorf("session of the daemon is %d, want its own pid %d", sid, pid)
	}
	syscall.Kill(pid, syscall.SIGKILL)
	for alive(pid) {
		if t.Context().Err() != nil {
			t.Fatal("not reaped")
		}
	}
}
