package guard

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Child is the guard process: it reads commands from connections to the socket
// it inherits as descriptor 3, and removes the protected addresses when the
// instant it was last told has passed. It ends when it guards nothing and
// nobody is connected. It returns the exit status.
func Child() int {
	listener, err := net.FileListener(os.NewFile(3, "guard.sock"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "guard process:", err)
		return 1
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -15) // as much ahead of others as is permitted
	k := &keeper{addrs: map[Address]time.Duration{}, remove: removeAddress, shorten: shortenAddress}
	k.serve(listener)
	return 0
}

// keeper is what the process guards. serve's goroutine owns it.
type keeper struct {
	addrs  map[Address]time.Duration // when valid_lft was last set
	until  time.Duration
	remove func(Address) error
	// shorten sets the lifetime of an address, if it is there.
	shorten func(a Address, seconds int) (there bool, err error)
}

// command is one line from the daemon.
type command struct {
	line   string
	answer chan string
}

// connectFirst bounds the wait for the daemon that started this process.
const connectFirst = 10 * time.Second

// lateWord is what reading a waiting command takes; it is far within lifetimeBound.
const lateWord = 5 * time.Millisecond

// lookAgain bounds every wait: timers stand still while the machine is
// suspended, the lease does not.
const lookAgain = 250 * time.Millisecond

func (k *keeper) serve(listener net.Listener) {
	commands, joined, left := make(chan command), make(chan struct{}), make(chan struct{})
	go accept(listener, commands, joined, left)
	connected, idle := 0, time.Now().Add(connectFirst)
	for {
		live := boottime() < k.until
		if connected == 0 && (len(k.addrs) == 0 || !live) && time.Now().After(idle) {
			return // nothing to guard any more; a new daemon starts a new process
		}
		wait := lookAgain
		if live && len(k.addrs) > 0 {
			wait = min(wait, k.until-boottime())
		}
		select {
		case <-joined:
			connected++
		case <-left:
			connected--
			idle = time.Now()
		case c := <-commands:
			c.answer <- k.obey(c.line)
		case <-time.After(wait):
			if live && boottime() >= k.until {
				k.lastWord(commands)
			}
		}
	}
}

// lastWord lets the addresses expire, unless a later instant has been waiting to be
// read: this process may have been kept from running longer than the daemon.
func (k *keeper) lastWord(commands <-chan command) {
	late := time.After(lateWord)
	for boottime() >= k.until {
		select {
		case c := <-commands:
			c.answer <- k.obey(c.line)
		case <-late:
			k.expire()
			return
		}
	}
}

// accept serves every connection in a goroutine of its own; all end with the process.
func accept(listener net.Listener, commands chan<- command, joined, left chan<- struct{}) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		joined <- struct{}{}
		go func() {
			defer func() { conn.Close(); left <- struct{}{} }()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				c := command{lines.Text(), make(chan string, 1)}
				commands <- c
				if _, err := fmt.Fprintln(conn, <-c.answer); err != nil {
					return
				}
			}
		}()
	}
}

// obey carries out one command: protect DEVICE ADDR, release DEVICE ADDR,
// until NANOSECONDS (on CLOCK_BOOTTIME), list.
func (k *keeper) obey(line string) string {
	fields := strings.Fields(line)
	if len(fields) == 3 && (fields[0] == "protect" || fields[0] == "release") {
		a, err := parse(fields[1], fields[2])
		if err != nil {
			return "error " + err.Error()
		}
		if fields[0] == "release" {
			delete(k.addrs, a) // what is there has its lifetime, should nobody remove it
			return "ok"
		}
		if _, known := k.addrs[a]; !known {
			k.addrs[a] = 0
		}
		k.settle()
		return "ok"
	}
	if len(fields) == 2 && fields[0] == "until" {
		ns, err := strconv.ParseInt(fields[1], 10, 64)
		if err != nil {
			return "error not an instant: " + fields[1]
		}
		if longer := time.Duration(ns) - k.until; longer < 0 || longer > endless {
			for a := range k.addrs {
				k.addrs[a] = 0 // the lifetime set last is far off
			}
		}
		k.until = time.Duration(ns)
		k.settle()
		return "ok"
	}
	if len(fields) == 1 && fields[0] == "list" {
		answer := "ok"
		for _, a := range k.sorted() {
			answer += " " + a.Device + " " + a.Addr.String()
		}
		return answer
	}
	return "error not a command"
}

func (k *keeper) sorted() []Address {
	return slices.SortedFunc(maps.Keys(k.addrs), func(a, b Address) int {
		return cmp.Or(cmp.Compare(a.Device, b.Device), a.Addr.Compare(b.Addr))
	})
}

// valid_lft counts whole seconds. It is set anew every lifetimeStep at most, and
// the kernel may take an address away lifetimeEarly before its time.
const (
	lifetimeStep  = 300 * time.Millisecond
	lifetimeEarly = 20 * time.Millisecond
)

// settle brings the kernel in line with the instant.
func (k *keeper) settle() {
	now := boottime()
	if now >= k.until {
		k.expire()
		return
	}
	left := k.until - now + lifetimeStep + lifetimeEarly
	seconds := int((left + time.Second - 1) / time.Second)
	for a, set := range k.addrs {
		if now-set >= lifetimeStep {
			if there, err := k.shorten(a, seconds); there && err == nil {
				k.addrs[a] = now
			}
		}
	}
	if boottime() >= k.until {
		k.expire() // it took so long that one may have been made anew
	}
}

// expire removes every protected address. They stay protected.
func (k *keeper) expire() {
	for a := range k.addrs {
		if err := k.remove(a); err != nil {
			fmt.Fprintf(os.Stderr, "guard process: remove %v from %s: %v\n", a.Addr, a.Device, err)
		}
		k.addrs[a] = 0
	}
}

// find looks the address up on the device; nil when it is not there.
func find(a Address) (netlink.Link, *netlink.Addr, error) {
	link, err := netlink.LinkByName(a.Device)
	if errors.As(err, &netlink.LinkNotFoundError{}) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	addrs, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return nil, nil, err
	}
	for _, have := range addrs {
		if ip, ok := netip.AddrFromSlice(have.IP); ok && ip.Unmap() == a.Addr {
			return link, &have, nil
		}
	}
	return link, nil, nil
}

func removeAddress(a Address) error {
	link, addr, err := find(a)
	if err != nil || addr == nil {
		return err
	}
	if err := netlink.AddrDel(link, addr); err != nil && !errors.Is(err, syscall.EADDRNOTAVAIL) {
		return err
	}
	return nil
}

// shortenAddress sets how long the kernel keeps the address without us. One that is
// never to be a source address (preferred_lft 0) stays so. The kernel makes an IPv4
// address that is not there (net/ipv4/devinet.c, inet_rtm_newaddr, whatever the flags),
// so whoever removes one must have had it released before.
func shortenAddress(a Address, seconds int) (there bool, err error) {
	link, addr, err := find(a)
	if err != nil || addr == nil {
		return false, err
	}
	if addr.ValidLft = seconds; addr.PreferedLft > 0 {
		addr.PreferedLft = seconds
	}
	return true, netlink.AddrReplace(link, addr)
}
