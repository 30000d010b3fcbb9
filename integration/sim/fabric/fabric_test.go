package fabric

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"systole/crm/transport"
)

// pair joins a and b by one stream.
func pair(t *testing.T, n *Network) (a, b *Node, near, far net.Conn) {
	t.Helper()
	a, b = n.Attach("a:1", "a"), n.Attach("b:1", "b")
	l := b.Listener(transport.ProtoRaft)
	near, err := a.Dial(t.Context(), "b:1", "b", transport.ProtoRaft)
	if err != nil {
		t.Fatal(err)
	}
	far, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b, near, far
}

func TestStreamKeepsOrderUnderDelayAndLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		n.SetFaults(Faults{Delay: time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.2})
		_, _, near, far := pair(t, n)
		var want bytes.Buffer
		go func() {
			for i := range 200 {
				near.Write([]byte{byte(i)})
			}
			near.Close()
		}()
		for i := range 200 {
			want.WriteByte(byte(i))
		}
		got, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("read %v, %v; want %v in order", got, err, want.Bytes())
		}
	})
}

func TestCutHoldsAStreamAndHealReleasesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		_, _, near, far := pair(t, n)
		n.Cut("a:1", "b:1")
		near.Write([]byte("x"))
		far.SetReadDeadline(time.Now().Add(time.Minute))
		buf := make([]byte, 1)
		if _, err := far.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read through a cut: %v, want the deadline", err)
		}
		far.SetReadDeadline(time.Time{})
		time.AfterFunc(time.Second, func() { n.Heal("a:1", "b:1") })
		start := time.Now()
		if _, err := far.Read(buf); err != nil || buf[0] != 'x' || time.Since(start) != time.Second {
			t.Fatalf("read %q, %v after %v; want x after the heal", buf, err, time.Since(start))
		}
		if _, err := far.Write([]byte("y")); err != nil {
			t.Fatalf("the other direction: %v", err)
		}
		if _, err := near.Read(buf); err != nil || buf[0] != 'y' {
			t.Fatalf("read %q, %v; want y", buf, err)
		}
	})
}

func TestPowerOffIsSilentAndRebootResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		_, _, near, _ := pair(t, n)
		n.PowerOff("b:1")
		near.SetReadDeadline(time.Now().Add(time.Minute))
		buf := make([]byte, 1)
		if _, err := near.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read from a dead machine: %v, want the deadline", err)
		}
		again := n.Attach("b:1", "b")
		defer again.Close()
		near.SetReadDeadline(time.Time{})
		if _, err := near.Read(buf); err == nil {
			t.Fatal("a rebooted machine still answers on an old stream")
		}
	})
}

func TestDialThroughACutEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		a, b, _, _ := pair(t, n)
		b.Listener(transport.ProtoRPC)
		n.Isolate("b:1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := a.Dial(ctx, "b:1", "", transport.ProtoRPC); err == nil {
			t.Fatal("dialled through a cut")
		}
		n.HealAll()
		if _, err := a.Dial(t.Context(), "b:1", "z", transport.ProtoRPC); err == nil {
			t.Fatal("dialled b as z")
		}
		c, err := a.Dial(t.Context(), "b:1", "b", transport.ProtoRPC)
		if err != nil || transport.PeerName(c) != "b" {
			t.Fatalf("dial: %v", err)
		}
	})
}

func TestDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(7)
		a, b := n.Attach("a:1", "a"), n.Attach("b:1", "b")
		defer a.Close()
		in := b.Datagrams(transport.ChannelBeat)
		n.SetFaults(Faults{Delay: time.Millisecond, Loss: 0.5, Duplicate: 0.1})
		for range 200 {
			if err := a.Send("b:1", transport.ChannelBeat, []byte("beat")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		if got := len(in); got < 70 || got > 150 {
			t.Errorf("%d of 200 arrived at half loss and a tenth doubled", got)
		}
		if err := a.Send("b:1", transport.ChannelBeat, make([]byte, transport.MaxDatagram+1)); err == nil {
			t.Error("a datagram above the limit was taken")
		}
		b.Close()
		for range in {
		}
	})
}
