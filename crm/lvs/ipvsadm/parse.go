package ipvsadm

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/agents/ipvs/table"
)

// command is a command line that has been understood.
type command struct {
	do      verb
	keyed   bool // a service was named
	service table.Service
	server  table.Server
	timeout table.Timeouts
	daemon  table.Daemon
	show    view
}

// view is how to list.
type view struct {
	numeric, exact, nosort bool
	what                   string // long option of what to list; "" is the table
	engine                 bool   // with connections: their persistence engine
}

// Names resolve what people write instead of numbers. nil resolves nothing.
type Names struct {
	Host func(name string) (netip.Addr, error)
	Port func(protocol, name string) (uint16, error)
}

// Defaults of ipvsadm 1.31.
const (
	defaultPersistent = 360 * time.Second
	defaultSyncID     = 255
)

// parse reads a command line without the program's name.
func parse(args []string, names Names) (command, error) {
	given, rest, err := split(args)
	if err != nil {
		return command{}, err
	}
	c := command{}
	for _, g := range given {
		switch v := g.option.verb; {
		case v == "":
		case c.do != "" && c.do != v:
			return c, fmt.Errorf("--%s and --%s are two commands: give one", c.do, v)
		default:
			c.do = v
		}
	}
	c.do = cmp.Or(c.do, list)
	var errs []error
	values := map[string]string{}
	for _, g := range given {
		name := g.option.long
		if g.option.verb == "" && !slices.Contains(g.option.with, c.do) {
			errs = append(errs, fmt.Errorf("--%s does not go with --%s", name, c.do))
		}
		if was, twice := values[name]; twice && was != g.value {
			errs = append(errs, fmt.Errorf("--%s is given twice, as %s and %s", name, was, g.value))
		}
		values[name] = g.value
	}
	if c.do == setTimeouts {
		c.timeout, err = parseTimeouts(rest)
		return c, errors.Join(append(errs, err)...)
	}
	if len(rest) > 0 {
		errs = append(errs, fmt.Errorf("%q is no option", rest[0]))
	}
	if len(errs) > 0 {
		return c, errors.Join(errs...)
	}
	return c, c.fill(values, names)
}

type givenOption struct {
	option *option
	value  string
}

// split takes options apart as popt does: -lnc is -l -n -c, a value may follow
// in the same word or the next, and the value of -p is there only if the next word
// does not begin with a dash.
func split(args []string) (given []givenOption, rest []string, err error) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		next := func() (string, bool) {
			if i+1 < len(args) {
				i++
				return args[i], true
			}
			return "", false
		}
		value := func(o *option, attached string, has bool) error {
			g := givenOption{o, attached}
			switch {
			case o.takes == none && has:
				return fmt.Errorf("--%s takes no value", o.long)
			case o.takes == one && !has:
				if g.value, has = next(); !has {
					return fmt.Errorf("--%s needs a value", o.long)
				}
			case o.takes == perhaps && !has && i+1 < len(args) && !strings.HasPrefix(args[i+1], "-"):
				g.value, _ = next()
			}
			given = append(given, g)
			return nil
		}
		switch {
		case strings.HasPrefix(word, "--") && len(word) > 2:
			name, attached, has := strings.Cut(word[2:], "=")
			o := byLong(name)
			if o == nil {
				return nil, nil, fmt.Errorf("--%s is not known", name)
			}
			if err := value(o, attached, has); err != nil {
				return nil, nil, err
			}
		case strings.HasPrefix(word, "-") && len(word) > 1:
			for rest := word[1:]; rest != ""; {
				o := byShort(rest[0])
				if o == nil {
					return nil, nil, fmt.Errorf("-%s is not known", rest[:1])
				}
				attached, has := strings.TrimPrefix(rest[1:], "="), len(rest) > 1 && o.takes == one
				if rest = rest[1:]; has {
					rest = ""
				} else {
					attached = ""
				}
				if o.takes == perhaps && rest != "" { // more letters follow: no value
					given = append(given, givenOption{o, ""})
					continue
				}
				if err := value(o, attached, has); err != nil {
					return nil, nil, err
				}
			}
		default:
			rest = append(rest, word)
		}
	}
	return given, rest, nil
}

func parseTimeouts(words []string) (t table.Timeouts, err error) {
	if len(words) != 3 {
		return t, errors.New("--set needs three numbers of seconds: TCP, TCP after FIN, UDP")
	}
	for i, d := range []*time.Duration{&t.TCP, &t.TCPFin, &t.UDP} {
		n, err := strconv.ParseUint(words[i], 10, 31)
		if err != nil {
			return t, fmt.Errorf("%q is not a number of seconds", words[i])
		}
		*d = time.Duration(n) * time.Second
	}
	return t, nil
}

