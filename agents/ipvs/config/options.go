package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"systole/agents/ipvs/table"
	"systole/resources"
)

// option is one `name=value` of a line. The tables below are also the manual's
// source (see Options).
type option struct {
	name  string
	flag  bool // may stand without a value, meaning yes
	short string
	set   func(of any, value string) error
}

// on makes a setter for options of one type.
func on[T any](set func(of *T, value string) error) func(any, string) error {
	return func(of any, value string) error { return set(of.(*T), value) }
}

// Option describes one option of a line, for manuals.
type Option struct{ Line, Name, Short string }

// Options are all of them, in the order of the manual.
func Options() []Option {
	var all []Option
	for _, l := range []struct {
		line    string
		options []option
	}{{"virtual", virtualOptions}, {"real", realOptions}, {"sorry", sorryOptions}, {"timeouts", timeoutOptions}} {
		for _, o := range l.options {
			all = append(all, Option{l.line, o.name, o.short})
		}
	}
	return all
}

var virtualOptions = []option{
	{"family", false, "of the packets that carry the mark: ipv4 (default) or ipv6", on(func(v *virtual, s string) (err error) {
		if !v.IsMark() {
			return fmt.Errorf("it is only for fwmark: leave it out")
		}
		v.Family, err = table.ParseFamily(s)
		return err
	})},
	{"scheduler", false, "rr wrr lc wlc (default) lblc lblcr dh sh sed nq fo ovf mh twos", on(func(v *virtual, s string) (err error) {
		v.Scheduler, err = table.ParseScheduler(s)
		return err
	})},
	{"flags", false, "of the scheduler, separated by commas: sh-fallback sh-port mh-fallback mh-port flag-1 flag-2 flag-3", on(func(v *virtual, s string) error {
		f, err := table.ParseSchedFlags(s, v.Scheduler)
		v.Flags |= f
		return err
	})},
	{"persistent", false, "time a client stays with its server", on(func(v *virtual, s string) (err error) {
		v.Persistent, err = duration(s)
		return err
	})},
	{"netmask", false, "clients that are one for persistence: 255.255.255.0, 24, for IPv6 a prefix length", on(func(v *virtual, s string) (err error) {
		v.Mask, err = table.ParseMask(s, v.Family)
		return err
	})},
	{"engine", false, "of persistence: sip", on(func(v *virtual, s string) error {
		if strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || s == "" || len(s) > 15 {
			return fmt.Errorf("%q is not the name of an engine: use sip", s)
		}
		v.Engine = s
		return nil
	})},
	{"ops", true, "one-packet scheduling: every UDP packet is distributed anew", on(func(v *virtual, s string) error {
		yes, err := resources.ParseBool(s)
		if yes {
			v.Flags |= table.OnePacket
		}
		return err
	})},
	{"quorum", false, "sum of weights that must live (default 1)", on(func(v *virtual, s string) (err error) {
		v.Quorum, err = number(s, 1<<31-1)
		return err
	})},
	{"hysteresis", false, "how far above the quorum it is regained and below it is lost (default 0)", on(func(v *virtual, s string) (err error) {
		v.Hysteresis, err = number(s, 1<<31-1)
		return err
	})},
	{"quorum-up", false, "program run when the quorum is regained", on(func(v *virtual, s string) (err error) {
		v.QuorumUp, err = argv(s)
		return err
	})},
	{"quorum-down", false, "program run when the quorum is lost", on(func(v *virtual, s string) (err error) {
		v.QuorumDown, err = argv(s)
		return err
	})},
	{"omega", true, "also run quorum-down, and notify-down of its servers, when the director is stopped or demoted by plan", on(func(v *virtual, s string) (err error) {
		v.Omega, err = resources.ParseBool(s)
		return err
	})},
	{"panic", false, "share of living servers in percent below which checks are not believed and all servers serve; off; last (default without a sorry server): only never take the last one", on(func(v *virtual, s string) (err error) {
		v.panicSet = true
		switch s {
		case "off":
			v.Panic = 0
		case "last":
			v.Panic = PanicLast
		default:
			v.Panic, err = number(strings.TrimSuffix(s, "%"), 100)
		}
		return err
	})},
	{"drain-timeout", false, "how long a server taken out of the configuration keeps its connections (default 60s)", on(func(v *virtual, s string) (err error) {
		v.DrainTimeout, err = duration(s)
		return err
	})},
	{"forward", false, "how its servers are reached: dr, tun or masq (default)", on(func(v *virtual, s string) (err error) {
		v.server.Forward, err = table.ParseForward(s)
		return err
	})},
	{"tunnel", false, "kind of tunnel for tun: ipip (default), gue, gre", on(func(v *virtual, s string) error { return setTunnel(&v.server, s) })},
	{"tunnel-port", false, "port of a gue tunnel", on(func(v *virtual, s string) error { return setTunnelPort(&v.server, s) })},
	{"tunnel-checksum", false, "of a gue or gre tunnel: nocsum (default), csum, remcsum", on(func(v *virtual, s string) error { return setTunnelChecksum(&v.server, s) })},
	{"weight", false, "of its servers (default 1)", on(func(v *virtual, s string) error { return setWeight(&v.server, s) })},
	{"on-failure", false, "remove (default) a dead server, or inhibit it: weight 0, its connections stay", on(func(v *virtual, s string) error { return setOnFailure(&v.inhibit, s) })},
}

