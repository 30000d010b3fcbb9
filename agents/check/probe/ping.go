package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// ping sends one ICMP echo request, by an unprivileged socket where the
// kernel has it (net.ipv4.ping_group_range), else by a raw one.
func (q *question) ping(ctx context.Context) (answer, error) {
	conn, err := q.echoSocket()
	if err != nil {
		return answer{}, err
	}
	c := bind(ctx, conn)
	defer c.Close()
	cookie := binary.BigEndian.AppendUint64(nil, rand.Uint64())
	request := icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: rand.IntN(1 << 16), Seq: 1, Data: cookie}}
	if q.server.Addr().Is6() {
		request.Type = ipv6.ICMPTypeEchoRequest
	}
	packet, err := request.Marshal(nil) // the kernel fills in the checksum of ICMPv6
	if err != nil {
		return answer{}, err
	}
	began := time.Now()
	if _, err := c.Write(packet); err != nil {
		return answer{}, err
	}
	buf := make([]byte, 1500)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return answer{}, err
		}
		if echoes(buf[:n], cookie, q.server.Addr().Is6()) {
			return says("echo after %s", time.Since(began).Round(10*time.Microsecond))
		}
	}
}

// echoes tells whether a packet is the reply to ours; the identifier is not
// looked at, as the kernel chooses that of an unprivileged socket.
func echoes(packet, cookie []byte, v6 bool) bool {
	protocol := unix.IPPROTO_ICMP
	if v6 {
		protocol = unix.IPPROTO_ICMPV6
	} else if len(packet) > 0 && packet[0]>>4 == 4 { // a raw socket's packets have their IP header
		packet = packet[min(len(packet), int(packet[0]&15)*4):]
	}
	m, err := icmp.ParseMessage(protocol, packet)
	if err != nil || m.Type != ipv4.ICMPTypeEchoReply && m.Type != ipv6.ICMPTypeEchoReply {
		return false
	}
	echo, ok := m.Body.(*icmp.Echo)
	return ok && slices.Equal(echo.Data, cookie)
}

// echoSocket is connected: the kernel hands it the packets of this server only.
func (q *question) echoSocket() (net.Conn, error) {
	fd, err := q.openEcho(unix.SOCK_DGRAM)
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		fd, err = q.openEcho(unix.SOCK_RAW)
	}
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return nil, fmt.Errorf("%v: allow it by net.ipv4.ping_group_range, or run as root", err)
	}
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "icmp")
	defer f.Close()
	return net.FileConn(f)
}

// openEcho opens a socket of the type for ICMP echo, and connects it.
func (q *question) openEcho(kind int) (fd int, err error) {
	family, protocol := unix.AF_INET, unix.IPPROTO_ICMP
	if q.server.Addr().Is6() {
		family, protocol = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, protocol)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	err = q.mark(fd)
	if err == nil && q.Source.IsValid() {
		err = os.NewSyscallError("bind", unix.Bind(fd, sockaddr(q.Source)))
	}
	if err == nil {
		err = os.NewSyscallError("connect", unix.Connect(fd, sockaddr(q.server.Addr())))
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func sockaddr(a netip.Addr) unix.Sockaddr {
	if a.Is4() {
		return &unix.SockaddrInet4{Addr: a.As4()}
	}
	zone := 0
	if link, err := net.InterfaceByName(a.Zone()); err == nil {
		zone = link.Index
	}
	return &unix.SockaddrInet6{Addr: a.As16(), ZoneId: uint32(zone)}
}
