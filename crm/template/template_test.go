package template

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"systole/crm/clitext"
	"systole/crm/exit"
)

// elsewhere are answers for another place, with three web servers.
var elsewhere = map[string]map[string]string{
	"ha-lamp": {
		"network": "192.168.20.0/22", "address": "192.168.21.80", "url": "https://www.example.org", "interface": "bond0",
		"title": "Blåbærgrøt: 1, 2", "admin": "olga", "admin-email": "olga@example.net", "php-settings": "/etc/php.d",
		"directors": "lb1/192.168.20.1/192.168.99.1,lb2/192.168.20.2/192.168.99.2",
		"webs":      "www1/192.168.20.11/192.168.99.11,www2/192.168.20.12/192.168.99.12,www3/192.168.20.13/192.168.99.13",
		"stores":    "nas1/192.168.20.21/192.168.99.21,nas2/192.168.20.22/192.168.99.22", "storage": "192.168.21.81",
		"ipmi-user": "admin", "disk": "/dev/nvme0n2", "data": "/data", "wordpress": "/var/www/blog", "web-user": "apache",
		"php-workers": "40", "mariadbd": "/usr/libexec/mariadbd", "buffer-pool": "16G",
	},
	"lvs-dr":      {"address": "192.168.20.80", "interface": "bond0", "webs": "www1/192.168.20.11,www2/192.168.20.12,www3/192.168.20.13"},
	"lvs-dr-ipv6": {"address": "2001:db8::80", "interface": "bond0", "webs": "www1/2001:db8::11,www2/2001:db8::12,www3/2001:db8::13"},
	"lvs-nat": {"address": "192.168.20.80", "interface": "bond0", "web-interface": "bond1", "web-network": "192.168.30.0/26", "gateway": "192.168.30.1",
		"webs": "www1/192.168.30.11,www2/192.168.30.12,www3/192.168.30.13"},
	"lvs-nat-one-network": {"address": "192.168.20.80", "interface": "bond0", "gateway": "192.168.20.254", "webs": "www1/192.168.20.11,www2/192.168.20.12,www3/192.168.20.13"},
	"lvs-tun":             {"address": "192.168.20.80", "interface": "bond0", "webs": "www1/192.168.20.11,www2/172.16.0.12,www3/172.16.0.13"},
}

// answersElsewhere gives every variable of a template another value.
func answersElsewhere(t *testing.T, tmpl *Template) map[string]string {
	t.Helper()
	answers := maps.Clone(elsewhere[tmpl.Name])
	if tmpl.Name != "ha-lamp" {
		maps.Copy(answers, map[string]string{"directors": "lb1,lb2", "port": "8443", "check": "/alive", "scheduler": "mh"})
	}
	for _, v := range tmpl.Variables {
		if answers[v.Name] == "" {
			t.Errorf("%s: the test has no other value for %s", tmpl.Name, v.Name)
		}
	}
	return answers
}

// The examples are what the templates make of their defaults.
func TestDefaultsAreTheExamples(t *testing.T) {
	for _, tmpl := range All {
		site, err := tmpl.Render(nil)
		if err != nil {
			t.Errorf("%s: %v", tmpl.Name, err)
		}
		for _, f := range site.Files {
			want, err := os.ReadFile(filepath.Join("../../conf/examples", tmpl.dir, f.Path))
			if err != nil || f.Text != string(want) {
				t.Errorf("%s: %s is not the example's (%v)", tmpl.Name, f.Path, err)
			}
		}
	}
}

