package lvs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"systole/integration/lab"
)

const (
	// steady is the rate of new connections while something happens.
	steady = 25 * time.Millisecond
	// cuts is how often an active director loses its power.
	cuts = 3
	// checkTime is fall × interval + time-out of the examples' check: two failures, each a second apart, the
	// last of which takes a second.
	checkTime = 3 * time.Second
	// suspicion is when a request has gone to a dead server: the living answer sooner, on a busy machine too.
	suspicion = 3 * time.Second
)

// target is the outage a power cut may cost: 1.0 s at the default detect-within of
// 0.5 s, 1.7 s at 1 s, and so on.
func (s site) target() time.Duration { return 300*time.Millisecond + s.DetectWithin*14/10 }

// farTooLong is what fails: the machines here are slow.
const farTooLong = 5

// powerCuts: the active director loses its power under load. A download of seconds goes on with
// the other director, to the last byte.
func powerCuts(s site) {
	s.fence()
	var outages []time.Duration
	survived := 0
	for range cuts {
		s.ready()
		oneByOne(s.Context(), url(vip, "80", "/"), 20) // of nothing it would be warm only at the end of its bound
		s.warm()
		old := s.active()
		s.eventually("the cluster knows that the standby is warm", func() bool {
			_, err := s.run(s.webs[0], "cibadmin", "-Q", "--xpath", "//nvpair[@name='master-lvs' and @value='100']")
			return err == nil
		})
		role := "a node"
		if strings.Contains(s.sh(s.webs[0], "crm status"), "Current DC: "+old.Name) {
			role = "the DC"
		}
		load := generate(url(vip, "80", "/"), steady, 500*time.Millisecond)
		slow := startDownload(url(vip, "80", "/slow"), slowFile)
		s.eventually("the download is known to the standby", func() bool { return s.synced(s.other(old)) })
		since := time.Now()
		old.PowerCut()
		s.eventually("the other director serves", func() bool { return load.goodSince(since.Add(time.Second)) > 50 })
		out := outage(load.end(), since)
		outages = append(outages, out.Round(10*time.Millisecond))
		<-slow.done
		if slow.err != nil {
			s.Errorf("the download did not survive: %v", slow.err)
		} else {
			survived++
		}
		if now := s.active(); now == old {
			s.Fatalf("%s answers without power", old.Name)
		}
		s.Logf("%s, %s, lost its power: outage %v", old.Name, role, out.Round(10*time.Millisecond))
		s.back(old)
	}
	slices.Sort(outages)
	median := outages[len(outages)/2]
	if median > farTooLong*s.target() {
		s.Errorf("the median outage is %v, the target %v", median, s.target())
	}
	s.table.add("director's power cut under load: median outage (target)", "%v (%v), each %v; %d of %d downloads byte-exact",
		median.Round(10*time.Millisecond), s.target(), outages, survived, cuts)
}

// other is the other director.
func (s site) other(one *lab.Node) *lab.Node {
	if one == s.directors[0] {
		return s.directors[1]
	}
	return s.directors[0]
}

// fence gives the cluster the lab's power switch: without one the loss of a director is
// proven only when its addresses are silent for certain.
func (s site) fence() {
	s.Helper()
	s.must(s.Configure(s.Context(), s.webs[0], `primitive power stonith:fence_lab \
	params pcmk_host_list="director-a director-b web-1 web-2" \
	op start timeout=60s
property stonith-enabled=true stonith-action=off stonith-timeout=60s
`))
}

// synced tells whether a standby knows an established connection.
func (s site) synced(standby *lab.Node) bool {
	return strings.Contains(s.sh(standby, "ipvsadm -Lnc"), "ESTABLISHED")
}

