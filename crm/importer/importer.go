// Package importer turns the configuration of other programs into the text of
// crm configure: keepalived, ldirectord, ipvsadm and Heartbeat, each in a
// package below.
//
// An importer is a function of texts. It opens nothing and knows no machine: the
// shell reads the files and tells what they may include. Its result is a
// configuration and a [Report], which names every line of the source and says
// what became of it. A file that is broken in its syntax is still reported line by line.
package importer

import (
	"fmt"
	"slices"
	"strings"
)

// File is one source file.
type File struct {
	Name string
	Text string
}

// Lines are the file's lines without their ends.
func (f File) Lines() []string {
	lines := strings.Split(strings.TrimSuffix(f.Text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSuffix(l, "\r")
	}
	return lines
}

// Result is what an importer made of its source.
type Result struct {
	Config Config
	Report *Report
	// Err are places where the source breaks its own syntax; what could be
	// read is in Config all the same.
	Err error
}

// Config is a configuration: objects in the order in which they are defined.
type Config struct {
	objects []Object
}

// Object is one statement of crm configure.
type Object struct {
	Kind, ID string
	// Words follow the id, already quoted where needed.
	Words []string
}

// Define adds an object. Where its id is taken it gets a number after it; the
// id it has now is returned.
func (c *Config) Define(o Object) (id string) {
	id = SanitizeID(o.ID)
	for n := 2; c.Defined(id); n++ {
		id = fmt.Sprintf("%s-%d", SanitizeID(o.ID), n)
	}
	o.ID = id
	c.objects = append(c.objects, o)
	return id
}

// Share is Define for what several others use: an equal object is there once.
func (c *Config) Share(o Object) (id string) {
	for _, p := range c.objects {
		if p.Kind == o.Kind && p.ID == SanitizeID(o.ID) && slices.Equal(p.Words, o.Words) {
			return p.ID
		}
	}
	return c.Define(o)
}

// Defined tells whether an id is taken.
func (c *Config) Defined(id string) bool {
	return slices.ContainsFunc(c.objects, func(o Object) bool { return o.ID == id })
}

// Objects are the objects in order.
func (c *Config) Objects() []Object { return slices.Clone(c.objects) }

// Without is the configuration without the objects of a kind.
func (c Config) Without(kind string) Config {
	return Config{slices.DeleteFunc(c.Objects(), func(o Object) bool { return o.Kind == kind })}
}

// sets are the kinds whose id is that of a set, which a colon ends.
var sets = map[string]bool{"property": true, "rsc_defaults": true, "op_defaults": true}

// Text is the configuration as crm configure reads it (load update FILE).
func (c *Config) Text() string {
	var b strings.Builder
	for _, o := range c.objects {
		b.WriteString(o.Kind + " " + o.ID)
		if sets[o.Kind] {
			b.WriteByte(':')
		}
		for _, w := range o.Words {
			b.WriteByte(' ')
			b.WriteString(w)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// Script is the configuration as crm -f runs it, under a heading.
func (c *Config) Script(heading string) string {
	if len(c.objects) == 0 {
		return heading
	}
	return heading + "\nconfigure\n" + c.Text() + "commit\n"
}

// Break is a word that ends the physical line; the statement goes on.
const Break = "\\\n       "

// Set writes NAME=VALUE.
func Set(name, value string) string { return name + "=" + Quote(value) }

// Quote writes a value as one word of crm configure.
func Quote(s string) string {
	if s != "" && strings.IndexFunc(s, quoted) < 0 {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// quoted tells the characters that a bare word may not hold.
func quoted(r rune) bool {
	return !(r == '-' || r == '_' || r == '.' || r == '/' || r == ':' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
}

// SanitizeID makes an id of a name: what an XML id may not have becomes a dash.
func SanitizeID(s string) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, s)
	if id == "" || id[0] >= '0' && id[0] <= '9' || id[0] == '-' || id[0] == '.' {
		id = "x-" + id
	}
	return strings.TrimRight(id, "-.")
}
