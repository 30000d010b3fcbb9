package importer

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"systole/agents/ipvs/config"
)

// Director is the IPVS director of the new configuration, as the text that
// ocf:systole:ipvs reads from its parameter services.
type Director struct {
	Timeouts Line // a timeouts line and where its values are from; no Text: none
	Services []Service
	Sync     Sync
}

// Sync is how directors keep each other's connection tables warm.
type Sync struct {
	Interface string // "": no sync daemons
	ID        int
	Group     netip.Addr
	MaxLen    int
}

// Service is a virtual service, as lines of the director's text.
type Service struct {
	At    Place
	Parts []Place    // the lines that are lost when the service is left out
	Addr  netip.Addr // of clients' packets; invalid for a firewall mark
	Lines []string
}

// Option writes NAME=VALUE for the director's text.
func Option(name, value string) string {
	if value != "" && !strings.ContainsAny(value, " \t\"'\\;#") {
		return name + "=" + value
	}
	return name + `="` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}

// With adds an option to others, or replaces the one of the same name: where a
// file says a thing twice, the last one counts.
func With(options []string, option string) []string {
	name, _, _ := strings.Cut(option, "=")
	for i, o := range options {
		if n, _, _ := strings.Cut(o, "="); n == name {
			return slices.Replace(slices.Clone(options), i, i+1, option)
		}
	}
	return append(options, option)
}

// Name is the service's key: tcp 192.0.2.1:80, fwmark 1.
func (s Service) Name() string {
	w := strings.Fields(s.Lines[0])
	if len(w) > 3 && w[3] == "family=ipv6" {
		return strings.Join(w[1:4], " ")
	}
	return strings.Join(w[1:min(3, len(w))], " ")
}

// Sound leaves out what the director would refuse and reports why, at the line
// where it begins: one wrong service must not take the others down.
func (d *Director) Sound(r *Report) {
	var sound []Service
	first := map[string]Place{}
	leaveOut := func(s Service, format string, args ...any) {
		r.Unsupported(s.At, "%s is left out: %s", s.Name(), fmt.Sprintf(format, args...))
		for _, at := range s.Parts {
			r.Unsupported(at, "goes with %s", s.Name())
		}
	}
	for _, s := range d.Services {
		at, twice := first[s.Name()]
		if err := refused(s.Lines...); err != nil {
			leaveOut(s, "%v", err)
			continue
		}
		if twice {
			leaveOut(s, "%s has it already", at)
			continue
		}
		first[s.Name()] = s.At
		sound = append(sound, s)
	}
	d.Services = sound
	if err := refused(d.Timeouts.Text); err != nil {
		r.Unsupported(d.Timeouts.Place, "%v", err)
		d.Timeouts = Line{}
	}
}

// refused is what the director's own reader says against lines, in one sentence.
func refused(lines ...string) error {
	_, err := config.Parse(strings.Join(lines, "\n"), config.Defaults{})
	if err == nil {
		return nil
	}
	return errors.New(strings.ReplaceAll(lineNumber.ReplaceAllString(err.Error(), ""), "\n", "; "))
}

// lineNumber is a place in the text that is being made, of no use to the reader.
var lineNumber = regexp.MustCompile(`(?m)^line \d+: `)

// Define adds the director to a configuration. Without connection
// synchronisation it is a primitive, to be a member of a group. With it the
// standby takes part too: then it is a promotable clone, of which the returned
// id is that of a clone that others follow ([Config.Follow]).
func (d Director) Define(c *Config, id string) (member string, promotable bool) {
	var lines []string
	if d.Timeouts.Text != "" {
		lines = append(lines, d.Timeouts.Text)
	}
	for _, s := range d.Services {
		lines = append(lines, s.Lines...)
	}
	words := []string{"ocf:systole:ipvs", Break, "params", longValue("services", lines)}
	if d.Sync.Interface == "" {
		return c.Define(Object{Kind: "primitive", ID: id, Words: append(words, Break, "op monitor", "interval=5s", "timeout=20s")}), false
	}
	words = append(words, Break, Set("sync_interface", d.Sync.Interface), Set("sync_id", fmt.Sprint(d.Sync.ID)))
	if d.Sync.Group.IsValid() {
		words = append(words, Set("sync_group", d.Sync.Group.String()))
	}
	if d.Sync.MaxLen > 0 {
		words = append(words, Set("sync_maxlen", fmt.Sprint(d.Sync.MaxLen)))
	}
	words = append(words, Break, "op monitor", "role=Promoted", "interval=5s", "timeout=20s", Break, "op monitor", "role=Unpromoted", "interval=6s", "timeout=20s")
	prim := c.Define(Object{Kind: "primitive", ID: id, Words: words})
	return c.Define(Object{Kind: "clone", ID: prim + "s", Words: []string{prim, "meta", "promotable=true", "promoted-max=1", "clone-max=2", "interleave=true"}}), true
}

// Follow puts a resource where a promotable clone is promoted, after that.
func (c *Config) Follow(rsc, clone string) {
	c.Define(Object{Kind: "colocation", ID: rsc + "-with-" + clone, Words: []string{"inf:", rsc, clone + ":Promoted"}})
	c.Define(Object{Kind: "order", ID: clone + "-before-" + rsc, Words: []string{"Mandatory:", clone + ":promote", rsc + ":start"}})
}

// longValue is a value of several lines, joined by semicolons; each stands on a
// line of its own, which crm configure reads as one blank.
func longValue(name string, lines []string) string {
	quoted := make([]string, len(lines))
	for i, l := range lines {
		quoted[i] = strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(l)
	}
	return name + `="` + strings.Join(quoted, ";"+Break+"  ") + `"`
}