// Every form of a variable stands in the example: one that does not would change
// nothing. And no literal belongs to two variables.
func TestEveryLiteralOccurs(t *testing.T) {
	for _, tmpl := range All {
		example := newSettings()
		for _, v := range tmpl.Variables {
			if err := example.set(v, example.expand(v.Default)); err != nil {
				t.Fatal(tmpl.Name, err)
			}
		}
		literals := tmpl.literals(example, example)
		files, err := tmpl.read()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, f := range files {
			for line := range strings.Lines(f.Text) {
				for _, tok := range scan(line, literals) {
					seen[tok.text] = true
				}
			}
		}
		once := map[string]bool{}
		resizable := 0
		for _, l := range literals {
			if !seen[l.text] {
				t.Errorf("%s: %q is nowhere in the example: correct the variable's default or forms", tmpl.Name, l.text)
			}
			if once[l.text] {
				t.Errorf("%s: two variables replace %q", tmpl.Name, l.text)
			}
			once[l.text] = true
		}
		for _, v := range tmpl.Variables {
			if strings.HasPrefix(v.kind.what, "nodes") {
				resizable++
			}
		}
		if resizable > 1 {
			t.Errorf("%s: %d lists of any length: render copies lines for one", tmpl.Name, resizable)
		}
	}
}

// ofTheExample are names particular to the examples.
var ofTheExample = regexp.MustCompile(`\b(director-[ab]|web-[12]|store-[ab]|eth[01]|ubdb|fd77|64M)\b`)

var ipv4Pattern = regexp.MustCompile(`\b\d+\.\d+\.\d+\.\d+\b`)

// Nothing of the example's place is left in a site elsewhere: no address, and
// none of the literals. Its text is one that crm reads.
func TestNothingOfTheExampleIsLeft(t *testing.T) {
	for _, tmpl := range All {
		answers := answersElsewhere(t, tmpl)
		given := strings.Join(slices.Collect(maps.Values(answers)), ",")
		site, err := tmpl.Render(answers)
		if err != nil {
			t.Errorf("%s: %v", tmpl.Name, err)
			continue
		}
		plain, _ := tmpl.Render(nil)
		for _, f := range site.Files {
			for _, a := range ipv4Pattern.FindAllString(f.Text, -1) {
				if addr, err := netip.ParseAddr(a); err == nil && !strings.Contains(given, a) && !addr.IsUnspecified() && !addr.IsLoopback() && !strings.HasPrefix(a, "255.") {
					t.Errorf("%s: %s has %s, which no answer gave: make it a variable", tmpl.Name, f.Path, a)
				}
			}
			if word := ofTheExample.FindString(f.Text); word != "" {
				t.Errorf("%s: %s still has %s", tmpl.Name, f.Path, word)
			}
		}
		if want := strings.Count(plain.Script(), "web-1") + strings.Count(plain.Script(), "web-2"); strings.Count(site.Script(), "www1") != strings.Count(site.Script(), "www3") || strings.Count(site.Script(), "www2")*2 != want {
			t.Errorf("%s: the three web servers are not treated alike:\n%s", tmpl.Name, site.Script())
		}
		if _, err := clitext.Statements(site.Script()); err != nil {
			t.Errorf("%s: %v", tmpl.Name, err)
		}
	}
}

// One web server is a site too.
func TestOneWebServer(t *testing.T) {
	for _, tmpl := range All {
		answers := answersElsewhere(t, tmpl)
		answers["webs"], _, _ = strings.Cut(answers["webs"], ",")
		site, err := tmpl.Render(answers)
		if err != nil || !strings.Contains(site.Script(), "www1") || strings.Contains(site.Script(), "www2") || strings.Contains(site.Script(), "web-") {
			t.Errorf("%s: %v\n%s", tmpl.Name, err, site.Script())
		}
	}
}

// The cluster's nodes are all of the lists.
func TestNodes(t *testing.T) {
	tmpl, _ := Find("ha-lamp")
	site, err := tmpl.Render(answersElsewhere(t, tmpl))
	if want := []string{"lb1", "lb2", "www1", "www2", "www3", "nas1", "nas2"}; err != nil || !slices.Equal(site.Nodes, want) {
		t.Errorf("nodes are %q, want %q (%v)", site.Nodes, want, err)
	}
	if paths := slices.Collect(func(yield func(string) bool) {
		for _, f := range site.Files {
			if !yield(f.Path) {
				return
			}
		}
	}); !slices.Contains(paths, "files/site.res") || paths[0] != "fencing.crm" {
		t.Errorf("files are %q", paths)
	}
}

