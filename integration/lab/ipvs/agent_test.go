package ipvs

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/agents/ipvs/control"
	"systole/integration/lab"
)

// agent runs the agent as a script in a machine and returns its exit code and
// what it said. Words with = are parameters.
func (s bench) agent(space, name, action string, words ...string) (int, string) {
	s.Helper()
	argv := []string{"env", "OCF_RESOURCE_INSTANCE=" + name, "OCF_RESKEY_CRM_meta_timeout=20000", "HA_SBIN_DIR=/none"}
	if action == "monitor" {
		argv = append(argv, "OCF_RESKEY_CRM_meta_interval=10000")
	}
	for _, w := range words {
		argv = append(argv, "OCF_RESKEY_"+w)
	}
	out, err := s.spaces[space].Run(s.Context(), append(argv, s.program, "agent", action)...)
	if exit, ok := errors.AsType[*lab.ExitError](err); ok {
		return exit.Code, exit.Output
	}
	s.must(err)
	return 0, out
}

// does is agent with the code it must return.
func (s bench) does(want int, space, name, action string, words ...string) {
	s.Helper()
	if got, out := s.agent(space, name, action, words...); got != want {
		s.Fatalf("%s of %s in %s: exit %d, want %d: %s", action, name, space, got, want, out)
	}
}

func (s bench) status(name string) control.Status {
	s.Helper()
	var st control.Status
	s.must(json.Unmarshal([]byte(s.sh(s.program+" status "+name)), &st))
	return st
}

func (s bench) table(space string) []string {
	s.Helper()
	return sorted(lines(s.in(space, "ipvsadm", "-S", "-n")))
}

func (s bench) isTable(space string, want ...string) {
	s.Helper()
	if got := s.table(space); !slices.Equal(got, sorted(want)) {
		s.Fatalf("the table in %s:\n%s\nwant:\n%s", space, strings.Join(got, "\n"), strings.Join(sorted(want), "\n"))
	}
}

func (s bench) eventually(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(15 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if holds() {
			return
		}
	}
	s.Fatalf("not within 15 s: %s", what)
}

// web serves on web1 and web2 until the kernel ends.
func (s bench) web() {
	s.Helper()
	for _, w := range []string{"web1", "web2"} {
		if _, err := s.node.Spawn(s.Context(), w+".log", "ip", "netns", "exec", w, s.program, "serve", w, ":80"); err != nil {
			s.Fatal(err)
		}
		s.listens(w, "80")
	}
}

// listens waits until somebody in a machine takes connections at a port.
func (s bench) listens(space, port string) {
	s.Helper()
	s.eventually(space+" listens", func() bool {
		return strings.Contains(s.in(space, "ss", "-Htln", "sport", "= :"+port), ":"+port)
	})
}

