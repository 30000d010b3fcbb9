package conf

//go:generate go run ./internal/gen

import (
	"fmt"
	"strings"
)

// Sample is the commented sample file: every key with its default, commented out.
func Sample() string {
	var b strings.Builder
	b.WriteString("# Configuration of systoled. Every value is optional; what is commented out here\n# is the default. What all nodes share is not here but in the CIB (crm configure).\n")
	for _, o := range options {
		b.WriteString("\n")
		for _, line := range wrap(o.Help, 78) {
			fmt.Fprintf(&b, "# %s\n", line)
		}
		b.WriteString(strings.TrimRight(fmt.Sprintf("#%s = %s", o.Key, o.Default), " ") + "\n")
	}
	return b.String()
}

// Manual is the manual page systole.conf(5), in man(7) markup.
func Manual() string {
	var b strings.Builder
	b.WriteString(`.TH SYSTOLE.CONF 5 "" Systole "Systole"
.SH NAME
systole.conf \- configuration of the cluster daemon systoled
.SH SYNOPSIS
.B ` + Path + `
.SH DESCRIPTION
Lines of the form
.IR key " = " value .
Empty lines are skipped; a comment begins with # at the start of a line or after a blank.
Every value is optional, each key may come once, and the file itself may be missing.
It is read when systoled starts. What all nodes share is not in it but in the CIB.
.SH KEYS
`)
	for _, o := range options {
		fmt.Fprintf(&b, ".TP\n.BR %s \" = \\fI%s\\fR\"\n%s\n", roff(o.Key), roff(o.Value), roff(o.Help))
		if o.Default != "" {
			fmt.Fprintf(&b, "Default: %s.\n", roff(o.Default))
		}
	}
	b.WriteString(".SH SEE ALSO\n.BR systoled (8),\n.BR crm (8)\n")
	return b.String()
}

// roff escapes text for man(7).
func roff(s string) string {
	s = strings.ReplaceAll(s, `\`, `\e`)
	s = strings.ReplaceAll(s, "-", `\-`)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

// wrap breaks text into lines of at most width characters, but between words only.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
