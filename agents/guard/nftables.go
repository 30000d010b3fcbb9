package guard

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/google/nftables"
)

// tablePrefix marks our tables; nothing else is ever touched.
const tablePrefix = "systole-guard-"

const (
	setGuarded4, setLive4 = "guarded4", "live4"
	setGuarded6, setLive6 = "guarded6", "live6"
)

// minLive is the shortest time given to the kernel. It counts in jiffies (4 ms
// at 250 Hz) and rounds down, and an element whose time rounds to zero would
// never expire.
const minLive = 20 * time.Millisecond

// nft is the nftables guard: one netdev table for each device with guarded
// addresses. Its goroutine owns it.
type nft struct {
	conn  *nftables.Conn
	quick *netfilter // for renewals
	addrs map[Address]bool
	grain time.Duration
}

// openNftables tries everything the guard needs on a table of its own, and
// measures the grain of the kernel's timeouts.
func openNftables() (*nft, error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	quick, err := openNetfilter()
	if err != nil {
		conn.CloseLasting()
		return nil, err
	}
	n := &nft{conn: conn, quick: quick, addrs: map[Address]bool{}}
	if err := n.measure(); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

func (n *nft) kind() Kind           { return KindNftables }
func (n *nft) bound() time.Duration { return n.grain }
func (n *nft) guards() bool         { return len(n.addrs) > 0 }
func (n *nft) close() error         { return errors.Join(n.conn.CloseLasting(), n.quick.close()) }

func table(device string) *nftables.Table {
	return &nftables.Table{Family: nftables.TableFamilyNetdev, Name: tablePrefix + device}
}

// sets are the guarded and the live set for the address's family.
func sets(t *nftables.Table, v4 bool) (guarded, live *nftables.Set) {
	g, l, key := setGuarded6, setLive6, nftables.TypeIP6Addr
	if v4 {
		g, l, key = setGuarded4, setLive4, nftables.TypeIPAddr
	}
	return &nftables.Set{Table: t, Name: g, KeyType: key, HasTimeout: true}, &nftables.Set{Table: t, Name: l, KeyType: key, HasTimeout: true}
}

// protect writes the whole table in one transaction: it is right whatever was
// there, also when the device was made anew and took the chains with it.
func (n *nft) protect(a Address) error {
	if err := n.transaction(func() error {
		t, err := n.addTable(a.Device)
		if err != nil {
			return err
		}
		guarded, _ := sets(t, a.Addr.Is4())
		return n.set(guarded, a.Addr, 0)
	}); err != nil {
		return fmt.Errorf("guard %v on %s: %w", a.Addr, a.Device, err)
	}
	n.addrs[a] = true
	return nil
}

// linger is how long a released address stays guarded and cannot be live. What
// was sent in its name while it was here may still wait for the answer to an
// ARP question (three of them, a second apart) or in a queue of the device, and
// would leave when another node has the address already.
const linger = 10 * time.Second

// leaving: this guard touches no address, only packets.
func (n *nft) leaving(Address) error { return nil }

// release silences the address at once; the kernel forgets it after linger.
func (n *nft) release(a Address) error { return n.leave(a, linger) }

// free forgets the address at once.
func (n *nft) free(a Address) error { return n.leave(a, 0) }

func (n *nft) leave(a Address, silent time.Duration) error {
	if !n.addrs[a] {
		return nil
	}
	if err := n.transaction(func() error {
		t, err := n.addTable(a.Device)
		if err != nil {
			return err
		}
		guarded, live := sets(t, a.Addr.Is4())
		if err := n.unset(live, a.Addr); err != nil {
			return err
		}
		if silent == 0 {
			return n.unset(guarded, a.Addr)
		}
		return n.set(guarded, a.Addr, silent)
	}); err != nil {
		return fmt.Errorf("end the guard of %v on %s: %w", a.Addr, a.Device, err)
	}
	delete(n.addrs, a)
	return nil
}

// addTable queues everything but elements.
func (n *nft) addTable(device string) (*nftables.Table, error) {
	t := n.conn.AddTable(table(device))
	for _, v4 := range []bool{true, false} {
		guarded, live := sets(t, v4)
		if err := errors.Join(n.conn.AddSet(guarded, nil), n.conn.AddSet(live, nil)); err != nil {
			return nil, err
		}
	}
	n.addChains(t, device)
	return t, nil
}

// set queues an element with this timeout, 0 for none. An element that is there
// would keep its own, and deleting one that is not is an error: so it is added,
// deleted and added, which is one change within a transaction.
func (n *nft) set(s *nftables.Set, addr netip.Addr, timeout time.Duration) error {
	if err := n.unset(s, addr); err != nil {
		return err
	}
	return n.conn.SetAddElements(s, []nftables.SetElement{{Key: addr.AsSlice(), Timeout: timeout}})
}

// unset queues the removal of an element that may not be there.
func (n *nft) unset(s *nftables.Set, addr netip.Addr) error {
	e := []nftables.SetElement{{Key: addr.AsSlice(), Timeout: minLive}}
	return errors.Join(n.conn.SetAddElements(s, e), n.conn.SetDeleteElements(s, []nftables.SetElement{{Key: addr.AsSlice()}}))
}

// renew replaces the live elements of all devices. A table that is gone (a
// firewall that was loaded anew has flushed everything) is written again.
func (n *nft) renew(remaining time.Duration) error {
	if !n.guards() {
		return nil
	}
	err := n.relive(remaining)
	if !errors.Is(err, syscall.ENOENT) {
		return err
	}
	for a := range n.addrs {
		if err := n.protect(a); err != nil {
			return err
		}
	}
	return n.relive(remaining)
}

// relive is one transaction. Packets see the old elements or the new ones, never neither.
func (n *nft) relive(remaining time.Duration) error {
	batch, err := renewal(liveSets(n.addrs), remaining)
	if err != nil {
		return err
	}
	return n.quick.do(batch)
}

// protected reads our tables back.
func (n *nft) protected() (as []Address, err error) {
	tables, err := n.conn.ListTablesOfFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		device, ours := strings.CutPrefix(t.Name, tablePrefix)
		if !ours {
			continue
		}
		for _, v4 := range []bool{true, false} {
			guarded, _ := sets(t, v4)
			elements, err := n.conn.GetSetElements(guarded)
			if err != nil && !errors.Is(err, syscall.ENOENT) {
				return nil, err
			}
			for _, e := range elements {
				if ip, ok := netip.AddrFromSlice(e.Key); ok && e.Timeout == 0 { // others were released
					n.addrs[Address{device, ip}] = true
					as = append(as, Address{device, ip})
				}
			}
		}
	}
	return as, nil
}

