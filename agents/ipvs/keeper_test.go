package ipvs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"systole/agents/check"
	"systole/agents/check/probe"
	"systole/agents/check/runner"
	"systole/agents/ipvs/control"
	"systole/agents/ipvs/director"
	"systole/agents/ipvs/kernel"
	"systole/agents/ipvs/table"
)

// fakeKernel is a table in memory that refuses what the kernel refuses.
type fakeKernel struct {
	mu      sync.Mutex
	entries []table.Entry
	running []table.Daemon
	times   table.Timeouts
	refuse  func(table.Op) error
	log     []string // what was done, in order
	looks   int      // at the services
}

func (f *fakeKernel) Services() ([]table.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.looks++
	var all []table.Entry
	for _, e := range f.entries {
		e.Servers = slices.Clone(e.Servers)
		all = append(all, e)
	}
	return all, nil
}

func (f *fakeKernel) ApplyAll(ops []table.Op) error {
	var errs []error
	for _, op := range ops {
		errs = append(errs, f.Apply(op))
	}
	return errors.Join(errs...)
}

func (f *fakeKernel) Apply(op table.Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		if err := f.refuse(op); err != nil {
			return err
		}
	}
	f.log = append(f.log, op.String())
	i := slices.IndexFunc(f.entries, func(e table.Entry) bool { return e.Key == op.Service.Key })
	if op.Verb == table.AddService {
		if i >= 0 {
			return kernel.ErrExists
		}
		f.entries = append(f.entries, table.Entry{Service: op.Service})
		return nil
	}
	if i < 0 {
		return kernel.ErrNotFound
	}
	e := &f.entries[i]
	j := slices.IndexFunc(e.Servers, func(s table.ServerEntry) bool { return s.Addr == op.Server.Addr })
	switch op.Verb {
	case table.SetService:
		e.Service = op.Service
	case table.DeleteService:
		f.entries = slices.Delete(f.entries, i, i+1)
	case table.AddServer:
		if j >= 0 {
			return kernel.ErrExists
		}
		e.Servers = append(e.Servers, table.ServerEntry{Server: op.Server})
	case table.SetServer, table.DeleteServer:
		if j < 0 {
			return kernel.ErrNotFound
		}
		e.Servers[j].Server = op.Server
		if op.Verb == table.DeleteServer {
			e.Servers = slices.Delete(e.Servers, j, j+1)
		}
	}
	return nil
}

func (f *fakeKernel) Daemons() ([]table.Daemon, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.running), nil
}

func (f *fakeKernel) StartDaemon(d table.Daemon) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if d.Interface == "none0" {
		return errors.New("there is no interface none0")
	}
	f.log = append(f.log, "start "+d.State.String())
	f.running = append(f.running, d)
	return nil
}

func (f *fakeKernel) StopDaemon(s table.DaemonState) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log = append(f.log, "stop "+s.String())
	f.running = slices.DeleteFunc(f.running, func(d table.Daemon) bool { return d.State == s })
	return nil
}

func (f *fakeKernel) Timeouts() (table.Timeouts, error) { return f.times, nil }

func (f *fakeKernel) SetTimeouts(t table.Timeouts) error {
	f.times = t
	return nil
}

// did returns what was done since it was asked last.
func (f *fakeKernel) did() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.log = nil }()
	return strings.Join(f.log, "; ")
}

// desk is a keeper at work in a bubble.
type desk struct {
	*testing.T
	*keeper
	kernel *fakeKernel
	dir    string
	end    func()        // the process's death
	ended  chan struct{} // closed at its end

	mu     sync.Mutex
	dead   map[string]bool // addresses whose checks fail
	silent map[string]bool // addresses that answer no check
	synced int
}

// keep runs a test with a keeper in virtual time.
func keep(t *testing.T, test func(d *desk)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{T: t, kernel: &fakeKernel{}, dir: dir, dead: map[string]bool{}, silent: map[string]bool{}}
		for _, p := range []string{"net/ipv4/ip_forward", "net/ipv4/vs/backup_only", "net/ipv4/vs/sync_threshold", "net/ipv4/vs/expire_quiescent_template", "net/ipv4/vs/expire_nodest_conn", "net/ipv4/vs/conn_reuse_mode", "net/ipv4/conf/eth0/send_redirects"} {
			d.put(p, "0")
		}
		d.begin()
		test(d)
	})
}

