// Package clients tests that people may keep their tools: the unmodified crmsh
// and pcs of Debian drive a cluster of three nodes made of namespaces, with our
// programs where those of Pacemaker are installed.
package clients