var realOptions = []option{
	{"weight", false, "share of new connections; 0 is none", on(func(r *Real, s string) error { return setWeight(&r.Server, s) })},
	{"node", false, "cluster node it runs on: its standby and `crm lvs drain` drain the server", on(func(r *Real, s string) error {
		r.Node = s
		return nil
	})},
	{"upper", false, "connections at which it gets no new ones", on(func(r *Real, s string) (err error) {
		r.Upper, err = threshold(s)
		return err
	})},
	{"lower", false, "connections below which it gets new ones again", on(func(r *Real, s string) (err error) {
		r.Lower, err = threshold(s)
		return err
	})},
	{"on-failure", false, "as for virtual", on(func(r *Real, s string) error { return setOnFailure(&r.Inhibit, s) })},
	{"notify-up", false, "program run when it comes up", on(func(r *Real, s string) (err error) {
		r.NotifyUp, err = argv(s)
		return err
	})},
	{"notify-down", false, "program run when it goes down", on(func(r *Real, s string) (err error) {
		r.NotifyDown, err = argv(s)
		return err
	})},
	{"forward", false, "as for virtual", on(func(r *Real, s string) error { return setForward(&r.Server, s) })},
	{"tunnel", false, "as for virtual", on(func(r *Real, s string) error { return setTunnel(&r.Server, s) })},
	{"tunnel-port", false, "as for virtual", on(func(r *Real, s string) error { return setTunnelPort(&r.Server, s) })},
	{"tunnel-checksum", false, "as for virtual", on(func(r *Real, s string) error { return setTunnelChecksum(&r.Server, s) })},
}

var sorryOptions = []option{
	{"forward", false, "as for virtual", on(func(r *Real, s string) error { return setForward(&r.Server, s) })},
	{"tunnel", false, "as for virtual", on(func(r *Real, s string) error { return setTunnel(&r.Server, s) })},
	{"tunnel-port", false, "as for virtual", on(func(r *Real, s string) error { return setTunnelPort(&r.Server, s) })},
	{"tunnel-checksum", false, "as for virtual", on(func(r *Real, s string) error { return setTunnelChecksum(&r.Server, s) })},
}

var timeoutOptions = []option{
	{"tcp", false, "of an idle TCP connection", on(func(t *table.Timeouts, s string) (err error) {
		t.TCP, err = duration(s)
		return err
	})},
	{"tcpfin", false, "of a TCP connection after its FIN", on(func(t *table.Timeouts, s string) (err error) {
		t.TCPFin, err = duration(s)
		return err
	})},
	{"udp", false, "of a UDP flow", on(func(t *table.Timeouts, s string) (err error) {
		t.UDP, err = duration(s)
		return err
	})},
}

func setForward(s *table.Server, v string) (err error) {
	s.Forward, err = table.ParseForward(v)
	return err
}

func setTunnel(s *table.Server, v string) (err error) {
	s.Tunnel.Type, err = table.ParseTunnelType(v)
	return err
}

func setTunnelPort(s *table.Server, v string) error {
	p, err := number(v, 65535)
	s.Tunnel.Port = uint16(p)
	return err
}

func setTunnelChecksum(s *table.Server, v string) (err error) {
	s.Tunnel.Flags, err = table.ParseTunnelFlags(v)
	return err
}

func setWeight(s *table.Server, v string) (err error) {
	s.Weight, err = number(v, table.MaxWeight)
	return err
}

func setOnFailure(inhibit *bool, v string) error {
	switch v {
	case "inhibit":
		*inhibit = true
	case "remove":
		*inhibit = false
	default:
		return fmt.Errorf("%q is not known: use remove or inhibit", v)
	}
	return nil
}

// argv splits a command line at blanks; it is run without a shell.
func argv(s string) ([]string, error) {
	f := strings.Fields(s)
	if len(f) == 0 || !strings.HasPrefix(f[0], "/") {
		return nil, fmt.Errorf("%q: an absolute path is needed; arguments are separated by blanks", s)
	}
	return f, nil
}

func number(s string, most int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > most {
		return 0, fmt.Errorf("%q: give a number from 0 to %d", s, most)
	}
	return n, nil
}

func threshold(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q: give a number of connections", s)
	}
	return uint32(n), nil
}

// seconds prints a duration of whole seconds.
func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) + "s" }
