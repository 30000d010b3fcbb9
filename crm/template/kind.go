package template

import (
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"systole/agents/ipvs/table"
	"systole/crm/cluster"
)

// kind says what a value is and reads it.
type kind struct {
	what  string
	parse func(string) (value, error)
}

// value is what a variable stands for.
type value struct {
	text string // in its usual spelling
	// parts are what forms may name besides the whole.
	parts map[string]string
	// fields of each node of a list: its name, its address, its management board.
	nodes [][]string
	// addresses no other machine may have; the first of each node is where it is reached.
	addresses []netip.Addr
	network   netip.Prefix
}

// maxNodes bounds a list: the members of a cluster as the project tests it.
const maxNodes = 64

var (
	ipv4 = kind{"an IPv4 address", func(s string) (value, error) { return parseAddress(s, netip.Addr.Is4) }}
	ipv6 = kind{"an IPv6 address", func(s string) (value, error) { return parseAddress(s, netip.Addr.Is6) }}

	// network4 has the parts base, bits (24) and mask (255.255.255.0).
	network4 = kind{"an IPv4 network, ADDRESS/BITS", parseNetwork}

	port = kind{"a port", func(s string) (value, error) {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return value{}, fmt.Errorf("%q is no port: write 1 to 65535", s)
		}
		return value{text: strconv.FormatUint(n, 10)}, nil
	}}
	count = kind{"a number", func(s string) (value, error) {
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil || n == 0 {
			return value{}, fmt.Errorf("%q is no number of that kind: write 1 to 65535", s)
		}
		return value{text: strconv.FormatUint(n, 10)}, nil
	}}
	scheduler = kind{"a scheduler of IPVS", func(s string) (value, error) {
		k, err := table.ParseScheduler(s)
		return value{text: string(k)}, err
	}}
	file = kind{"an absolute path", func(s string) (value, error) {
		if !pathPattern.MatchString(s) || path.Clean(s) != s {
			return value{}, fmt.Errorf("%q is no absolute path of letters, digits and ._+-: write one such as /srv/site", s)
		}
		return value{text: s}, nil
	}}
	pathPattern = regexp.MustCompile(`^(/[A-Za-z0-9._+-]+)+$`)

	device  = matching("a network device", `^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$`, "eth0")
	user    = matching("a user", `^[A-Za-z_][A-Za-z0-9_-]{0,31}$`, "www-data")
	size    = matching("a size with its unit", `^[1-9][0-9]{0,5}[KMG]$`, "512M")
	title   = matching("a title", `^[\p{L}\p{N}][\p{L}\p{N} .,:!?-]{0,79}$`, "Our site")
	mail    = matching("a mail address", `^[A-Za-z0-9][A-Za-z0-9._+-]*@[A-Za-z0-9.-]+$`, "admin@example.org")
	webPath = matching("a path of a URL", `^/[A-Za-z0-9._~/+-]*$`, "/health")
	webSite = matching("a URL without a slash at the end", `^https?://[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~+-]+)*$`, "https://www.example.org")
)

// matching is a kind that a pattern says everything about. It is compiled when it is
// asked: every tool starts with this package in it.
func matching(what, pattern, example string) kind {
	re := sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
	return kind{what, func(s string) (value, error) {
		if !re().MatchString(s) {
			return value{}, fmt.Errorf("%q is not %s: write one such as %s", s, what, example)
		}
		return value{text: s}, nil
	}}
}

func parseAddress(s string, family func(netip.Addr) bool) (value, error) {
	a, err := netip.ParseAddr(s)
	switch {
	case err != nil || a.Zone() != "" || a.Is4In6():
		return value{}, fmt.Errorf("%q is no address", s)
	case !family(a):
		return value{}, fmt.Errorf("%s is of the other address family: this template has one only", a)
	case !a.IsGlobalUnicast():
		return value{}, fmt.Errorf("%s cannot be a machine's address in a network", a)
	}
	return value{text: a.String(), addresses: []netip.Addr{a}}, nil
}

func parseNetwork(s string) (value, error) {
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil || !p.Addr().Is4():
		return value{}, fmt.Errorf("%q is no IPv4 network: write one such as 192.0.2.0/24", s)
	case p != p.Masked():
		return value{}, fmt.Errorf("%s is an address in a network: the network is %s", p, p.Masked())
	case p.Bits() < 8 || p.Bits() > 30:
		return value{}, fmt.Errorf("a network of /%d holds no site: write /8 to /30", p.Bits())
	}
	mask := ^uint32(0) << (32 - p.Bits())
	return value{text: p.String(), network: p, parts: map[string]string{
		"base": p.Addr().String(), "bits": strconv.Itoa(p.Bits()),
		"mask": fmt.Sprintf("%d.%d.%d.%d", mask>>24, mask>>16&255, mask>>8&255, mask&255),
	}}, nil
}

// nodes is a list of machines by commas, each NODE, NODE/ADDRESS or
// NODE/ADDRESS/BOARD; exactly so many, or any number for 0.
func nodes(many int, shape string, address kind) kind {
	what := "nodes, each " + shape + ", with commas between"
	if many > 0 {
		what = strconv.Itoa(many) + " " + what
	}
	fields := strings.Split(shape, "/")
	return kind{what, func(s string) (value, error) {
		list := strings.Split(s, ",")
		if many != 0 && len(list) != many || len(list) > maxNodes {
			return value{}, fmt.Errorf("%q has %d: write %s", s, len(list), what)
		}
		var v value
		for i, item := range list {
			list[i] = strings.TrimSpace(item)
			node := strings.Split(list[i], "/")
			if len(node) != len(fields) {
				return value{}, fmt.Errorf("%q is not %s", list[i], shape)
			}
			if err := cluster.CheckName(node[0]); err != nil {
				return value{}, err
			}
			for j := range node[1:] {
				a, err := address.parse(node[1+j])
				if err != nil {
					return value{}, fmt.Errorf("%s: %w", node[0], err)
				}
				node[1+j] = a.text
				v.addresses = append(v.addresses, a.addresses...)
			}
			v.nodes = append(v.nodes, node)
		}
		v.text = strings.Join(list, ",")
		return v, nil
	}}
}
