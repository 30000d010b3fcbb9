// Package ipvsadm imports a table that ipvsadm -S has saved, or any list of
// ipvsadm's commands (1.31), one to a line: what they leave in an empty kernel
// becomes one IPVS director. Its servers are checked as little as before.
package ipvsadm

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"systole/crm/importer"
)

// Import translates a file.
func Import(f importer.File) importer.Result {
	t := &translator{report: &importer.Report{}}
	f = t.report.Add(f)
	for i, text := range f.Lines() {
		at := importer.Place{File: f.Name, Line: i + 1}
		words := strings.Fields(text)
		if len(words) > 0 && strings.HasSuffix(words[0], "ipvsadm") {
			words = words[1:]
		}
		if len(words) == 0 || words[0][0] == '#' {
			t.report.Comment(at)
			continue
		}
		t.line(at, words)
	}
	r := importer.Result{Report: t.report}
	d := importer.Director{Timeouts: t.timeouts, Sync: t.sync}
	for _, s := range t.services {
		d.Services = append(d.Services, s.text())
	}
	d.Sound(t.report)
	for _, s := range d.Services {
		t.report.Changed(s.At, "its servers are not checked, as before: add a check line to each, such as check tcp")
	}
	if len(d.Services) > 0 {
		d.Define(&r.Config, "director")
	}
	r.Config.Define(importer.Object{Kind: "property", ID: "cib-bootstrap-options", Words: []string{"stonith-enabled=false"}})
	t.report.Settle()
	return r
}

// service is a virtual service as the commands so far have left it.
type service struct {
	at      importer.Place
	key     string
	addr    netip.AddrPort
	options []string
	servers []server
}

type server struct {
	at      importer.Place
	addr    netip.AddrPort
	options []string
}

func (s *service) text() importer.Service {
	lines := []string{strings.Join(append([]string{"virtual " + s.key}, append(s.options, "panic=off")...), " ")}
	var parts []importer.Place
	for _, r := range s.servers {
		parts = append(parts, r.at)
		lines = append(lines, strings.Join(append([]string{"real " + r.addr.String()}, r.options...), " "), "check none")
	}
	return importer.Service{At: s.at, Parts: parts, Addr: s.addr.Addr(), Lines: lines}
}

type translator struct {
	report   *importer.Report
	services []*service
	timeouts importer.Line
	sync     importer.Sync
}

// command is one line, its options by their long names.
type command struct {
	verb string
	args []string // of --set and the daemons
	opt  map[string]string
}

// parse reads a command line.
func parse(words []string) (command, error) {
	c := command{opt: map[string]string{}}
	for len(words) > 0 {
		word, value, attached := cutValue(words[0])
		words = words[1:]
		o, ok := find(word)
		if !ok {
			return c, fmt.Errorf("%q is no option of ipvsadm", word)
		}
		var values []string
		if attached {
			values = []string{value}
		}
		for len(values) < o.values && len(words) > 0 && (!strings.HasPrefix(words[0], "-") || isNumber(words[0])) {
			values, words = append(values, words[0]), words[1:]
		}
		if len(values) < o.values && o.standard == "" {
			return c, fmt.Errorf("%s wants %d values, not %d", word, o.values, len(values))
		}
		switch {
		case o.verb && c.verb != "":
			return c, fmt.Errorf("two commands in one line, %s and %s", c.verb, o.long)
		case o.verb:
			c.verb, c.args = o.long, values
		default:
			c.opt[o.long] = cmp.Or(strings.Join(values, " "), o.standard)
		}
	}
	if c.verb == "" {
		return c, fmt.Errorf("no command: want -A, -a or the like")
	}
	return c, nil
}

// cutValue takes the value off --option=value.
func cutValue(word string) (option, value string, has bool) {
	if !strings.HasPrefix(word, "--") {
		return word, "", false
	}
	return strings.Cut(word, "=")
}

func isNumber(s string) bool { _, err := strconv.Atoi(s); return err == nil }

// line carries a command out on the services so far.
func (t *translator) line(at importer.Place, words []string) {
	c, err := parse(words)
	if err == nil {
		t.report.Taken(at)
		err = t.do(at, c)
	}
	if err != nil {
		t.report.Unsupported(at, "%v", err)
	}
}

func (t *translator) do(at importer.Place, c command) error {
	switch c.verb {
	case "clear":
		t.services = nil
		return nil
	case "set":
		t.timeouts = importer.Line{Place: at, Text: "timeouts tcp=" + c.args[0] + " tcpfin=" + c.args[1] + " udp=" + c.args[2]}
		return nil
	case "start-daemon":
		return t.daemon(at, c)
	case "zero", "list", "save", "restore", "help", "stop-daemon":
		t.report.Changed(at, "it leaves nothing in a table")
		return nil
	}
	key, addr, err := serviceKey(c)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(t.services, func(s *service) bool { return s.key == key })
	switch {
	case i < 0 && c.verb != "add-service":
		return fmt.Errorf("there is no service %s above", key)
	case i >= 0 && c.verb == "add-service":
		return fmt.Errorf("service %s is added twice; the first one, of %s, is taken", key, t.services[i].at)
	}
	switch c.verb {
	case "add-service":
		t.services = append(t.services, &service{at: at, key: key, addr: addr, options: serviceOptions(c)})
	case "edit-service":
		t.services[i].options = serviceOptions(c)
	case "delete-service":
		t.services = slices.Delete(t.services, i, i+1)
	default:
		return t.services[i].change(at, c)
	}
	return nil
}

