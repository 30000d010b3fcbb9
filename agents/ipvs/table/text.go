package table

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// ParseMask reads the mask that groups persistent clients: a netmask or
// prefix length for IPv4, a prefix length for IPv6.
func ParseMask(s string, f Family) (uint32, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if f == IPv6 && n >= 1 && n <= 128 {
			return uint32(n), nil
		}
		if f == IPv4 && n >= 1 && n <= 32 {
			return ^uint32(0) << (32 - n), nil
		}
	} else if a, err := netip.ParseAddr(s); err == nil && a.Is4() && f == IPv4 && !a.IsUnspecified() {
		b := a.As4()
		return binary.BigEndian.Uint32(b[:]), nil
	}
	if f == IPv6 {
		return 0, fmt.Errorf("mask %q: for IPv6 give a prefix length from 1 to 128", s)
	}
	return 0, fmt.Errorf("mask %q: for IPv4 give a netmask such as 255.255.255.0, or a prefix length from 1 to 32", s)
}

// MaskText is the mask as ipvsadm shows it: dotted for IPv4, a length for IPv6.
func (s Service) MaskText() string {
	m := s.normal().Mask
	if s.Family == IPv6 {
		return strconv.Itoa(int(m))
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], m)
	return netip.AddrFrom4(b).String()
}

// MaskIsPrefix tells whether an IPv4 mask is a row of ones; always true for IPv6.
func (s Service) MaskIsPrefix() bool {
	m := s.normal().Mask
	return s.Family == IPv6 || bits.LeadingZeros32(^m) == 32-bits.TrailingZeros32(m)
}

// Args are the options by which ipvsadm names the service: -t 192.0.2.10:80, -f 7 -6.
func (k Key) Args() []string {
	switch {
	case k.IsMark() && k.Family == IPv6:
		return []string{"-f", strconv.FormatUint(uint64(k.Mark), 10), "-6"}
	case k.IsMark():
		return []string{"-f", strconv.FormatUint(uint64(k.Mark), 10)}
	case k.Protocol == UDP:
		return []string{"-u", k.Addr.String()}
	case k.Protocol == SCTP:
		return []string{"--sctp-service", k.Addr.String()}
	default:
		return []string{"-t", k.Addr.String()}
	}
}

// Args are the service's options in ipvsadm's save format: -t 192.0.2.10:80 -s wlc -p 50.
func (s Service) Args() []string {
	args := append(s.Key.Args(), "-s", string(s.Scheduler))
	if s.Persistent > 0 {
		args = append(args, "-p", seconds(s.Persistent))
		if s.normal().Mask != FullMask(s.Family) {
			args = append(args, "-M", s.MaskText())
		}
	}
	if s.Engine != "" {
		args = append(args, "--pe", s.Engine)
	}
	if s.Flags&OnePacket != 0 {
		args = append(args, "-o")
	}
	if names := s.Flags.SchedFlagNames(s.Scheduler); len(names) > 0 {
		args = append(args, "-b", strings.Join(names, ","))
	}
	return args
}

// Args are the server's options in ipvsadm's save format, with the thresholds that format forgets.
func (s Server) Args() []string {
	args := []string{"-r", s.Addr.String(), map[Forward]string{Masquerade: "-m", Tunneling: "-i"}[s.Forward], "-w", strconv.Itoa(s.Weight)}
	if args[2] == "" {
		args[2] = "-g"
	}
	if s.Forward == Tunneling {
		args = append(args, "--tun-type", s.Tunnel.Type.String())
		if s.Tunnel.Type == GUE {
			args = append(args, "--tun-port", strconv.Itoa(int(s.Tunnel.Port)))
		}
		if s.Tunnel.Type != IPIP {
			args = append(args, "--tun-"+s.Tunnel.Flags.String())
		}
	}
	if s.Upper > 0 {
		args = append(args, "-x", strconv.FormatUint(uint64(s.Upper), 10))
	}
	if s.Lower > 0 {
		args = append(args, "-y", strconv.FormatUint(uint64(s.Lower), 10))
	}
	return args
}

// String is the operation as ipvsadm's command line, for logs and dry runs.
func (o Op) String() string {
	var args []string
	switch o.Verb {
	case AddService:
		args = append([]string{"-A"}, o.Service.Args()...)
	case SetService:
		args = append([]string{"-E"}, o.Service.Args()...)
	case DeleteService:
		args = append([]string{"-D"}, o.Service.Key.Args()...)
	case AddServer:
		args = append(append([]string{"-a"}, o.Service.Key.Args()...), o.Server.Args()...)
	case SetServer:
		args = append(append([]string{"-e"}, o.Service.Key.Args()...), o.Server.Args()...)
	case DeleteServer:
		args = append(append([]string{"-d"}, o.Service.Key.Args()...), "-r", o.Server.Addr.String())
	}
	return strings.Join(args, " ")
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
