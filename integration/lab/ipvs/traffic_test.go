package ipvs

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The client has three addresses, so that it is several clients to persistence. To the last the
// web machines answer through the director, as masquerading needs it and direct routing does not bear.
const (
	one   = "10.99.0.1"
	two   = "10.99.0.51"
	three = "10.99.0.52"
)

// Each of these needs the kernel to do something else with packets.
const traffic = `services=timeouts tcp=905s tcpfin=125s udp=3s
virtual tcp 10.99.0.100:9000 scheduler=rr; check none; real 10.99.0.4:9001; real 10.99.0.5:9001
virtual tcp [fd99::100]:9000 scheduler=rr; check none; real [fd99::4]:9001; real [fd99::5]:9001
virtual tcp 10.99.0.100:9001 scheduler=rr forward=dr; check none; real 10.99.0.4 upper=1; real 10.99.0.5
virtual udp 10.99.0.100:9002 scheduler=rr forward=dr ops; check none; real 10.99.0.4; real 10.99.0.5
virtual udp 10.99.0.100:9003 scheduler=rr forward=dr; check none; real 10.99.0.4; real 10.99.0.5
virtual tcp 10.99.0.100:9004 scheduler=rr forward=dr persistent=60 netmask=24; check none; real 10.99.0.4; real 10.99.0.5
virtual tcp 10.99.0.100:9005 scheduler=rr forward=dr persistent=60; check none; real 10.99.0.4; real 10.99.0.5
virtual udp 10.99.0.100:9006 scheduler=rr forward=dr persistent=60 engine=sip; check none; real 10.99.0.4; real 10.99.0.5
virtual tcp 10.99.0.100:9007 forward=tun; check none; real 10.99.0.4
virtual tcp 10.99.0.100:9008 forward=tun tunnel=gue tunnel-port=6080 tunnel-checksum=csum; check none; real 10.99.0.4
virtual tcp 10.99.0.100:9009 forward=tun tunnel=gre; check none; real 10.99.0.4
virtual sctp 10.99.0.100:9010 scheduler=rr forward=dr; check none; real 10.99.0.4; real 10.99.0.5
virtual tcp 10.99.0.100:9011 forward=dr; check none; real 10.99.0.2`