func serviceKey(c command) (key string, addr netip.AddrPort, err error) {
	for _, protocol := range []string{"tcp", "udp", "sctp"} {
		if where, ok := c.opt[protocol+"-service"]; ok {
			addr, _, err = importer.AddrPort(where)
			return protocol + " " + addr.String(), addr, err
		}
	}
	mark, ok := c.opt["fwmark-service"]
	if n, err := strconv.ParseUint(mark, 0, 32); !ok || err != nil || n == 0 {
		return "", addr, fmt.Errorf("no service: want -t, -u, --sctp-service or -f")
	}
	key = "fwmark " + mark
	if _, six := c.opt["ipv6"]; six {
		key += " family=ipv6"
	}
	return key, addr, nil
}

// serviceOptions are ipvsadm's in the director's words.
func serviceOptions(c command) []string {
	out := []string{importer.Option("scheduler", cmp.Or(c.opt["scheduler"], "wlc"))}
	for _, o := range []struct{ from, to string }{{"sched-flags", "flags"}, {"persistent", "persistent"}, {"netmask", "netmask"}, {"pe", "engine"}} {
		if v, ok := c.opt[o.from]; ok {
			out = append(out, importer.Option(o.to, v))
		}
	}
	if _, ok := c.opt["ops"]; ok {
		out = append(out, "ops=yes")
	}
	return out
}

// change adds, edits or deletes a server.
func (s *service) change(at importer.Place, c command) error {
	addr, has, err := importer.AddrPort(c.opt["real-server"])
	if err != nil {
		return err
	}
	if !has {
		addr = netip.AddrPortFrom(addr.Addr(), s.addr.Port())
	}
	i := slices.IndexFunc(s.servers, func(r server) bool { return r.addr == addr })
	switch {
	case i < 0 && c.verb != "add-server":
		return fmt.Errorf("%s has no server %s above", s.key, addr)
	case i >= 0 && c.verb == "add-server":
		return fmt.Errorf("server %s of %s is added twice; the first one is taken", addr, s.key)
	}
	switch c.verb {
	case "add-server":
		s.servers = append(s.servers, server{at, addr, serverOptions(c)})
	case "edit-server":
		s.servers[i].options = serverOptions(c)
	case "delete-server":
		s.servers = slices.Delete(s.servers, i, i+1)
	}
	return nil
}

func serverOptions(c command) []string {
	forward := "dr"
	if _, ok := c.opt["masquerading"]; ok {
		forward = "masq"
	}
	if _, ok := c.opt["ipip"]; ok {
		forward = "tun"
	}
	out := []string{"forward=" + forward}
	for _, o := range []struct{ from, to string }{{"weight", "weight"}, {"u-threshold", "upper"}, {"l-threshold", "lower"}, {"tun-type", "tunnel"}, {"tun-port", "tunnel-port"}} {
		if v, ok := c.opt[o.from]; ok && !(o.from == "weight" && v == "1") {
			out = append(out, importer.Option(o.to, v))
		}
	}
	for _, sum := range checksums {
		if _, ok := c.opt[sum]; ok {
			out = append(out, "tunnel-checksum="+strings.TrimPrefix(sum, "tun-"))
		}
	}
	return out
}

// daemon takes a sync daemon over; which of the two runs is the director's affair.
func (t *translator) daemon(at importer.Place, c command) error {
	t.report.Changed(at, "the sync daemons belong to the director: master where it is active, backup elsewhere")
	t.sync.Interface = c.opt["mcast-interface"]
	if t.sync.Interface == "" {
		return fmt.Errorf("the daemon has no --mcast-interface: which one cannot be known here")
	}
	for _, n := range []struct {
		name string
		to   *int
	}{{"syncid", &t.sync.ID}, {"sync-maxlen", &t.sync.MaxLen}} {
		if v, ok := c.opt[n.name]; ok {
			i, err := strconv.Atoi(v)
			if err != nil || i < 0 {
				return fmt.Errorf("--%s: %q is not a number", n.name, v)
			}
			*n.to = i
		}
	}
	if v, ok := c.opt["mcast-group"]; ok {
		group, err := netip.ParseAddr(v)
		if err != nil {
			return fmt.Errorf("--mcast-group: %q is not an address", v)
		}
		t.sync.Group = group
	}
	for name, standard := range map[string]string{"mcast-port": "8848", "mcast-ttl": "1"} {
		if v, ok := c.opt[name]; ok && v != standard {
			return fmt.Errorf("--%s is the kernel's, %s", name, standard)
		}
	}
	return nil
}
