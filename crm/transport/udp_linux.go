package transport

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// udpSocket sends and receives with calls that never wait and of which the Go scheduler
// is not told: being told wakes its supervisor, again and again while anything runs,
// and that alone cost an idle daemon a third of its time.
type udpSocket struct {
	*net.UDPConn
	conn syscall.RawConn
	v6   bool // the socket's family; an IPv4 address goes through it mapped (RFC 4291, 2.5.5.2)
}

func newUDPSocket(c *net.UDPConn) (*udpSocket, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	u := &udpSocket{UDPConn: c, conn: raw}
	err = raw.Control(func(fd uintptr) {
		name, _ := unix.Getsockname(int(fd)) // of an open socket
		_, u.v6 = name.(*unix.SockaddrInet6)
	})
	return u, err
}

// send hands a datagram to the kernel, or loses it.
func (u *udpSocket) send(packet []byte, to netip.AddrPort) error {
	if to.Addr().Zone() != "" || !u.v6 && !to.Addr().Unmap().Is4() {
		_, err := u.WriteToUDPAddrPort(packet, to) // knows zones, and what to say of the wrong family
		return err
	}
	var name unix.RawSockaddrInet6 // the larger of the two
	size := u.encode(&name, to)
	var errno syscall.Errno
	err := u.conn.Control(func(fd uintptr) {
		_, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(packet))), uintptr(len(packet)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, uintptr(unsafe.Pointer(&name)), size)
	})
	if err == nil && errno != 0 {
		return errno
	}
	return err
}

// receive waits for a datagram. A longer one than the buffer is cut to it.
func (u *udpSocket) receive(buf []byte) (n int, from netip.AddrPort, err error) {
	var name unix.RawSockaddrInet6
	var errno syscall.Errno
	err = u.conn.Read(func(fd uintptr) bool {
		size := uint32(unsafe.Sizeof(name))
		for {
			var got uintptr
			got, _, errno = unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)),
				unix.MSG_DONTWAIT, uintptr(unsafe.Pointer(&name)), uintptr(unsafe.Pointer(&size)))
			n = int(got)
			if errno != syscall.EINTR {
				return errno != syscall.EAGAIN
			}
		}
	})
	switch {
	case err != nil:
		return 0, from, err
	case errno != 0:
		return 0, from, errno
	}
	return n, decode(&name), nil
}

// encode writes an address as the kernel reads it, and says how long that is.
func (u *udpSocket) encode(name *unix.RawSockaddrInet6, to netip.AddrPort) uintptr {
	if u.v6 {
		*name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: network(to.Port()), Addr: to.Addr().As16()}
		return unix.SizeofSockaddrInet6
	}
	v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
	*v4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: network(to.Port()), Addr: to.Addr().Unmap().As4()}
	return unix.SizeofSockaddrInet4
}

// decode reads an address that the kernel has written.
func decode(name *unix.RawSockaddrInet6) netip.AddrPort {
	if name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), network(v4.Port))
	}
	addr := netip.AddrFrom16(name.Addr).Unmap()
	if addr.IsLinkLocalUnicast() && addr.Is6() {
		addr = addr.WithZone(strconv.FormatUint(uint64(name.Scope_id), 10))
	}
	return netip.AddrPortFrom(addr, network(name.Port))
}

// network turns a port from this machine's byte order into the network's, or back.
func network(port uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], port)
	return binary.NativeEndian.Uint16(b[:])
}
