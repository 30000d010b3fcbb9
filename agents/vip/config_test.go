package vip

import (
	"net/netip"
	"strings"
	"testing"
)

func TestReadNamesEveryProblem(t *testing.T) {
	for name, value := range map[string]string{
		"ip": "10.0.0", "nic": "a/b", "cidr_netmask": "33", "broadcast": "all", "iflabel": "much-too-long-for-it", "duplicate_check": "maybe",
		"preferred_lft": "long", "arp_count": "x", "lvs_support": "perhaps", "mac": "02:00:00:00:00:01", "network_namespace": "blue",
	} {
		params := map[string]string{"ip": "10.0.0.1", name: value}
		if _, err := read(params); err == nil || !strings.Contains(err.Error(), "parameter "+name) {
			t.Errorf("%s=%s: error %v", name, value, err)
		}
	}
	if _, err := read(nil); err == nil {
		t.Error("no ip is no error")
	}
	c, err := read(map[string]string{"ip": "10.0.0.1", "cidr_netmask": "255.255.254.0", "unique_clone_address": "false"})
	if err != nil || c.bits != 23 {
		t.Errorf("prefix length %d, %v", c.bits, err)
	}
}

func TestBroadcast(t *testing.T) {
	for prefix, want := range map[string]string{
		"192.0.2.100/24": "192.0.2.255", "10.1.2.3/8": "10.255.255.255", "192.0.2.1/30": "192.0.2.3", "192.0.2.1/32": "invalid IP", "2001:db8::1/64": "invalid IP",
	} {
		if got := lastOf(netip.MustParsePrefix(prefix)).String(); got != want {
			t.Errorf("broadcast of %s is %s, want %s", prefix, got, want)
		}
	}
}
