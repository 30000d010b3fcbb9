// Package ipvsadm is the program ipvsadm: the same options, the same listings,
// for machines that do not have it, and the listings of crm lvs.
//
// Options and listings are pure (parse.go, format.go); the kernel is behind an
// interface that agents/ipvs/kernel fulfils.
package ipvsadm

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"systole/agents/ipvs/kernel"
	"systole/agents/ipvs/table"
	"systole/crm/exit"
	"systole/crm/shell/tool"
)

// Exit statuses of ipvsadm: what it does not understand, and what the kernel refuses.
const (
	exitUsage   = 2
	exitRefused = 255
	exitNone    = 1 // the service to list is not there
)

// Kernel is an IPVS table.
type Kernel interface {
	Services() ([]table.Entry, error)
	Apply(table.Op) error
	Clear() error
	Zero(*table.Key) error
	Timeouts() (table.Timeouts, error)
	SetTimeouts(table.Timeouts) error
	Daemons() ([]table.Daemon, error)
	StartDaemon(table.Daemon) error
	StopDaemon(table.DaemonState) error
	Info() (table.Info, error)
}

// Program is ipvsadm on a kernel.
type Program struct {
	// Open connects to the kernel; close is called at the end.
	Open func() (k Kernel, close func(), err error)
	// Connections reads the connection table.
	Connections func() ([]table.Connection, error)
	// Names resolve names in arguments; Naming makes names for listings without -n.
	Names  Names
	Naming naming
}

// Run is the program ipvsadm on this machine.
func Run(ctx context.Context, stdio *tool.IO, args []string) int {
	return OnThisNode(ctx).Run(stdio, args)
}

// OnThisNode is the program on this machine's kernel.
func OnThisNode(ctx context.Context) Program {
	r := &resolver{ctx: ctx}
	return Program{
		Open: func() (Kernel, func(), error) {
			h, err := kernel.Open()
			if err != nil {
				return nil, nil, err
			}
			return h, h.Close, nil
		},
		Connections: kernel.Connections,
		Names:       Names{Host: r.host, Port: r.port},
		Naming:      r.name,
	}
}

// errNone: the service to list is not in the table.
var errNone = errors.New("there is no such virtual service")

// CRMExit is the exit status of crm for one of ipvsadm.
func CRMExit(code int) exit.Code {
	switch code {
	case 0:
		return exit.OK
	case exitUsage:
		return exit.Usage
	case exitNone:
		return exit.NoSuch
	}
	return exit.Error
}

// Run carries out one command line.
func (p Program) Run(stdio *tool.IO, args []string) int {
	c, err := parse(args, p.Names)
	switch {
	case err != nil:
		stdio.Errorf("%v; ipvsadm -h lists the options", err)
		return exitUsage
	case c.do == help:
		stdio.Printf("%s", usage())
		return 0
	case c.do == version:
		stdio.Println("ipvsadm v1.31 (Systole)")
		return 0
	}
	if err := p.do(stdio, c); err != nil {
		stdio.Errorf("%v", err)
		if errors.Is(err, errNone) {
			return exitNone
		}
		return exitRefused
	}
	return 0
}

func (p Program) do(stdio *tool.IO, c command) error {
	k, done, err := p.Open()
	if err != nil {
		return err
	}
	defer done()
	switch c.do {
	case list:
		return p.list(stdio.Out, k, c)
	case save:
		entries, err := k.Services()
		if err == nil {
			p.printer(stdio.Out, c.show).saved(entries)
		}
		return err
	case restore:
		return p.restore(stdio.In, k)
	}
	return change(k, c)
}

func (p Program) printer(w io.Writer, v view) printer {
	if v.numeric || p.Naming == nil {
		return printer{w, numbers, v}
	}
	return printer{w, p.Naming, v}
}

func (p Program) list(w io.Writer, k Kernel, c command) error {
	out := bufio.NewWriter(w)
	defer out.Flush()
	pr := p.printer(out, c.show)
	switch c.show.what {
	case "connection":
		conns, err := p.Connections()
		if err == nil {
			pr.connections(conns)
		}
		return err
	case "timeout":
		t, err := k.Timeouts()
		if err == nil {
			pr.timeouts(t)
		}
		return err
	case "daemon":
		ds, err := k.Daemons()
		if err == nil {
			pr.daemons(ds)
		}
		return err
	}
	entries, err := k.Services()
	if err != nil {
		return err
	}
	if c.keyed {
		entries = slices.DeleteFunc(entries, func(e table.Entry) bool { return e.Key != c.service.Key })
		if len(entries) == 0 {
			return fmt.Errorf("%s: %w", c.service.Key, errNone)
		}
		pr.table(nil, entries)
		return nil
	}
	info, err := k.Info()
	if err == nil {
		pr.table(&info, entries)
	}
	return err
}

var ops = map[verb]table.Verb{
	addService: table.AddService, editService: table.SetService, deleteService: table.DeleteService,
	addServer: table.AddServer, editServer: table.SetServer, deleteServer: table.DeleteServer,
}

// change does one command that changes the kernel.
func change(k Kernel, c command) error {
	switch c.do {
	case clearTable:
		return k.Clear()
	case zero:
		if c.keyed {
			return k.Zero(&c.service.Key)
		}
		return k.Zero(nil)
	case setTimeouts:
		return k.SetTimeouts(c.timeout)
	case startDaemon:
		return k.StartDaemon(c.daemon)
	case stopDaemon:
		return k.StopDaemon(c.daemon.State)
	}
	return k.Apply(table.Op{Verb: ops[c.do], Service: c.service, Server: c.server})
}

// maxLine bounds a line of a saved table.
const maxLine = 64 << 10

// restore reads commands, one on a line, and stops at the first that fails, as
// the rest was written to follow it. Empty lines and comments are skipped.
func (p Program) restore(r io.Reader, k Kernel) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		// ipvsadm 1.26 saved one-packet scheduling as a bare word.
		words = slices.DeleteFunc(words, func(w string) bool { return w == "ops" && slices.Contains(words, "-A") })
		if len(words) < len(strings.Fields(lines.Text())) {
			words = append(words, "-o")
		}
		c, err := parse(words, p.Names)
		if err == nil && (c.do == restore || c.do == save || c.do == list || c.do == help || c.do == version) {
			err = fmt.Errorf("--%s changes nothing", c.do)
		}
		if err == nil {
			err = change(k, c)
		}
		if err != nil {
			return fmt.Errorf("line %d: %w; the lines before it are in effect", n, err)
		}
	}
	return lines.Err()
}
