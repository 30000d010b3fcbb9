package lvs

import (
	"fmt"
	"maps"
	"net"
	"os/exec"
	"strings"
	"time"

	"systole/integration/lab"
	"systole/integration/netlab"
)

// url is a page of the site.
func url(host, port, path string) string { return "http://" + net.JoinHostPort(host, port) + path }

// shared asks one request after the other and wants the servers' shares to be exact.
// On a busy machine a check may fail meanwhile, and take its server out for a while.
func (s site) shared(url string, web1, web2 int) {
	s.Helper()
	want := map[string]int{"web-1": web1, "web-2": web2}
	maps.DeleteFunc(want, func(_ string, n int) bool { return n == 0 })
	var all []request
	for range 5 {
		s.eventually("the servers are in the table", func() bool {
			return (web1 == 0 || s.weight("web-1") > 0) && (web2 == 0 || s.weight("web-2") > 0)
		})
		if all = oneByOne(s.Context(), url, web1+web2); maps.Equal(shares(all), want) {
			return
		}
		for _, n := range s.directors {
			s.Logf("%s: shares %v; %s", n.Name, shares(all), s.sh(n, "ipvsadm -Ln"))
		}
		time.Sleep(time.Second) // what the directors say is half a second old
	}
	s.Errorf("shares of %s: %v, want %v; failed: %v", url, shares(all), want, failed(all))
}

// balanced: equal shares, then weighted ones, as the weight of a node says.
func (s site) balanced(example, host string) {
	s.Helper()
	page := url(host, "80", "/")
	s.whole()
	s.shared(page, 10, 10)
	on := s.webs[0]
	s.sh(on, "crm lvs weight web-1 3")
	s.eventually("the weight is in the table", func() bool { return s.weight("web-1") == 3 })
	s.shared(page, 15, 5)
	s.sh(on, "crm lvs weight web-1 -")
	s.eventually("the weight is the configured one", func() bool { return s.weight("web-1") == 1 })
	s.table.add(example, "equal shares 10:10, weighted 3:1 15:5, exact")
}

// weight is a node's in the active director's table, -1 if it has none.
func (s site) weight(node string) int {
	for _, n := range s.directors {
		st, err := s.status(n)
		if err != nil || st.Role != "active" {
			continue
		}
		for _, v := range st.Services {
			for _, r := range v.Servers {
				if r.Node == node && r.InTable {
					return r.Weight
				}
			}
		}
	}
	return -1
}

// moved hands the site to the other director and back to nobody: it serves there too.
func (s site) moved(host string) {
	s.Helper()
	s.warm()
	old := s.promoted()
	load := generate(url(host, "80", "/"), 20*time.Millisecond, 5*time.Second)
	since := time.Now()
	s.sh(s.webs[0], "crm -w node standby "+old.Name)
	s.eventually("the other director serves", func() bool { return load.goodSince(since.Add(time.Second)) > 50 })
	s.sh(s.webs[0], "crm -w node online "+old.Name)
	all := load.end()
	if bad := failed(all); len(bad) > 0 {
		s.Errorf("%d of %d requests failed when the director was changed by hand; first: %v", len(bad), len(all), bad[0].err)
	}
	if now := s.promoted(); now == old {
		s.Errorf("%s is the active director still", old.Name)
	}
	s.table.add("  the other director by hand: failed / requests, outage", "%d / %d, %v", len(failed(all)), len(all), outage(all, since).Round(10*time.Millisecond))
}

// translated: NAT. The gateway of the answers moves with the address.
func translated(s site) {
	s.balanced(exampleOf(s), vip)
	s.moved(vip)
}

func tunnelled(s site) {
	s.balanced(exampleOf(s), vip)
	s.moved(vip)
}

// sixth: direct routing over IPv6; nobody but a director answers for the address.
func sixth(s site) {
	s.balanced(exampleOf(s), vip6)
	s.neighbour()
	s.moved(vip6)
	s.neighbour()
}

// neighbour checks whom the client takes for the IPv6 address.
func (s site) neighbour() {
	s.Helper()
	out, err := exec.Command("ip", "-6", "neigh", "show", vip6, "dev", netlab.Bridge).CombinedOutput()
	s.must(err)
	for _, n := range s.directors {
		if strings.Contains(string(out), s.Lab.LAN.MAC(n).String()) {
			return
		}
	}
	s.Errorf("the client takes %s for no director: %s", vip6, out)
}

