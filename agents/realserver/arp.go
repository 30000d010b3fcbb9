package realserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"systole/agents/internal/frame"
)

// Whether the kernel keeps quiet about an address is best asked of the kernel:
// a question comes in on a device that does not have the address, as it would
// from the link. A station cannot ask itself over its own network card, so for a
// moment there is a pair of virtual cards; the question is sent from one and
// the answer, if any, arrives there. The other one's own arp_ignore is 0, so it
// is conf/all that is tried, which no device can undercut.
//
// Silence proves nothing by itself, so the asked card has an address that the
// kernel does answer for. Its answer shows that the pair works, and, since frames
// keep their order, that every question before has been dealt with.
const (
	askedDevice  = "systole-arp0"
	askingDevice = "systole-arp1"
	// pairWait is how long the pair may take until frames pass.
	pairWait = time.Second
	// answerWait is how long one answer may take.
	answerWait = 50 * time.Millisecond
)

// control is the address the asked card has: the dummy address of RFC 7600.
var control = netip.AddrFrom4([4]byte{192, 0, 0, 8})

// errNoProbe: this kernel cannot be asked in this way. Its settings are checked all the same.
var errNoProbe = errors.New("the kernel cannot be asked whether it answers ARP")

// answers asks the kernel for each IPv4 address and returns one it answers for,
// or an invalid one when it keeps quiet about all.
func answers(ctx context.Context, dir string, vips []netip.Addr) (netip.Addr, error) {
	talker, err := askKernel(ctx, dir, vips)
	if err != nil {
		err = fmt.Errorf("%w: %w", errNoProbe, err)
	}
	return talker, err
}

func askKernel(ctx context.Context, dir string, vips []netip.Addr) (talker netip.Addr, err error) {
	lock, err := holdFile(ctx, filepath.Join(dir, "systole-realserver.arp.lock"))
	if err != nil {
		return talker, err
	}
	defer lock.Close()
	hw, fd, err := probePair()
	if err != nil {
		return talker, err
	}
	defer removePair()
	defer unix.Close(fd)
	// ask sends questions and reads until the last one is answered; it returns the
	// first address somebody answered for.
	ask := func(vips ...netip.Addr) (netip.Addr, error) {
		for _, vip := range vips {
			if err := unix.Send(fd, frame.Probe(hw, vip).Marshal(), 0); err != nil {
				return netip.Addr{}, err
			}
		}
		return firstAnswer(fd, vips, time.Now().Add(answerWait))
	}
	for end := time.Now().Add(pairWait); talker != control; {
		if talker, err = ask(control); err != nil {
			return netip.Addr{}, err
		}
		if talker != control && (time.Now().After(end) || ctx.Err() != nil) {
			return netip.Addr{}, errors.New("no frame passes between its virtual cards")
		}
	}
	vips = slices.DeleteFunc(slices.Clone(vips), netip.Addr.Is6)
	switch talker, err = ask(append(vips, control)...); {
	case err != nil || talker == control:
		return netip.Addr{}, err
	case !talker.IsValid():
		return netip.Addr{}, errors.New("it does not even answer for an address it should")
	}
	return talker, nil
}

// probePair makes the cards and a socket on the asking one. A pair left by a
// process that was killed is replaced.
func probePair() (hw net.HardwareAddr, fd int, err error) {
	removePair()
	err = netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: askedDevice}, PeerName: askingDevice})
	if err != nil {
		return nil, -1, fmt.Errorf("make a pair of virtual cards: %w", err)
	}
	defer func() {
		if err != nil {
			removePair()
		}
	}()
	_ = write(map[string]string{"net/ipv6/conf/" + askedDevice + "/disable_ipv6": "1", "net/ipv6/conf/" + askingDevice + "/disable_ipv6": "1"}) // a kernel without IPv6 has neither
	if err := write(map[string]string{"net/ipv4/conf/" + askedDevice + "/arp_ignore": "0"}); err != nil {
		return nil, -1, err
	}
	asked, err := up(askedDevice)
	if err != nil {
		return nil, -1, err
	}
	asking, err := up(askingDevice)
	if err != nil {
		return nil, -1, err
	}
	given := &netlink.Addr{IPNet: &net.IPNet{IP: control.AsSlice(), Mask: net.CIDRMask(32, 32)}, Scope: unix.RT_SCOPE_LINK, Broadcast: net.IPv4zero.To4()}
	if err := netlink.AddrAdd(asked, given); err != nil {
		return nil, -1, fmt.Errorf("add %v to %s: %w", control, askedDevice, err)
	}
	const arp = unix.ETH_P_ARP<<8&0xff00 | unix.ETH_P_ARP>>8 // in network order
	if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0); err != nil {
		return nil, -1, fmt.Errorf("raw socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: arp, Ifindex: asking.Attrs().Index}); err != nil {
		unix.Close(fd)
		return nil, -1, fmt.Errorf("raw socket on %s: %w", askingDevice, err)
	}
	return asking.Attrs().HardwareAddr, fd, nil
}

func up(device string) (netlink.Link, error) {
	link, err := netlink.LinkByName(device)
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return nil, fmt.Errorf("set %s up: %w", device, err)
	}
	return link, nil
}

// removePair removes both: a virtual card goes with its peer.
func removePair() {
	if link, err := netlink.LinkByName(askedDevice); err == nil && link.Type() == "veth" {
		_ = netlink.LinkDel(link) // the next probe tries again
	}
}

// firstAnswer waits for an ARP answer for one of the addresses; it is invalid
// when none comes.
func firstAnswer(fd int, vips []netip.Addr, deadline time.Time) (netip.Addr, error) {
	buf := make([]byte, 256)
	for {
		n, err := unix.Read(fd, buf)
		if err == nil {
			if a, err := frame.ParseARP(buf[:n]); err == nil && a.Op == frame.Reply && slices.Contains(vips, a.Sender) {
				return a.Sender, nil
			}
			continue
		}
		if !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR) {
			return netip.Addr{}, err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return netip.Addr{}, nil
		}
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left/time.Millisecond)+1)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return netip.Addr{}, err
		}
	}
}
