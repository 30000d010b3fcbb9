package lvstools

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"systole/crm/lvs/doctor"
	"systole/integration/lab"
)

const vip = "10.99.0.100"

// clinic is a site in namespaces of one kernel: a client, a director and two
// web nodes on one network.
type clinic struct {
	*testing.T
	n                       *lab.Node
	client, dir, web1, web2 *lab.Space
	mode                    string
	tables                  []doctor.Facts // the answers of the first round, while the tables stay
}

// newClinic makes the network and the web servers. Our programs are in /run/ours.
func newClinic(t *testing.T, l *lab.Lab, n *lab.Node) *clinic {
	crm, err := l.Put(l.Bin() + "/crm")
	must(t, err)
	shell(t, n, "mkdir -p /run/ours; for p in crm ipvsadm realserver httpd; do ln -sf "+crm+" /run/ours/$p; done; modprobe -a ip_vs ip_vs_rr veth")
	spaces, err := n.Spaces(t.Context(), "client", "dir", "web1", "web2")
	must(t, err)
	c := &clinic{T: t, n: n, client: spaces[0], dir: spaces[1], web1: spaces[2], web2: spaces[3]}
	for _, web := range c.webs() {
		c.in(web, "ip route add default via "+c.client.Addr+" advmss 1440")
		c.serve(web, "0.0.0.0")
	}
	c.in(c.dir, "ip addr add "+vip+"/24 dev eth0; ip addr add 10.99.0.9/24 dev eth0")
	return c
}

func (c *clinic) webs() []*lab.Space { return []*lab.Space{c.web1, c.web2} }

// in runs a line of shell inside a namespace, with our programs first.
func (c *clinic) in(s *lab.Space, script string) string {
	c.Helper()
	out, err := s.Run(c.Context(), "sh", "-c", "PATH=/run/ours:$PATH\nset -e\n"+script)
	if err != nil {
		c.Fatalf("%s: %s: %v", s.Name, script, err)
	}
	return out
}

// agent runs one of our agents as a script.
func (c *clinic) agent(s *lab.Space, agent, action string, params ...string) {
	c.Helper()
	env := "HA_RSCTMP=/run/rsc-" + s.Name + " OCF_RESOURCE_INSTANCE=" + agent + "-" + s.Name
	for _, p := range params {
		env += " OCF_RESKEY_" + p
	}
	c.in(s, "env "+env+" /run/ours/"+agent+" "+action)
}

func (c *clinic) serve(web *lab.Space, ip string) {
	c.Helper()
	c.agent(web, "httpd", "start", "ip="+ip, "port=80")
}

// forward makes the site one of a mode: real servers and the director's table.
func (c *clinic) forward(mode, option string) {
	c.Helper()
	c.mode, c.tables = mode, nil
	for _, web := range c.webs() {
		c.realserver(web, "start")
	}
	c.in(c.dir, "ipvsadm -C; ipvsadm -A -t "+vip+":80 -s rr; sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.eth0.send_redirects=0")
	for _, web := range c.webs() {
		c.in(c.dir, "ipvsadm -a -t "+vip+":80 -r "+web.Addr+":80 "+option)
	}
}

func (c *clinic) realserver(web *lab.Space, action string) {
	c.Helper()
	params := []string{"mode=" + c.mode, "drain_timeout=0", "vip=" + vip}
	if c.mode == "nat" {
		params = append(params, "gateway=10.99.0.9", "ports=80")
	}
	c.agent(web, "realserver", action, params...)
}

// answers says how many of four requests of the client were answered.
func (c *clinic) answers() string {
	c.Helper()
	return strings.TrimSpace(c.in(c.client, "n=0; for i in 1 2 3 4; do if curl -s -o /dev/null -m 2 http://"+vip+"/; then n=$((n+1)); fi; done; echo $n"))
}

// findings are what the doctor says, as "node: fault".
func (c *clinic) findings() []string {
	c.Helper()
	spaces := map[string]*lab.Space{"client": c.client, "dir": c.dir, "web1": c.web1, "web2": c.web2}
	ask := func(ctx context.Context, q doctor.Questions) (all []doctor.Facts, err error) {
		if len(q.Toward) == 0 {
			if c.tables != nil {
				return c.tables, nil
			}
			defer func() { c.tables = all }()
		}
		questions, err := json.Marshal(q)
		if err != nil {
			return nil, err
		}
		file, err := c.n.Write("questions", string(questions), 0o644)
		if err != nil {
			return nil, err
		}
		return doctor.Together(ctx, []string{"client", "dir", "web1", "web2"}, q, func(ctx context.Context, node string, _ doctor.Questions) (f doctor.Facts, err error) {
			out, err := spaces[node].Run(ctx, "/run/ours/crm", "lvs", "doctor", "--local", "--questions", file)
			if err != nil {
				return f, err
			}
			return f, json.Unmarshal([]byte(out), &f)
		}), nil
	}
	all, err := doctor.Examine(c.Context(), ask, []string{"dir"})
	must(c.T, err)
	var got []string
	for _, f := range all {
		got = append(got, fmt.Sprintf("%s: %s", f.Node, f.Fault))
	}
	if len(all) > 0 {
		c.Logf("the doctor says:\n%s", doctor.Text(all))
	}
	return got
}

