package config

import (
	"fmt"
	"strings"

	"systole/agents/check"
	"systole/agents/ipvs/table"
)

// text writes every service with all that differs from the built-in defaults.
// Servers say everything themselves; nothing is inherited.
func (c Config) text() string {
	var b strings.Builder
	if c.Timeouts != (table.Timeouts{}) {
		b.WriteString("timeouts")
		for _, o := range []struct {
			name  string
			value string
			set   bool
		}{
			{"tcp", seconds(c.Timeouts.TCP), c.Timeouts.TCP > 0},
			{"tcpfin", seconds(c.Timeouts.TCPFin), c.Timeouts.TCPFin > 0},
			{"udp", seconds(c.Timeouts.UDP), c.Timeouts.UDP > 0},
		} {
			if o.set {
				b.WriteString(" " + o.name + "=" + o.value)
			}
		}
		b.WriteString("\n")
	}
	for _, s := range c.Sysctls {
		fmt.Fprintf(&b, "sysctl %s=%s\n", quote(s.Name), quote(s.Value))
	}
	for _, v := range c.Virtuals {
		v.write(&b)
	}
	return b.String()
}

func (v Virtual) write(b *strings.Builder) {
	key := v.Key
	key.Family = table.IPv4 // the mark's family is an option here
	if !v.IsMark() {
		key = v.Key
	}
	w := &writer{b: b}
	w.line("virtual " + key.String())
	w.option("family", v.Family.String(), v.IsMark() && v.Family == table.IPv6)
	w.option("scheduler", string(v.Scheduler), true)
	w.option("flags", strings.Join(v.Flags.SchedFlagNames(v.Scheduler), ","), v.Flags&table.SchedMask != 0)
	w.option("persistent", seconds(v.Persistent), v.Persistent > 0)
	w.option("netmask", v.MaskText(), v.Mask != 0)
	w.option("engine", v.Engine, v.Engine != "")
	w.option("ops", "yes", v.Flags&table.OnePacket != 0)
	w.option("quorum", fmt.Sprint(v.Quorum), v.Quorum != 1)
	w.option("hysteresis", fmt.Sprint(v.Hysteresis), v.Hysteresis != 0)
	w.option("quorum-up", strings.Join(v.QuorumUp, " "), len(v.QuorumUp) > 0)
	w.option("quorum-down", strings.Join(v.QuorumDown, " "), len(v.QuorumDown) > 0)
	w.option("omega", "yes", v.Omega)
	switch {
	case v.Panic == PanicLast:
		w.option("panic", "last", v.Sorry != nil)
	case v.Panic == 0:
		w.option("panic", "off", v.Sorry == nil)
	default:
		w.option("panic", fmt.Sprintf("%d%%", v.Panic), true)
	}
	w.option("drain-timeout", seconds(v.DrainTimeout), v.DrainTimeout != DefaultDrainTimeout)
	b.WriteString("\n")
	for _, r := range v.Reals {
		r.write(b)
	}
	if v.Sorry != nil {
		w.line("  sorry " + v.Sorry.Addr.String())
		w.forwarding(*v.Sorry)
		b.WriteString("\n")
	}
}

func (r Real) write(b *strings.Builder) {
	w := &writer{b: b}
	w.line("  real " + r.Addr.String())
	w.forwarding(r.Server)
	w.option("weight", fmt.Sprint(r.Weight), r.Weight != 1)
	w.option("node", r.Node, r.Node != "")
	w.option("upper", fmt.Sprint(r.Upper), r.Upper > 0)
	w.option("lower", fmt.Sprint(r.Lower), r.Lower > 0)
	w.option("on-failure", "inhibit", r.Inhibit)
	w.option("notify-up", strings.Join(r.NotifyUp, " "), len(r.NotifyUp) > 0)
	w.option("notify-down", strings.Join(r.NotifyDown, " "), len(r.NotifyDown) > 0)
	b.WriteString("\n")
	specs := r.Checks
	if len(specs) == 0 {
		none, _ := check.Parse(string(check.None)) // it has no options that could be wrong
		specs = []check.Spec{none}
	}
	for _, s := range specs {
		b.WriteString("    check " + s.String() + "\n")
	}
}

// writer writes one line, option by option.
type writer struct{ b *strings.Builder }

func (w *writer) line(s string) { w.b.WriteString(s) }

func (w *writer) option(name, value string, set bool) {
	if set {
		w.b.WriteString(" " + name + "=" + quote(value))
	}
}

func (w *writer) forwarding(s table.Server) {
	w.option("forward", s.Forward.String(), s.Forward != table.Masquerade)
	w.option("tunnel", s.Tunnel.Type.String(), s.Tunnel.Type != table.IPIP)
	w.option("tunnel-port", fmt.Sprint(s.Tunnel.Port), s.Tunnel.Port != 0)
	w.option("tunnel-checksum", s.Tunnel.Flags.String(), s.Tunnel.Flags != table.NoChecksum)
}
