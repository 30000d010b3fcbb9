package failover

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"systole/integration/lab"
	"systole/integration/lab/stage"
	"systole/integration/netlab"
)

func TestMain(m *testing.M) { lab.Main(m) }

var vip = netip.MustParseAddr("10.77.0.100")

const (
	// patience bounds every wait of the story; the machine may be busy.
	patience = 60 * time.Second
	// quiet is how long nothing may start elsewhere; a fail-over takes a few seconds.
	quiet = 10 * time.Second
)

// web writes the page, which is the node's name, and a server's configuration.
const web = `mkdir -p /srv/www && hostname > /srv/www/index.html && cat > /srv/nginx.conf <<'END'
user root;
worker_processes 1;
pid /run/nginx.pid;
error_log /run/nginx.err;
events { worker_connections 64; }
http { access_log off; server { listen 80; location / { root /srv/www; } } }
END`

const configuration = `primitive vip ocf:systole:IPaddr2 \
	params ip=10.77.0.100 cidr_netmask=24 nic=eth0 \
	op monitor interval=10s timeout=60s op start timeout=60s op stop timeout=60s
primitive www ocf:systole:nginx \
	params configfile=/srv/nginx.conf httpd=/usr/sbin/nginx status10url=http://127.0.0.1:80/ \
	op monitor interval=5s timeout=60s op start timeout=60s op stop timeout=60s
primitive power stonith:fence_lab \
	params pcmk_host_list="a b c" \
	op start timeout=60s
group web vip www
property stonith-enabled=true stonith-action=off stonith-timeout=60s stonith-max-attempts=100 no-quorum-policy=stop
rsc_defaults resource-stickiness=100
`

// story is a cluster with a watch on the wire.
type story struct {
	*testing.T
	*stage.Cluster
	wire *netlab.Wire
}

func TestFailover(t *testing.T) {
	l := lab.New(t)
	c := &stage.Cluster{Lab: l, Nodes: []*lab.Node{l.Node("a"), l.Node("b"), l.Node("c")}, Prepare: web}
	s := story{t, c, l.Wire(vip)}
	s.must(c.Form(t.Context()))
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := s.wire.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { stop(); watching.Wait() })
	began := time.Now()
	s.must(c.Configure(t.Context(), c.Nodes[0], configuration))
	s.served(began, nil)
	for _, act := range []struct {
		name string
		play func(story)
	}{
		{"power cut", powerCut},
		{"frozen", frozen},
		{"cut off with a switch that fails", cutOff},
		{"switch that lies", lies},
	} {
		if !t.Run(act.name, func(t *testing.T) { act.play(story{t, c, s.wire}) }) {
			s.tell()
			break
		}
	}
	for _, v := range s.wire.Violations() {
		lab.Broken(t, v)
	}
	if probes, answered := s.wire.Asked(); answered < probes/10 {
		t.Errorf("of %d questions on the wire %d were answered: nothing is proved", probes, answered)
	}
}

// powerCut: the active node loses its power. It is fenced, and only then does
// another speak for the address.
func powerCut(s story) {
	old := s.owner()
	since := time.Now()
	old.PowerCut()
	s.recovered(old, since)
	s.back(old)
}

// frozen: a node that stands still may go on any moment, so it must be without
// power before its resources start elsewhere.
func frozen(s story) {
	old := s.owner()
	since := time.Now()
	s.must(old.Freeze())
	s.recovered(old, since)
	s.back(old)
}

// cutOff: the active node is alone and the switch does not work. It gives the
// address up by itself, nobody takes it over, and the cluster says why.
func cutOff(s story) {
	s.Lab.Switch.Set(lab.SwitchFails)
	old := s.owner()
	since := time.Now()
	old.PullCable()
	s.silenced(old, since)
	other := s.Others(old)[0]
	s.eventually("the fence device is tried", func() bool { return s.fenced(old, since) != nil })
	s.quietly(old, since)
	status := s.run(other, "crm status")
	if !strings.Contains(status, "UNCLEAN") {
		s.Errorf("crm status says nothing of an unclean node:\n%s", status)
	}
	s.Lab.Switch.Set(lab.SwitchOK)
	s.recovered(old, time.Now())
	old.Mend()
	s.back(old)
}

// lies: the switch says the node has no power while it has. Its status tells, so
// nobody takes over before it does what it says.
func lies(s story) {
	s.Lab.Switch.Set(lab.SwitchLies)
	old := s.owner()
	since := time.Now()
	old.PullCable()
	s.silenced(old, since)
	s.eventually("the fence device is tried", func() bool { return s.fenced(old, since) != nil })
	s.quietly(old, since)
	if !old.Running() {
		s.Error("the liar did switch the power off")
	}
	s.Lab.Switch.Set(lab.SwitchOK)
	s.recovered(old, time.Now())
	old.Mend()
	s.back(old)
}