// well requires that the site serves and nothing is found.
func (c *clinic) well(when string) {
	c.Helper()
	if got := c.answers(); got != "4" {
		c.Errorf("%s: %s of 4 requests were answered", when, got)
	}
	if got := c.findings(); len(got) != 0 {
		c.Errorf("%s: found %q", when, got)
	}
}

// ill breaks something, requires what is to be found, and mends it.
func (c *clinic) ill(what string, s *lab.Space, harm, mend string, want ...string) {
	c.Helper()
	c.in(s, harm)
	if got := c.findings(); !slices.Equal(got, want) {
		c.Errorf("%s: found %q, want %q", what, got, want)
	}
	c.in(s, mend)
}

// theDoctor breaks a site of each mode on purpose.
func theDoctor(t *testing.T, l *lab.Lab, n *lab.Node) {
	c := newClinic(t, l, n)

	c.forward("dr", "-g")
	c.well("direct routing")
	c.ill("the address on a card", c.web1, "ip addr add "+vip+"/32 dev eth0", "ip addr del "+vip+"/32 dev eth0", "web1: answers-arp")
	c.ill("no address", c.web2, "ip addr del "+vip+"/32 dev lo", "ip addr add "+vip+"/32 dev lo", "web2: vip-missing")
	c.ill("arp_ignore", c.web1, "sysctl -q -w net.ipv4.conf.all.arp_ignore=0", "sysctl -q -w net.ipv4.conf.all.arp_ignore=1", "web1: answers-arp", "web1: arp-settings")
	c.ill("arp_announce", c.web1, "sysctl -q -w net.ipv4.conf.all.arp_announce=0", "sysctl -q -w net.ipv4.conf.all.arp_announce=2", "web1: arp-settings")
	// The health check of the real address passes, and nobody listens on the virtual one.
	c.agent(c.web1, "httpd", "stop", "ip=0.0.0.0", "port=80")
	c.serve(c.web1, c.web1.Addr)
	if got := c.findings(); !slices.Equal(got, []string{"dir: path-dead"}) {
		c.Errorf("a server that does not listen on the virtual address: found %q", got)
	}
	c.agent(c.web1, "httpd", "stop", "ip="+c.web1.Addr, "port=80")
	c.serve(c.web1, "0.0.0.0")
	c.well("direct routing, mended")
	for _, web := range c.webs() {
		c.realserver(web, "stop")
	}

	c.forward("nat", "-m")
	c.well("masquerading on one network")
	c.ill("ip_forward", c.dir, "sysctl -q -w net.ipv4.ip_forward=0", "sysctl -q -w net.ipv4.ip_forward=1", "dir: ip-forward")
	c.realserver(c.web2, "stop")
	if got := c.findings(); !slices.Equal(got, []string{"web2: nat-gateway"}) {
		c.Errorf("another gateway: found %q", got)
	}
	c.realserver(c.web1, "stop")

	// Without its module nothing takes what comes through a tunnel.
	c.mode, c.tables = "tun", nil
	shell(t, n, "modprobe -r ipip; true")
	c.in(c.dir, "ipvsadm -C; ipvsadm -A -t "+vip+":80 -s rr; ipvsadm -a -t "+vip+":80 -r "+c.web1.Addr+":80 -i")
	if got := c.findings(); !slices.Contains(got, "web1: module-missing") {
		c.Errorf("no module: found %q", got)
	}
	c.forward("tun", "-i")
	c.well("tunnels")
	c.ill("rp_filter", c.web1, "sysctl -q -w net.ipv4.conf.tunl0.rp_filter=1", "sysctl -q -w net.ipv4.conf.tunl0.rp_filter=2", "web1: rp-filter")
	c.ill("MTU", c.web2, "ip route replace default via "+c.client.Addr, "ip route replace default via "+c.client.Addr+" advmss 1440", "web2: tunnel-mtu")
	c.well("tunnels, mended")
	for _, web := range c.webs() {
		c.realserver(web, "stop")
		if got := strings.TrimSpace(c.in(web, "sysctl -n net.ipv4.conf.all.arp_ignore net.ipv4.conf.tunl0.rp_filter; ip -o addr show to "+vip)); got != "0\n0" {
			c.Errorf("%s after its real server has stopped: %q", web.Name, got)
		}
	}
}
