// Package config is the text that says what a director serves: virtual
// services, their real servers and how those are checked. It is read from a
// file or from the CIB, one line for each thing:
//
//	# the shop
//	virtual tcp 192.0.2.10:80 scheduler=wrr forward=dr persistent=50
//	  check http path=/health status=200
//	  real 10.0.0.11:80 weight=2 node=web-1
//	  real 10.0.0.12:80 node=web-2
//	  sorry 127.0.0.1:8080
//
// Blanks separate words, a newline or `;` ends a line, `#` begins a comment,
// indentation means nothing. A value may be quoted by ' (literally) or " (in
// which \" and \\ stand for " and \); quotes also protect ; and #.
//
// The package is pure. Every problem is reported at once, with its line and a remedy.
package config

import (
	"net/netip"
	"time"

	"systole/agents/check"
	"systole/agents/ipvs/table"
)

// Config is a whole configuration.
type Config struct {
	Timeouts table.Timeouts
	Sysctls  []Sysctl
	Virtuals []Virtual
}

// Sysctl is a kernel setting that holds while the director runs: "net.ipv4.vs.sloppy_tcp=1".
type Sysctl struct{ Name, Value string }

// Virtual is a virtual service. Its options have the defaults given here.
type Virtual struct {
	table.Service
	Line  int // where it stands, from 1
	Reals []Real
	// Sorry answers when the quorum is lost; nil: nobody does.
	Sorry *table.Server

	// The service is up when the weights of its live servers come to Quorum+Hysteresis
	// or more, and down when they are below Quorum-Hysteresis or 0. Default 1 and 0.
	Quorum, Hysteresis int
	// QuorumUp and QuorumDown are programs run at the change, as argv.
	QuorumUp, QuorumDown []string
	// Omega has a director that ends by plan, by a stop or a demotion, tell QuorumDown and
	// its servers' NotifyDown what was told up.
	Omega bool
	// Panic is a share in percent: when fewer servers are alive, health is
	// not believed and all of them serve. 0 believes always; PanicLast, the default
	// without a sorry server, does not believe that all are dead.
	Panic int
	// DrainTimeout bounds how long a server taken from the configuration keeps its connections. Default 60s.
	DrainTimeout time.Duration
}

// PanicLast is the value of Panic that never takes the last server away.
const PanicLast = -1

// Real is a real server of a virtual service.
type Real struct {
	table.Server
	Line int
	Node string // the cluster node it runs on, "" if it is none
	// Checks must all pass. None at all means always up.
	Checks []check.Spec
	// Inhibit leaves a dead server in the table with weight 0 instead of taking it out.
	Inhibit bool
	// NotifyUp and NotifyDown are programs run at the change, as argv.
	NotifyUp, NotifyDown []string
}

// Defaults are what the configuration need not say itself.
type Defaults struct {
	Check check.Defaults
	// Sorry is the address of the sorry server of every virtual service that has
	// none; its port may be 0: the service's. The zero value: none.
	Sorry netip.AddrPort
}

// Parse reads a configuration.
func Parse(text string, d Defaults) (Config, error) { return parse(text, d) }

// String is the canonical text: Parse reads it back to an equal Config but for the line numbers.
func (c Config) String() string { return c.text() }