// everyWay sends real packets through what else is only looked at in the table:
// port mapping, IPv6 masquerading, thresholds, one-packet scheduling, persistence by network and by
// call, every tunnel, SCTP, the director as its own server, timeouts.
func everyWay(s bench) {
	s.realServers()
	s.sh("modprobe -a sctp ip_gre fou ip_vs_pe_sip")
	s.in("client", "sh", "-ec", "ip addr add "+two+"/24 dev eth0; ip addr add "+three+"/24 dev eth0; ip addr add fd99::52/64 dev eth0 nodad")
	s.in("dir1", "sh", "-ec", "ip addr add 10.99.0.100/32 dev eth0; ip addr add fd99::2/64 dev eth0 nodad; ip addr add fd99::100/128 dev eth0 nodad preferred_lft 0")
	defer s.in("dir1", "sh", "-ec", "ip addr del 10.99.0.100/32 dev eth0; ip addr del fd99::100/128 dev eth0")
	for web, host := range map[string]string{"web1": "4", "web2": "5"} {
		s.in(web, "sh", "-ec", "ip addr add fd99::"+host+"/64 dev eth0 nodad; ip route add "+three+" via 10.99.0.2; ip route add fd99::52 via fd99::2; "+
			"sysctl -qw net.ipv6.conf.eth0.accept_redirects=0; ip link set tunl0 up; ip link set gre0 up; ip fou add port 6080 gue; "+
			"sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.tunl0.rp_filter=0 net.ipv4.conf.gre0.rp_filter=0")
		s.answering(web, "9000", "9010", "10.99.0.100")
	}
	s.answering("dir1", "9011", "9011")
	s.in("client", "ip", "neigh", "flush", "all")
	former := s.timeouts()
	s.does(0, "dir1", "t", "start", traffic)

	s.who(map[string]int{"web1": 2, "web2": 2}, "a mapped port", "tcp", three, "10.99.0.100:9000", "4")
	s.who(map[string]int{"web1": 2, "web2": 2}, "a mapped port by IPv6", "tcp", "fd99::52", "[fd99::100]:9000", "4")
	s.who(map[string]int{"web1": 1, "web2": 3}, "no more than one connection to web1", "tcp", one, "10.99.0.100:9001", "4")
	s.who(map[string]int{"web1": 2, "web2": 2}, "every datagram by itself", "udp", one, "10.99.0.100:9002", "4", "x")
	if got := s.asked("udp", one, "10.99.0.100:9003", "4", "x"); len(got) != 1 {
		s.Errorf("the datagrams of one socket went to %v", got)
	}
	neighbours := func(port string) bool { // whether both clients are served by one
		a, b := s.asked("tcp", one, "10.99.0.100:"+port, "3"), s.asked("tcp", two, "10.99.0.100:"+port, "3")
		if len(a) != 1 || len(b) != 1 {
			s.Errorf("persistent clients of port %s were served by %v and %v", port, a, b)
		}
		return maps.Equal(a, b)
	}
	if !neighbours("9004") {
		s.Error("clients of one network were served by two")
	}
	if neighbours("9005") {
		s.Error("clients of one network were served by one, although each counts for itself")
	}
	call := func(id string) []string {
		return s.names("udp", one, "10.99.0.100:9006", "1", "INVITE sip:x@example.org SIP/2.0\r\nCall-ID: "+id+"\r\n\r\n")
	}
	if a, b, again := call("a@one"), call("b@one"), call("a@one"); !slices.Equal(a, again) || slices.Equal(a, b) {
		s.Errorf("calls a, b and a again were taken by %v, %v, %v", a, b, again)
	}
	for _, tunnel := range []struct{ port, device string }{{"9007", "tunl0"}, {"9008", "tunl0"}, {"9009", "gre0"}} {
		before := s.received("web1", tunnel.device)
		s.who(map[string]int{"web1": 2}, "the tunnel of port "+tunnel.port, "tcp", one, "10.99.0.100:"+tunnel.port, "2")
		if s.received("web1", tunnel.device) == before {
			s.Errorf("nothing of port %s came through %s", tunnel.port, tunnel.device)
		}
	}
	s.who(map[string]int{"web1": 2, "web2": 2}, "SCTP", "sctp", one, "10.99.0.100:9010", "4")
	s.who(map[string]int{"dir1": 2}, "the director itself", "tcp", one, "10.99.0.100:9011", "2")

	if got := s.timeouts(); got != "905 125 3" {
		s.Errorf("timeouts %s", got)
	}
	s.eventually("the flow of datagrams is forgotten after its three seconds", func() bool {
		return !strings.Contains(s.in("dir1", "ipvsadm", "-Lnc"), "10.99.0.100:9003")
	})
	s.does(0, "dir1", "t", "stop", traffic)
	if got := s.timeouts(); got != former {
		s.Errorf("timeouts %s after the director, were %s", got, former)
	}
	s.isTable("dir1")
}

// answering has a machine tell its name at ports until the kernel ends.
func (s bench) answering(space, first, last string, sctp ...string) {
	s.Helper()
	argv := append([]string{"ip", "netns", "exec", space, s.program, "answer", space, first, last}, sctp...)
	_, err := s.node.Spawn(s.Context(), space+".answer.log", argv...)
	s.must(err)
	s.listens(space, last)
}

// names are who answered the client, in order.
func (s bench) names(words ...string) []string {
	s.Helper()
	return strings.Fields(s.in("client", append([]string{s.program, "ask"}, words...)...))
}

// asked counts who answered the client.
func (s bench) asked(words ...string) map[string]int {
	s.Helper()
	counts := map[string]int{}
	for _, name := range s.names(words...) {
		counts[name]++
	}
	return counts
}

func (s bench) who(want map[string]int, what string, words ...string) {
	s.Helper()
	if got := s.asked(words...); !maps.Equal(got, want) {
		s.Errorf("%s: answers of %v, want %v", what, got, want)
	}
}

// received is how many packets a device has got.
func (s bench) received(space, device string) int {
	s.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(s.in(space, "cat", "/sys/class/net/"+device+"/statistics/rx_packets")))
	s.must(err)
	return n
}

// timeouts are the kernel's: of TCP, of TCP after FIN, of UDP.
func (s bench) timeouts() string {
	s.Helper()
	_, seconds, _ := strings.Cut(s.in("dir1", "ipvsadm", "-L", "--timeout"), ": ")
	return strings.TrimSpace(seconds)
}
