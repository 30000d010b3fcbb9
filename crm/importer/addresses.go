package importer

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ports are the services that director configurations name instead of numbers
// (/etc/services says the same everywhere).
var ports = map[string]uint16{
	"ftp": 21, "ssh": 22, "telnet": 23, "smtp": 25, "domain": 53, "dns": 53, "tftp": 69, "http": 80, "www": 80, "pop3": 110, "nntp": 119, "ntp": 123,
	"imap2": 143, "imap": 143, "snmp": 161, "ldap": 389, "https": 443, "submissions": 465, "submission": 587, "ldaps": 636, "ftps": 990,
	"imaps": 993, "pop3s": 995, "ms-sql-s": 1433, "oracle": 1521, "radius": 1812, "nfs": 2049, "squid": 3128, "mysql": 3306, "rdp": 3389,
	"ms-wbt-server": 3389, "postgresql": 5432, "sip": 5060, "http-alt": 8080, "webcache": 8080,
}

// Port reads a port's number or well-known name.
func Port(s string) (uint16, error) {
	if n, ok := ports[s]; ok {
		return n, nil
	}
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a port nor the name of a well-known service: write its number", s)
	}
	return uint16(n), nil
}

// Addr reads an address, in brackets or not. Names cannot be looked up here.
func Addr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil || a.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q is not an address: names are not looked up, write the address", s)
	}
	return a.Unmap(), nil
}

// AddrPort reads ADDRESS[:PORT] with an IPv6 address in brackets; has says
// whether there was a port.
func AddrPort(s string) (ap netip.AddrPort, has bool, err error) {
	host, port := s, ""
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") && (strings.HasPrefix(s, "[") || strings.Count(s, ":") == 1) {
		host, port, has = s[:i], s[i+1:], true
	}
	a, err := Addr(host)
	if err != nil {
		return ap, has, err
	}
	var n uint16
	if has {
		n, err = Port(port)
	}
	return netip.AddrPortFrom(a, n), has, err
}
