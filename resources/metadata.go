package resources

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Metadata describes an agent: the document of OCF RA API 1.1, "Metadata". A
// native agent has one value of it, from which its XML, the reading of its
// parameters and the manual are made.
type Metadata struct {
	Name       string // type of the agent, without provider
	Version    string // of the agent
	API        string // OCF API version, "1.0" or "1.1"
	Short      string
	Long       string
	Parameters []Parameter
	Actions    []ActionSpec
}

// Parameter is one instance attribute.
type Parameter struct {
	Name       string
	Type       ParamType
	Default    string
	Required   bool
	Unique     bool // no two resources may have the same value
	Reloadable bool // a change needs no restart (OCF 1.1; sent as unique="0" to readers of 1.0)
	Deprecated bool
	Private    bool // reports hide its value
	Short      string
	Long       string
	// Getopt is the command-line form fence agents name, "--ip=[ip]".
	Getopt string
	// Values are the allowed ones of a ParamSelect.
	Values []string
}

// ParamType is a content type of the metadata.
type ParamType string

// The content types (OCF RA API 1.1; select is Pacemaker's extension, second is fence-agents').
const (
	ParamString  ParamType = "string"
	ParamInteger ParamType = "integer"
	ParamBoolean ParamType = "boolean"
	ParamTime    ParamType = "time"
	ParamSelect  ParamType = "select"
	ParamSecond  ParamType = "second"
)

// ActionSpec is one action an agent offers, with the times it advises. Times
// are as written ("20s"); "" where none was given.
type ActionSpec struct {
	Name       string
	Timeout    string
	Interval   string
	StartDelay string
	Role       string
	Depth      string
	OnTarget   bool // fence agents: run on the node to be fenced
	Automatic  bool // fence agents: unfencing, run when a node joins
}

// Offers tells whether the agent has the action.
func (m *Metadata) Offers(action string) bool {
	return slices.ContainsFunc(m.Actions, func(a ActionSpec) bool { return a.Name == action })
}

// Parameter is the parameter with the name, nil without one.
func (m *Metadata) Parameter(name string) *Parameter {
	for i := range m.Parameters {
		if m.Parameters[i].Name == name {
			return &m.Parameters[i]
		}
	}
	return nil
}

// XML is the document. It is valid against ra-api-1.dtd as long as the agent
// has nothing newer (a reloadable parameter, reload-agent).
func (m *Metadata) XML() []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\"?>\n<!DOCTYPE resource-agent SYSTEM \"ra-api-1.dtd\">\n")
	tag(&b, 0, "resource-agent", attrs{{"name", m.Name}, {"version", m.Version}}, ">")
	fmt.Fprintf(&b, "  <version>%s</version>\n", m.API)
	desc(&b, 2, m.Long, m.Short)
	b.WriteString("  <parameters>\n")
	for _, p := range m.Parameters {
		as := attrs{{"name", p.Name}, {"unique", flag(p.Unique)}, {"required", flag(p.Required)}}
		if p.Reloadable {
			as = append(as, attr{"reloadable", "1"})
		}
		if p.Deprecated {
			as = append(as, attr{"deprecated", "1"})
		}
		if p.Private {
			as = append(as, attr{"private", "1"})
		}
		tag(&b, 4, "parameter", as, ">")
		desc(&b, 6, p.Long, p.Short)
		as = attrs{{"type", string(p.Type)}}
		if p.Default != "" || !p.Required {
			as = append(as, attr{"default", p.Default})
		}
		if p.Type == ParamSelect {
			tag(&b, 6, "content", as, ">")
			for _, v := range p.Values {
				tag(&b, 8, "option", attrs{{"value", v}}, "/>")
			}
			b.WriteString("      </content>\n")
		} else {
			tag(&b, 6, "content", as, "/>")
		}
		b.WriteString("    </parameter>\n")
	}
	b.WriteString("  </parameters>\n  <actions>\n")
	for _, a := range m.Actions {
		as := attrs{{"name", a.Name}, {"timeout", a.Timeout}}
		for _, o := range (attrs{{"interval", a.Interval}, {"start-delay", a.StartDelay}, {"role", a.Role}, {"depth", a.Depth}}) {
			if o.value != "" {
				as = append(as, o)
			}
		}
		tag(&b, 4, "action", as, "/>")
	}
	b.WriteString("  </actions>\n</resource-agent>\n")
	return b.Bytes()
}

type attr struct{ name, value string }
type attrs []attr

func tag(b *bytes.Buffer, indent int, name string, as attrs, end string) {
	fmt.Fprintf(b, "%*s<%s", indent, "", name)
	for _, a := range as {
		fmt.Fprintf(b, ` %s="%s"`, a.name, escape(a.value))
	}
	b.WriteString(end + "\n")
}

