package self

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"systole/integration/lab"
)

func TestMain(m *testing.M) { lab.Main(m) }

// bootBudget is for two nodes at once, on a machine of two busy cores.
const bootBudget = 10 * time.Second

// bench is the lab of the tests below, which run one after the other on the same two nodes.
type bench struct {
	*testing.T
	*lab.Lab
	a, b *lab.Node
}

func TestLab(t *testing.T) {
	l := lab.New(t)
	s := bench{t, l, l.Node("a"), l.Node("b")}
	s.a.Modules, s.a.Kernel = []string{"softdog"}, []string{"softdog.soft_margin=3"}
	began := time.Now()
	s.must(l.Boot(t.Context()))
	if took := time.Since(began); took > bootBudget {
		t.Errorf("two nodes booted in %v, more than %v", took, bootBudget)
	} else {
		t.Logf("two nodes booted in %v", took.Round(time.Millisecond))
	}
	for _, story := range []struct {
		name string
		tell func(bench)
	}{
		{"exec", exec},
		{"files", files},
		{"cable", cable},
		{"one way", oneWay},
		{"freeze", freeze},
		{"power cut", powerCut},
		{"reboot", reboot},
		{"watchdog", watchdog},
		{"ipvs in namespaces", ipvs},
		{"impair", impair},
		{"fence ok and slow", fence},
		{"fence fails and lies", fenceLies},
	} {
		if !t.Run(story.name, func(t *testing.T) {
			story.tell(bench{t, s.Lab, s.a, s.b})
		}) {
			return // the nodes are not in the state the next one expects
		}
	}
}

func (s bench) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// run runs a line of shell that must succeed.
func (s bench) run(n *lab.Node, script string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	out, err := n.Shell(ctx, script)
	s.must(err)
	return strings.TrimSpace(out)
}

// reaches says whether one ping gets there and back.
func (s bench) reaches(from, to *lab.Node) bool {
	s.Helper()
	_, err := from.Run(s.Context(), "ping", "-c1", "-W1", "-q", to.Addr.String())
	if _, silent := errors.AsType[*lab.ExitError](err); err != nil && !silent {
		s.Fatal(err)
	}
	return err == nil
}