// realServers gives the web machines the service's address, unheard.
func (s bench) realServers() {
	s.Helper()
	for _, w := range []string{"web1", "web2"} {
		s.in(w, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
		s.in(w, "ip", "addr", "replace", "10.99.0.100/32", "dev", "lo")
	}
}

const site = "services=virtual tcp 10.99.0.100:80 scheduler=rr forward=dr; check http path=/ interval=1s timeout=1s; real 10.99.0.4; real 10.99.0.5 weight=2"

var siteRules = []string{
	"-A -t 10.99.0.100:80 -s rr",
	"-a -t 10.99.0.100:80 -r 10.99.0.4:80 -g -w 1",
	"-a -t 10.99.0.100:80 -r 10.99.0.5:80 -g -w 2",
}

// plain: start, monitor and stop of a plain resource, beside a foreign service,
// with a server that does not answer.
func plain(s bench) {
	foreign := []string{"-A -u 10.99.0.200:53 -s wlc", "-a -u 10.99.0.200:53 -r 10.99.0.4:53 -m -w 1"}
	for _, rule := range foreign {
		s.in("dir1", append([]string{"ipvsadm"}, strings.Fields(rule)...)...)
	}
	s.in("dir1", "sysctl", "-qw", "net.ipv4.ip_forward=0")
	nat := site + "; virtual tcp 10.99.0.100:8080 persistent=60; real 10.99.0.4:80; real 10.99.0.99:80; sysctl net.ipv4.vs.sloppy_tcp=1"
	s.does(0, "dir1", "plain", "validate-all", nat)
	s.does(7, "dir1", "plain", "monitor", nat)
	s.does(0, "dir1", "plain", "start", nat)
	want := append(append(slices.Clone(foreign), siteRules...), "-A -t 10.99.0.100:8080 -s wlc -p 60", "-a -t 10.99.0.100:8080 -r 10.99.0.4:80 -m -w 1")
	s.isTable("dir1", want...)
	s.does(0, "dir1", "plain", "start", nat)
	s.does(0, "dir1", "plain", "monitor", nat)
	for name, value := range map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.vs.sloppy_tcp": "1", "net.ipv4.vs.expire_quiescent_template": "1"} {
		if got := strings.TrimSpace(s.in("dir1", "sysctl", "-n", name)); got != value {
			s.Errorf("%s is %s while the director runs, want %s", name, got, value)
		}
	}
	var st control.Status
	s.eventually("the silent server is down", func() bool {
		st = s.status("plain")
		return st.Services[1].Servers[1].State == "down"
	})
	if st.Role != control.Active || len(st.Services) != 2 || st.Services[1].Servers[1].Reason == "" || st.Problem != "" {
		s.Errorf("status: %+v", st)
	}
	s.does(0, "dir1", "plain", "stop", nat)
	s.isTable("dir1", foreign...)
	s.does(7, "dir1", "plain", "monitor", nat)
	s.does(0, "dir1", "plain", "stop", nat)
	for _, name := range []string{"net.ipv4.ip_forward", "net.ipv4.vs.sloppy_tcp", "net.ipv4.vs.expire_quiescent_template"} {
		if got := strings.TrimSpace(s.in("dir1", "sysctl", "-n", name)); got != "0" {
			s.Errorf("%s is %s after the director, was 0", name, got)
		}
	}
	if left := s.sh("ls /run/resource-agents"); left != "" {
		s.Errorf("left behind: %s", left)
	}
	s.in("dir1", "ipvsadm", "-C")
}

// omega: a director that stops by plan says so before the stop is over.
func omega(s bench) {
	const hook = "/run/quorum-hook"
	s.sh("printf '#!/bin/sh\\necho $IPVS_STATE >>/run/quorum\\n' >" + hook + " && chmod 755 " + hook)
	hooked := strings.Replace(site, "forward=dr", "forward=dr omega quorum-up="+hook+" quorum-down="+hook, 1)
	s.does(0, "dir1", "o", "start", hooked)
	s.eventually("the quorum is told", func() bool { return s.sh("cat /run/quorum || true") == "up\n" })
	s.does(0, "dir1", "o", "stop", hooked)
	if got := s.sh("cat /run/quorum"); got != "up\ndown\n" {
		s.Errorf("the hook heard %q, want up, then down", got)
	}
}

// drift: what somebody else changes is put right within a check period.
func drift(s bench) {
	s.does(0, "dir1", "d", "start", site)
	for _, damage := range [][]string{
		{"-C"},
		{"-d", "-t", "10.99.0.100:80", "-r", "10.99.0.5"},
		{"-e", "-t", "10.99.0.100:80", "-r", "10.99.0.5", "-g", "-w", "9"},
		{"-E", "-t", "10.99.0.100:80", "-s", "wrr"},
		{"-a", "-t", "10.99.0.100:80", "-r", "10.99.0.77", "-g"},
	} {
		before := s.status("d").Repairs
		began := time.Now()
		s.in("dir1", append([]string{"ipvsadm"}, damage...)...)
		s.eventually(fmt.Sprintf("repaired after ipvsadm %v", damage), func() bool {
			return slices.Equal(s.table("dir1"), sorted(siteRules)) && s.status("d").Repairs > before
		})
		s.Logf("ipvsadm %v: repaired within %v", damage, time.Since(began).Round(10*time.Millisecond))
	}
	s.does(0, "dir1", "d", "monitor", site)
	s.does(0, "dir1", "d", "stop", site)
	s.isTable("dir1")
}

