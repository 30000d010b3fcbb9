package ipvs

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"systole/agents/ipvs/control"
	"systole/agents/ipvs/kernel"
)

const (
	siteLines = "virtual tcp 10.99.0.100:80 scheduler=rr forward=dr\ncheck http path=/ interval=1s timeout=1s\nreal 10.99.0.4\nreal 10.99.0.5\n"
	moreLines = "virtual tcp 10.99.0.100:81 scheduler=rr forward=dr\ncheck none\nreal 10.99.0.4\n"
	// reloadTimes is how often the configuration is loaded; the suite lvs does it a thousand times.
	reloadTimes = 300
	done        = "all loaded"
)

// manyReloads loads a configuration again and again while requests come: a second service comes
// and goes. No request fails, and the first service is never made anew: its counter
// is looked at after every reload, and never falls.
func manyReloads(s bench) {
	s.in("dir1", "ip", "addr", "add", "10.99.0.100/32", "dev", "eth0")
	defer s.in("dir1", "ip", "addr", "del", "10.99.0.100/32", "dev", "eth0")
	s.realServers()
	s.in("client", "ip", "neigh", "flush", "all")
	file, err := s.node.Write("site.conf", siteLines, 0o644)
	s.must(err)
	s.does(0, "dir1", "m", "start", "config="+file)
	asked := 0
	ask := func() {
		const batch = 25
		got := s.in("client", s.program, "get", "http://10.99.0.100/", strconv.Itoa(batch)) // ends with the first that fails
		if strings.Count(got, "web") != batch {
			s.Fatalf("%d requests brought %q", batch, got)
		}
		asked += batch
	}
	counted := func() (n int) {
		fmt.Sscan(s.in("dir1", "sh", "-c", "ipvsadm -Ln --stats --exact | awk '$2 == \"10.99.0.100:80\" {print $3}'"), &n)
		return n
	}
	ask()
	s.eventually("the first connections are counted", func() bool { return counted() == asked })
	began := time.Now()
	_, err = s.node.Spawn(s.Context(), "reloads.log", "ip", "netns", "exec", "dir1", s.program, "reloads", "m", file)
	s.must(err)
	for !strings.Contains(s.node.Log("reloads.log"), done) {
		if log := s.node.Log("reloads.log"); log != "" || time.Since(began) > 2*time.Minute {
			s.Fatalf("the reloads have not come to their end after %v: %s", time.Since(began), log)
		}
		ask()
	}
	// A port of the client that is used again within the kernel's memory is no new connection: some are missing.
	s.eventually("the connections are counted", func() bool { n := counted(); return n <= asked && n >= asked*4/5 })
	s.isTable("dir1", siteRules[0], siteRules[1], strings.Replace(siteRules[2], "-w 2", "-w 1", 1))
	s.Logf("%d reloads in %v, %d requests answered, %d connections counted", reloadTimes, time.Since(began).Round(100*time.Millisecond), asked, counted())
	s.does(0, "dir1", "m", "stop", "config="+file)
}

// reloads loads a file many times, with and without more in it, and watches the counter of the service that stays.
func reloads(k *kernel.Handle, name, file string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var before uint64
	for i := range reloadTimes {
		text := siteLines
		if i%2 == 0 {
			text += moreLines
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
		if _, err := control.Ask(ctx, control.Socket("", name), control.Request{Do: control.Reload}); err != nil {
			return fmt.Errorf("reload %d: %w", i, err)
		}
		entries, err := k.Services()
		if err != nil {
			return err
		}
		if want := 2 - i%2; len(entries) != want {
			return fmt.Errorf("reload %d: %d services, want %d", i, len(entries), want)
		}
		for _, e := range entries {
			if e.Key.Addr.Port() != 80 {
				continue
			}
			if e.Counters.Conns < before {
				return fmt.Errorf("reload %d: %d connections are counted, there were %d: the service was made anew", i, e.Counters.Conns, before)
			}
			before = e.Counters.Conns
		}
	}
	fmt.Println(done)
	return nil
}
