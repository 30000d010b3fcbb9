// Package display writes a cluster's state for people and programs: the texts
// and XML of crm_mon and crm_simulate, made from the values of package status.
//
// It is pure: it reads no clock and no environment, and writes to the io.Writer it is
// given. [Text], [HTML] and [XML] render the same [View]; [Simulation] adds what
// crm_simulate prints around it.
package display

import (
	"bufio"
	"html"
	"io"
	"strings"
)

// Line is one line of a report, with the lines that stand below it.
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
	for range depth {
		b.WriteString("  ")
	}
	b.WriteString("* ")
	b.WriteString(l.Text)
	b.WriteByte('\n')
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

// HTML writes sections as one simple page that needs nothing else. With refresh above 0
// the browser loads it again after so many seconds.
func writeHTML(w io.Writer, refresh string, sections ...Section) error {
	b := bufio.NewWriter(w)
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<title>Cluster Status</title>\n<meta charset=\"utf-8\">\n")
	if refresh != "" {
		b.WriteString("<meta http-equiv=\"refresh\" content=\"" + html.EscapeString(refresh) + "\">\n")
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
