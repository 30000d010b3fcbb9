package ipvsadm

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"systole/agents/ipvs/table"
	"systole/crm/shell/tool"
)

// play runs command lines on one kernel and returns all they print.
type play struct {
	t     *testing.T
	k     memory
	conns []table.Connection
}

func (p *play) run(want int, stdin, line string) (out, errs string) {
	p.t.Helper()
	var o, e bytes.Buffer
	program := Program{
		Open:        func() (Kernel, func(), error) { return &p.k, func() {}, nil },
		Connections: func() ([]table.Connection, error) { return p.conns, nil },
		Names: Names{
			Host: func(name string) (netip.Addr, error) {
				if name == "web" {
					return netip.MustParseAddr("10.0.0.99"), nil
				}
				return netip.Addr{}, errors.New("no such host")
			},
			Port: func(protocol, name string) (uint16, error) {
				if name == "http" {
					return 80, nil
				}
				return 0, errors.New("no such service")
			},
		},
	}
	if got := program.Run(&tool.IO{In: strings.NewReader(stdin), Out: &o, Err: &e}, strings.Fields(line)); got != want {
		p.t.Errorf("ipvsadm %s: exit %d, want %d: %s", line, got, want, e.String())
	}
	return o.String(), e.String()
}

// setup is a table with one of everything; the listings in testdata are what
// Debian's ipvsadm 1.31 prints of it (integration/lab/lvstools compares anew).
const setup = `
-A -t 192.0.2.10:80 -s wrr -p 50
-a -t 192.0.2.10:80 -r 10.0.0.11:80 -g -w 3 -x 100 -y 50
-a -t 192.0.2.10:80 -r 10.0.0.12 -i
-a -t 192.0.2.10:80 -r 10.0.0.13:80 -i --tun-type gue --tun-port 6080 --tun-csum
-a -t 192.0.2.10:80 -r 10.0.0.14:80 -i --tun-type gre --tun-nocsum
-a -t 192.0.2.10:http -r 10.0.0.15:8080 -m
-a -t192.0.2.10:80 -r 10.0.0.16:8080 -g
# a comment, and an empty line

--add-service --udp-service=192.0.2.10:5060 --scheduler rr --persistent --netmask 255.255.255.0 --pe sip --ops
-A -u 192.0.2.10:53 -s rr ops
-A -t 192.0.2.11:80 -s sh -b sh-fallback,sh-port
-A -t 192.0.2.12:80 -s mh -b mh-port
-A -t 192.0.2.13:80 -s rr -b flag-1,flag-3
-A -t [2001:db8::10]:80 -s rr -p 360 -M 64
-a -t [2001:db8::10]:80 -r [2001:db8:1234:5678:9abc:def0:1234:5678]:80 -g
-A -f 7
-a -f 7 -r 10.0.0.11 -g
-A -f 8 -6 -s wlc
-A --sctp-service 192.0.2.10:9
`

func newPlay(t *testing.T) *play {
	p := &play{t: t}
	p.run(0, setup, "-R")
	return p
}

func TestListings(t *testing.T) {
	p := newPlay(t)
	for file, line := range map[string]string{"list": "-L -n", "thresholds": "-ln --thresholds", "persistent": "-Ln --persistent-conn", "stats": "-Ln --stats", "rate": "-ln --rate", "save": "-S -n"} {
		want, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		out, _ := p.run(0, "", line)
		if diff := cmp.Diff(string(want), out); diff != "" {
			t.Errorf("ipvsadm %s (-want +got):\n%s", line, diff)
		}
	}
	plain, _ := p.run(0, "", "-L -n")
	for _, line := range []string{"-ln", "-Ln", "-nL", "-n", "--list --numeric", "-L -n --sort"} {
		if out, _ := p.run(0, "", line); out != plain {
			t.Errorf("ipvsadm %s prints something else than -L -n:\n%s", line, out)
		}
	}
	one, _ := p.run(0, "", "-Ln -t 192.0.2.12:80")
	if want := headings[""] + "\nTCP  192.0.2.12:80 mh (mh-port)\n"; one != want {
		t.Errorf("one service: %q, want %q", one, want)
	}
	p.run(exitNone, "", "-Ln -t 192.0.2.99:80")
}

// What -S prints makes the same table again.
func TestSaveAndRestore(t *testing.T) {
	p := newPlay(t)
	saved, _ := p.run(0, "", "-Sn")
	again := &play{t: t}
	again.run(0, saved, "-R")
	if out, _ := again.run(0, "", "-Sn"); out != saved {
		t.Errorf("restored:\n%s\nsaved:\n%s", out, saved)
	}
}