// put makes a kernel setting.
func (d *desk) put(path, value string) {
	d.Helper()
	file := filepath.Join(d.dir, "sys", path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(value+"\n"), 0o644)); err != nil {
		d.Fatal(err)
	}
}

// begin starts a keeper as a new process would: with what the last one left.
func (d *desk) begin() {
	d.keeper = newKeeper("r", filepath.Join(d.dir, "record"), d.kernel, slog.New(slog.DiscardHandler))
	d.sysctls = sysctls{filepath.Join(d.dir, "sys")}
	d.keeper.synced = func() (int, error) { return d.synced, nil }
	d.runner = runner.New(runner.Options{New: func(c check.Check) (probe.Prober, error) {
		return func(ctx context.Context) check.Result {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.silent[c.Target.Addr().String()] {
				d.mu.Unlock()
				defer d.mu.Lock()
				<-ctx.Done()
				return check.Result{}
			}
			return check.Result{OK: !d.dead[c.Target.Addr().String()]}
		}, nil
	}})
	r, err := readRecord(d.recordPath)
	if err != nil {
		d.Fatal(err)
	}
	if r != nil {
		d.record = *r
	}
	ctx, cancel := context.WithCancel(d.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); d.run(ctx) }()
	d.end, d.ended = func() { cancel(); <-ended }, ended
	d.Cleanup(d.end)
}

func (d *desk) ask(r control.Request) (control.Status, error) {
	answer := make(chan control.Answer, 1)
	d.requests <- request{r, answer}
	a := <-answer
	if a.Error != "" {
		return control.Status{}, errors.New(a.Error)
	}
	return *a.Status, nil
}

func (d *desk) must(r control.Request) control.Status {
	d.Helper()
	st, err := d.ask(r)
	if err != nil {
		d.Fatal(err)
	}
	return st
}

// become configures and sets the role.
func (d *desk) become(role control.Role, s control.Setup) control.Status {
	d.Helper()
	d.must(control.Request{Do: control.Configure, Setup: &s})
	return d.must(control.Request{Do: control.SetRole, Role: role, Wait: 5 * time.Second})
}

// table is the kernel's, in short; the order of a service's servers, which is that
// of their first good checks, says nothing.
func (d *desk) table() string {
	entries, _ := d.kernel.Services()
	var parts []string
	for _, e := range entries {
		parts = append(parts, e.Key.String())
		var servers []string
		for _, s := range e.Servers {
			servers = append(servers, fmt.Sprintf("%s=%d", s.Addr.Addr(), s.Weight))
		}
		slices.Sort(servers)
		parts = append(parts, servers...)
	}
	return strings.Join(parts, " ")
}

func (d *desk) isTable(want string) {
	d.Helper()
	if got := d.table(); got != want {
		d.Fatalf("the table is %q, want %q", got, want)
	}
}

func (d *desk) setting(path string) string {
	v, err := d.sysctls.read(path)
	if err != nil {
		d.Fatal(err)
	}
	return v
}

var (
	shop     = control.Setup{Services: "virtual tcp 192.0.2.10:80 forward=dr; check tcp interval=1s timeout=1s rise=1 fall=1; real 10.0.0.1; real 10.0.0.2"}
	shopSync = control.Setup{Services: shop.Services, Sync: &table.Daemon{Interface: "eth1", ID: 5}, Promotable: true, Warmup: 30 * time.Second}
)

const shopTable = "tcp 192.0.2.10:80 10.0.0.1=1 10.0.0.2=1"

func TestStartRepairStop(t *testing.T) {
	keep(t, func(d *desk) {
		foreign := table.Service{Key: table.MarkKey(9, table.IPv4), Scheduler: "rr"}
		d.kernel.Apply(table.Op{Verb: table.AddService, Service: foreign})
		st := d.become(control.Active, shop)
		time.Sleep(2 * time.Second)
		d.isTable("fwmark 9 " + shopTable)
		if !st.Ready || st.Problem != "" {
			t.Errorf("after the start: %+v", st)
		}
		d.kernel.mu.Lock()
		d.kernel.entries = d.kernel.entries[:1] // somebody deletes the service
		d.kernel.mu.Unlock()
		time.Sleep(time.Second + time.Millisecond)
		d.isTable("fwmark 9 " + shopTable)
		if st := d.must(control.Request{Do: control.Show}); st.Repairs != 3 || !strings.Contains(st.Events[len(st.Events)-1].Text, "somebody changed the table") {
			t.Errorf("after the repair: %d repairs, %v", st.Repairs, st.Events)
		}
		d.mu.Lock()
		d.dead["10.0.0.2"] = true
		d.mu.Unlock()
		time.Sleep(2 * time.Second)
		d.isTable("fwmark 9 tcp 192.0.2.10:80 10.0.0.1=1")
		if st := d.must(control.Request{Do: control.Show}); st.Repairs != 3 {
			t.Errorf("a dead server counted as somebody's change: %v", st.Events)
		}
		d.must(control.Request{Do: control.Stop})
		d.isTable("fwmark 9")
		if _, err := os.Stat(d.recordPath); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the record is still there: %v", err)
		}
	})
}