func TestWrongValues(t *testing.T) {
	webs := "web-1/10.77.0.13/10.77.9.13"
	for _, c := range []struct{ name, value, want string }{
		{"address", "10.77.0", `address: "10.77.0" is no address`},
		{"address", "", `address: "" is no address`},
		{"address", "2001:db8::1", "address: 2001:db8::1 is of the other address family"},
		{"address", "127.0.0.1", "address: 127.0.0.1 cannot be a machine's address"},
		{"address", "10.77.1.1", "address: 10.77.1.1 is not in 10.77.0.0/24 (network)"},
		{"address", "10.77.0.255", "address: 10.77.0.255 is the first or last address of 10.77.0.0/24"},
		{"address", "10.77.0.0", "address: 10.77.0.0 is the first or last address of 10.77.0.0/24"},
		{"storage", "10.77.0.100", "storage: 10.77.0.100 is used by address"},
		{"network", "10.77.0.1/24", "network: 10.77.0.1/24 is an address in a network: the network is 10.77.0.0/24"},
		{"network", "10.77.0.0/31", "network: a network of /31 holds no site"},
		{"network", "10.77.0.0", `network: "10.77.0.0" is no IPv4 network`},
		{"url", "http://a/", `url: "http://a/" is not a URL without a slash at the end`},
		{"url", "http://a');system('x", "url: "},
		{"interface", "eth0;reboot", "interface: "},
		{"interface", "much-longer-than-15", "interface: "},
		{"directors", "director-a/10.77.0.11/10.77.9.11", "has 1: write 2 nodes, each NODE/ADDRESS/BOARD"},
		{"webs", "web-1/10.77.0.13", `webs: "web-1/10.77.0.13" is not NODE/ADDRESS/BOARD`},
		{"webs", webs + "," + webs, "webs: web-1 is there twice"},
		{"webs", "director-a/10.77.0.13/10.77.9.13", "webs: director-a is used by directors"},
		{"webs", "web-1/10.77.0.11/10.77.9.13", "webs: 10.77.0.11 is used by directors"},
		{"webs", "web 1/10.77.0.13/10.77.9.13", `webs: "web 1" cannot be a node's name`},
		{"webs", "web-1/10.77.0.300/10.77.9.13", `webs: web-1: "10.77.0.300" is no address`},
		{"data", "srv/site", `data: "srv/site" is no absolute path`},
		{"data", "/srv/../etc", "data: "},
		{"web-user", "www data", "web-user: "},
		{"php-workers", "0", "php-workers: "},
		{"buffer-pool", "64", "buffer-pool: "},
		{"title", "The \"best\" site", "title: "},
		{"admin-email", "olga", "admin-email: "},
	} {
		tmpl, _ := Find("ha-lamp")
		_, err := tmpl.Render(map[string]string{c.name: c.value})
		if err == nil || !strings.Contains(err.Error(), c.want) || exit.Of(err) != exit.DataErr {
			t.Errorf("%s=%s: %v (status %d), want %q", c.name, c.value, err, exit.Of(err), c.want)
		}
	}
	tmpl, _ := Find("lvs-dr")
	for name, value := range map[string]string{"port": "65536", "check": "/ interval=0s", "scheduler": "random"} {
		if _, err := tmpl.Render(map[string]string{name: value}); err == nil || !strings.Contains(err.Error(), name+": ") {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}

// What a wrong value is the reason of is not told as well, all else is.
func TestAllWrongValuesAreTold(t *testing.T) {
	tmpl, _ := Find("ha-lamp")
	_, err := tmpl.Render(map[string]string{"address": "x", "disk": "y", "network": "z"})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("want three reasons, got: %v", err)
	}
}

func TestAnswers(t *testing.T) {
	tmpl, _ := Find("lvs-dr")
	got, err := tmpl.Answers([]string{"port=443", "check=/a=b"})
	if err != nil || !maps.Equal(got, map[string]string{"port": "443", "check": "/a=b"}) {
		t.Errorf("got %v, %v", got, err)
	}
	for a, want := range map[string]string{
		"port": "write NAME=VALUE", "prot=1": "did you mean port?", "frobnicate=1": "its variables are address, interface", "": "write NAME=VALUE", "=": "no variable",
	} {
		if _, err := tmpl.Answers([]string{a}); err == nil || !strings.Contains(err.Error(), want) || exit.Of(err) != exit.Usage {
			t.Errorf("%q: %v, want %q", a, err, want)
		}
	}
	if _, err := tmpl.Answers([]string{"port=1", "port=2"}); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("twice: %v", err)
	}
	if _, err := Find("lvs"); err == nil || exit.Of(err) != exit.NoSuch {
		t.Errorf("a template that is not there: %v", err)
	}
}