// webFaults: a web server dies in every way there is. After the time the checks need no
// connection goes to it, and when it is well again it is used again.
func webFaults(s site) {
	victim := s.webs[0]
	for _, f := range []struct{ name, break_, mend string }{
		{"nginx killed", "pkill -9 nginx", ""}, // the cluster starts it again
		{"status 500", "touch /run/broken", "rm /run/broken"},
		{"a black hole", "pkill -STOP nginx", "pkill -CONT nginx"},
		{"drips", "touch /run/drips", "rm /run/drips"},
	} {
		s.whole()
		load := generate(url(vip, "80", "/"), steady, suspicion)
		since := time.Now()
		s.sh(victim, f.break_)
		s.eventually(f.name+": it is out", func() bool { return s.weight(victim.Name) <= 0 || f.mend == "" })
		calm := time.Now()
		s.eventually(f.name+": the other one serves", func() bool { return load.goodSince(calm) > 50 })
		all := load.end()
		s.out(f.name, all, since)
		if f.mend != "" {
			s.sh(victim, f.mend)
		}
	}
	s.whole()
	load := generate(url(vip, "80", "/"), steady, suspicion)
	since := time.Now()
	victim.PowerCut()
	s.eventually("power cut: it is out", func() bool { return s.weight(victim.Name) <= 0 })
	calm := time.Now()
	s.eventually("power cut: the other one serves", func() bool { return load.goodSince(calm) > 50 })
	s.out("power cut", load.end(), since)
	s.back(victim)
	s.whole()
}

// out checks that no connection went to a broken server after the time its checks take.
func (s site) out(fault string, all []request, since time.Time) {
	s.Helper()
	bad := failed(all)
	var last time.Duration
	for _, r := range bad {
		last = max(last, r.began.Sub(since))
	}
	if last > farTooLong*checkTime {
		s.Errorf("%s: a connection went there %v after the fault: %v", fault, last, bad[len(bad)-1].err)
	}
	s.table.add("web server: "+fault+": last connection to it after", "%v (checks take up to %v), %d of %d requests failed", last.Round(10*time.Millisecond), checkTime, len(bad), len(all))
}

// whole waits until both web servers are used.
func (s site) whole() {
	s.Helper()
	s.eventually("both web servers are in the table", func() bool { return s.weight("web-1") == 1 && s.weight("web-2") == 1 })
}

// standby: a web server is put aside by plan, and comes back. Nothing is lost.
func plannedStandby(s site) {
	s.whole()
	enough := 1500
	if full() {
		enough = 10_000
	}
	load := generate(url(vip, "80", "/"), steady, 10*time.Second)
	since := time.Now()
	s.sh(s.webs[1], "crm -w node standby web-1")
	s.eventually("it gets nothing", func() bool { return s.weight("web-1") <= 0 })
	aside := time.Now()
	s.sh(s.webs[1], "crm -w node online web-1")
	s.whole()
	for load.count() < enough {
		time.Sleep(100 * time.Millisecond)
	}
	all := load.end()
	if bad := failed(all); len(bad) > 0 {
		for _, r := range bad {
			s.Logf("asked %v after standby, failed at %v: %v", r.began.Sub(since), r.ended.Sub(since), r.err)
		}
		s.Errorf("planned standby: %d of %d requests failed; standby took until %v", len(bad), len(all), aside.Sub(since))
	}
	s.table.add("web server: planned standby and back: failed / requests", "%d / %d, stopped after %v", len(failed(all)), len(all), aside.Sub(since).Round(100*time.Millisecond))
}

// daemonKilled: systoled dies on the active director and comes back within its lease;
// nothing happens. Left dead, the other director takes over.
func daemonKilled(s site) {
	inTime := false
	for range 3 { // a busy machine may take longer to start it than the lease lasts
		s.ready()
		if inTime = s.restarted(); inTime {
			break
		}
	}
	if !inTime {
		s.Error("systoled never was back within its lease: nothing is proved")
	}
	s.ready()
	on := s.active()
	load := generate(url(vip, "80", "/"), steady, 500*time.Millisecond)
	since := time.Now()
	s.sh(on, "pkill -9 -x systoled")
	s.eventually("the other director serves", func() bool { return s.active() != on && load.goodSince(time.Now().Add(-time.Second)) > 20 })
	all := load.end()
	out := outage(all, since)
	if out > farTooLong*s.target() {
		s.Errorf("systoled killed and left: outage %v, the target %v", out, s.target())
	}
	s.table.add("systoled killed, left: outage", "%v", out.Round(10*time.Millisecond))
	ctx := s.Context()
	if on.Running() {
		s.must(s.StartDaemon(ctx, on))
		s.must(s.AwaitMembers(ctx, s.other(on), len(s.Nodes)))
	} else {
		s.back(on)
	}
	s.ready()
}

