package guard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"syscall"
	"time"
	"unsafe"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// A renewal comes ten times a second for as long as an address is here, so it is one message
// to the kernel and one answer, on a socket of its own. The library's connection
// waits for an answer to every part, each time in another goroutine.

// set is where elements of one device and family live.
type set struct {
	table, name string
}

// liveSets are the live sets of the addresses, with what belongs into each.
func liveSets(addrs map[Address]bool) map[set][]netip.Addr {
	out := map[set][]netip.Addr{}
	for a := range addrs {
		_, live := sets(table(a.Device), a.Addr.Is4())
		s := set{live.Table.Name, live.Name}
		out[s] = append(out[s], a.Addr)
	}
	return out
}

// mostElements of one message: the length of an attribute has 16 bits, an element takes 44 bytes.
const mostElements = 1000

// renewal is the batch that empties the sets and fills them with elements of this
// lifetime; with less than minLive they stay empty. The kernel answers the last
// change, or with an error.
func renewal(live map[set][]netip.Addr, remaining time.Duration) ([]byte, error) {
	var changes []netlink.Message
	add := func(kind netlink.HeaderType, flags netlink.HeaderFlags, s set, addrs []netip.Addr) error {
		body := netlink.NewAttributeEncoder()
		body.ByteOrder = binary.BigEndian
		body.String(unix.NFTA_SET_ELEM_LIST_TABLE, s.table)
		body.String(unix.NFTA_SET_ELEM_LIST_SET, s.name)
		if len(addrs) > 0 {
			body.Nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, func(list *netlink.AttributeEncoder) error {
				for _, a := range addrs {
					list.Nested(unix.NFTA_LIST_ELEM, func(e *netlink.AttributeEncoder) error {
						e.Nested(unix.NFTA_SET_ELEM_KEY, func(k *netlink.AttributeEncoder) error {
							k.Bytes(unix.NFTA_DATA_VALUE, a.AsSlice())
							return nil
						})
						e.Uint64(unix.NFTA_SET_ELEM_TIMEOUT, uint64(remaining.Milliseconds()))
						return nil
					})
				}
				return nil
			})
		}
		b, err := body.Encode()
		changes = append(changes, message(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, byte(nftables.TableFamilyNetdev), 0, b))
		return err
	}
	for s, addrs := range live {
		if err := add(unix.NFT_MSG_DELSETELEM, 0, s, nil); err != nil {
			return nil, err
		}
		if remaining < minLive {
			continue
		}
		for some := range slices.Chunk(addrs, mostElements) {
			if err := add(unix.NFT_MSG_NEWSETELEM, netlink.Create, s, some); err != nil {
				return nil, err
			}
		}
	}
	changes[len(changes)-1].Header.Flags |= netlink.Acknowledge
	batch := slices.Concat(
		[]netlink.Message{message(unix.NFNL_MSG_BATCH_BEGIN, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil)}, changes,
		[]netlink.Message{message(unix.NFNL_MSG_BATCH_END, 0, 0, unix.NFNL_SUBSYS_NFTABLES, nil)})
	var out []byte
	for _, m := range batch {
		b, err := m.MarshalBinary()
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	return out, nil
}

// message is one of nfnetlink: its body follows family, version and resource (struct nfgenmsg).
func message(kind netlink.HeaderType, flags netlink.HeaderFlags, family byte, resource uint16, body []byte) netlink.Message {
	head := binary.BigEndian.AppendUint16([]byte{family, unix.NFNETLINK_V0}, resource)
	return netlink.Message{
		Header: netlink.Header{Type: kind, Flags: flags | netlink.Request, Length: uint32(unix.NLMSG_HDRLEN + len(head) + len(body))},
		Data:   append(head, body...),
	}
}

// netfilter is a socket for batches that the kernel carries out while they are sent.
type netfilter struct {
	fd int
	// alone is set where this process has one processor: only there is the Go scheduler told
	// that a call may wait, for who else changes nf_tables just now. Being told wakes its
	// supervisor, which then looks again every 20 µs: a third of what the holder of an address cost.
	alone bool
	buf   [128]byte // of an answer, which is 36 bytes
}

func openNetfilter() (*netfilter, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	// Answers need not repeat what was asked: they could fill the socket.
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1),
		unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set up netlink: %w", err)
	}
	return &netfilter{fd: fd, alone: runtime.GOMAXPROCS(0) == 1}, nil
}

func (f *netfilter) close() error { return unix.Close(f.fd) }

// do sends a batch and reads what the kernel said of it: it is there when the sending
// returns, errors first. Nothing stays unread for the next batch.
func (f *netfilter) do(batch []byte) error {
	if err := f.send(batch); err != nil {
		return fmt.Errorf("send to nf_tables: %w", err)
	}
	var failed error
	for answered := false; ; {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(f.fd), uintptr(unsafe.Pointer(&f.buf)), uintptr(len(f.buf)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == unix.EAGAIN && answered:
			return failed
		case errno == unix.EINTR:
			continue
		case errno != 0:
			return fmt.Errorf("answer of nf_tables: %w", errno)
		}
		answered = true
		if err := refused(f.buf[:n]); err != nil && failed == nil {
			failed = fmt.Errorf("nf_tables refuses: %w", err)
		}
	}
}

func (f *netfilter) send(batch []byte) error {
	if f.alone {
		_, err := unix.Write(f.fd, batch)
		return err
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(f.fd), uintptr(unsafe.Pointer(unsafe.SliceData(batch))), uintptr(len(batch))); errno != 0 {
		return errno
	}
	return nil
}

// refused is the error that an answer tells, nil for an acknowledgement.
func refused(answer []byte) error {
	if len(answer) < unix.NLMSG_HDRLEN+4 || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("an answer of %d bytes that is none: %w", len(answer), unix.EPROTO)
	}
	if code := int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])); code != 0 {
		return syscall.Errno(-code)
	}
	return nil
}
