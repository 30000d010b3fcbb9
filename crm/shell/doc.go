// Package shell is `crm`: the command tree through which people run a cluster.
// The same tree serves one command from the system's shell, an interactive
// session, and a file of commands; from it come help, completion and manual.
//
// A [Shell] belongs to one goroutine. It owns the configuration being edited,
// which reaches the CIB only when it is committed: at once for a single
// command, on leaving the level in a session.
package shell
