// Package lsb runs init scripts (LSB Core, "Init Script Actions") as resources.
package lsb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"systole/agents/process"
	"systole/resources"
)

// Config is where the scripts are.
type Config struct {
	Dir string // default /etc/init.d
}

func (c Config) dir() string { return cmp.Or(c.Dir, "/etc/init.d") }

// Agent is one script. It has no state and is safe for concurrent use.
type Agent struct {
	name string
	path string
}

// Find looks a script up.
func (c Config) Find(name string) (*Agent, error) {
	if name == "" || name[0] == '.' || strings.ContainsRune(name, '/') {
		return nil, fmt.Errorf("lsb:%s: not the name of a script", name)
	}
	path := filepath.Join(c.dir(), name)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("init script %s is not installed: there is no %s", name, path)
	case err != nil:
		return nil, fmt.Errorf("init script %s: %w", name, err)
	case info.IsDir() || info.Mode()&0o111 == 0:
		return nil, fmt.Errorf("init script %s: %s is not executable", name, path)
	}
	return &Agent{name, path}, nil
}

// Types are the scripts installed, sorted.
func (c Config) Types() (names []string) {
	entries, err := os.ReadDir(c.dir())
	if err != nil {
		return nil // no directory: nothing is installed
	}
	for _, e := range entries {
		if _, err := c.Find(e.Name()); err == nil {
			names = append(names, e.Name())
		}
	}
	return names
}

// MetaData is made from the script's header.
func (a *Agent) MetaData(context.Context) ([]byte, error) {
	text, err := os.ReadFile(a.path)
	if err != nil {
		return nil, err
	}
	h := ParseHeader(string(text))
	m := resources.Metadata{
		Name: a.name, Version: "1.0", API: "1.0",
		Short: cmp.Or(h.Short, a.name), Long: cmp.Or(h.Long, h.Short, "init script "+a.path),
		Actions: []resources.ActionSpec{
			{Name: "start", Timeout: "15s"}, {Name: "stop", Timeout: "15s"}, {Name: "status", Timeout: "15s"},
			{Name: "monitor", Timeout: "15s", Interval: "15s"}, {Name: "meta-data", Timeout: "5s"},
		},
	}
	return m.XML(), nil
}

// environment of init scripts: they are run as at boot, without parameters.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}

// Execute runs one operation; monitor is the script's status.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	verb := string(op.Action)
	switch op.Action {
	case resources.ActionStart, resources.ActionStop:
	case resources.ActionMonitor, "status":
		verb = "status"
	case resources.ActionReload:
		verb = "force-reload"
	default:
		return resources.Result{Code: resources.ErrUnimplemented, Reason: fmt.Sprintf("init scripts have no action %s", op.Action)}
	}
	exit, err := process.Run(ctx, process.Command{Path: a.path, Args: []string{verb}, Env: environment})
	res := resources.Result{Code: actionCode(exit.Code), Output: exit.Text()}
	if verb == "status" {
		res.Code = statusCode(exit.Code)
	}
	switch {
	case exit.Killed:
		res.Status, res.Code = resources.StatusTimeout, resources.ErrGeneric
	case err != nil:
		res.Status, res.Code, res.Reason = resources.StatusError, resources.ErrGeneric, err.Error()
	case exit.Signal != 0:
		res.Status, res.Code, res.Reason = resources.StatusError, resources.ErrGeneric, fmt.Sprintf("ended by signal %d (%v)", int(exit.Signal), exit.Signal)
	}
	return res
}

// actionCode: the codes 0 to 7 of start and stop are those of OCF.
func actionCode(exit int) resources.Code {
	if exit < 0 || exit > 7 {
		return resources.ErrGeneric
	}
	return resources.Code(exit)
}

// statusCode: LSB's codes of status. 1 to 3 are ways of not running; 150 and
// 151 are what Pacemaker's tools use for "not installed" and "no permission".
func statusCode(exit int) resources.Code {
	switch exit {
	case 0:
		return resources.OK
	case 1, 2, 3:
		return resources.NotRunning
	case 150:
		return resources.ErrInstalled
	case 151:
		return resources.ErrPerm
	default:
		return resources.ErrGeneric
	}
}

// Header is what a script says of itself (LSB Core, "Comment Conventions for
// Init Scripts").
type Header struct {
	Provides []string
	Short    string
	Long     string
}

// ParseHeader reads the comment block between BEGIN and END INIT INFO.
func ParseHeader(script string) (h Header) {
	const begin, end = "### BEGIN INIT INFO", "### END INIT INFO"
	inside, describing := false, false
	var long []string
	defer func() { h.Long = strings.Join(long, " ") }()
	for line := range strings.Lines(script) {
		line = strings.TrimRight(line, " \t\r\n")
		switch {
		case line == begin:
			inside = true
			continue
		case line == end:
			return h
		case !inside:
			continue
		}
		// A long description goes on in lines that begin with "#", then a tab or
		// at least two blanks.
		if describing && (strings.HasPrefix(line, "#  ") || strings.HasPrefix(line, "#\t")) {
			long = append(long, strings.TrimSpace(line[1:]))
			continue
		}
		describing = false
		key, value, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "#")), ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch key {
		case "Provides":
			h.Provides = strings.Fields(value)
		case "Short-Description":
			h.Short = value
		case "Description":
			long, describing = []string{value}, true
		}
	}
	return h
}