// reload: services that stay as they are keep their counters and connections,
// a server that leaves ends in peace, and one that is drained gets nothing new.
func reload(s bench) {
	s.in("dir1", "ip", "addr", "add", "10.99.0.100/32", "dev", "eth0")
	defer s.in("dir1", "ip", "addr", "del", "10.99.0.100/32", "dev", "eth0")
	s.realServers()
	s.does(0, "dir1", "r", "start", site)
	if got := s.in("client", s.program, "get", "http://10.99.0.100/", "9"); strings.Count(got, "web") != 9 {
		s.Fatalf("9 requests brought %q", got)
	}
	counted := func() bool { // the kernel adds up every two seconds
		return strings.TrimSpace(s.in("dir1", "sh", "-c", "ipvsadm -Ln --stats | awk '$2 == \"10.99.0.100:80\" {print $3}'")) == "9"
	}
	s.eventually("9 connections are counted", counted)
	other := site + "; virtual tcp 10.99.0.100:81; check none; real 10.99.0.4"
	s.does(0, "dir1", "r", "reload-agent", other)
	s.eventually("the new service is there", func() bool { return len(s.table("dir1")) == 5 })
	s.does(0, "dir1", "r", "reload-agent", site)
	s.isTable("dir1", siteRules...)
	if !counted() {
		s.Errorf("the reload changed the counters: %s", s.in("dir1", "ipvsadm", "-Ln", "--stats"))
	}
	if code, out := s.agent("dir1", "r", "reload-agent", "services=virtual tcp 10.99.0.100:80 scheduler=best"); code == 0 || !strings.Contains(out, "line 1") {
		s.Errorf("a faulty configuration: exit %d, %s", code, out)
	}
	s.sh(s.program + ` tell r '{"do":"drain","server":"10.99.0.4"}'`)
	s.isTable("dir1", siteRules[0], strings.Replace(siteRules[1], "-w 1", "-w 0", 1), siteRules[2])
	if got := s.in("client", s.program, "get", "http://10.99.0.100/", "4"); strings.Count(got, "web2") != 4 {
		s.Errorf("4 requests while web1 drains brought %q", got)
	}
	s.sh(s.program + ` tell r '{"do":"undrain","server":"10.99.0.4"}'`)
	s.isTable("dir1", siteRules...)
	s.does(0, "dir1", "r", "stop", site)
}