// A new process adopts what the dead one left, and touches nothing before it is
// told what is wanted.
func TestAdopt(t *testing.T) {
	keep(t, func(d *desk) {
		d.become(control.Active, shop)
		time.Sleep(2 * time.Second)
		d.end()
		d.kernel.did()
		d.silent["10.0.0.1"] = true // which the new one learns after a time-out
		d.begin()
		if _, err := d.ask(control.Request{Do: control.SetRole, Role: control.Active}); err == nil {
			t.Error("a role before a configuration was taken")
		}
		time.Sleep(5 * time.Second)
		d.must(control.Request{Do: control.Configure, Setup: &shop})
		d.isTable(shopTable) // who served is believed until a check says otherwise
		if got := d.kernel.did(); got != "" {
			t.Errorf("the new process did %s", got)
		}
		time.Sleep(2 * time.Second)
		d.isTable("tcp 192.0.2.10:80 10.0.0.2=1")
		d.end()
		d.begin()
		d.must(control.Request{Do: control.Stop}) // without a configuration
		d.isTable("")
	})
}

// TestStandbyOrder: a standby has services only behind backup_only and the backup
// daemon; the promoted stops that daemon last.
func TestStandbyOrder(t *testing.T) {
	keep(t, func(d *desk) {
		d.become(control.Standby, shopSync)
		time.Sleep(2 * time.Second)
		d.isTable(shopTable)
		if got := d.kernel.did(); !strings.HasPrefix(got, "start backup; -A ") {
			t.Errorf("standby: %s", got)
		}
		if d.setting("net/ipv4/vs/backup_only") != "1" {
			t.Error("backup_only is not set")
		}
		d.kernel.mu.Lock()
		d.kernel.entries = nil // somebody cleared the table: nothing is forwarded before it is whole
		d.kernel.mu.Unlock()
		d.must(control.Request{Do: control.SetRole, Role: control.Active})
		if got := d.kernel.did(); !strings.HasPrefix(got, "-A ") || !strings.HasSuffix(got, "; start master; stop backup") {
			t.Errorf("promoted with a damaged table: %s", got)
		}
		d.must(control.Request{Do: control.SetRole, Role: control.Standby})
		d.kernel.did()
		d.must(control.Request{Do: control.SetRole, Role: control.Active})
		if got := d.kernel.did(); got != "start master; stop backup" {
			t.Errorf("promoted: %s", got)
		}
		d.must(control.Request{Do: control.SetRole, Role: control.Standby})
		if got := d.kernel.did(); got != "start backup; stop master" {
			t.Errorf("demoted: %s", got)
		}
		d.must(control.Request{Do: control.Stop})
		if got := d.kernel.did(); !strings.HasPrefix(got, "-D ") || !strings.HasSuffix(got, "; stop backup") {
			t.Errorf("stopped: %s", got)
		}
		if d.setting("net/ipv4/vs/backup_only") != "0" || d.setting("net/ipv4/vs/sync_threshold") != "0" {
			t.Error("the settings were not restored")
		}
	})
}

// What a process does to the kernel is in its record first: if it died in between, the
// next one would take its own service for somebody else's.
func TestRecordFirst(t *testing.T) {
	keep(t, func(d *desk) {
		d.kernel.refuse = func(op table.Op) error {
			r, err := readRecord(d.recordPath)
			if err != nil || r == nil || !slices.Contains(r.Owned, op.Service.Key) {
				t.Errorf("%s is done, and the record is %+v, %v", op, r, err)
			}
			return nil
		}
		d.become(control.Active, shop)
		time.Sleep(2 * time.Second)
		d.isTable(shopTable)
		d.must(control.Request{Do: control.Stop})
		d.isTable("")
	})
}

