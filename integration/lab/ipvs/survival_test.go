package ipvs

import (
	"errors"
	"strings"

	"systole/integration/lab"
)

// survival: a connection through the first director goes on through the second
// when that is promoted and has the address; the bystander's table never forwards.
func survival(s bench) {
	s.realServers()
	services := "services=virtual tcp 10.99.0.100:7 scheduler=rr forward=dr; check tcp interval=1s; real 10.99.0.4; real 10.99.0.5"
	clone := []string{services, "sync_interface=eth0", "sync_id=6", "CRM_meta_promoted_max=1"}
	for _, w := range []string{"web1", "web2"} {
		_, err := s.node.Spawn(s.Context(), w+".echo.log", "ip", "netns", "exec", w, s.program, "echo", ":7")
		s.must(err)
	}
	s.does(0, "dir1", "s1", "start", clone...)
	s.does(0, "dir2", "s2", "start", clone...)
	s.does(0, "dir1", "s1", "promote", clone...)
	s.in("dir1", "ip", "addr", "add", "10.99.0.100/32", "dev", "eth0")
	s.in("client", "ip", "neigh", "flush", "all")
	mark, err := s.node.Write("moved", "", 0o644)
	s.must(err)
	s.sh("rm " + mark)
	_, err = s.node.Spawn(s.Context(), "talk.log", "ip", "netns", "exec", "client", s.program, "talk", "10.99.0.100:7", mark)
	s.must(err)
	s.eventually("the client talks", func() bool { return strings.Contains(s.node.Log("talk.log"), "before") })
	s.eventually("the standby knows the connection", func() bool {
		return strings.Contains(s.in("dir2", "cat", "/proc/net/ip_vs_conn_sync"), "ESTABLISHED")
	})
	s.in("dir1", "ip", "addr", "del", "10.99.0.100/32", "dev", "eth0")
	s.does(0, "dir1", "s1", "demote", clone...)
	s.does(0, "dir2", "s2", "promote", clone...)
	s.in("dir2", "ip", "addr", "add", "10.99.0.100/32", "dev", "eth0")
	s.in("client", "ip", "neigh", "flush", "all")
	s.sh("touch " + mark)
	s.eventually("the same connection goes on", func() bool { return strings.Contains(s.node.Log("talk.log"), "after") })
	s.in("dir2", "ip", "addr", "del", "10.99.0.100/32", "dev", "eth0")
	s.does(0, "dir1", "s1", "stop", clone...)
	s.does(0, "dir2", "s2", "stop", clone...)
}

// ocfTester has Debian's ocf-tester judge the agent. Its description of metadata
// is that of OCF 1.0, which knows neither reloadable parameters nor reload-agent;
// that complaint is the only one there may be.
func ocfTester(s bench) {
	const agent = "/run/ocf/ipvs"
	s.sh("mkdir -p /run/ocf && printf '#!/bin/sh\nexec " + s.program + " agent \"$@\"\n' > " + agent + " && chmod 755 " + agent)
	for _, param := range []string{site, "sync_interface=eth0"} {
		out, err := s.spaces["dir1"].Run(s.Context(), "env", "HA_SBIN_DIR=/none", "ocf-tester", "-n", "t", "-o", param, agent)
		if exit, failed := errors.AsType[*lab.ExitError](err); failed {
			out = exit.Output
		} else {
			s.must(err)
		}
		for line := range strings.Lines(out) {
			if strings.HasPrefix(line, "* rc=") && !strings.Contains(line, "does not conform to ra-api-1.dtd") {
				s.Errorf("ocf-tester with %s:\n%s", param, out)
			}
		}
		if !strings.Contains(out, "failed 1 tests") && !strings.Contains(out, "passed all tests") {
			s.Errorf("ocf-tester with %s said:\n%s", param, out)
		}
	}
	s.isTable("dir1")
}