func desc(b *bytes.Buffer, indent int, long, short string) {
	if long == "" {
		long = short
	}
	fmt.Fprintf(b, "%*s<longdesc lang=\"en\">%s</longdesc>\n", indent, "", escape(long))
	fmt.Fprintf(b, "%*s<shortdesc lang=\"en\">%s</shortdesc>\n", indent, "", escape(short))
}

func flag(v bool) string {
	if v {
		return "1"
	}
	return "0"
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// MaxMetadata bounds a metadata document, in bytes (the largest of Debian's
// agents has 90 kB).
const MaxMetadata = 1 << 20

// ParseMetadata reads an agent's document. It is lenient as the agents are:
// unknown elements are skipped, missing attributes are empty.
func ParseMetadata(data []byte) (*Metadata, error) {
	if len(data) > MaxMetadata {
		return nil, fmt.Errorf("agent metadata: %d bytes are too many", len(data))
	}
	var doc xmlAgent
	d := xml.NewDecoder(bytes.NewReader(data))
	d.Strict = false
	d.Entity = xml.HTMLEntity
	// Documents in another character set are ASCII where it matters.
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	if err := d.Decode(&doc); err != nil {
		return nil, fmt.Errorf("agent metadata: %w", err)
	}
	if doc.Name == "" {
		return nil, fmt.Errorf("agent metadata: resource-agent has no name")
	}
	m := &Metadata{
		Name: doc.Name, Version: doc.Version, API: strings.TrimSpace(doc.API),
		Short: english(doc.Short, doc.ShortAttr), Long: english(doc.Long, ""),
	}
	for _, p := range doc.Parameters {
		m.Parameters = append(m.Parameters, p.parameter())
	}
	for _, a := range doc.Actions {
		m.Actions = append(m.Actions, ActionSpec{
			Name: a.Name, Timeout: a.Timeout, Interval: a.Interval, StartDelay: a.StartDelay, Role: a.Role, Depth: a.Depth,
			OnTarget: isTrue(a.OnTarget), Automatic: isTrue(a.Automatic),
		})
	}
	return m, nil
}

type xmlAgent struct {
	XMLName    xml.Name   `xml:"resource-agent"`
	Name       string     `xml:"name,attr"`
	Version    string     `xml:"version,attr"`
	ShortAttr  string     `xml:"shortdesc,attr"` // fence agents
	API        string     `xml:"version"`
	Long       []xmlText  `xml:"longdesc"`
	Short      []xmlText  `xml:"shortdesc"`
	Parameters []xmlParam `xml:"parameters>parameter"`
	Actions    []struct {
		Name       string `xml:"name,attr"`
		Timeout    string `xml:"timeout,attr"`
		Interval   string `xml:"interval,attr"`
		StartDelay string `xml:"start-delay,attr"`
		Role       string `xml:"role,attr"`
		Depth      string `xml:"depth,attr"`
		OnTarget   string `xml:"on_target,attr"`
		Automatic  string `xml:"automatic,attr"`
	} `xml:"actions>action"`
}

type xmlParam struct {
	Name        string    `xml:"name,attr"`
	Unique      string    `xml:"unique,attr"`
	UniqueGroup string    `xml:"unique-group,attr"`
	Required    string    `xml:"required,attr"`
	Reloadable  string    `xml:"reloadable,attr"`
	Deprecated  string    `xml:"deprecated,attr"`
	Private     string    `xml:"private,attr"`
	Long        []xmlText `xml:"longdesc"`
	Short       []xmlText `xml:"shortdesc"`
	Getopt      struct {
		Mixed string `xml:"mixed,attr"`
	} `xml:"getopt"`
	Content struct {
		Type    string `xml:"type,attr"`
		Default string `xml:"default,attr"`
		Options []struct {
			Value string `xml:"value,attr"`
		} `xml:"option"`
	} `xml:"content"`
}

type xmlText struct {
	Lang string `xml:"lang,attr"`
	Text string `xml:",chardata"`
}

func (p xmlParam) parameter() Parameter {
	q := Parameter{
		Name: p.Name, Type: ParamType(p.Content.Type), Default: p.Content.Default, Required: isTrue(p.Required),
		Unique: isTrue(p.Unique) || p.UniqueGroup != "", Reloadable: isTrue(p.Reloadable), Deprecated: isTrue(p.Deprecated), Private: isTrue(p.Private),
		Short: english(p.Short, ""), Long: english(p.Long, ""), Getopt: p.Getopt.Mixed,
	}
	for _, o := range p.Content.Options {
		q.Values = append(q.Values, o.Value)
	}
	return q
}

// english is the text marked as English, or else the first, else or.
func english(texts []xmlText, or string) string {
	for _, t := range texts {
		if strings.HasPrefix(t.Lang, "en") {
			return strings.TrimSpace(t.Text)
		}
	}
	if len(texts) > 0 {
		return strings.TrimSpace(texts[0].Text)
	}
	return or
}
