package lvs

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"systole/integration/lab"
)

// legacy is a site's configuration in another program's files.
type legacy struct {
	name, words string // crm import's
	files       []string
	lost        bool // some lines have no counterpart: mail
	// more is what the files leave to others: the directors' place, and their address.
	more      string
	unwatched bool // the servers are not checked, as before
}

const address = `
primitive vip ocf:systole:IPaddr2 params ip=10.77.0.100 cidr_netmask=32 nic=eth0 op monitor interval=5s timeout=20s
group site director vip
location site-place site rule -inf: #uname ne director-a and #uname ne director-b
`

// legacies are in the shape of the tutorials: two directors, direct routing, round
// robin, persistence of 50 s.
var legacies = []legacy{
	{name: "keepalived", words: "director-a=keepalived-a.conf director-b=keepalived-b.conf", files: []string{"keepalived-a.conf", "keepalived-b.conf"}, lost: true},
	{name: "ldirectord", words: "ldirectord.cf", files: []string{"ldirectord.cf"}, more: address},
	{name: "ipvsadm", words: "ipvsadm.rules", files: []string{"ipvsadm.rules"}, more: address, unwatched: true},
	{name: "haresources", words: "haresources ha.cf", files: []string{"haresources", "ha.cf", "ldirectord.cf"},
		more: "location directors-place ldirectord_1s rule -inf: #uname ne director-a and #uname ne director-b\n"},
}

// TestImported brings configurations of other programs into a cluster as an
// administrator would, and adds the web servers to it. Each must serve, its checks
// work, and crm lvs doctor find nothing.
func TestImported(t *testing.T) {
	s := newSite(t, 2*time.Second)
	s.form()
	for _, l := range legacies {
		if only := os.Getenv(onlyEnv); !regexp.MustCompile(only).MatchString(l.name) {
			continue
		}
		if !t.Run(l.name, func(t *testing.T) { imported(s.with(t), l) }) {
			s.tell()
			break
		}
	}
	s.quiet()
}

func imported(s site, l legacy) {
	on := s.directors[0]
	began := time.Now()
	s.bring(on, l)
	s.answers("web-")
	s.Logf("served after %v", time.Since(began).Round(100*time.Millisecond))
	s.serving("web-1", "web-2")
	if got := shares(oneByOne(s.Context(), url(vip, "80", "/"), 10)); len(got) != 1 || got["web-1"]+got["web-2"] != 10 {
		s.Errorf("a persistent client was served by %v", got)
	}
	active := s.active()
	status := s.sh(active, "crm lvs status")
	for _, want := range []string{": active, process", "tcp 10.77.0.100:80 rr: has quorum (weights 2, needed 1)", "10.77.0.13:80 dr: up, weight 1 of 1", "10.77.0.14:80 dr: up, weight 1 of 1"} {
		if !strings.Contains(status, want) || strings.Contains(status, "problem:") {
			s.Errorf("crm lvs status on %s lacks %q:\n%s", active.Name, want, status)
		}
	}
	s.healthy()
	web := s.webs[0]
	s.sh(web, "ip addr del "+vip+"/32 dev lo")
	if out, err := s.run(on, "crm", "lvs", "doctor"); err == nil || !strings.Contains(out, web.Name) {
		s.Errorf("the doctor does not see that %s lacks the address: %v\n%s", web.Name, err, out)
	}
	s.sh(web, "ip addr replace "+vip+"/32 dev lo") // or its monitor was quicker
	if !l.unwatched {
		s.sh(on, "crm -w node standby web-1")
		s.serving("web-2")
		if got := shares(oneByOne(s.Context(), url(vip, "80", "/"), 5)); got["web-2"] != 5 {
			s.Errorf("without web-1: %v", got)
		}
		s.sh(on, "crm -w node online web-1")
		s.serving("web-1", "web-2")
	}
	s.sh(on, "crm -w node standby "+active.Name)
	s.eventually("the other director has the address", func() bool { return s.active() != active })
	s.answers("web-")
	s.healthy()
	s.sh(on, "crm -w node online "+active.Name)
	s.clear()
}

// bring imports files, and loads them with what is the administrator's to add.
func (s site) bring(on *lab.Node, l legacy) {
	s.Helper()
	for _, name := range l.files {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		s.must(err)
		_, err = on.Write(filepath.Join("old", name), string(text), 0o600)
		s.must(err)
	}
	webs, err := os.ReadFile("testdata/webs.crm")
	s.must(err)
	dir := filepath.Join("/lab", on.Name, "old")
	status := strings.TrimSpace(s.sh(on, "cd "+dir+"; crm import "+l.name+" "+l.words+" -o "+dir+"/site.crm >/dev/null 2>&1; echo $?"))
	if want := map[bool]string{false: "0", true: "113"}[l.lost]; status != want {
		s.Fatalf("crm import %s: exit status %s, want %s", l.name, status, want)
	}
	script := strings.TrimSuffix(on.Log("old/site.crm"), "commit\n")
	file, err := on.Write("old/whole.crm", script+l.more+string(webs)+"commit\n", 0o600)
	s.must(err)
	s.sh(on, "crm -f "+file)
}

// serving waits until exactly these web servers are in the active director's table, in full.
func (s site) serving(names ...string) {
	s.Helper()
	want := []string{"-A -t 10.77.0.100:80 -s rr -p 50"}
	for _, n := range s.webs {
		if slices.Contains(names, n.Name) {
			want = append(want, "-a -t 10.77.0.100:80 -r "+n.Addr.String()+":80 -g -w 1")
		}
	}
	s.eventually("the table has "+strings.Join(names, " and "), func() bool {
		got := slices.Sorted(slices.Values(strings.Split(strings.TrimSpace(s.sh(s.active(), "ipvsadm -Sn")), "\n")))
		return slices.Equal(got, want)
	})
}

// healthy has the doctor look at the whole site. What has just moved may be told of for an instant.
func (s site) healthy() {
	s.Helper()
	var said string
	s.eventually("crm lvs doctor finds nothing", func() bool {
		out, err := s.run(s.webs[0], "crm", "lvs", "doctor")
		if out != said && err != nil {
			s.Logf("the doctor says: %v\n%s", err, out)
		}
		said = out
		return err == nil && strings.TrimSpace(out) == "nothing is wrong"
	})
}
