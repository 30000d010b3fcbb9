package ipvs

import (
	"net/netip"
	"time"

	"systole/agents/ipvs/control"
	"systole/agents/ipvs/table"
)

const (
	// quiet is how long new connections are refused at least after an address was to leave.
	// It leaves at once; one that comes back to this director must not find it quiet for long.
	quiet = time.Second
	// handshakes bounds the wait for those under way. One takes a round trip to the
	// client; a flood of them that nobody means to end must not hold up a hand-over.
	handshakes = 250 * time.Millisecond
)

// quiesce refuses new connections and waits for the handshakes with an address. Packets of connections
// that stand go on.
func (k *keeper) quiesce(address netip.Addr) error {
	if k.record.Role != control.Active || !k.directs(address) {
		return nil
	}
	k.quietUntil = time.Now().Add(quiet)
	if err := k.keepSettings(); err != nil {
		return err
	}
	for end := time.Now().Add(handshakes); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		all, err := k.connections()
		if err != nil || !handshaking(all, address) {
			return err
		}
	}
	return nil
}

// directs says whether packets to the address may be ours: what a mark stands for is not known.
func (k *keeper) directs(address netip.Addr) bool {
	for _, v := range k.cfg.Virtuals {
		if v.Key.Mark != 0 || v.Key.Addr.Addr() == address {
			return true
		}
	}
	return false
}

// handshaking says whether a connection with the address has not been answered by its client yet.
func handshaking(all []table.Connection, address netip.Addr) bool {
	for _, c := range all {
		if c.State == "SYN_RECV" && c.Virtual.Addr() == address {
			return true
		}
	}
	return false
}

// quietSettings have the kernel drop every packet that would make a connection, and
// no other (Documentation/networking/ipvs-sysctl.rst, drop_packet 3 at am_droprate 1).
func (k *keeper) quietSettings(now time.Time) []setting {
	if k.record.Role != control.Active || !now.Before(k.quietUntil) || !k.sysctls.has("net/ipv4/vs/drop_packet") {
		return nil // a user namespace has no such setting
	}
	return []setting{{"net/ipv4/vs/am_droprate", "1"}, {"net/ipv4/vs/drop_packet", "3"}}
}
