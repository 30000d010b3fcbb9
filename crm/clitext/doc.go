// Package clitext is the language of `crm configure`: text on one side, the
// configuration section of a CIB on the other. The vocabulary, the ids it makes
// and the way it prints are those of crmsh 4.4, so that files move freely
// between the two.
//
//	primitive web ocf:heartbeat:nginx \
//		params configfile="/etc/nginx/nginx.conf" \
//		op monitor interval=10s
//
// [Draft] is a configuration being edited: it takes statements ([Draft.Define],
// [Draft.Load]) and gives a new configuration; [Draft.Show] prints it. What the
// language has no words for is printed, and read, as raw XML after the word xml.
//
// Printing and reading again gives an equal configuration in the sense of
// [Equivalent]: equal but for the order of attributes, the order of unlike
// siblings, spelled-out defaults, and the ids of parts the language cannot name
// (expressions, resource sets, permissions…), which nothing refers to. Every
// other id that is not the one crmsh would make is printed. The printer makes
// sure of this by reading back what it wrote.
//
// The package is pure: it reads no files and starts nothing. Drafts are not
// safe for concurrent use.
package clitext
