package ipvs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The task of the benchmark.
const (
	benchServices = 200
	benchServers  = 10 // of each
	benchRounds   = 3
)

// programming measures how long a table takes from nothing, and how long a change of
// all weights, against ipvsadm -R and keepalived on the same kernel. Ours is
// from reading the text to the last operation, as the director does it in a
// process that runs; the start of a Go program of this size, which takes a second in
// such a machine, is shown apart. The ratios are shown, not judged: on a loaded
// machine every page fault of these kernels waits its turn.
func programming(s bench) {
	write := func(name, text string) string {
		s.Helper()
		file, err := s.node.Write(name, text, 0o644)
		s.must(err)
		return file
	}
	var ours, change, rules []string
	for _, weight := range []int{1, 2} {
		t := writeTables(weight)
		ours = append(ours, write(fmt.Sprintf("many%d.conf", weight), t.ours))
		rules = append(rules, write(fmt.Sprintf("many%d.rules", weight), t.rules))
		change = append(change, write(fmt.Sprintf("keepalived%d.conf", weight), t.keepalived))
	}
	measured := map[string][]time.Duration{}
	clear := func() { s.in("dir1", "ipvsadm", "-C") }
	for range benchRounds {
		measured["ours, start"] = append(measured["ours, start"], s.micros("apply", ours[0]))
		s.weighs("1")
		measured["ours, reload"] = append(measured["ours, reload"], s.micros("apply", ours[1]))
		s.weighs("2")
		clear()
		measured["ours, whole process"] = append(measured["ours, whole process"], s.micros("time", s.program, "apply", ours[0], "/dev/null"))
		clear()
		measured["ipvsadm -R"] = append(measured["ipvsadm -R"], s.micros("time", "ipvsadm", "-R", rules[0]))
		s.weighs("1")
		clear()
		both := strings.Fields(s.in("dir1", s.program, "keepalived", change[0], change[1]))
		if len(both) != 2 {
			s.Fatalf("keepalived's times are %q", both)
		}
		measured["keepalived, start"] = append(measured["keepalived, start"], micros(s, both[0]))
		measured["keepalived, reload"] = append(measured["keepalived, reload"], micros(s, both[1]))
		clear()
	}
	best := func(name string) time.Duration { return slices.Min(measured[name]) } // whatever else the machine does
	s.Logf("ours with the start of the process: %v", best("ours, whole process").Round(time.Millisecond))
	for _, pair := range [][2]string{{"ours, start", "ipvsadm -R"}, {"ours, start", "keepalived, start"}, {"ours, reload", "keepalived, reload"}} {
		a, b := best(pair[0]), best(pair[1])
		ratio := float64(a) / float64(b)
		s.Logf("%d services of %d servers, best of %d: %s %v, %s %v, ratio %.2f",
			benchServices, benchServers, benchRounds, pair[0], a.Round(time.Millisecond), pair[1], b.Round(time.Millisecond), ratio)
	}
}

// tables is one table in three languages.
type tables struct{ ours, rules, keepalived string }

func writeTables(weight int) tables {
	var o, r, k strings.Builder
	for v := range benchServices {
		fmt.Fprintf(&o, "virtual tcp 10.100.%d.1:80 scheduler=wrr weight=%d\n", v, weight)
		fmt.Fprintf(&r, "-A -t 10.100.%d.1:80 -s wrr\n", v)
		fmt.Fprintf(&k, "virtual_server 10.100.%d.1 80 {\n lvs_sched wrr\n lvs_method NAT\n protocol TCP\n", v)
		for n := range benchServers {
			fmt.Fprintf(&o, "  real 10.101.%d.%d:80\n", v, n+1)
			fmt.Fprintf(&r, "-a -t 10.100.%d.1:80 -r 10.101.%d.%d:80 -m -w %d\n", v, v, n+1, weight)
			fmt.Fprintf(&k, " real_server 10.101.%d.%d 80 {\n  weight %d\n }\n", v, n+1, weight)
		}
		k.WriteString("}\n")
	}
	return tables{o.String(), r.String(), k.String()}
}

// micros runs this program in the first director and returns the last number it printed.
func (s bench) micros(argv ...string) time.Duration {
	s.Helper()
	f := strings.Fields(s.in("dir1", append([]string{s.program}, argv...)...))
	return micros(s, f[len(f)-1])
}

func micros(s bench, text string) time.Duration {
	s.Helper()
	n, err := strconv.Atoi(text)
	s.must(err)
	return time.Duration(n) * time.Microsecond
}

// weighs checks that the whole table is there, every server with the weight.
func (s bench) weighs(weight string) {
	s.Helper()
	got := s.in("dir1", "sh", "-c", "ipvsadm -Sn | grep -c -- '-w "+weight+"$'")
	if want := strconv.Itoa(benchServices * benchServers); strings.TrimSpace(got) != want {
		s.Fatalf("%s servers have weight %s, want %s", strings.TrimSpace(got), weight, want)
	}
}

// keepalived measures in the node how long keepalived needs until every server
// is there with weight 1, and after a reload with weight 2.
func keepalived(first, second string) error {
	dir, err := os.MkdirTemp("/run", "keepalived")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	conf := filepath.Join(dir, "conf")
	put := func(from string) error {
		text, err := os.ReadFile(from)
		return errors.Join(err, os.WriteFile(conf, text, 0o644))
	}
	if err := put(first); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "keepalived", "-n", "-C", "-f", conf, "-p", dir+"/pid", "-c", dir+"/checkers.pid")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	defer cmd.Wait()
	defer cancel()
	if err := await(ctx, 1); err != nil {
		return err
	}
	fmt.Println(time.Since(began).Microseconds())
	if err := put(second); err != nil {
		return err
	}
	began = time.Now()
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	if err := await(ctx, 2); err != nil {
		return err
	}
	fmt.Println(time.Since(began).Microseconds())
	return nil
}

// await waits until every server has the weight. It reads /proc, which costs
// keepalived, on the same CPU, least.
func await(ctx context.Context, weight int) error {
	for ctx.Err() == nil {
		time.Sleep(20 * time.Millisecond)
		text, err := os.ReadFile("/proc/thread-self/net/ip_vs")
		if err != nil {
			return err
		}
		if strings.Count(string(text), fmt.Sprintf(" Masq    %d ", weight)) == benchServices*benchServers {
			return nil
		}
	}
	return fmt.Errorf("keepalived did not give all servers weight %d", weight)
}