// fill makes values of the options.
func (c *command) fill(values map[string]string, names Names) error {
	has := func(name string) bool { _, ok := values[name]; return ok }
	if err := c.key(values, names); err != nil {
		return err
	}
	if needs := c.do != list && c.do != zero && slices.Contains(keyed, c.do); needs && !c.keyed {
		return fmt.Errorf("--%s needs a virtual service: -t, -u, --sctp-service or -f", c.do)
	}
	switch c.do {
	case addService, editService:
		return c.fillService(values)
	case addServer, editServer, deleteServer:
		if !has("real-server") {
			return fmt.Errorf("--%s needs a real server: -r", c.do)
		}
		return c.fillServer(values, names)
	case startDaemon, stopDaemon:
		return c.fillDaemon(values)
	case list, save:
		c.show = view{numeric: has("numeric"), exact: has("exact"), nosort: has("nosort")}
		for _, what := range []string{"connection", "timeout", "daemon", "stats", "rate", "thresholds", "persistent-conn", "tun-info"} {
			if has(what) && c.show.what == "" {
				c.show.what = what
			}
		}
		c.show.engine = c.show.what == "connection" && has("persistent-conn")
		if c.keyed && slices.Contains([]string{"connection", "timeout", "daemon"}, c.show.what) {
			return fmt.Errorf("--%s does not go with a virtual service", c.show.what)
		}
	}
	return nil
}

var protocols = map[string]table.Protocol{"tcp-service": table.TCP, "udp-service": table.UDP, "sctp-service": table.SCTP}

// key reads the virtual service.
func (c *command) key(values map[string]string, names Names) error {
	_, v6 := values["ipv6"]
	for option, protocol := range protocols {
		text, ok := values[option]
		if !ok {
			continue
		}
		if c.keyed {
			return errors.New("two virtual services are named: give one")
		}
		addr, port, err := names.endpoint(protocol.String(), text)
		if err != nil {
			return fmt.Errorf("--%s %s: %w", option, text, err)
		}
		c.keyed, c.service.Key = true, table.AddrKey(protocol, netip.AddrPortFrom(addr, port))
	}
	text, ok := values["fwmark-service"]
	if ok && c.keyed {
		return errors.New("two virtual services are named: give one")
	}
	if !ok {
		if v6 && !c.keyed {
			return errors.New("-6 is only for a firewall mark: give -f")
		}
		return nil
	}
	mark, err := strconv.ParseUint(text, 0, 32)
	if err != nil || mark == 0 {
		return fmt.Errorf("--fwmark-service %s: a mark is a number greater than 0", text)
	}
	family := table.IPv4
	if v6 {
		family = table.IPv6
	}
	c.keyed, c.service.Key = true, table.MarkKey(uint32(mark), family)
	return nil
}

func (c *command) fillService(values map[string]string) (err error) {
	s := &c.service
	s.Scheduler = table.DefaultScheduler
	if name, ok := values["scheduler"]; ok {
		s.Scheduler = table.Scheduler(name) // the kernel knows which it has
	}
	if text, ok := values["persistent"]; ok {
		s.Persistent = defaultPersistent
		if text != "" {
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil || n == 0 || time.Duration(n)*time.Second > table.MaxPersistent {
				return fmt.Errorf("--persistent %s: give seconds from 1 to %d", text, table.MaxPersistent/time.Second)
			}
			s.Persistent = time.Duration(n) * time.Second
		}
	}
	if text, ok := values["netmask"]; ok {
		if s.Mask, err = table.ParseMask(text, s.Family); err != nil {
			return err
		}
	}
	s.Engine = values["pe"]
	if _, ok := values["ops"]; ok {
		s.Flags |= table.OnePacket
	}
	if text, ok := values["sched-flags"]; ok {
		f, err := table.ParseSchedFlags(text, s.Scheduler)
		if err != nil {
			return err
		}
		s.Flags |= f
	}
	switch {
	case s.Persistent == 0 && !s.IsMark() && s.Addr.Port() == 0:
		return errors.New("port 0 is every port, and only for a persistent service: give a port, or -p")
	case s.Persistent == 0 && (s.Mask != 0 || s.Engine != ""):
		return errors.New("-M and --pe are only for a persistent service: add -p")
	case s.Flags&table.OnePacket != 0 && !s.IsMark() && s.Protocol != table.UDP:
		return errors.New("-o is for UDP only")
	}
	return nil
}

var forwards = []struct {
	option string
	method table.Forward
}{{"gatewaying", table.DirectRouting}, {"ipip", table.Tunneling}, {"masquerading", table.Masquerade}}

