package transport

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// keepAlive finds a peer that died while the connection was idle. Whole seconds
// are the kernel's grain.
func keepAlive(deadPeer time.Duration) net.KeepAliveConfig {
	every := max(deadPeer/3, time.Second)
	return net.KeepAliveConfig{Enable: true, Idle: every, Interval: every, Count: 3}
}

// userTimeout finds a peer that died with data on the way: the kernel otherwise
// retransmits for a quarter of an hour (tcp(7), TCP_USER_TIMEOUT).
func userTimeout(deadPeer time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) error {
		var set error
		err := c.Control(func(fd uintptr) {
			set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadPeer.Milliseconds()))
		})
		if err != nil {
			return err
		}
		return set
	}
}
