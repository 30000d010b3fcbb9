package ipvsadm

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"
)

// resolver makes names of numbers and back, with this machine's name service and
// /etc/services. It remembers what it asked for; it belongs to one run.
type resolver struct {
	ctx   context.Context
	names map[netip.Addr]string
	ports map[string]string // "80/tcp": "http"
}

// resolveWait bounds one question to the name service.
const resolveWait = 3 * time.Second

func (r *resolver) host(name string) (netip.Addr, error) {
	ctx, cancel := context.WithTimeout(r.ctx, resolveWait)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		if a.Unmap().Is4() {
			return a.Unmap(), nil
		}
	}
	return addrs[0], nil // never empty without an error
}

func (r *resolver) port(protocol, name string) (uint16, error) {
	n, err := net.DefaultResolver.LookupPort(r.ctx, strings.Replace(protocol, "sctp", "tcp", 1), name)
	if err != nil {
		return 0, fmt.Errorf("%q is neither a port nor a service of /etc/services", name)
	}
	return uint16(n), nil
}

// name is the naming of listings without -n.
func (r *resolver) name(protocol string, end netip.AddrPort) string {
	host := r.hostName(end.Addr())
	port := strconv.Itoa(int(end.Port()))
	if r.ports == nil {
		r.ports = readServices("/etc/services")
	}
	if known := r.ports[port+"/"+protocol]; known != "" {
		port = known
	}
	return host + ":" + port
}

func (r *resolver) hostName(a netip.Addr) string {
	if name, ok := r.names[a]; ok {
		return name
	}
	ctx, cancel := context.WithTimeout(r.ctx, resolveWait)
	defer cancel()
	name := a.String()
	if a.Is6() {
		name = "[" + name + "]"
	}
	if found, err := net.DefaultResolver.LookupAddr(ctx, a.String()); err == nil && len(found) > 0 {
		name = strings.TrimSuffix(found[0], ".")
		if a.Is6() {
			name = "[" + name + "]"
		}
	}
	if r.names == nil {
		r.names = map[netip.Addr]string{}
	}
	r.names[a] = name
	return name
}

// readServices reads lines "http 80/tcp www"; a file that is not there has none.
func readServices(path string) map[string]string {
	ports := map[string]string{}
	f, err := os.Open(path)
	if err != nil {
		return ports
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		text, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(text)
		if len(words) >= 2 && ports[words[1]] == "" {
			ports[words[1]] = words[0]
		}
	}
	return ports
}
