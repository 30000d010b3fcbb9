package ipvsadm

import (
	"cmp"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/agents/ipvs/table"
)

// naming makes the text of an address and port; it prints names where people want them.
type naming func(protocol string, end netip.AddrPort) string

// numbers is the naming of -n.
func numbers(_ string, end netip.AddrPort) string { return end.String() }

// printer writes listings as ipvsadm 1.31 does, byte for byte.
type printer struct {
	w    io.Writer
	name naming
	view view
}

func (p printer) f(format string, args ...any) { fmt.Fprintf(p.w, format, args...) } // a closed pipe is no concern of a listing

// table prints services; info is nil when only one was asked for.
func (p printer) table(info *table.Info, entries []table.Entry) {
	if info != nil {
		p.f("IP Virtual Server version %s (size=%d)\n", versionText(*info), info.ConnSize)
	}
	p.f("%s\n", headings[p.view.what])
	for _, e := range p.sorted(entries) {
		p.service(e)
		for _, s := range e.Servers {
			p.server(e, s)
		}
	}
}

func versionText(i table.Info) string {
	return fmt.Sprintf("%d.%d.%d", i.Version>>16&0xff, i.Version>>8&0xff, i.Version&0xff)
}

var headings = map[string]string{
	"":                "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn",
	"stats":           "Prot LocalAddress:Port               Conns   InPkts  OutPkts  InBytes OutBytes\n  -> RemoteAddress:Port",
	"rate":            "Prot LocalAddress:Port                 CPS    InPPS   OutPPS    InBPS   OutBPS\n  -> RemoteAddress:Port",
	"thresholds":      "Prot LocalAddress:Port            Uthreshold Lthreshold ActiveConn InActConn \n  -> RemoteAddress:Port",
	"persistent-conn": "Prot LocalAddress:Port            Weight    PersistConn ActiveConn InActConn \n  -> RemoteAddress:Port",
	"tun-info":        "Prot LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port           Forward TunnelInfo    Weight ActiveConn InActConn",
}

// sorted is the order of listings: marks last, IPv4 first, then by protocol,
// address and port.
func (p printer) sorted(entries []table.Entry) []table.Entry {
	if p.view.nosort {
		return entries
	}
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b table.Entry) int {
		return cmp.Or(cmp.Compare(a.Mark, b.Mark), cmp.Compare(a.Family, b.Family), cmp.Compare(a.Protocol, b.Protocol), a.Addr.Compare(b.Addr))
	})
	for i := range entries {
		entries[i].Servers = slices.SortedStableFunc(slices.Values(entries[i].Servers), func(a, b table.ServerEntry) int { return a.Addr.Compare(b.Addr) })
	}
	return entries
}

func protocolOf(k table.Key) string {
	if k.IsMark() {
		return "tcp"
	}
	return k.Protocol.String()
}

// end is the name of a service without its protocol.
func (p printer) end(k table.Key) string {
	switch {
	case k.IsMark() && k.Family == table.IPv6:
		return fmt.Sprintf("%d IPv6", k.Mark)
	case k.IsMark():
		return strconv.FormatUint(uint64(k.Mark), 10)
	}
	return p.name(protocolOf(k), k.Addr)
}

func (p printer) service(e table.Entry) {
	kind := "FWM"
	if !e.IsMark() {
		kind = strings.ToUpper(e.Protocol.String())
	}
	switch p.view.what {
	case "stats", "rate":
		p.f("%-4s %-28s%s\n", kind, p.end(e.Key), p.counters(e.Counters))
		return
	}
	p.f("%-4s %s %s", kind, p.end(e.Key), e.Scheduler)
	if flags := e.Flags.SchedFlagNames(e.Scheduler); len(flags) > 0 {
		p.f(" (%s)", strings.Join(flags, ","))
	}
	if e.Persistent > 0 {
		p.f(" persistent %d", e.Persistent/time.Second)
		if e.Mask != 0 && e.Mask != table.FullMask(e.Family) {
			p.f(" mask %s", e.MaskText())
		}
		if e.Engine != "" {
			p.f(" pe %s", e.Engine)
		}
	}
	if e.Flags&table.OnePacket != 0 {
		p.f(" ops")
	}
	p.f("\n")
}

var forwardNames = map[table.Forward]string{
	table.Masquerade: "Masq", table.LocalNode: "Local", table.Tunneling: "Tunnel", table.DirectRouting: "Route", table.Bypass: "Bypass",
}

func (p printer) server(e table.Entry, s table.ServerEntry) {
	name := p.name(protocolOf(e.Key), s.Addr)
	switch p.view.what {
	case "stats", "rate":
		p.f("  -> %-28s%s\n", name, p.counters(s.Counters))
	case "thresholds":
		p.f("  -> %-28s %-10d %-10d %-10d %-10d\n", name, s.Upper, s.Lower, s.Active, s.Inactive)
	case "persistent-conn":
		p.f("  -> %-28s %-9d %-11d %-10d %-10d\n", name, s.Weight, s.Persistent, s.Active, s.Inactive)
	case "tun-info":
		p.f("  -> %-28s %-7s %-13s %-6d %-10d %-10d\n", name, forwardNames[s.Forward], tunnelInfo(s.Server), s.Weight, s.Active, s.Inactive)
	default:
		p.f("  -> %-28s %-7s %-6d %-10d %-10d\n", name, forwardNames[s.Forward], s.Weight, s.Active, s.Inactive)
	}
}

