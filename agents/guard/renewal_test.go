package guard

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"systole/agents/internal/nstest"
)

// TestRenewalOfMany: more addresses than one message holds, of both families, come and go
// together; and what the kernel refuses is told, and disturbs no later renewal.
func TestRenewalOfMany(t *testing.T) {
	if !nstest.Isolated(t) {
		return
	}
	w := nstest.NewWire(t)
	n, err := openNftables()
	if err != nil {
		t.Skip("needs the netdev family of nf_tables: ", err)
	}
	defer n.close()
	if err := n.protect(Address{w.Near, netipMust(vip6)}); err != nil {
		t.Fatal(err)
	}
	v4 := netipMust("198.18.0.1")
	for range mostElements + 10 {
		n.addrs[Address{w.Near, v4}] = true // the guarded set plays no part here
		v4 = v4.Next()
	}
	count := func() (elements int) {
		for _, v4 := range []bool{true, false} {
			_, live := sets(table(w.Near), v4)
			found, err := n.conn.GetSetElements(live)
			if err != nil {
				t.Fatal(err)
			}
			elements += len(found)
		}
		return elements
	}
	want := len(n.addrs)
	for range 3 {
		if err := n.renew(time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := count(); got != want {
			t.Errorf("%d addresses may speak, want %d", got, want)
		}
	}
	batch, err := renewal(map[set][]netip.Addr{{tablePrefix + "nowhere", setLive4}: {v4}}, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.quick.do(batch); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a table that is not there: %v", err)
	}
	if err := n.renew(minLive - 1); err != nil {
		t.Error(err)
	}
	if got := count(); got != 0 {
		t.Errorf("%d addresses may still speak", got)
	}
}

func FuzzRefused(f *testing.F) {
	ok := []byte{36, 0, 0, 0, unix.NLMSG_ERROR, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	f.Add(ok)
	f.Add([]byte{36, 0, 0, 0, unix.NLMSG_ERROR, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff})
	f.Add([]byte{16, 0, 0, 0, unix.NLMSG_DONE, 0})
	f.Fuzz(func(t *testing.T, answer []byte) {
		err := refused(answer)
		if short := len(answer) < len(ok); short && err == nil {
			t.Error("a short answer was taken for an acknowledgement")
		}
	})
}