// recovered waits for the service elsewhere and checks that the fence device had
// done its work before.
func (s story) recovered(old *lab.Node, since time.Time) {
	s.Helper()
	s.served(since, old)
	done := s.fenced(old, since)
	switch {
	case done == nil:
		s.Errorf("%s was not fenced: %v", old.Name, s.Lab.Switch.Calls("off", "reboot"))
	case done.Code != 0:
		s.Errorf("the last use of the switch failed: %v", *done)
	}
	if old.Running() {
		s.Errorf("%s has power", old.Name)
	}
	for _, u := range s.wire.Speakers() {
		if u.At.After(since) && u.Node != old.Name {
			if done != nil && u.At.Before(done.Done) {
				lab.Broken(s, fmt.Sprintf("%s spoke for the address %v before %s was fenced", u.Node, done.Done.Sub(u.At), old.Name))
			}
			s.Logf("%s speaks for the address %v after the blow", u.Node, u.At.Sub(since).Round(time.Millisecond))
			break
		}
	}
}

// back lets a fenced node return.
func (s story) back(old *lab.Node) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	s.must(s.Return(ctx, old, s.Others(old)[0]))
}

// fenced is the last use of the switch on a node since a moment, nil if there was none.
func (s story) fenced(n *lab.Node, since time.Time) *lab.SwitchCall {
	calls := s.Lab.Switch.Calls("off", "reboot")
	for _, c := range slices.Backward(calls) {
		if c.Plug == n.Name && c.Done.After(since) {
			return &c
		}
	}
	return nil
}

// silenced waits until a node that is alone has not the address any more.
func (s story) silenced(n *lab.Node, since time.Time) {
	s.Helper()
	s.eventually("the node that is alone gives the address up", func() bool {
		return !strings.Contains(s.run(n, "ip -4 -o addr show dev eth0"), vip.String()+"/")
	})
	s.Logf("%s gave the address up %v after its cable was pulled", n.Name, time.Since(since).Round(time.Millisecond))
}

// quietly checks for some time that nobody but old has spoken since a moment.
func (s story) quietly(old *lab.Node, since time.Time) {
	s.Helper()
	for end := time.Now().Add(quiet); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if name, at := s.wire.Owner(); at.After(since) && name != old.Name {
			s.Fatalf("%s spoke for the address without %s being fenced", name, old.Name)
		}
	}
	for _, n := range s.Others(old) {
		if got := s.run(n, "ip -4 -o addr show dev eth0; pgrep -l nginx || true"); strings.Contains(got, vip.String()) || strings.Contains(got, "nginx") {
			s.Errorf("something was started on %s:\n%s", n.Name, got)
		}
	}
}

// served waits until the page comes from a node that is not old.
func (s story) served(since time.Time, old *lab.Node) {
	s.Helper()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	s.eventually("the page is served", func() bool {
		r, err := client.Get("http://" + vip.String() + "/")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		body, err := io.ReadAll(io.LimitReader(r.Body, 64))
		name := strings.TrimSpace(string(body))
		if err != nil || r.StatusCode != http.StatusOK || old != nil && name == old.Name {
			return false
		}
		s.Logf("%s serves the page after %v", name, time.Since(since).Round(time.Millisecond))
		return true
	})
}

// owner is the node that speaks for the address now.
func (s story) owner() *lab.Node {
	s.Helper()
	name, at := s.wire.Owner()
	i := slices.IndexFunc(s.Nodes, func(n *lab.Node) bool { return n.Name == name })
	if i < 0 || time.Since(at) > 5*time.Second {
		s.Fatalf("nobody has the address: last was %q at %v", name, at)
	}
	return s.Nodes[i]
}

func (s story) must(err error) {
	s.Helper()
	if err != nil {
		s.tell()
		s.Fatal(err)
	}
}

// tell logs what the cluster says of itself, for whoever reads the failure.
func (s story) tell() {
	for _, n := range s.Nodes {
		ctx, cancel := context.WithTimeout(s.Context(), 5*time.Second)
		out, err := n.Run(ctx, "crm", "status")
		cancel()
		s.Logf("crm status on %s: %v\n%s", n.Name, err, out)
	}
	for _, c := range s.Lab.Switch.Calls() {
		s.Log(c)
	}
}

func (s story) run(n *lab.Node, script string) string {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	out, err := n.Shell(ctx, script)
	s.must(err)
	return out
}

func (s story) eventually(what string, holds func() bool) {
	s.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if holds() {
			return
		}
	}
	s.Fatalf("not within %v: %s", patience, what)
}