// transaction sends what f queues as one batch; nothing of it stays queued
// after an error.
func (n *nft) transaction(f func() error) error {
	if err := f(); err != nil {
		n.reopen()
		return err
	}
	if err := n.conn.Flush(); err != nil {
		n.reopen()
		return err
	}
	return nil
}

// reopen forgets queued messages and answers still on the way.
func (n *nft) reopen() {
	if conn, err := nftables.New(nftables.AsLasting()); err == nil {
		n.conn.CloseLasting()
		n.conn = conn
	}
}

// Bounds of the self-test. It is short: a daemon that was killed has only the
// rest of its lease to come back.
const (
	tryTimeout = minLive
	tryStep    = time.Millisecond
	leastGrain = 10 * time.Millisecond // one jiffy at 100 Hz
	mostGrain  = 100 * time.Millisecond
)

// measure lets an element expire and sees how late it goes. The kernel compares
// times when a packet looks an element up, so the lateness is a jiffy or two.
func (n *nft) measure() error {
	t := &nftables.Table{Family: nftables.TableFamilyNetdev, Name: tablePrefix + "*test*"}
	_, live := sets(t, true)
	key := []byte{192, 0, 2, 1}
	defer n.transaction(func() error { n.conn.DelTable(t); return nil })
	if err := n.transaction(func() error {
		n.conn.AddTable(t)
		return n.conn.AddSet(live, nil)
	}); err != nil {
		return fmt.Errorf("netdev family of nf_tables: %w", err)
	}
	if err := n.transaction(func() error {
		return n.conn.SetAddElements(live, []nftables.SetElement{{Key: key, Timeout: tryTimeout}})
	}); err != nil {
		return fmt.Errorf("set elements with a timeout: %w", err)
	}
	began, seen := time.Now(), time.Duration(0) // how late it was still there
	for wait := tryTimeout; ; wait = tryStep {
		time.Sleep(wait) // oversleeping says nothing about the kernel's timeouts
		elements, err := n.conn.GetSetElements(live)
		if err != nil {
			return err
		}
		if len(elements) == 0 {
			n.grain = max(leastGrain, seen+2*tryStep)
			return nil
		}
		if seen = time.Since(began) - tryTimeout; seen > mostGrain {
			return fmt.Errorf("an element with a timeout of %v is still there %v later", tryTimeout, seen)
		}
	}
}
