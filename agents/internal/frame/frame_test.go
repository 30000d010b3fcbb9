package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

var (
	hw    = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	other = net.HardwareAddr{2, 0, 0, 0, 0, 2}
	ip4   = netip.MustParseAddr("192.0.2.100")
	ip6   = netip.MustParseAddr("2001:db8::100")
)

// The bytes are written out, so that maker and reader cannot be wrong together.
func TestGratuitousBytes(t *testing.T) {
	want := strings.Join([]string{
		"ffffffffffff", "020000000001", "0806", "0001", "0800", "0604", "0002",
		"020000000001", "c0000264", "ffffffffffff", "c0000264",
	}, "")
	if got := hex.EncodeToString(Gratuitous(Reply, hw, ip4).Marshal()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestUnsolicitedBytes(t *testing.T) {
	want := strings.Join([]string{
		"333300000001", "020000000001", "86dd", "60000000", "0020", "3a", "ff",
		"20010db8000000000000000000000100", "ff020000000000000000000000000001",
		"88", "00", "XXXX", "20000000", "20010db8000000000000000000000100", "0201", "020000000001",
	}, "")
	b := Unsolicited(hw, ip6).Marshal()
	got := hex.EncodeToString(b)
	want = strings.Replace(want, "XXXX", got[2*56:2*58], 1) // the checksum: see below
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if sum := checksum(ip6, allNodes, b[etherLen+ip6Len:]); sum != 0 {
		t.Errorf("checksum over the message with its own is %#x, want 0", sum)
	}
}

func TestRoundTripAndClaims(t *testing.T) {
	for _, a := range []ARP{Gratuitous(Request, hw, ip4), Gratuitous(Reply, hw, ip4), Probe(hw, ip4)} {
		got, err := ParseARP(a.Marshal())
		if err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, a)
		}
		if !got.Claims(ip4, other) || got.Claims(ip4, hw) || got.Claims(netip.MustParseAddr("192.0.2.9"), other) {
			t.Errorf("claims of %+v", got)
		}
	}
	for _, n := range []Neighbour{Unsolicited(hw, ip6), Detect(hw, ip6)} {
		got, err := ParseNeighbour(n.Marshal())
		if err != nil || !reflect.DeepEqual(got, n) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, n)
		}
		if !got.Claims(ip6, other) || got.Claims(ip6, hw) {
			t.Errorf("claims of %+v", got)
		}
	}
	if _, err := ParseARP(Detect(hw, ip6).Marshal()); !errors.Is(err, ErrOther) {
		t.Errorf("ARP reader on IPv6: %v", err)
	}
}

func FuzzARP(f *testing.F) {
	f.Add(Gratuitous(Request, hw, ip4).Marshal())
	f.Add(append(Probe(hw, ip4).Marshal(), make([]byte, 18)...)) // padded to 60 bytes
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseARP(b)
		if err != nil {
			return
		}
		if got := a.Marshal(); !bytes.Equal(got, b[:len(got)]) {
			t.Errorf("print of what was read differs:\n%x\n%x", got, b)
		}
	})
}

func FuzzNeighbour(f *testing.F) {
	f.Add(Unsolicited(hw, ip6).Marshal())
	f.Add(Detect(hw, ip6).Marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := ParseNeighbour(b)
		if err != nil {
			return
		}
		if again, err := ParseNeighbour(n.Marshal()); err != nil || !reflect.DeepEqual(again, n) {
			t.Errorf("%+v became %+v, %v", n, again, err)
		}
	})
}
