package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"systole/agents/internal/frame"
)

// claimWait is how long answers are listened for: all stations are to be heard,
// not only the fastest.
const claimWait = 300 * time.Millisecond

// claims asks on every Ethernet link that is up who has the addresses.
func claims(ctx context.Context, links []netlink.Link, vips []netip.Addr) ([]Claim, error) {
	if len(vips) == 0 {
		return nil, nil
	}
	var mu sync.Mutex
	var all []Claim
	var errs []error
	var wait sync.WaitGroup
	for _, l := range links {
		a := l.Attrs()
		if a.Flags&net.FlagUp == 0 || a.Flags&net.FlagLoopback != 0 || len(a.HardwareAddr) != 6 || a.MasterIndex != 0 {
			continue
		}
		wait.Go(func() {
			heard, err := ask(ctx, a, vips)
			mu.Lock()
			defer mu.Unlock()
			all = append(all, heard...)
			if err != nil {
				errs = append(errs, fmt.Errorf("ask on %s: %w", a.Name, err))
			}
		})
	}
	wait.Wait()
	slices.SortFunc(all, func(a, b Claim) int {
		return cmp.Or(a.VIP.Compare(b.VIP), cmp.Compare(a.Hardware, b.Hardware), cmp.Compare(a.Device, b.Device))
	})
	return slices.Compact(all), errors.Join(errs...)
}

func ask(ctx context.Context, link *netlink.LinkAttrs, vips []netip.Addr) (heard []Claim, err error) {
	const everything = unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8 // in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: everything, Ifindex: link.Index}); err != nil {
		return nil, err
	}
	for _, vip := range vips {
		question := frame.Probe(link.HardwareAddr, vip).Marshal
		if vip.Is6() {
			question = frame.Detect(link.HardwareAddr, vip).Marshal
		}
		if err := unix.Send(fd, question(), 0); err != nil {
			return nil, err
		}
	}
	buf := make([]byte, 2048)
	for end := time.Now().Add(claimWait); ctx.Err() == nil; {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if err == nil {
			if vip, hw, ok := claimed(buf[:n], link.HardwareAddr); ok && slices.Contains(vips, vip) {
				heard = append(heard, Claim{vip, hw.String(), link.Name})
			}
			continue
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
			return heard, err
		}
		left := time.Until(end)
		if left <= 0 {
			break
		}
		if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left/time.Millisecond)+1); err != nil && !errors.Is(err, unix.EINTR) {
			return heard, err
		}
	}
	return heard, nil
}

// claimed is the address that another station says it has by this frame.
func claimed(b []byte, own net.HardwareAddr) (vip netip.Addr, hw net.HardwareAddr, ok bool) {
	if a, err := frame.ParseARP(b); err == nil {
		return a.Sender, slices.Clone(a.SenderHW), a.Op == frame.Reply && string(a.SenderHW) != string(own)
	}
	if n, err := frame.ParseNeighbour(b); err == nil && n.Advertise {
		return n.Target, slices.Clone(n.Source), string(n.Source) != string(own)
	}
	return vip, nil, false
}
