package importer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Fate is what became of a source line.
type Fate uint8

// The fates, from the least to the most that a reader has to know. Where a line
// holds several things, the greatest is the line's.
const (
	// Unread is where every line begins. A line that no part of an importer
	// named stays so, and is printed as not supported: nothing can be dropped silently.
	Unread Fate = iota
	Comment
	Taken
	Changed
	Unsupported
)

func (f Fate) String() string {
	switch f {
	case Comment:
		return "comment"
	case Taken:
		return "taken over"
	case Changed:
		return "changed"
	case Unread, Unsupported:
		return "not supported"
	}
	return fmt.Sprintf("fate %d", f)
}

// Place is a line of a source file, counted from 1.
type Place struct {
	File string
	Line int
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Line is one source line in the report.
type Line struct {
	Place
	Text  string
	Fate  Fate
	Notes []string // how it was changed, or why it has no counterpart
}

// Report tells for every line of the source what became of it.
type Report struct {
	lines []Line
	index map[Place]int
}

// Add puts all lines of a file into the report, as yet unread. Blank lines are
// comments. A file that is there already is not added again. It returns the file
// as it is to be read: without lines that are not text.
func (r *Report) Add(f File) File {
	if r.index == nil {
		r.index = map[Place]int{}
	}
	lines := f.Lines()
	_, again := r.index[Place{f.Name, 1}]
	for i, text := range lines {
		l := Line{Place: Place{f.Name, i + 1}, Text: text}
		switch {
		case strings.TrimSpace(text) == "":
			l.Fate = Comment
		case !utf8.ValidString(text) || strings.ContainsFunc(text, notText):
			l.Fate, l.Notes = Unsupported, []string{"a character here is not text; save the file as UTF-8 without control characters"}
			lines[i] = ""
		}
		if !again {
			r.index[l.Place] = len(r.lines)
			r.lines = append(r.lines, l)
		}
	}
	return File{f.Name, strings.Join(lines, "\n")}
}

// notText tells the characters that neither a configuration nor an XML document holds.
func notText(c rune) bool {
	return c < ' ' && c != '\t' || c == 0x7f || c == 0xfffe || c == 0xffff || c == utf8.RuneError
}

// Lines are the lines of all files, in the order in which files were added.
func (r *Report) Lines() []Line { return slices.Clone(r.lines) }

// Comment marks a line that says nothing to the program.
func (r *Report) Comment(at Place) { r.mark(at, Comment, "") }

// Taken marks a line whose meaning is kept.
func (r *Report) Taken(at Place) { r.mark(at, Taken, "") }

// Changed marks a line whose purpose is kept by other means; the note says how.
func (r *Report) Changed(at Place, format string, args ...any) {
	r.mark(at, Changed, fmt.Sprintf(format, args...))
}

// Unsupported marks a line whose meaning is lost; the note says why, and what to do.
func (r *Report) Unsupported(at Place, format string, args ...any) {
	r.mark(at, Unsupported, fmt.Sprintf(format, args...))
}

func (r *Report) mark(at Place, f Fate, note string) {
	i, ok := r.index[at]
	if !ok {
		panic("importer: " + at.String() + " is no line of the source")
	}
	l := &r.lines[i]
	l.Fate = max(l.Fate, f)
	if note != "" && !slices.Contains(l.Notes, note) {
		l.Notes = append(l.Notes, note)
	}
}

// Hide masks a secret that stands in a line, wherever the report shows it.
func (r *Report) Hide(at Place, secret string) {
	if i, ok := r.index[at]; ok && secret != "" {
		r.lines[i].Text = strings.ReplaceAll(r.lines[i].Text, secret, "******")
	}
}

// Lost are the lines without a counterpart.
func (r *Report) Lost() []Line {
	return slices.DeleteFunc(r.Lines(), func(l Line) bool { return l.Fate != Unread && l.Fate != Unsupported })
}

// Settle gives lines that nobody named their reason.
func (r *Report) Settle() {
	for i := range r.lines {
		if l := &r.lines[i]; l.Fate == Unread {
			l.Fate = Unsupported
			l.Notes = append(l.Notes, "not understood")
		}
	}
}

// String is the report as people read it: each line with its number, its fate
// and the notes below it; then the counts.
func (r *Report) String() string {
	var b strings.Builder
	file := ""
	count := map[Fate]int{}
	for _, l := range r.lines {
		if l.File != file {
			file = l.File
			fmt.Fprintln(&b, file)
		}
		fate := l.Fate.String()
		switch {
		case strings.TrimSpace(l.Text) == "":
			continue
		case l.Fate == Comment:
			fate = ""
		}
		count[l.Fate]++
		fmt.Fprintf(&b, "%5d  %-13s  %s\n", l.Line, fate, strings.TrimRight(l.Text, " \t\r"))
		for _, n := range l.Notes {
			fmt.Fprintf(&b, "%22s-> %s\n", "", n)
		}
	}
	fmt.Fprintf(&b, "%d taken over, %d changed, %d not supported\n", count[Taken], count[Changed], count[Unsupported]+count[Unread])
	return b.String()
}