// Without its gate a standby has no services at all.
func TestStandbyWithoutGate(t *testing.T) {
	keep(t, func(d *desk) {
		bad := shopSync
		bad.Sync = &table.Daemon{Interface: "none0"}
		d.must(control.Request{Do: control.Configure, Setup: &bad})
		if _, err := d.ask(control.Request{Do: control.SetRole, Role: control.Standby}); err == nil || !strings.Contains(err.Error(), "none0") {
			t.Errorf("no interface: %v", err)
		}
		time.Sleep(3 * time.Second)
		d.isTable("")
		d.must(control.Request{Do: control.Configure, Setup: &shopSync})
		time.Sleep(3 * time.Second)
		d.isTable(shopTable)
		os.Remove(filepath.Join(d.dir, "sys/net/ipv4/vs/backup_only"))
		time.Sleep(3 * time.Second)
		d.isTable("")
	})
	keep(t, func(d *desk) { // without synchronisation neither
		d.become(control.Standby, shop)
		time.Sleep(3 * time.Second)
		d.isTable("")
		if st := d.must(control.Request{Do: control.Show}); !st.Warm || !st.Ready {
			t.Errorf("standby without synchronisation: %+v", st)
		}
	})
}

func TestSettings(t *testing.T) {
	keep(t, func(d *desk) {
		nat := control.Setup{Services: "virtual tcp 192.0.2.10:80 persistent=9; check none; real 10.0.0.1; timeouts udp=9"}
		d.become(control.Active, nat)
		if d.setting("net/ipv4/ip_forward") != "1" || d.setting("net/ipv4/vs/expire_quiescent_template") != "1" || d.kernel.times.UDP != 9*time.Second {
			t.Error("settings of masquerading and persistence are missing")
		}
		d.sysctls.write("net/ipv4/ip_forward", "0")
		time.Sleep(3 * time.Second)
		if d.setting("net/ipv4/ip_forward") != "1" {
			t.Error("ip_forward was not put right")
		}
		d.must(control.Request{Do: control.Configure, Setup: &shop}) // DR needs nothing
		if d.setting("net/ipv4/ip_forward") != "0" || d.kernel.times.UDP != 0 {
			t.Error("what is not needed any more was not restored")
		}
		d.must(control.Request{Do: control.Configure, Setup: &nat})
		d.must(control.Request{Do: control.Stop})
		if d.setting("net/ipv4/ip_forward") != "0" || d.kernel.times.UDP != 0 {
			t.Error("a stop did not restore everything")
		}
	})
}

// What the cluster says of nodes is done at once.
func TestClusterWeights(t *testing.T) {
	keep(t, func(d *desk) {
		s := control.Setup{Services: "virtual tcp 192.0.2.10:80 forward=dr; check none; real 10.0.0.1 node=a; real 10.0.0.2 node=b"}
		d.become(control.Active, s)
		time.Sleep(2 * time.Second)
		d.tables <- map[string]director.Weight{"a": {Drain: true}, "b": {Set: true, N: 5}}
		synctest.Wait()
		d.isTable("tcp 192.0.2.10:80 10.0.0.1=0 10.0.0.2=5")
		d.tables <- map[string]director.Weight{}
		synctest.Wait()
		d.isTable(shopTable)
	})
}

func TestOperator(t *testing.T) {
	keep(t, func(d *desk) {
		d.become(control.Active, shop)
		time.Sleep(2 * time.Second)
		d.must(control.Request{Do: control.Drain, Server: "10.0.0.1"})
		d.isTable("tcp 192.0.2.10:80 10.0.0.1=0 10.0.0.2=1")
		d.must(control.Request{Do: control.SetWeight, Server: "10.0.0.2:80", Service: "tcp 192.0.2.10:80", Weight: 7})
		d.must(control.Request{Do: control.Undrain, Server: "10.0.0.1"})
		d.isTable("tcp 192.0.2.10:80 10.0.0.1=1 10.0.0.2=7")
		for _, bad := range []control.Request{
			{Do: control.Drain, Server: "10.0.0.3"}, {Do: control.Drain, Server: "10.0.0.1", Service: "udp 192.0.2.10:80"},
			{Do: control.SetWeight, Server: "10.0.0.1", Weight: 65536}, {Do: "dance"}, {Do: control.Configure}, {Do: control.SetRole, Role: "king"},
		} {
			if _, err := d.ask(bad); err == nil {
				t.Errorf("%+v was taken", bad)
			}
		}
		broken := control.Setup{Services: "virtual tcp 192.0.2.10:80 speed=1"}
		if _, err := d.ask(control.Request{Do: control.Configure, Setup: &broken}); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("a faulty configuration: %v", err)
		}
		time.Sleep(2 * time.Second)
		d.isTable("tcp 192.0.2.10:80 10.0.0.1=1 10.0.0.2=7")
	})
}