func TestConnections(t *testing.T) {
	end := netip.MustParseAddrPort
	p := &play{t: t, conns: []table.Connection{
		{Protocol: "TCP", Client: end("[::1]:57972"), Virtual: end("[::1]:81"), Server: end("[::1]:81"), State: "CLOSE", Expires: 9 * time.Second},
		{Protocol: "TCP", Client: end("192.0.2.10:39992"), Virtual: end("192.0.2.10:80"), Server: end("127.0.0.5:80"), State: "ESTABLISHED", Expires: 14*time.Minute + 58*time.Second},
		{Protocol: "UDP", Client: end("192.0.2.10:0"), Virtual: end("192.0.2.10:5060"), Server: end("127.0.0.5:5060"), State: "NONE", Expires: 2 * time.Hour, Engine: "sip", EngineData: "call-1"},
	}}
	want := `IPVS connection entries
pro expire state       source             virtual            destination
TCP 00:09  CLOSE       [::1]:57972        [::1]:81           [::1]:81
TCP 14:58  ESTABLISHED 192.0.2.10:39992   192.0.2.10:80      127.0.0.5:80
UDP 120:00  NONE        192.0.2.10:0       192.0.2.10:5060    127.0.0.5:5060
`
	for _, line := range []string{"-Lnc", "-lnc", "-lcn", "-L -n -c", "-L --connection -n"} {
		if out, _ := p.run(0, "", line); out != want {
			t.Errorf("ipvsadm %s:\n%s\nwant\n%s", line, out, want)
		}
	}
	if out, _ := p.run(0, "", "-Lnc --persistent-conn"); !strings.Contains(out, "127.0.0.5:5060     sip              call-1\n") || !strings.Contains(out, "destination        pe name          pe_data\n") {
		t.Errorf("with engines:\n%s", out)
	}
}

func TestChanges(t *testing.T) {
	p := newPlay(t)
	for _, line := range []string{
		"-E -t 192.0.2.10:80 -s rr", "-e -t 192.0.2.10:80 -r 10.0.0.11:80 -w 0", "-d -t 192.0.2.10:80 -r 10.0.0.15:8080", "-D -u 192.0.2.10:53",
		"-a -t 192.0.2.11:80 -r web:http -m -w 9", "--set 10 0 20", "-Z", "-Z -t 192.0.2.10:80",
		"--start-daemon master --mcast-interface eth0 --syncid 7", "--start-daemon=backup --mcast-interface=eth1 --mcast-group 224.0.0.99 --mcast-port 9000 --mcast-ttl 3 --sync-maxlen 1000", "--stop-daemon master",
	} {
		p.run(0, "", line)
	}
	saved, _ := p.run(0, "", "-Sn")
	for _, want := range []string{"-A -t 192.0.2.10:80 -s rr\n", "-r 10.0.0.11:80 -g -w 0\n", "-a -t 192.0.2.11:80 -r 10.0.0.99:80 -m -w 9\n"} {
		if !strings.Contains(saved, want) {
			t.Errorf("%q is not in\n%s", want, saved)
		}
	}
	if strings.Contains(saved, "10.0.0.15") || strings.Contains(saved, "-u 192.0.2.10:53 ") {
		t.Errorf("not deleted:\n%s", saved)
	}
	if out, _ := p.run(0, "", "-L --timeout"); out != "Timeout (tcp tcpfin udp): 10 0 20\n" {
		t.Errorf("time-outs: %s", out)
	}
	if out, _ := p.run(0, "", "-L --daemon"); out != "backup sync daemon (mcast=eth1, syncid=255, maxlen=1000, group=224.0.0.99, port=9000, ttl=3)\n" {
		t.Errorf("daemons: %s", out)
	}
	if !slices.Equal(p.k.zeroed, []string{"all", "tcp 192.0.2.10:80"}) {
		t.Errorf("zeroed: %q", p.k.zeroed)
	}
	p.run(0, "", "-C")
	if len(p.k.entries) != 0 {
		t.Error("-C leaves something")
	}
}

