// Package display writes a cluster's state for people and programs: the texts
// and XML of crm_mon and crm_simulate, made from the values of package status.
//
// It is pure: it reads no clock and no environment, and writes to the io.Writer it is
// given. [Text], [HTML] and [XML] render the same [View]; [Simulation] adds what
// crm_simulate prints around it.
package display

import (
	"bufio"
	"cmp"
	"html"
	"io"
	"strings"
)

// Line is one line of a report, with the lines that stand below it. Without a text of its
// own it only sets the others apart.
type Line struct {
	Text string
	Sub  []Line
	// Class is the style of the line in HTML, "" for none.
	Class string
}

// Section is a heading with lines.
type Section struct {
	Title string
	Lines []Line
	// Plain lines stand as they are, without a bullet.
	Plain bool
}

// writeSections writes sections as text, one blank line between them, each indented by
// two spaces times depth; below depth 0 the titles are bullets themselves.
func writeSections(w io.Writer, depth int, sections ...Section) error {
	b := bufio.NewWriter(w)
	for i, s := range sections {
		if i > 0 {
			b.WriteByte('\n')
		}
		if s.Title != "" {
			if depth > 0 {
				b.WriteString(strings.Repeat("  ", depth) + "* ")
			}
			b.WriteString(s.Title + ":\n")
		}
		for _, l := range s.Lines {
			if s.Plain {
				b.WriteString(l.Text + "\n")
				continue
			}
			writeLine(b, depth+1, l)
		}
	}
	return b.Flush()
}

func writeLine(b *bufio.Writer, depth int, l Line) {
	if l.Text != "" {
		b.WriteString(strings.Repeat("  ", depth) + "* " + l.Text + "\n")
	}
	for _, sub := range l.Sub {
		writeLine(b, depth+1, sub)
	}
}

// styles are the classes of HTML lines.
const styles = `.online, .rsc-ok { color: green }
.offline, .rsc-failed, .warning { color: red }
.standby, .maint, .rsc-managed { color: blue }
.rsc-failure-ignored { color: darkgreen }
.rsc-multiple { color: orange }`

// Page is the frame of an HTML view.
type Page struct {
	Title      string // "" is "Cluster Status"
	Stylesheet string // link to one more style sheet, "" for none
	Refresh    string // seconds after which the browser loads the page again, "" for never
}

// writeHTML writes sections as one simple page.
func writeHTML(w io.Writer, p Page, sections ...Section) error {
	b := bufio.NewWriter(w)
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<title>" + html.EscapeString(cmp.Or(p.Title, "Cluster Status")) + "</title>\n<meta charset=\"utf-8\">\n")
	if p.Refresh != "" {
		b.WriteString("<meta http-equiv=\"refresh\" content=\"" + html.EscapeString(p.Refresh) + "\">\n")
	}
	if p.Stylesheet != "" {
		b.WriteString("<link rel=\"stylesheet\" href=\"" + html.EscapeString(p.Stylesheet) + "\">\n")
	}
	b.WriteString("<style>" + styles + "</style>\n</head>\n<body>\n")
	for _, s := range sections {
		if s.Title != "" {
			b.WriteString("<h2>" + html.EscapeString(s.Title) + "</h2>\n")
		}
		if s.Plain {
			for _, l := range s.Lines {
				b.WriteString("<p class=\"warning\">" + html.EscapeString(strings.TrimSpace(l.Text)) + "</p>\n")
			}
			continue
		}
		writeItems(b, s.Lines)
	}
	b.WriteString("</body>\n</html>\n")
	return b.Flush()
}

func writeItems(b *bufio.Writer, lines []Line) {
	b.WriteString("<ul>\n")
	for _, l := range lines {
		b.WriteString("<li>")
		if l.Class != "" {
			b.WriteString("<span class=\"" + l.Class + "\">")
		}
		b.WriteString(html.EscapeString(l.Text))
		if l.Class != "" {
			b.WriteString("</span>")
		}
		if len(l.Sub) > 0 {
			b.WriteString("\n")
			writeItems(b, l.Sub)
		}
		b.WriteString("</li>\n")
	}
	b.WriteString("</ul>\n")
}