func exec(s bench) {
	if got := s.run(s.a, "hostname; cat /etc/hostname"); got != "a\na" {
		s.Errorf("the name of a: %q", got)
	}
	_, err := s.a.Run(s.Context(), "sh", "-c", "echo out; echo err >&2; exit 7")
	exit, ok := errors.AsType[*lab.ExitError](err)
	if !ok || exit.Code != 7 || exit.Output != "out\nerr\n" {
		s.Errorf("a command that fails: %v", err)
	}
	if out, err := s.a.Feed(s.Context(), "through stdin", "cat"); err != nil || out != "through stdin" {
		s.Errorf("standard input came back as %q, %v", out, err)
	}
	if out, err := s.a.Run(s.Context(), "/no/such/program"); err == nil {
		s.Errorf("a program that does not exist said %q", out)
	}
	ctx, cancel := context.WithTimeout(s.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := s.a.Run(ctx, "sleep", "4711"); err == nil {
		s.Error("a command outlived its context")
	}
	s.eventually("the command whose context ended is killed", func() bool { return s.run(s.a, "pgrep -xf 'sleep 4711' || echo none") == "none" })
	big := strings.Repeat("0123456789abcdef", 1<<16)
	if out, err := s.a.Feed(s.Context(), big, "cat"); err != nil || out != big {
		s.Errorf("1 MiB there and back: %d bytes, %v", len(out), err)
	}
}

func files(s bench) {
	inside, err := s.a.Write("greeting", "hello", 0o644)
	s.must(err)
	if got := s.run(s.a, "cat "+inside+"; echo back > /lab/a/reply"); got != "hello" || s.a.Log("reply") != "back\n" {
		s.Errorf("the node read %q and wrote %q", got, s.a.Log("reply"))
	}
	if got := s.run(s.a, "touch /etc/lab-was-here && echo written"); got != "written" {
		s.Error(got)
	}
	if got := s.run(s.b, "ls /etc/lab-was-here 2>/dev/null || echo absent"); got != "absent" {
		s.Errorf("what a wrote into /etc is seen by b: %q", got)
	}
}

func cable(s bench) {
	if !s.reaches(s.a, s.b) {
		s.Fatal("a does not reach b")
	}
	s.b.PullCable()
	if s.reaches(s.a, s.b) {
		s.Error("a reaches b without a cable")
	}
	if got := s.run(s.b, "echo still here"); got != "still here" {
		s.Errorf("out of band, b says %q", got)
	}
	s.b.Mend()
	if !s.reaches(s.a, s.b) {
		s.Error("a does not reach b after the cable is back")
	}
}

// oneWay counts what arrives on each side: a ping alone would not tell the direction.
func oneWay(s bench) {
	received := func(n *lab.Node) string {
		return s.run(n, "awk '/^Icmp: [0-9]/ {print $10}' /proc/net/snmp") // InEchos
	}
	s.a.CutTo(s.b)
	atB := received(s.b)
	if s.reaches(s.a, s.b) || received(s.b) != atB {
		s.Error("a's frames arrive at b in spite of the cut")
	}
	// The other way the question arrives; its answer is what the cut loses. a's
	// hardware address was learned by b before.
	atA := received(s.a)
	if s.reaches(s.b, s.a) || received(s.a) == atA {
		s.Error("b's frames do not arrive at a, or a's answers do arrive at b")
	}
	s.a.Mend()
	if !s.reaches(s.a, s.b) {
		s.Error("a does not reach b after the mend")
	}
}

func freeze(s bench) {
	boot := s.run(s.a, "cat /proc/sys/kernel/random/boot_id")
	s.must(s.a.Freeze())
	if s.reaches(s.b, s.a) {
		s.Error("a frozen node answers")
	}
	ctx, cancel := context.WithTimeout(s.Context(), 300*time.Millisecond)
	defer cancel()
	if out, err := s.a.Run(ctx, "true"); err == nil {
		s.Errorf("a frozen node ran a command: %q", out)
	}
	s.must(s.a.Thaw())
	if !s.reaches(s.b, s.a) || s.run(s.a, "cat /proc/sys/kernel/random/boot_id") != boot {
		s.Error("after the thaw it is not the same machine")
	}
}

func powerCut(s bench) {
	s.run(s.a, "echo kept > /srv/synced && sync /srv/synced && sync -f /srv/synced && mkdir -p /etc/kept && sync -f /etc/kept && echo lost > /srv/unsynced")
	began := time.Now()
	s.a.PowerCut()
	if took := time.Since(began); took > time.Second {
		s.Errorf("the power cut took %v", took)
	}
	if s.a.Running() || s.reaches(s.b, s.a) {
		s.Error("a has power after the cut")
	}
	if _, err := s.a.Run(s.Context(), "true"); err == nil {
		s.Error("a ran a command without power")
	}
	s.must(s.a.Boot(s.Context()))
	if got := s.run(s.a, "cat /srv/synced; ls -d /etc/kept; cat /srv/unsynced 2>/dev/null || echo absent"); got != "kept\n/etc/kept" && got != "kept\n/etc/kept\nabsent" {
		s.Errorf("after the power cut the disk holds %q", got)
	}
}

func reboot(s bench) {
	before := s.run(s.a, "cat /proc/sys/kernel/random/boot_id")
	began := time.Now()
	s.must(s.a.Reboot(s.Context()))
	if s.run(s.a, "cat /proc/sys/kernel/random/boot_id") == before {
		s.Error("after the reboot it is the same boot")
	}
	s.Logf("rebooted in %v", time.Since(began).Round(time.Millisecond))
}

// watchdog uses softdog's /dev/watchdog1: the first is the kernel's own, which
// wants a helper outside.
func watchdog(s bench) {
	_, err := s.a.Spawn(s.Context(), "", "sh", "-c", "exec 3>/dev/watchdog1; echo >&3; exec sleep 1000")
	s.must(err)
	ctx, cancel := context.WithTimeout(s.Context(), 20*time.Second)
	defer cancel()
	began := time.Now()
	s.must(s.a.AwaitOff(ctx))
	if took := time.Since(began); took < 2*time.Second {
		s.Errorf("the watchdog of 3 s reset the node after %v", took)
	}
	s.must(s.a.Boot(s.Context()))
}

// ipvs is the second shape too: client, director and real servers in one kernel.
func ipvs(s bench) {
	s.run(s.a, "modprobe -a ip_vs ip_vs_rr")
	spaces, err := s.a.Spaces(s.Context(), "client", "director", "real")
	s.must(err)
	client, director, real := spaces[0], spaces[1], spaces[2]
	service := director.Addr + ":80"
	for _, args := range [][]string{{"-A", "-t", service, "-s", "rr"}, {"-a", "-t", service, "-r", real.Addr, "-m"}} {
		_, err := director.Run(s.Context(), append([]string{"ipvsadm"}, args...)...)
		s.must(err)
	}
	table, err := director.Run(s.Context(), "ipvsadm", "-S", "-n")
	s.must(err)
	if want := fmt.Sprintf("-a -t %s -r %s:80 -m -w 1", service, real.Addr); !strings.Contains(table, want) {
		s.Errorf("the table is %q, without %q", table, want)
	}
	if _, err := client.Run(s.Context(), "ping", "-c1", "-W1", "-q", director.Addr); err != nil {
		s.Error(err)
	}
	if other := s.run(s.a, "ipvsadm -S -n"); other != "" {
		s.Errorf("outside the director's namespace the table is %q", other)
	}
}

func impair(s bench) {
	s.must(s.b.Impair(s.Context(), 100*time.Millisecond, 0))
	if got := s.run(s.a, "ping -c3 -i0.2 -W2 -q "+s.b.Addr.String()+" | awk -F/ '/^rtt/ {print ($4 >= 95) ? \"slow\" : $0}'"); got != "slow" {
		s.Errorf("a delay of 100 ms: %s", got)
	}
	s.must(s.b.Impair(s.Context(), 0, 1))
	if s.reaches(s.a, s.b) {
		s.Error("a loss of everything loses not everything")
	}
	s.must(s.b.Impair(s.Context(), 0, 0))
	if !s.reaches(s.a, s.b) {
		s.Error("a does not reach b after the impairment")
	}
}

// fenceB asks fence_lab on a for an action on b and returns its exit code.
func (s bench) fenceB(action string) int {
	s.Helper()
	_, err := s.a.Feed(s.Context(), "# as a cluster would\nnodename=b\nplug=b\naction="+action+"\n", "fence_lab")
	if err == nil {
		return 0
	}
	exit, ok := errors.AsType[*lab.ExitError](err)
	if !ok {
		s.Fatal(err)
	}
	return exit.Code
}

func fence(s bench) {
	s.a.PullCable() // the switch is not reached through the network
	defer s.a.Mend()
	if out, err := s.a.Run(s.Context(), "fence_lab", "-o", "metadata"); err != nil || !strings.Contains(out, `<parameter name="plug"`) {
		s.Errorf("metadata: %v: %q", err, out)
	}
	if out, err := s.a.Feed(s.Context(), "action=list\n", "fence_lab"); err != nil || out != "a,\nb,\n" {
		s.Errorf("list: %q, %v", out, err)
	}
	s.Switch.Set(lab.SwitchOK)
	for _, step := range []struct {
		action string
		code   int
		power  bool
	}{
		{"monitor", 0, true}, {"status", 0, true}, {"off", 0, false}, {"status", 2, false}, {"on", 0, true}, {"reboot", 0, true},
	} {
		if got := s.fenceB(step.action); got != step.code || s.b.Running() != step.power {
			s.Errorf("%s: exit %d and power %v, want %d and %v", step.action, got, s.b.Running(), step.code, step.power)
		}
	}
	s.must(s.b.AwaitUp(s.Context()))
	s.Switch.Set(lab.SwitchSlow)
	began := time.Now()
	if got := s.fenceB("off"); got != 0 || time.Since(began) < lab.SwitchDelay || s.b.Running() {
		s.Errorf("the slow switch: exit %d after %v, power %v", got, time.Since(began), s.b.Running())
	}
	s.Switch.Set(lab.SwitchOK)
	s.must(s.b.Boot(s.Context()))
}

func fenceLies(s bench) {
	for mode, code := range map[lab.Mode]int{lab.SwitchFails: 1, lab.SwitchLies: 0} {
		s.Switch.Set(mode)
		if got := s.fenceB("reboot"); got != code {
			s.Errorf("mode %s: exit %d, want %d", mode, got, code)
		}
		if !s.b.Running() || s.run(s.b, "echo alive") != "alive" {
			s.Errorf("mode %s switched the power off", mode)
		}
	}
	calls := s.Switch.Calls("reboot")
	if n := len(calls); n != 3 || calls[n-1].By != "a" || calls[n-1].Plug != "b" {
		s.Errorf("the switch remembers %v", calls)
	}
	if got, err := s.a.Feed(s.Context(), "action=off\n", "fence_lab"); err == nil {
		s.Errorf("off without a plug: %q", got)
	}
}

func (s bench) eventually(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if holds() {
			return
		}
	}
	s.Errorf("not within 5 s: %s", what)
}