// tunnelInfo is the tunnel with its port and checksum: gue:6080:+c.
func tunnelInfo(s table.Server) string {
	if s.Forward != table.Tunneling {
		return "n/a"
	}
	checksum := map[table.TunnelFlags]string{table.NoChecksum: "-c", table.Checksum: "+c", table.RemoteChecksum: "r+c"}[s.Tunnel.Flags]
	switch s.Tunnel.Type {
	case table.GUE:
		return fmt.Sprintf("gue:%d:%s", s.Tunnel.Port, checksum)
	case table.GRE:
		return "gre:" + checksum
	}
	return s.Tunnel.Type.String()
}

// counters are five columns of nine characters.
func (p printer) counters(c table.Counters) string {
	ns := []uint64{c.Conns, c.InPackets, c.OutPackets, c.InBytes, c.OutBytes}
	if p.view.what == "rate" {
		ns = []uint64{c.ConnRate, c.InPacketRate, c.OutPacketRate, c.InByteRate, c.OutByteRate}
	}
	var b strings.Builder
	for _, n := range ns {
		b.WriteString(" " + largeNumber(n, p.view.exact))
	}
	return b.String()
}

// largeNumber fits a number into eight characters, in thousands (K), millions
// (M), thousands of millions (G) or beyond (T) if need be.
func largeNumber(n uint64, exact bool) string {
	if n < 100_000_000 || exact {
		return fmt.Sprintf("%8d", n)
	}
	for _, unit := range []string{"K", "M", "G"} {
		if n /= 1000; n < 10_000_000 {
			return fmt.Sprintf("%7d%s", n, unit)
		}
	}
	return fmt.Sprintf("%7dT", n/1000)
}

// saved prints the table as commands.
func (p printer) saved(entries []table.Entry) {
	for _, e := range p.sorted(entries) {
		key := saveKey(e.Key, p.end(e.Key))
		p.f("-A %s -s %s", key, e.Scheduler)
		if e.Persistent > 0 {
			p.f(" -p %d", e.Persistent/time.Second)
			if e.Mask != 0 && e.Mask != table.FullMask(e.Family) {
				p.f(" -M %s", e.MaskText())
			}
			if e.Engine != "" {
				p.f(" --pe %s", e.Engine)
			}
		}
		if e.Flags&table.OnePacket != 0 {
			p.f(" -o")
		}
		if flags := e.Flags.SchedFlagNames(e.Scheduler); len(flags) > 0 {
			p.f(" -b %s", strings.Join(flags, ","))
		}
		p.f("\n")
		for _, s := range e.Servers {
			p.f("-a %s -r %s %s -w %d%s\n", key, p.name(protocolOf(e.Key), s.Addr), saveForward[s.Forward], s.Weight, saveTunnel(s.Server))
		}
	}
}

var saveForward = map[table.Forward]string{table.Masquerade: "-m", table.LocalNode: "-m", table.Tunneling: "-i", table.DirectRouting: "-g", table.Bypass: "-g"}

func saveKey(k table.Key, end string) string {
	switch {
	case k.IsMark():
		number, v6 := strings.CutSuffix(end, " IPv6")
		if v6 {
			return "-f " + number + " -6"
		}
		return "-f " + number
	case k.Protocol == table.UDP:
		return "-u " + end
	case k.Protocol == table.SCTP:
		return "--sctp-service " + end
	}
	return "-t " + end
}

func saveTunnel(s table.Server) string {
	if s.Forward != table.Tunneling {
		return ""
	}
	text := " --tun-type " + s.Tunnel.Type.String()
	if s.Tunnel.Type == table.GUE {
		text += fmt.Sprintf(" --tun-port %d", s.Tunnel.Port)
	}
	if s.Tunnel.Type != table.IPIP {
		text += " --tun-" + s.Tunnel.Flags.String()
	}
	return text
}

// connections prints the connection table.
func (p printer) connections(conns []table.Connection) {
	heading := "pro expire state       source             virtual            destination"
	if p.view.engine {
		heading += "        pe name          pe_data"
	}
	p.f("IPVS connection entries\n%s\n", heading)
	for _, c := range conns {
		protocol := strings.ToLower(c.Protocol)
		line := fmt.Sprintf("%-3s %02d:%02d  %-11s %-18s %-18s ", c.Protocol, int(c.Expires/time.Minute), int(c.Expires/time.Second)%60, c.State,
			p.name(protocol, c.Client), p.name(protocol, c.Virtual))
		server := p.name(protocol, c.Server)
		if p.view.engine && c.Engine != "" {
			server = fmt.Sprintf("%-18s %-16s %s", server, c.Engine, c.EngineData)
		}
		p.f("%s%s\n", line, server)
	}
}

func (p printer) timeouts(t table.Timeouts) {
	p.f("Timeout (tcp tcpfin udp): %d %d %d\n", t.TCP/time.Second, t.TCPFin/time.Second, t.UDP/time.Second)
}

func (p printer) daemons(ds []table.Daemon) {
	for _, d := range ds {
		p.f("%s sync daemon (mcast=%s, syncid=%d, maxlen=%d, group=%s, port=%d, ttl=%d)\n", d.State, d.Interface, d.ID, d.MaxLen, d.Group, d.Port, d.TTL)
	}
}