func TestRefused(t *testing.T) {
	p := newPlay(t)
	for line, want := range map[string]string{
		"-A":                                                "needs a virtual service",
		"-A -t 192.0.2.20":                                  "port 0",
		"-A -t 192.0.2.20:80 -r 10.0.0.1":                   "--real-server does not go with --add-service",
		"-A -t 192.0.2.20:80 -g":                            "--gatewaying does not go with",
		"-A -t 192.0.2.20:80 -u 192.0.2.20:80":              "two virtual services",
		"-A -D -t 192.0.2.20:80":                            "two commands",
		"-A -t 192.0.2.20:80 -6x":                           "--u-threshold needs a value",
		"-A -t nowhere:80":                                  "no such host",
		"-A -t 192.0.2.20:gopher":                           "no such service",
		"-A -t [2001:db8::1:80":                             "bracket",
		"-A -f 0":                                           "greater than 0",
		"-A -f 1 -M 24":                                     "only for a persistent service",
		"-A -t 192.0.2.20:80 -o":                            "UDP only",
		"-A -t 192.0.2.20:80 -s rr -b sh-port":              "sh-port",
		"-A -t 192.0.2.20:80 -p 0":                          "seconds",
		"-a -t 192.0.2.10:80":                               "needs a real server",
		"-a -t 192.0.2.10:80 -r 10.0.0.1 -g -m":             "two of -g, -i and -m",
		"-a -t 192.0.2.10:80 -r 10.0.0.1 -w -1":             "0 to 65535",
		"-a -t 192.0.2.10:80 -r 10.0.0.1 -i --tun-type gue": "--tun-port",
		"-a -t 192.0.2.10:80 -r 10.0.0.1 --tun-csum":        "only for -i",
		"--set 1 2":                                         "three numbers",
		"--set 1 2 x":                                       "number of seconds",
		"--start-daemon slave":                              "slave",
		"--start-daemon master --syncid 9999":               "0 to 255",
		"-L extra":                                          `"extra" is no option`,
		"-X":                                                "-X is not known",
		"--frobnicate":                                      "--frobnicate is not known",
		"-L --timeout -t 192.0.2.10:80":                     "does not go with a virtual service",
		"-L -6":                                             "only for a firewall mark",
		"-A -t":                                             "needs a value",
		"-L --numeric=yes":                                  "takes no value",
	} {
		if _, errs := p.run(exitUsage, "", line); !strings.Contains(errs, want) {
			t.Errorf("ipvsadm %s says %q, not %q", line, errs, want)
		}
	}
	for _, line := range []string{"-A -t 192.0.2.10:80", "-D -t 192.0.2.99:80", "-a -t 192.0.2.99:80 -r 10.0.0.1", "-d -t 192.0.2.10:80 -r 10.9.9.9"} {
		p.run(exitRefused, "", line)
	}
	_, errs := p.run(exitRefused, "-A -t 192.0.2.30:80\n\nbogus\n-A -t 192.0.2.31:80\n", "-R")
	if !strings.Contains(errs, "line 3") {
		t.Errorf("the place in a restored file: %s", errs)
	}
	if saved, _ := p.run(0, "", "-Sn"); !strings.Contains(saved, "192.0.2.30") || strings.Contains(saved, "192.0.2.31") {
		t.Errorf("after a line that is wrong:\n%s", saved)
	}
}

func TestLargeNumbers(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "       0", 99_999_999: "99999999", 100_000_000: " 100000K", 9_999_999_999: "9999999K", 10_000_000_000: "  10000M",
		9_999_999_999_999: "9999999M", 10_000_000_000_000: "  10000G", 10_000_000_000_000_000: "  10000T", 1<<64 - 1: "18446744T",
	} {
		if got := largeNumber(n, false); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
	if got := largeNumber(1<<40, true); got != "1099511627776" {
		t.Errorf("exact: %q", got)
	}
}

// Every option is in the help, and no letter stands for two.
func TestOptions(t *testing.T) {
	text := usage()
	seen := map[byte]string{}
	for _, o := range options {
		if o.short != 0 {
			if other := seen[o.short]; other != "" {
				t.Errorf("-%c is %s and %s", o.short, other, o.long)
			}
			seen[o.short] = o.long
		}
		if !strings.Contains(text, "--"+o.long) || o.verb == "" && len(o.with) == 0 {
			t.Errorf("--%s is not in the help, or goes with no command", o.long)
		}
	}
}

// FuzzParse: what is understood can be saved and understood again, to the same.
func FuzzParse(f *testing.F) {
	for line := range strings.Lines(setup) {
		f.Add(line)
	}
	f.Add("-lnc")
	f.Add("-d -f 7 -6 -r [2001:db8::1]:0")
	f.Add("--start-daemon master --syncid 1")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parse(strings.Fields(line), Names{})
		if err != nil || c.do != addService && c.do != addServer {
			return
		}
		e := table.Entry{Service: c.service}
		if c.do == addServer {
			e.Scheduler = "rr"
			e.Servers = []table.ServerEntry{{Server: c.server}}
			if e.Addr.Port() == 0 && !e.IsMark() {
				e.Persistent = time.Second
			}
		}
		var out bytes.Buffer
		printer{&out, numbers, view{}}.saved([]table.Entry{e})
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		again, err := parse(strings.Fields(lines[len(lines)-1]), Names{})
		if err != nil {
			t.Fatalf("%q is saved as %q: %v", line, out.String(), err)
		}
		c.server.Upper, c.server.Lower = 0, 0 // the format forgets them
		if c.do == addServer {
			c.service = again.service
		} else if c.service.Mask == table.FullMask(c.service.Family) {
			c.service.Mask = 0
		}
		if c.service != again.service || c.server != again.server {
			t.Errorf("%q is\n%+v %+v, saved as %q that is\n%+v %+v", line, c.service, c.server, out.String(), again.service, again.server)
		}
	})
}
