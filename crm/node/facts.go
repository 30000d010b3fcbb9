package node

import (
	"crypto/rand"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"systole/crm/cib"
	"systole/crm/isotime"
	"systole/crm/lease"
	"systole/crm/transition"
	"systole/resources"
)

// addresses are the other nodes' fabric addresses by name: what raft's
// configuration says, then what this node was told at the start.
func (n *Node) addresses() map[string]string {
	out := map[string]string{}
	if n.cfg.Peers != nil {
		maps.Copy(out, n.cfg.Peers())
	}
	for _, s := range n.store.Servers() {
		out[s.Node] = s.Addr
	}
	delete(out, n.cfg.Name)
	return out
}

// resolve finds one address.
func (n *Node) resolve(node string) (string, bool) {
	addr, ok := n.addresses()[node]
	return addr, ok
}

// officeUUID is unique to one office of this node, for the transition keys.
func (n *Node) officeUUID() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails (crypto/rand)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// stopTimeout is the configured timeout of a resource's stop, 0 when there is none.
func stopTimeout(c *cib.CIB, op resources.Op) time.Duration {
	id, _, _ := strings.Cut(op.Instance, ":")
	r := c.FindID(id)
	if r == nil {
		return 0
	}
	for o := range r.Child("operations").Each("op") {
		if o.Get("name") != "stop" {
			continue
		}
		if d, err := isotime.ParseInterval(o.Get("timeout")); err == nil {
			return d
		}
	}
	return 0
}

// hearing is what the DC's beats say of a node.
type hearing struct {
	silent      time.Duration // since the last beat
	applied     uint64        // index its CIB had reached
	incarnation uint64        // of the run that beats
	beat        uint64        // sequence of the newest
	losses      int           // how often it was lost in this term
}

// publishHeard tells the API and the keeping of voters who was heard when.
func (n *Node) publishHeard(d *lease.Detector, now time.Duration, nodes []string) {
	out := map[string]hearing{}
	for _, name := range nodes {
		if b, at, ok := d.Heard(name); ok {
			out[name] = hearing{now - at, b.Applied, b.Incarnation, b.Seq, d.Losses(name)}
		}
	}
	n.heard.Store(&out)
}

func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// extra are the further attributes of an lrm_rsc_op.
func extra(op resources.Op, m manual) map[string]string {
	out := digests(op, m)
	out["on_node"] = op.Node
	for _, name := range []string{"migrate_source", "migrate_target"} {
		if v := op.Meta[name]; v != "" {
			out[name] = v
		}
	}
	return out
}

// digest is the op-digest by which the scheduler notices changed parameters.
func digest(op resources.Op) string {
	var attrs []cib.Attr
	for k, v := range op.Params {
		attrs = append(attrs, cib.Attr{Name: k, Value: v})
	}
	for k, v := range op.Meta {
		attrs = append(attrs, cib.Attr{Name: "CRM_meta_" + k, Value: v})
	}
	return transition.Digest(attrs, op.Interval > 0)
}
