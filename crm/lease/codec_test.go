package lease

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"systole/crm/transport"
)

func messages() []Message {
	return []Message{
		Beat{},
		Beat{Node: "web-1", Incarnation: 1700000000000000000, Seq: 42, Sent: hour, Term: 7, Applied: 1234, Record: Record{Policy: PolicyStop, GiveUp: 90 * time.Second, Restart: time.Minute}, Leaving: true},
		Grant{DC: "web-2", Term: 7, Node: "web-1", Incarnation: 3, Seq: 42, Length: 400 * ms},
		Hello{DC: "web-2", Term: 8},
		Renew{Leader: "web-2/abc", Term: 8, Sent: hour},
		Renewed{Voter: "web-1/def", Leader: "web-2/abc", Term: 8, Sent: hour, Commit: 99},
		Beat{Node: strings.Repeat("n", maxName), Incarnation: 1<<64 - 1, Seq: 1<<64 - 1, Sent: 1<<63 - 1, Term: 1<<64 - 1, Applied: 1<<64 - 1, Record: Record{Policy: PolicyIgnore, GiveUp: 1<<63 - 1, Restart: 1<<63 - 1}},
		Grant{DC: strings.Repeat("d", maxName), Node: strings.Repeat("n", maxName), Incarnation: 1<<64 - 1, Seq: 1<<64 - 1, Length: 1<<63 - 1},
	}
}

func TestCodec(t *testing.T) {
	for _, m := range messages() {
		b := Encode(m)
		if len(b) > transport.MaxDatagram {
			t.Errorf("%T has %d bytes, more than a datagram", m, len(b))
		}
		got, err := Decode(b)
		if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], m) {
			t.Errorf("Decode(Encode(%+v)) = %+v, %v", m, got, err)
		}
		for i := range b {
			if _, err := Decode(b[:i]); err == nil {
				t.Errorf("%T cut to %d of %d bytes is accepted", m, i, len(b))
			}
		}
		if _, err := Decode(append(b, 0)); err == nil {
			t.Errorf("%T with a byte more is accepted", m)
		}
	}
	all := messages()
	if got, err := Decode(Encode(all...)); err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("all messages in one: %+v, %v", got, err)
	}
	if _, err := Decode([]byte{wireVersion + 1, 'b'}); err == nil || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("a newer version: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range messages() {
		f.Add(Encode(m))
	}
	f.Add(Encode(messages()[4:6]...))
	f.Add([]byte{wireVersion, 'h', 1, 'a', 0x80, 0x00}) // not the shortest form of a number
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err == nil && !bytes.Equal(Encode(m...), b) {
			t.Errorf("%x decodes to %+v, which encodes to %x", b, m, Encode(m...))
		}
	})
}
