package lvsloop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"systole/crm/api"
	"systole/crm/lvs/doctor"
	"systole/integration/netlab"
	"systole/integration/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }

const (
	vip = "10.77.0.100"
	// soon is for things that follow from one another on a busy machine.
	soon = 2 * time.Minute
	// calm keeps a busy machine from losing nodes that nobody has struck.
	calm = 3 * time.Second

	siteText = `primitive www ocf:systole:httpd params port=80 op monitor interval=10s
primitive rs ocf:systole:realserver params vip=` + vip + ` drain_timeout=8m op monitor interval=10s op stop timeout=9m interval=0
group web www rs
clone cl-web web meta interleave=true
property stonith-enabled=false no-quorum-policy=stop
`
)

// site is a cluster whose three nodes are web nodes.
type site struct {
	*testing.T
	*stage.Cluster
	tables chan string
}

func TestLoop(t *testing.T) {
	dir, err := os.MkdirTemp("", "lvs") // short: it holds sockets
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(t.Context(), 8*time.Minute)
	defer cancel()
	c, err := stage.Start(ctx, stage.Options{Dir: dir, Bin: stage.Bin(), DetectWithin: calm})
	must(t, err)
	t.Cleanup(c.Lab.Close)
	s := &site{T: t, Cluster: c, tables: make(chan string, 100)}
	must(t, c.Configure(ctx, siteText))
	s.feed(ctx)
	s.await("a -, b -, c -")

	// One connection to b, as a director would send it there.
	b := c.Node("b")
	s.leadsTo(b)
	client := &http.Client{Transport: &http.Transport{}, Timeout: soon}
	get := func() error {
		resp, err := client.Get("http://" + vip + "/")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	must(t, get())

	// Standby: drained at once, and everything stays as long as the connection does.
	s.crm(ctx, "node", "standby", "b")
	s.await("a -, b drain, c -")
	s.eventually("the real server of b says that it stops", func() error {
		out, err := c.Crm(ctx, b, "node", "status-attr", "b", "show", "lvs-drain-rs")
		if err == nil && !strings.Contains(out, "value=true") {
			err = errors.New(out)
		}
		return err
	})
	for range 20 {
		must(t, get())
	}
	client.CloseIdleConnections()
	s.eventually("b's web server stops when its connection has gone", func() error {
		conn, err := net.DialTimeout("tcp", b.Addr.String()+":80", soon)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			return nil
		case err != nil:
			return err
		}
		conn.Close()
		return errors.New("it still listens")
	})

	// Back: used again when it serves.
	s.crm(ctx, "node", "online", "b")
	s.await("a -, b -, c -")
	must(t, get())

	s.crm(ctx, "lvs", "drain", "c")
	s.await("a -, b -, c drain")
	s.crm(ctx, "lvs", "undrain", "c")
	s.crm(ctx, "lvs", "weight", "a", "7")
	s.await("a 7, b -, c -")

	// The doctor reaches every node through its daemon.
	facts, err := doctor.Cluster(api.NewClient(c.Socket(c.Nodes[0])))(ctx, doctor.Questions{})
	must(t, err)
	for i, f := range facts {
		if n := c.Nodes[i]; f.Node != n.Name || f.Error != "" || f.Settings["net.ipv4.conf.all.arp_ignore"] != "1" || !strings.Contains(fmt.Sprint(f.Addresses), n.Addr.String()) {
			t.Errorf("facts of %s: %+v", n.Name, f)
		}
	}
	if len(facts) != 3 {
		t.Errorf("facts of %d nodes", len(facts))
	}
	s.crm(ctx, "lvs", "doctor")
}

// feed reads what a director on a would read, as "NODE WEIGHT, …".
func (s *site) feed(ctx context.Context) {
	cmd := exec.CommandContext(ctx, filepath.Join(stage.Bin(), "crm"), "--socket", s.Socket(s.Nodes[0]), "lvs", "feed")
	out, err := cmd.StdoutPipe()
	must(s.T, err)
	must(s.T, cmd.Start())
	s.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	go func() {
		var lines []string
		for scan := bufio.NewScanner(out); scan.Scan(); {
			if scan.Text() != "" {
				lines = append(lines, scan.Text())
				continue
			}
			s.tables <- strings.Join(lines, ", ")
			lines = nil
		}
	}()
}

// await waits for a table of the feed.
func (s *site) await(want string) {
	s.Helper()
	timeout := time.NewTimer(soon)
	defer timeout.Stop()
	last := "nothing"
	for {
		select {
		case last = <-s.tables:
			s.Logf("feed: %s", last)
			if last == want {
				return
			}
		case <-timeout.C:
			out, _ := s.Crm(s.Context(), s.Nodes[0], "status", "-rf")
			s.Fatalf("the feed said last %q, not %q\n%s", last, want, out)
		}
	}
}

func (s *site) crm(ctx context.Context, args ...string) {
	s.Helper()
	if _, err := s.Crm(ctx, s.Nodes[0], args...); err != nil {
		s.Fatal(err)
	}
}

// leadsTo sends what the client sends to the virtual address to one node.
func (s *site) leadsTo(n *netlab.Node) {
	s.Helper()
	link, err := netlink.LinkByName(netlab.Bridge)
	must(s.T, err)
	must(s.T, netlink.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: netip.MustParseAddr(vip).AsSlice(), State: netlink.NUD_PERMANENT, HardwareAddr: n.MAC}))
}

func (s *site) eventually(what string, holds func() error) {
	s.Helper()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	var err error
	for end := time.Now().Add(soon); time.Now().Before(end); <-ticker.C {
		if err = holds(); err == nil {
			return
		}
	}
	out, _ := s.Crm(s.Context(), s.Nodes[0], "status", "-rf")
	s.Fatalf("not within %v: %s: %v\n%s", soon, what, err, out)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