// restarted kills systoled on the active director and starts it at once. It is false
// when a lease had ended before the daemon was back: then it proves nothing.
func (s site) restarted() (inTime bool) {
	s.Helper()
	on := s.active()
	before, losses := s.sh(on, "ipvsadm -Sn"), s.losses()
	load := generate(url(vip, "80", "/"), steady, 10*time.Second)
	since := time.Now()
	s.sh(on, "pkill -9 -x systoled")
	s.must(s.StartDaemon(s.Context(), on))
	s.eventually("it is back", func() bool { _, err := s.run(on, "crm", "status"); return err == nil })
	s.eventually("requests after it", func() bool { return load.goodSince(since.Add(s.DetectWithin)) > 50 })
	all := load.end()
	if s.losses() > losses {
		s.Logf("systoled was not back within its lease")
		return false
	}
	if after := s.sh(on, "ipvsadm -Sn"); after != before {
		s.Errorf("the table changed from\n%sto\n%s", before, after)
	}
	if now := s.active(); now != on {
		s.Errorf("%s has the address, not %s", now.Name, on.Name)
	}
	if bad := failed(all); len(bad) > 0 {
		s.Errorf("systoled killed and started: %d of %d requests failed; first: %v", len(bad), len(all), bad[0].err)
	}
	s.table.add("systoled killed, started again: failed / requests, outage", "%d / %d, %v", len(failed(all)), len(all), outage(all, since).Round(10*time.Millisecond))
	return true
}

// losses counts leases that ended, in the eyes of whoever has one or gives one.
func (s site) losses() (n int) {
	for _, on := range s.Nodes {
		log := on.Log("systoled.log")
		n += strings.Count(log, `"msg":"node lost"`) + strings.Count(log, `"msg":"node lease ended`)
	}
	return n
}

// nobodyLeft: when all real servers are dead the sorry server answers, and the hooks
// are told; a service in panic believes its checks no more.
func nobodyLeft(s site) {
	for _, n := range s.directors {
		_, err := n.Spawn(s.Context(), "sorry.log", "/bin/sh", "-c", program("http 80 sorry"))
		s.must(err)
		s.sh(n, "rm -f /run/quorum; printf '#!/bin/sh\\necho $IPVS_STATE >>/run/quorum\\n' >/usr/local/bin/quorum && chmod 755 /usr/local/bin/quorum")
	}
	s.services(fmt.Sprintf(siteServices, "quorum-up=/usr/local/bin/quorum quorum-down=/usr/local/bin/quorum") + "; sorry 127.0.0.1:80")
	s.whole()
	s.shared(url(vip, "80", "/"), 5, 5)
	s.broken(true, s.webs...)
	s.answers("sorry")
	s.broken(false, s.webs...)
	s.answers("web-")
	heard := strings.Join(strings.Fields(s.sh(s.active(), "cat /run/quorum")), " ")
	if !strings.HasSuffix(heard, "down up") {
		s.Errorf("the hooks of the quorum heard %q, want down, then up", heard)
	}
	s.table.add("all servers dead: sorry server, back; quorum hooks", "answered; %s", heard)

	s.services(fmt.Sprintf(siteServices, "panic=60"))
	s.whole()
	s.broken(true, s.webs[0]) // half of them: less than 60 %
	s.eventually("panic", func() bool { return s.panics() })
	if got := oneByOne(s.Context(), url(vip, "80", "/"), 10); len(failed(got)) != 5 {
		s.Errorf("in panic %d of 10 requests went to the server that fails", len(failed(got)))
	}
	s.broken(false, s.webs[0])
	s.eventually("no panic", func() bool { return !s.panics() })
	s.table.add("panic threshold 60 %, one of two dead", "checks not believed, both serve")
	s.services(fmt.Sprintf(siteServices, ""))
	for _, n := range s.directors {
		s.sh(n, "pkill -f 'http 80 sorr[y]'")
	}
	s.whole()
}