// exampleOf is the name of the example that runs.
func exampleOf(s site) string {
	_, name, _ := strings.Cut(s.Name(), "/")
	return name
}

// siteServices is the configuration of conf/examples/lvs-dr; more adds to it.
const siteServices = `virtual tcp 10.77.0.100:80 scheduler=wrr forward=dr %s; check http path=/ interval=1s timeout=1s; real 10.77.0.13:80 node=web-1; real 10.77.0.14:80 node=web-2`

// kinds: persistence, UDP, and services made of a firewall mark.
func kinds(s site) {
	for _, n := range s.webs {
		_, err := n.Spawn(s.Context(), "udp.log", "/bin/sh", "-c", program("udp 5300 "+n.Name))
		s.must(err)
	}
	for _, n := range s.directors { // what marks packets is the administrator's, tc as good as a firewall
		s.sh(n, `tc qdisc add dev eth0 ingress && for port in 82 83; do
			tc filter add dev eth0 ingress protocol ip flower ip_proto tcp dst_ip 10.77.0.100 dst_port $port action skbedit mark 7; done`)
	}
	s.services(fmt.Sprintf(siteServices, "") + `;
		virtual tcp 10.77.0.100:81 scheduler=rr forward=dr persistent=60; check tcp interval=1s; real 10.77.0.13:81; real 10.77.0.14:81;
		virtual udp 10.77.0.100:5300 scheduler=rr forward=dr; check none; real 10.77.0.13:5300; real 10.77.0.14:5300;
		virtual fwmark 7 scheduler=rr forward=dr; check none; real 10.77.0.13; real 10.77.0.14`)
	s.ready()
	if got := shares(oneByOne(s.Context(), url(vip, "81", "/"), 10)); len(got) != 1 || got["web-1"]+got["web-2"] != 10 {
		s.Errorf("a persistent client was served by %v", got)
	}
	udp := map[string]int{}
	for range 20 {
		udp[s.datagram("5300")]++
	}
	if udp["web-1"] != 10 || udp["web-2"] != 10 {
		s.Errorf("shares of UDP: %v", udp)
	}
	var marked []request
	for range 5 { // one service, so the two ports take turns
		marked = append(marked, oneByOne(s.Context(), url(vip, "82", "/"), 1)...)
		marked = append(marked, oneByOne(s.Context(), url(vip, "83", "/"), 1)...)
	}
	for i, r := range marked {
		if r.err != nil || r.from != marked[i%2].from {
			s.Errorf("request %d by mark: from %q, %v", i, r.from, r.err)
		}
	}
	if marked[0].from == marked[1].from {
		s.Errorf("ports 82 and 83 are not one service: %v", shares(marked))
	}
	s.services(fmt.Sprintf(siteServices, ""))
	s.eventually("the services have gone", func() bool { return strings.Count(s.sh(s.active(), "ipvsadm -Sn"), "-A ") == 1 })
	for _, n := range s.directors {
		s.sh(n, "tc qdisc del dev eth0 ingress")
	}
	s.table.add("lvs-dr: persistence, UDP, firewall mark", "10 of 10 by one server, 10:10, two ports in turns")
}

// datagram asks by UDP and says who answered.
func (s site) datagram(port string) string {
	conn, err := net.Dial("udp4", net.JoinHostPort(vip, port))
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := conn.Write([]byte("who?")); err != nil {
		return err.Error()
	}
	b := make([]byte, 64)
	n, err := conn.Read(b)
	if err != nil {
		return err.Error()
	}
	return string(b[:n])
}

// alike: what crm lvs list and the ipvsadm personality print is one and the same;
// that it is Debian's too is the suite lvstools.
func alike(s site, n *lab.Node) {
	if ours, theirs := s.sh(n, "crm lvs list -n"), s.sh(n, "/lab/bin/ipvsadm -L -n"); withoutNumbers(ours) != withoutNumbers(theirs) {
		s.Errorf("crm lvs list -n:\n%s\nipvsadm -L -n:\n%s", ours, theirs)
	}
}

// withoutNumbers drops the connections, which come and go.
func withoutNumbers(list string) string {
	var b strings.Builder
	for _, line := range strings.Split(list, "\n") {
		f := strings.Fields(line)
		fmt.Fprintln(&b, strings.Join(f[:min(len(f), 4)], " "))
	}
	return b.String()
}