func (c *command) fillServer(values map[string]string, names Names) error {
	s, text := &c.server, values["real-server"]
	protocol := "tcp"
	if !c.service.IsMark() {
		protocol = c.service.Protocol.String()
	}
	addr, port, err := names.endpoint(protocol, text)
	if err != nil {
		return fmt.Errorf("--real-server %s: %w", text, err)
	}
	s.Forward, s.Weight = table.DirectRouting, 1
	n := 0
	for _, f := range forwards {
		if _, ok := values[f.option]; ok {
			s.Forward = f.method
			n++
		}
	}
	if n > 1 {
		return errors.New("two of -g, -i and -m are given: give one")
	}
	// A server is reached at the port of the service but behind masquerading.
	if _, named := values["real-server"]; named && (port == 0 || s.Forward != table.Masquerade && c.do != deleteServer) {
		port = c.service.Addr.Port()
	}
	s.Addr = netip.AddrPortFrom(addr.Unmap(), port)
	for option, to := range map[string]*uint32{"u-threshold": &s.Upper, "l-threshold": &s.Lower} {
		if text, ok := values[option]; ok {
			n, err := strconv.ParseUint(text, 10, 32)
			if err != nil {
				return fmt.Errorf("--%s %s: give a number of connections", option, text)
			}
			*to = uint32(n)
		}
	}
	if text, ok := values["weight"]; ok {
		if s.Weight, err = strconv.Atoi(text); err != nil || s.Weight < 0 || s.Weight > table.MaxWeight {
			return fmt.Errorf("--weight %s: give a number from 0 to %d", text, table.MaxWeight)
		}
	}
	return c.fillTunnel(values)
}

func (c *command) fillTunnel(values map[string]string) (err error) {
	s, given := &c.server, false
	if text, ok := values["tun-type"]; ok {
		given = true
		if s.Tunnel.Type, err = table.ParseTunnelType(text); err != nil {
			return err
		}
	}
	if text, ok := values["tun-port"]; ok {
		given = true
		n, err := strconv.ParseUint(text, 10, 16)
		if err != nil || n == 0 {
			return fmt.Errorf("--tun-port %s: give a port from 1 to 65535", text)
		}
		s.Tunnel.Port = uint16(n)
	}
	for option, flag := range map[string]table.TunnelFlags{"tun-nocsum": table.NoChecksum, "tun-csum": table.Checksum, "tun-remcsum": table.RemoteChecksum} {
		if _, ok := values[option]; ok {
			given = true
			s.Tunnel.Flags |= flag
		}
	}
	switch {
	case given && s.Forward != table.Tunneling:
		return errors.New("the options of a tunnel are only for -i")
	case s.Tunnel.Type == table.GUE && s.Tunnel.Port == 0:
		return errors.New("a gue tunnel needs --tun-port")
	case s.Tunnel.Type != table.GUE && s.Tunnel.Port != 0:
		return errors.New("--tun-port is only for a gue tunnel")
	}
	return nil
}

func (c *command) fillDaemon(values map[string]string) (err error) {
	d := &c.daemon
	if d.State, err = table.ParseDaemonState(values[string(c.do)]); err != nil || c.do == stopDaemon {
		return err
	}
	d.Interface, d.ID = values["mcast-interface"], defaultSyncID
	number := func(option string, most int, set func(int)) {
		text, ok := values[option]
		if !ok || err != nil {
			return
		}
		n, bad := strconv.Atoi(text)
		if bad != nil || n < 0 || n > most {
			err = fmt.Errorf("--%s %s: give a number from 0 to %d", option, text, most)
			return
		}
		set(n)
	}
	number("syncid", 255, func(n int) { d.ID = n })
	number("sync-maxlen", 65535, func(n int) { d.MaxLen = n })
	number("mcast-port", 65535, func(n int) { d.Port = uint16(n) })
	number("mcast-ttl", 255, func(n int) { d.TTL = n })
	if err != nil {
		return err
	}
	if text, ok := values["mcast-group"]; ok {
		if d.Group, err = netip.ParseAddr(text); err != nil || !d.Group.IsMulticast() {
			return fmt.Errorf("--mcast-group %s: that is no multicast address", text)
		}
	}
	return nil
}

// endpoint reads ADDRESS[:PORT]; an IPv6 address with a port is in brackets.
func (n Names) endpoint(protocol, text string) (addr netip.Addr, port uint16, err error) {
	host, portText := text, ""
	switch {
	case strings.HasPrefix(text, "["):
		end := strings.IndexByte(text, ']')
		if end < 0 {
			return addr, 0, errors.New("the bracket is not closed")
		}
		host, portText = text[1:end], text[end+1:]
		if portText != "" && portText[0] != ':' {
			return addr, 0, errors.New("after the bracket comes a colon and the port")
		}
		portText = strings.TrimPrefix(portText, ":")
	case strings.Count(text, ":") == 1:
		host, portText, _ = strings.Cut(text, ":")
	}
	if addr, err = netip.ParseAddr(host); err != nil {
		if n.Host == nil || strings.Contains(host, ":") || host == "" {
			return addr, 0, fmt.Errorf("%q is not an address", host)
		}
		if addr, err = n.Host(host); err != nil {
			return addr, 0, err
		}
	}
	if addr.Zone() != "" {
		return addr, 0, errors.New("an address of a virtual service or server has no zone")
	}
	if portText == "" {
		return addr.Unmap(), 0, nil
	}
	if number, bad := strconv.ParseUint(portText, 10, 16); bad == nil {
		return addr.Unmap(), uint16(number), nil
	}
	if n.Port == nil {
		return addr, 0, fmt.Errorf("%q is not a port", portText)
	}
	port, err = n.Port(protocol, portText)
	return addr.Unmap(), port, err
}