// promotableRoles: standby and active, the sync daemons, and that the standby
// forwards nothing although it has the table.
func promotableRoles(s bench) {
	s.realServers()
	clone := []string{site, "sync_interface=eth0", "sync_id=5", "CRM_meta_promoted_max=1", "warmup=2s"}
	for i, d := range []string{"dir1", "dir2"} {
		s.does(0, d, "p"+strconv.Itoa(i+1), "start", clone...)
		s.isTable(d, siteRules...)
		s.isDaemon(d, "backup")
		s.does(0, d, "p"+strconv.Itoa(i+1), "monitor", clone...)
	}
	s.in("dir1", "ip", "addr", "add", "10.99.0.100/32", "dev", "eth0")
	if out := s.fails("client", s.program, "get", "http://10.99.0.100/", "1"); !strings.Contains(out, "refused") {
		s.Errorf("a request to the standby: %s", out)
	}
	s.does(0, "dir1", "p1", "promote", clone...)
	s.isDaemon("dir1", "master")
	s.does(8, "dir1", "p1", "monitor", clone...)
	if got := s.in("client", s.program, "get", "http://10.99.0.100/", "3"); strings.Count(got, "web") != 3 {
		s.Errorf("3 requests to the promoted brought %q", got)
	}
	s.eventually("the standby knows connections", func() bool {
		return strings.Contains(s.in("dir2", "cat", "/proc/net/ip_vs_conn_sync"), "SYNC")
	})
	s.eventually("the standby is warm", func() bool { return s.status("p2").Warm })
	s.in("dir2", "ipvsadm", "--stop-daemon", "backup")
	s.eventually("the backup daemon is back", func() bool { return strings.Contains(s.in("dir2", "ipvsadm", "-L", "--daemon"), "backup") })
	s.does(0, "dir1", "p1", "demote", clone...)
	s.isDaemon("dir1", "backup")
	s.does(0, "dir1", "p1", "monitor", clone...)
	if out := s.fails("client", s.program, "get", "http://10.99.0.100/", "1"); !strings.Contains(out, "refused") {
		s.Errorf("a request to the demoted: %s", out)
	}
	s.does(0, "dir2", "p2", "promote", clone...)
	s.isDaemon("dir2", "master")
	s.in("dir1", "ip", "addr", "del", "10.99.0.100/32", "dev", "eth0")
	for i, d := range []string{"dir1", "dir2"} {
		s.does(0, d, "p"+strconv.Itoa(i+1), "stop", clone...)
		s.isTable(d)
		s.isDaemon(d, "")
		if got := strings.TrimSpace(s.in(d, "sysctl", "-n", "net.ipv4.vs.backup_only")); got != "0" {
			s.Errorf("backup_only in %s is %s after the director", d, got)
		}
	}
}

// isDaemon checks which sync daemon runs; "" is none.
func (s bench) isDaemon(space, state string) {
	s.Helper()
	got := s.in(space, "ipvsadm", "-L", "--daemon")
	for _, d := range []string{"master", "backup"} {
		if strings.Contains(got, d+" sync daemon") != (d == state) {
			s.Fatalf("sync daemons in %s: %q, want %q", space, got, state)
		}
	}
}

// fails runs a program that must fail and returns what it said.
func (s bench) fails(space string, argv ...string) string {
	s.Helper()
	out, err := s.spaces[space].Run(s.Context(), argv...)
	exit, ok := errors.AsType[*lab.ExitError](err)
	if !ok {
		s.Fatalf("%v in %s: %q, %v; it must fail", argv, space, out, err)
	}
	return exit.Output
}

// killed: the kernel goes on without the process; the next monitor starts it
// again, the second death at once is a failure, and a stop cleans up in any case.
func killed(s bench) {
	s.does(0, "dir1", "k", "start", site)
	kill := func() { s.sh(fmt.Sprintf("kill -9 %d", s.status("k").PID)) }
	kill()
	s.isTable("dir1", siteRules...)
	s.in("dir1", "ipvsadm", "-d", "-t", "10.99.0.100:80", "-r", "10.99.0.5")
	s.does(0, "dir1", "k", "monitor", site)
	s.eventually("the table is repaired", func() bool { return slices.Equal(s.table("dir1"), sorted(siteRules)) })
	kill()
	if code, out := s.agent("dir1", "k", "monitor", site); code != 1 || !strings.Contains(out, "died twice") {
		s.Errorf("a second death: exit %d, %s", code, out)
	}
	s.does(0, "dir1", "k", "stop", site)
	s.isTable("dir1")
	s.does(7, "dir1", "k", "monitor", site)

	s.does(0, "dir1", "k", "start", site)
	kill()
	s.in("dir1", "ipvsadm", "-C") // as if the kernel had been booted, but for /run
	s.does(7, "dir1", "k", "monitor", site)
	s.does(0, "dir1", "k", "stop", site)
}