// A reload touches nothing that stays: results of checks are not forgotten for an instant.
func TestReload(t *testing.T) {
	keep(t, func(d *desk) {
		d.become(control.Active, shop)
		time.Sleep(2 * time.Second)
		d.isTable(shopTable)
		d.mu.Lock()
		d.dead["10.0.0.2"] = true
		d.mu.Unlock()
		time.Sleep(2 * time.Second)
		d.kernel.did()
		before := maps.Clone(d.checks)
		more := shop
		more.Services += "; virtual udp 192.0.2.10:53; check none; real 10.0.0.1"
		for i := range 20 {
			s := []control.Setup{more, shop}[i%2]
			d.must(control.Request{Do: control.Configure, Setup: &s})
			if did := d.kernel.did(); strings.Contains(did, ":80") {
				t.Fatalf("reload %d: %s", i, did)
			}
			for key, s := range before { // of a new subscription nothing is known until the runner's next turn
				if d.checks[key] != s {
					t.Fatalf("reload %d subscribed to %s anew", i, key)
				}
			}
		}
		d.isTable("tcp 192.0.2.10:80 10.0.0.1=1")
	})
}

// One refused operation keeps nothing else from being done, and is the problem.
func TestRefusal(t *testing.T) {
	keep(t, func(d *desk) {
		d.kernel.refuse = func(op table.Op) error {
			if op.Verb == table.AddServer && op.Server.Addr.Addr().String() == "10.0.0.1" {
				return fmt.Errorf("%s: refused", op)
			}
			return nil
		}
		d.must(control.Request{Do: control.Configure, Setup: &shop})
		d.ask(control.Request{Do: control.SetRole, Role: control.Active}) // fails if the checks were quick
		time.Sleep(2 * time.Second)
		d.isTable("tcp 192.0.2.10:80 10.0.0.2=1")
		if st := d.must(control.Request{Do: control.Show}); !strings.Contains(st.Problem, "refused") || st.Repairs != 0 {
			t.Errorf("the problem is %q, %d repairs", st.Problem, st.Repairs)
		}
		d.kernel.mu.Lock()
		d.kernel.refuse = nil
		d.kernel.mu.Unlock()
		time.Sleep(2 * time.Second)
		if st := d.must(control.Request{Do: control.Show}); st.Problem != "" {
			t.Errorf("still a problem: %s", st.Problem)
		}
		d.isTable(shopTable)
	})
}

func TestWarm(t *testing.T) {
	for _, c := range []struct {
		name   string
		counts []int // second by second
		warmAt int   // seconds
	}{
		{"steady", []int{0, 5, 50, 100, 101, 102, 102, 102, 102, 102}, 8},
		{"growing to the bound", []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048}, 10},
		{"nothing to know", []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 10},
	} {
		w := warmth{bound: 10 * time.Second}
		began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for s, n := range c.counts {
			if got := w.observe(n, began.Add(time.Duration(s)*time.Second)); got != (s >= c.warmAt) {
				t.Errorf("%s: after %d s warm is %v", c.name, s, got)
				break
			}
		}
	}
}

// The same configuration again costs nothing, unless it is in a file.
func TestConfiguredAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(shop.Services, ";", "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		setup control.Setup
		looks bool
	}{{"in the parameters", shop, false}, {"in a file", control.Setup{File: file}, true}} {
		t.Run(c.name, func(t *testing.T) {
			keep(t, func(d *desk) {
				looks := func() int {
					synctest.Wait()
					d.kernel.mu.Lock()
					defer d.kernel.mu.Unlock()
					return d.kernel.looks
				}
				d.become(control.Active, c.setup)
				before := looks()
				d.must(control.Request{Do: control.Configure, Setup: &c.setup})
				if looked := looks() > before; looked != c.looks {
					d.Errorf("looked at the kernel: %v, want %v", looked, c.looks)
				}
				other := c.setup
				other.CheckDefaults = "rise=2"
				before = looks()
				d.must(control.Request{Do: control.Configure, Setup: &other})
				if looks() == before {
					d.Error("another configuration was not taken")
				}
			})
		})
	}
}
