package guard

import (
	"fmt"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"systole/agents/internal/nstest"
)

// The kernel makes an address that is not there when its lifetime is written. A guard
// process in the middle of that must have ended before the address is removed.
func TestRemovedAddressIsNotBroughtBack(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	w := nstest.NewWire(t)
	a := Address{w.Near, netipMust(vip4)}
	link, err := netlink.LinkByName(w.Near)
	if err != nil {
		t.Fatal(err)
	}
	found, written := make(chan bool, 10), make(chan bool)
	k := &keeper{addrs: map[Address]time.Duration{}, remove: removeAddress,
		shorten: func(a Address, seconds int) (bool, error) { // held up between finding and writing
			_, addr, err := find(a)
			if err != nil || addr == nil {
				return false, err
			}
			found <- true
			<-written
			addr.ValidLft, addr.PreferedLft = seconds, seconds
			return true, netlink.AddrReplace(link, addr)
		}}
	commands := make(chan command)
	go func() {
		for c := range commands {
			c.answer <- k.obey(c.line)
		}
	}()
	defer close(commands)
	tell := func(format string, args ...any) chan string {
		c := command{fmt.Sprintf(format, args...), make(chan string, 1)}
		commands <- c
		return c.answer
	}
	addVIP(t, w, vip4)
	<-tell("until %d", boottime()+time.Minute)
	protected := tell("protect %s %s", a.Device, a.Addr)
	<-found
	stopped := make(chan error)
	go func() { // as the address's agent does
		<-tell("release %s %s", a.Device, a.Addr)
		stopped <- removeAddress(a)
	}()
	close(written)
	<-protected
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	<-tell("until %d", boottime()+time.Second) // so much less is written at once
	if _, addr, err := find(a); err != nil || addr != nil {
		t.Errorf("removed, and yet there: %v, %v", addr, err)
	}
}
