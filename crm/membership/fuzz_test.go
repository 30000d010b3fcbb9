package membership

import (
	"net"
	"testing"

	"github.com/hashicorp/memberlist"
)

func node(name string) *memberlist.Node {
	return &memberlist.Node{Name: name, Addr: net.IPv4(10, 0, 0, 1), Port: 7737}
}

// FuzzMeta feeds metadata of other nodes, which gossip hands over unchecked.
func FuzzMeta(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte(`{"id":"a","version":"1","protocol":1,"role":"witness","leaving":true}`))
	f.Add([]byte(`{"protocol":"one"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m := decodeMeta(b); m != (Meta{}) && len(b) == 0 {
			t.Fatal("something out of nothing")
		}
		v := newView(nil)
		n := node("x")
		n.Meta = b
		v.NotifyJoin(n)
		v.NotifyLeave(n)
		if got := v.members(); len(got) != 1 || got[0].State == StateAlive {
			t.Fatalf("after join and leave: %+v", got)
		}
	})
}