// Questions are put for what is not given, with defaults that follow from what
// is, and again when the answer will not do.
func TestAsk(t *testing.T) {
	tmpl, _ := Find("ha-lamp")
	answers := map[string]string{"address": "10.77.0.200"}
	var asked []string
	wrongs := 0
	err := tmpl.Ask(answers, func(v Variable, def string, wrong error) (string, error) {
		asked = append(asked, v.Name)
		if wrong != nil {
			wrongs++
		}
		switch {
		case v.Name == "url" && def != "http://10.77.0.200":
			return "", fmt.Errorf("the default of url is %s", def)
		case v.Name == "storage" && wrong == nil:
			return "10.77.0.200", nil // taken
		case v.Name == "disk":
			return "/dev/sdb", nil
		}
		return "", nil
	})
	if err != nil || wrongs != 1 || slices.Contains(asked, "address") || len(asked) != len(tmpl.Variables) {
		t.Errorf("asked %q, %d again: %v", asked, wrongs, err)
	}
	site, err := tmpl.Render(answers)
	if err != nil || !strings.Contains(site.Script(), "10.77.0.200") || answers["disk"] != "/dev/sdb" {
		t.Errorf("answers %v: %v", answers, err)
	}
	if err := tmpl.Ask(map[string]string{"address": "nowhere"}, func(Variable, string, error) (string, error) { return "", nil }); exit.Of(err) != exit.DataErr {
		t.Errorf("a given value that is wrong: %v", err)
	}
	gone := fmt.Errorf("gone")
	if err := tmpl.Ask(map[string]string{}, func(Variable, string, error) (string, error) { return "", gone }); err != gone {
		t.Errorf("no answer: %v", err)
	}
}

// No answer that is taken breaks the text, adds a statement to it, or says more
// than a value.
func FuzzAnswers(f *testing.F) {
	for _, s := range []string{
		"address=10.77.0.9", "webs=a/10.77.0.13/10.77.9.13", "webs=a/10.77.0.13/10.77.9.13, b/10.77.0.14/10.77.9.14,c/10.77.0.17/10.77.9.17",
		"network=10.0.0.0/8", "url=https://x.example:8080/blog", "data=/a\nconfigure", "interface=a\"b", "web-user=root;", "disk=/dev/disk/by-id/x", "buffer-pool=1G", "=", "address",
	} {
		f.Add(s, "storage=10.77.0.8")
	}
	tmpl, err := Find("ha-lamp")
	if err != nil {
		f.Fatal(err)
	}
	plain, err := tmpl.Render(nil)
	if err != nil {
		f.Fatal(err)
	}
	usual, err := clitext.Statements(plain.Script())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		answers, err := tmpl.Answers([]string{one, two})
		if err != nil {
			return
		}
		site, err := tmpl.Render(answers)
		if err != nil {
			if exit.Of(err) != exit.DataErr {
				t.Errorf("%q %q: status %d: %v", one, two, exit.Of(err), err)
			}
			return
		}
		statements, err := clitext.Statements(site.Script())
		webs := len(site.Nodes) - 4
		if want := len(usual) + (webs-2)*3; err != nil || len(statements) != want { // its attribute, fence device and that one's place
			t.Errorf("%q %q: %d statements, want %d: %v", one, two, len(statements), want, err)
		}
	})
}