func (s site) panics() bool {
	st, err := s.status(s.active())
	return err == nil && len(st.Services) == 1 && st.Services[0].Panic
}

// broken makes web servers answer 500, or not any more.
func (s site) broken(yes bool, webs ...*lab.Node) {
	s.Helper()
	for _, n := range webs {
		if yes {
			s.sh(n, "touch /run/broken")
		} else {
			s.sh(n, "rm /run/broken")
		}
	}
}

// answers waits until ten requests in a row are answered by servers of a name.
func (s site) answers(name string) {
	s.Helper()
	s.eventually(name+" answers", func() bool {
		for _, r := range oneByOne(s.Context(), url(vip, "80", "/"), 10) {
			if r.err != nil || !strings.HasPrefix(r.from, name) {
				return false
			}
		}
		return true
	})
}

// reloading: the configuration is loaded again and again while requests come; the
// service that stays the same keeps its counters.
func reloading(s site) {
	const file = "/srv/services"
	more := "virtual tcp 10.77.0.100:81 scheduler=rr forward=dr\nreal 10.77.0.13:81\nreal 10.77.0.14:81 weight=5\n"
	same := strings.ReplaceAll(fmt.Sprintf(siteServices, ""), ";", "\n") + "\n"
	for _, n := range s.directors {
		_, err := n.Feed(s.Context(), same, "/bin/sh", "-c", "cat >"+file)
		s.must(err)
		_, err = n.Feed(s.Context(), more, "/bin/sh", "-c", "cat >"+file+".more")
		s.must(err)
	}
	s.fromFile(file)
	s.whole()
	on := s.active()
	earlier := s.connections(on)
	oneByOne(s.Context(), url(vip, "80", "/"), 20)
	s.eventually("the counters are added up", func() bool { return s.connections(on) >= earlier+20 }) // every two seconds
	before := s.connections(on)
	load := generate(url(vip, "80", "/"), steady, 10*time.Second)
	times := 1000
	began := time.Now()
	_, err := on.Shell(s.Context(), program(fmt.Sprintf("reloads %s %d", file, times)))
	s.must(err)
	took := time.Since(began)
	for range 5 { // by the cluster
		s.sh(s.webs[0], "crm -w resource param lvs set check_defaults 'rise=2' && crm -w resource param lvs delete check_defaults")
	}
	all := load.end()
	if bad := failed(all); len(bad) > 0 {
		s.Errorf("%d of %d requests failed while the configuration was loaded; first: %v", len(bad), len(all), bad[0].err)
	}
	// A few may be missing: a port of the client used again within the kernel's memory is no new connection.
	enough := before + len(all) - len(all)/50
	s.eventually(fmt.Sprintf("the counters have gone on from %d to %d", before, enough), func() bool { return s.connections(on) >= enough })
	if got := s.connections(on); got > before+len(all)+20 {
		s.Errorf("%d connections are counted, there were %d", got, before+len(all))
	}
	s.table.add("configuration loaded: times, failed / requests, counters", "%d in %v and 10 by the cluster, %d / %d, kept", times, took.Round(100*time.Millisecond), len(failed(all)), len(all))
}

// fromFile has the director of the example read its services from a file.
func (s site) fromFile(file string) {
	s.Helper()
	text, err := os.ReadFile(filepath.Join(examples, "lvs-dr/site.crm"))
	s.must(err)
	lvs := regexp.MustCompile(`(?s)primitive lvs .*?\nclone `).FindString(string(text))
	lvs = regexp.MustCompile(`services="[^"]*"`).ReplaceAllString(strings.TrimSuffix(lvs, "clone "), "config="+file)
	s.must(s.Configure(s.Context(), s.webs[0], lvs))
}

// connections is how many the kernel has counted for the site's service.
func (s site) connections(on *lab.Node) (n int) {
	out := s.sh(on, `ipvsadm -Ln --stats --exact | awk '$1 == "TCP" && $2 == "10.77.0.100:80" {print $3}'`)
	fmt.Sscan(out, &n)
	return n
}
