package realserver

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadNamesEveryProblem(t *testing.T) {
	for name, value := range map[string]string{
		"vip": "10.0.0.1/32", "mode": "fullnat", "nic": "a/b", "gateway": "10.0.0.1", "ports": "http", "drain_timeout": "long",
	} {
		params := map[string]string{"vip": "192.0.2.1", name: value}
		if _, err := read(params); err == nil || !strings.Contains(err.Error(), "parameter "+name) {
			t.Errorf("%s=%s: error %v", name, value, err)
		}
	}
	for _, vip := range []string{"", "127.0.0.1", "0.0.0.0", "224.0.0.1", "fe80::1%eth0"} {
		if c, err := read(map[string]string{"vip": vip}); err == nil {
			t.Errorf("vip=%q was read as %v", vip, c.vips)
		}
	}
	if c, err := read(map[string]string{"mode": "nat", "gateway": "10.0.0.1", "ports": "80, 443"}); err != nil || len(c.ports) != 2 {
		t.Errorf("a real server behind masquerading: %+v, %v", c, err)
	}
}

// What is set and where, by mode.
func TestNeeds(t *testing.T) {
	quiet := func(device string) map[string]string {
		return map[string]string{
			"net/ipv4/conf/all/arp_ignore": "1", "net/ipv4/conf/all/arp_announce": "2",
			"net/ipv4/conf/" + device + "/arp_ignore": "1", "net/ipv4/conf/" + device + "/arp_announce": "2",
		}
	}
	tun := quiet("tunl0")
	tun["net/ipv4/conf/tunl0/rp_filter"] = "2"
	for params, want := range map[string]map[string]string{
		"vip=192.0.2.1":                        quiet("lo"),
		"vip=192.0.2.1 192.0.2.2 2001:db8::1":  quiet("lo"),
		"vip=192.0.2.1,nic=eth0.7":             quiet("eth0/7"),
		"vip=2001:db8::1":                      {},
		"vip=192.0.2.1 2001:db8::1,mode=tun":   tun,
		"vip=192.0.2.1,mode=nat":               {},
		"vip=,mode=nat,gateway=10.0.0.1":       {"net/ipv4/conf/all/accept_redirects": "0", "net/ipv4/conf/eth1/accept_redirects": "0"},
		"vip=,mode=nat,gateway=2001:db8::ffff": {"net/ipv6/conf/eth1/accept_redirects": "0"},
	} {
		c, err := read(parameters(params))
		if err != nil {
			t.Errorf("%s: %v", params, err)
			continue
		}
		got := map[string]string{}
		for _, n := range c.needs("eth1") {
			got[n.key] = n.will[0]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", params, diff)
		}
	}
}

// parameters reads "a=b,c=d e".
func parameters(s string) map[string]string {
	params := map[string]string{}
	for _, pair := range strings.Split(s, ",") {
		k, v, _ := strings.Cut(pair, "=")
		params[k] = v
	}
	return params
}

func FuzzRead(f *testing.F) {
	f.Add("192.0.2.1 2001:db8::1", "dr", "lo", "", "80 443", "30s")
	f.Add("", "nat", "", "10.0.0.1", "80,443", "0")
	f.Add("::ffff:192.0.2.1", "tun", "", "", "", "1ms")
	f.Fuzz(func(t *testing.T, vip, mode, nic, gateway, ports, drain string) {
		c, err := read(map[string]string{"vip": vip, "mode": mode, "nic": nic, "gateway": gateway, "ports": ports, "drain_timeout": drain})
		if err != nil {
			return
		}
		for _, ip := range c.vips {
			if !ip.IsValid() || ip.Is4In6() || ip.IsLoopback() {
				t.Errorf("vip %v of %q", ip, vip)
			}
		}
		for _, n := range c.needs("eth0") {
			if !strings.HasPrefix(n.key, "net/ipv") || strings.Contains(n.key, "..") || len(n.will) == 0 {
				t.Errorf("setting %+v", n)
			}
		}
	})
}
