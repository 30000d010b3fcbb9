package cluster

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"systole/crm/api"
	"systole/crm/transport"
)

// RecoverOptions of [Recover].
type RecoverOptions struct {
	Dir string
	// Lost names every other voter, by hand: each is declared gone for ever.
	Lost []string
	// Servers are the raft servers of the stopped store (store.Configuration);
	// Rebuild makes it one of this node alone and names the nodes it dropped
	// (store.Recover).
	Servers func() ([]Member, error)
	Rebuild func() (dropped []string, err error)
	User    string // who does it, for the audit record
	Now     time.Time
}

// proofTimeout is how long a voter called lost gets to prove that it is not.
const proofTimeout = 5 * time.Second

// Recover rebuilds a cluster from this one survivor after the majority was lost
// for ever. The daemon must be stopped. It refuses unless every other voter is
// named and none of them answers; so a majority can never be overruled while it
// can be reached. A voter that lives but cannot be reached from here is the
// danger it cannot see, which is why the names are asked for.
func Recover(ctx context.Context, o RecoverOptions) (Report, error) {
	d, err := OpenDir(o.Dir)
	if err != nil {
		return Report{}, err
	}
	others, err := o.Servers()
	if err != nil {
		return Report{}, err
	}
	self, ok := find(others, d.Identity().Node)
	if !ok {
		return Report{}, refuse(api.CodeNoSuch, "the store of node %s does not have it as a server: recover on another node", d.Identity().Node)
	}
	others = slices.DeleteFunc(slices.Clone(others), func(m Member) bool { return m.Name == self.Name })
	if err := namedLost(others, o.Lost); err != nil {
		return Report{}, err
	}
	if err := nobodyAnswers(ctx, d, others); err != nil {
		return Report{}, err
	}
	lost := strings.Join(o.Lost, ", ")
	// Before the deed, so that a crash half-way leaves a trace.
	if err := d.audit(Audit{o.Now.UTC(), o.User, "recover", "node " + d.Identity().Node + " alone; declared lost: " + lost}); err != nil {
		return Report{}, err
	}
	dropped, err := o.Rebuild()
	if err != nil {
		return Report{}, err
	}
	if _, err := d.adopt(d.Trust().alone(dropped, o.Now)); err != nil {
		return Report{}, err
	}
	if err := d.setMembers([]Member{self}); err != nil {
		return Report{}, err
	}
	done := []string{
		fmt.Sprintf("Node %s is the only voter now; %s do not count any more. It is written to %s.", d.Identity().Node, lost, d.file(fileAudit)),
		"Start it: systemctl start systoled. What the lost nodes ran starts here once their loss is proven: by fencing, by the end of their leases, or by your word (stonith_admin --confirm NODE).",
	}
	for _, n := range dropped {
		done = append(done, fmt.Sprintf("Node %s must not start as it is: empty its cluster directory, then join it again with a new token.", n))
	}
	return Report{Done: done}, nil
}

// namedLost wants exactly the voters among the others.
func namedLost(others []Member, lost []string) error {
	var names, missing []string
	for _, v := range others {
		if !v.Voter {
			continue
		}
		names = append(names, v.Name)
		if !slices.Contains(lost, v.Name) {
			missing = append(missing, v.Name)
		}
	}
	for _, n := range lost {
		if !slices.Contains(names, n) {
			return refuse(api.CodeNoSuch, "%s is not another voter of this cluster; they are: %s", n, cmp.Or(strings.Join(names, ", "), "none"))
		}
	}
	if len(missing) > 0 {
		return refuse(api.CodeUnsafe, "recovery makes this node the only voter: every other voter must be named as lost for ever, also %s (--lost %s); stop systoled on those that live, they join again later",
			strings.Join(missing, ", "), strings.Join(missing, " --lost "))
	}
	if len(lost) == 0 {
		return refuse(api.CodeUnsafe, "this node is the only voter already: there is nothing to recover; start systoled")
	}
	return nil
}

// nobodyAnswers asks all of them at once.
func nobodyAnswers(ctx context.Context, d *Dir, members []Member) error {
	ctx, cancel := context.WithTimeout(ctx, proofTimeout)
	defer cancel()
	var mu sync.Mutex
	var alive []string
	var wg sync.WaitGroup
	for _, m := range members {
		wg.Go(func() {
			if err := sayHello(ctx, d.Credentials(), m); err == nil {
				mu.Lock()
				defer mu.Unlock()
				alive = append(alive, m.Name)
			}
		})
	}
	wg.Wait()
	if len(alive) > 0 {
		slices.Sort(alive)
		return refuse(api.CodeUnsafe, "refused: %s answers. A node that answers is not lost: if it and others make a majority, start systoled here instead; else stop systoled there first", strings.Join(alive, ", "))
	}
	return nil
}

// sayHello is nil if the node answers.
func sayHello(ctx context.Context, creds transport.Credentials, m Member) error {
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return transport.DialPeer(ctx, creds, m.Addr, m.Name, transport.ProtoRPC)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+m.Name+PeerPrefix+verbHello, bytes.NewReader([]byte("{}")))
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		// It refuses this node, but it lives: that counts.
		if errors.Is(err, transport.ErrRevoked) {
			return nil
		}
		return err
	}
	return resp.Body.Close()
}
