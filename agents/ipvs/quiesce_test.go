package ipvs

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"systole/agents/ipvs/control"
	"systole/agents/ipvs/table"
)

// Before an address leaves, new connections are refused and handshakes under way end;
// what stands goes on, and afterwards the kernel is as it was.
func TestQuiesce(t *testing.T) {
	address := netip.MustParseAddr("192.0.2.10")
	half := table.Connection{Virtual: netip.AddrPortFrom(address, 80), State: "SYN_RECV"}
	whole := table.Connection{Virtual: netip.AddrPortFrom(address, 80), State: "ESTABLISHED"}
	other := table.Connection{Virtual: netip.MustParseAddrPort("192.0.2.99:80"), State: "SYN_RECV"}
	for _, q := range []struct {
		what    string
		role    control.Role
		address netip.Addr
		ends    time.Duration // of the handshake
		waits   time.Duration
		dropped string
	}{
		{"a handshake is under way", control.Active, address, 30 * time.Millisecond, 30 * time.Millisecond, "3"},
		{"a flood never ends", control.Active, address, time.Hour, handshakes, "3"},
		{"another's address", control.Active, netip.MustParseAddr("192.0.2.77"), time.Hour, 0, "0"},
		{"a standby", control.Standby, address, time.Hour, 0, "0"},
	} {
		t.Run(q.what, func(t *testing.T) {
			keep(t, func(d *desk) {
				d.put("net/ipv4/vs/am_droprate", "10")
				d.put("net/ipv4/vs/drop_packet", "0")
				d.become(q.role, shopSync)
				began := time.Now()
				d.connections = func() ([]table.Connection, error) {
					if time.Since(began) < q.ends {
						return []table.Connection{whole, other, half}, nil
					}
					return []table.Connection{whole, other}, nil
				}
				d.must(control.Request{Do: control.Quiesce, Address: q.address})
				if took := time.Since(began); took != q.waits {
					t.Errorf("took %v, want %v", took, q.waits)
				}
				if got := d.setting("net/ipv4/vs/drop_packet"); got != q.dropped {
					t.Errorf("drop_packet is %s, want %s", got, q.dropped)
				}
				time.Sleep(quiet + lookMax)
				synctest.Wait()
				if drop, rate := d.setting("net/ipv4/vs/drop_packet"), d.setting("net/ipv4/vs/am_droprate"); drop != "0" || rate != "10" {
					t.Errorf("drop_packet %s at rate %s afterwards, want 0 at 10", drop, rate)
				}
			})
		})
	}
}

// The role ends the quiet: a standby's kernel is as it was.
func TestQuiesceEndsWithTheRole(t *testing.T) {
	keep(t, func(d *desk) {
		d.put("net/ipv4/vs/am_droprate", "10")
		d.put("net/ipv4/vs/drop_packet", "0")
		d.become(control.Active, shopSync)
		d.connections = func() ([]table.Connection, error) { return nil, nil }
		d.must(control.Request{Do: control.Quiesce, Address: netip.MustParseAddr("192.0.2.10")})
		d.must(control.Request{Do: control.SetRole, Role: control.Standby})
		if got := d.setting("net/ipv4/vs/drop_packet"); got != "0" {
			t.Errorf("drop_packet is %s on a standby, want 0", got)
		}
	})
}

// Where the kernel has no such setting the director goes on as it is.
func TestQuiesceWithoutTheSetting(t *testing.T) {
	keep(t, func(d *desk) {
		d.become(control.Active, shopSync)
		d.connections = func() ([]table.Connection, error) { return nil, nil }
		if st := d.must(control.Request{Do: control.Quiesce, Address: netip.MustParseAddr("192.0.2.10")}); st.Problem != "" {
			t.Error(st.Problem)
		}
	})
}
