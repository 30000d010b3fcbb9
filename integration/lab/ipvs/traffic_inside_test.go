package ipvs

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"systole/integration/netlab"
)

// patience of a client; the machine may be busy.
const patience = 10 * time.Second

// answer tells its name to whoever connects to ports first to last by TCP, and to every
// UDP datagram; with an address after them also to SCTP at that address's last port.
func answer(name string, args []string) error {
	first, err1 := strconv.Atoi(args[0])
	last, err2 := strconv.Atoi(args[1])
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	failed := make(chan error)
	serve := func(do func() error) { go func() { failed <- do() }() }
	for port := first; port <= last; port++ {
		serve(func() error { return answerTCP(name, port) })
		serve(func() error { return netlab.EchoUDP(strconv.Itoa(port), name+"\n") })
	}
	if len(args) > 2 {
		serve(func() error { return answerSCTP(name, args[2], last) })
	}
	return <-failed
}

func answerTCP(name string, port int) error {
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
	for err == nil {
		var conn net.Conn
		if conn, err = l.Accept(); err == nil {
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, name)
				io.Copy(io.Discard, conn)
			}()
		}
	}
	return err
}

func answerSCTP(name, addr string, port int) error {
	fd, err := sctp(addr, port)
	if err == nil {
		err = unix.Listen(fd, 8)
	}
	for err == nil {
		var conn int
		if conn, _, err = unix.Accept(fd); err == nil {
			_, err = unix.Write(conn, []byte(name+"\n"))
			unix.Close(conn)
		}
	}
	return err
}

// sctp is a socket in the style of TCP, bound so that no other address is told to the peer.
func sctp(addr string, port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err != nil {
		return 0, fmt.Errorf("SCTP: %w", err)
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return 0, err
	}
	return fd, unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: ip.As4()})
}

// ask prints who answers: ask tcp|sctp FROM TO TIMES opens a connection for each, and closes
// them in the end; ask udp FROM TO TIMES TEXT sends the text by one socket.
func ask(network, from, to string, args []string) error {
	times, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	switch network {
	case "tcp":
		return askTCP(from, to, times)
	case "udp":
		return askUDP(from, to, times, args[1])
	}
	return askSCTP(from, to, times)
}

func askTCP(from, to string, times int) error {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	for range times {
		conn, err := d.Dial("tcp", to)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := heard(conn); err != nil {
			return err
		}
	}
	return nil
}

func askUDP(from, to string, times int, text string) error {
	d := net.Dialer{LocalAddr: &net.UDPAddr{IP: net.ParseIP(from)}}
	conn, err := d.Dial("udp", to)
	if err != nil {
		return err
	}
	defer conn.Close()
	for range times {
		if _, err := conn.Write([]byte(text)); err != nil {
			return err
		}
		if err := heard(conn); err != nil {
			return err
		}
	}
	return nil
}

// heard prints the line that comes.
func heard(conn net.Conn) error {
	conn.SetDeadline(time.Now().Add(patience))
	line, err := bufio.NewReader(conn).ReadString('\n')
	fmt.Print(line)
	return err
}

func askSCTP(from, to string, times int) error {
	target, err := netip.ParseAddrPort(to)
	if err != nil {
		return err
	}
	for range times {
		fd, err := sctp(from, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		wait := unix.NsecToTimeval(patience.Nanoseconds())
		if err := errors.Join(
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
			unix.Connect(fd, &unix.SockaddrInet4{Port: int(target.Port()), Addr: target.Addr().As4()}),
		); err != nil {
			return err
		}
		b := make([]byte, 64)
		n, err := unix.Read(fd, b)
		if err != nil {
			return err
		}
		fmt.Print(strings.TrimSpace(string(b[:n])), "\n")
	}
	return nil
}
