package lvs

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"systole/integration/lab"
)

func TestMain(m *testing.M) {
	if os.Getenv(insideEnv) != "" {
		if err := inside(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	lab.Main(m)
}

// Settings of the suite; doc.go tells of them.
const (
	detectEnv = "SYSTOLE_LAB_DETECT"
	fullEnv   = "SYSTOLE_LAB_FULL"
	onlyEnv   = "SYSTOLE_LAB_ONLY" // the examples that match, for who works on them
	actEnv    = "SYSTOLE_LAB_ACT"  // the acts of the last that match
)

func full() bool { return os.Getenv(fullEnv) == "1" }

func TestLVS(t *testing.T) {
	detectWithin, err := time.ParseDuration(cmp.Or(os.Getenv(detectEnv), "1s"))
	if err != nil {
		t.Fatalf("%s: %v", detectEnv, err)
	}
	began := time.Now()
	s := newSite(t, detectWithin)
	s.form()
	t.Logf("four nodes are a cluster after %v", time.Since(began).Round(time.Second))
	for _, story := range []struct {
		example string
		tell    func(site)
	}{
		{"lvs-nat/one-network.crm", translated},
		{"lvs-nat/site.crm", translated},
		{"lvs-tun/site.crm", tunnelled},
		{"lvs-dr-ipv6/site.crm", sixth},
		{"lvs-dr/site.crm", direct},
	} {
		if only := os.Getenv(onlyEnv); !regexp.MustCompile(only).MatchString(story.example) {
			continue
		}
		ok := t.Run(story.example, func(t *testing.T) {
			s := s.with(t)
			at := time.Now()
			s.load(story.example)
			s.ready()
			s.Logf("served after %v", time.Since(at).Round(100*time.Millisecond))
			story.tell(s)
			if !t.Failed() {
				s.clear()
			}
		})
		if !ok {
			s.tell()
			break
		}
	}
	s.quiet()
	s.print(began)
}

// with is the site told of in another test.
func (s site) with(t *testing.T) site {
	s.T = t
	return s
}

// quiet: directors alone have answered for the address, and no two at once.
func (s site) quiet() {
	s.Helper()
	for _, u := range s.wire.Speakers() {
		if !strings.HasPrefix(u.Node, "director-") {
			lab.Broken(s, fmt.Sprintf("%s answered for the address at %v: %s", u.Node, u.At.Format("15:04:05.000"), u.What))
		}
	}
	for _, v := range s.wire.Violations() {
		lab.Broken(s, v)
	}
	probes, answered := s.wire.Asked()
	if answered < probes/10 {
		s.Errorf("of %d questions on the wire %d were answered: nothing is proved", probes, answered)
	}
	s.table.add("questions for the address / answered, all by a director", "%d / %d", probes, answered)
}

// print shows what was measured.
func (s site) print(began time.Time) {
	commit, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		commit = []byte("unknown")
	}
	s.Logf("lvs at commit %s, detect-within %v, %v in all\n%s", strings.TrimSpace(string(commit)), s.DetectWithin,
		time.Since(began).Round(time.Second), strings.Join(s.table.rows, "\n"))
}
