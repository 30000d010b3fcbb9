// Package fence runs fence agents (/usr/sbin/fence_*): one use of one device by
// the standard-input protocol of the fence agent API, and devices as resources
// of class stonith.
//
// Which device fences whom, in what order, with what delays and retries is not
// decided here.
package fence

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"systole/agents/process"
	"systole/resources"
)

// Config is where the agents are.
type Config struct {
	SbinDir string // default /usr/sbin
	RunDir  string // remembers which devices were started here; default /run/resource-agents
}

const prefix = "fence_"

func (c Config) sbin() string { return cmp.Or(c.SbinDir, "/usr/sbin") }
func (c Config) run() string  { return cmp.Or(c.RunDir, "/run/resource-agents") }

// Call is one use of a device.
type Call struct {
	// Params are the device's, pcmk_* ones included.
	Params map[string]string
	// Action: on, off, reboot, status, monitor, list, list-status, validate-all or metadata.
	Action string
	// Target is the node and Port what the device calls it; empty where the
	// action has none. NodeID may be empty.
	Target, Port, NodeID string
}

// Agent is one fence agent. It is safe for concurrent use.
type Agent struct {
	cfg  Config
	typ  string
	path string

	mu   sync.Mutex // guards meta: a leaf cache, since asking costs a Python start
	meta *resources.Metadata
	doc  []byte
}

// Find looks an agent up by its type, as in "fence_ipmilan".
func (c Config) Find(typ string) (*Agent, error) {
	path := filepath.Join(c.sbin(), typ)
	if !strings.HasPrefix(typ, prefix) || strings.ContainsRune(typ, '/') {
		return nil, fmt.Errorf("stonith:%s: the name of a fence agent begins with %s", typ, prefix)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("fence agent %s is not installed: there is no %s", typ, path)
	case err != nil:
		return nil, fmt.Errorf("fence agent %s: %w", typ, err)
	case info.IsDir() || info.Mode()&0o111 == 0:
		return nil, fmt.Errorf("fence agent %s: %s is not executable", typ, path)
	}
	return &Agent{cfg: c, typ: typ, path: path}, nil
}

// Types are the fence agents installed, sorted.
func (c Config) Types() (types []string) {
	paths, _ := filepath.Glob(filepath.Join(c.sbin(), prefix+"*"))
	for _, p := range paths {
		if _, err := c.Find(filepath.Base(p)); err == nil {
			types = append(types, filepath.Base(p))
		}
	}
	return types
}

// MetaData is the agent's document.
func (a *Agent) MetaData(ctx context.Context) ([]byte, error) {
	_, doc, err := a.metadata(ctx)
	return doc, err
}

func (a *Agent) metadata(ctx context.Context) (*resources.Metadata, []byte, error) {
	a.mu.Lock()
	meta, doc := a.meta, a.doc
	a.mu.Unlock()
	if meta != nil {
		return meta, doc, nil
	}
	exit, err := a.exec(ctx, "action=metadata\n", false)
	if err == nil && exit.Code != 0 {
		err = fmt.Errorf("exit %d: %s", exit.Code, lastLine(exit))
	}
	if err != nil {
		return nil, nil, fmt.Errorf("metadata of %s: %w", a.typ, err)
	}
	if meta, err = resources.ParseMetadata(exit.Stdout); err != nil {
		return nil, nil, fmt.Errorf("metadata of %s: %w", a.typ, err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.meta, a.doc = meta, exit.Stdout
	return meta, exit.Stdout, nil
}

// environment of fence agents; everything they need is on standard input.
var environment = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}

func (a *Agent) exec(ctx context.Context, input string, urgent bool) (process.Exit, error) {
	exit, err := process.Run(ctx, process.Command{Path: a.path, Env: environment, Stdin: []byte(input), Urgent: urgent})
	if err == nil && exit.Killed {
		err = fmt.Errorf("did not end in time: %w", context.Cause(ctx))
	}
	return exit, err
}

// Use uses the device once. Only Code OK with StatusDone is success; for status
// Code 2 says that the target is off. Reboot with a device that has no such
// action is off and then on; once off has succeeded the target counts as fenced.
func (a *Agent) Use(ctx context.Context, c Call) resources.Result {
	meta, _, err := a.metadata(ctx)
	if err != nil {
		return failure(ctx, err)
	}
	if c.Action != "reboot" || meta.Offers("reboot") {
		return a.once(ctx, meta, c)
	}
	c.Action = "off"
	res := a.once(ctx, meta, c)
	if res.Status != resources.StatusDone || res.Code != resources.OK {
		return res
	}
	c.Action = "on"
	if on := a.once(ctx, meta, c); on.Code != resources.OK || on.Status != resources.StatusDone {
		res.Output = fmt.Sprintf("%s is off; switching it on again failed: %s", c.Target, on.Reason)
	}
	return res
}

// statusOff is what "status" exits with for a target that is off.
const statusOff = 2

func (a *Agent) once(ctx context.Context, meta *resources.Metadata, c Call) resources.Result {
	input, err := Input(meta, c)
	if err != nil {
		return resources.Result{Status: resources.StatusDone, Code: resources.ErrConfigured, Reason: err.Error()}
	}
	exit, err := a.exec(ctx, input, c.Target != "") // a recovery waits for it
	if err != nil {
		return failure(ctx, err)
	}
	res := resources.Result{Output: exit.Text(), Stdout: exit.Stdout}
	switch {
	case exit.Code == 0:
	case exit.Code == statusOff && c.Action == "status":
		res.Code = statusOff
	default:
		res.Code, res.Reason = resources.ErrGeneric, fmt.Sprintf("%s %s: exit %d: %s", a.typ, c.Action, exit.Code, lastLine(exit))
	}
	return res
}

func failure(ctx context.Context, err error) resources.Result {
	res := resources.Result{Status: resources.StatusError, Code: resources.ErrGeneric, Reason: err.Error()}
	switch {
	case ctx.Err() != nil:
		res.Status = resources.StatusTimeout
	case errors.Is(err, fs.ErrNotExist):
		res.Status, res.Code = resources.StatusNotInstalled, resources.ErrInstalled
	}
	return res
}

// lastLine is the last thing the agent said: its error, without the time.
func lastLine(exit process.Exit) string {
	lines := bytes.Split(bytes.TrimSpace(exit.Stderr), []byte("\n"))
	line := strings.ToValidUTF8(strings.TrimSpace(string(lines[len(lines)-1])), "?")
	if _, after, ok := strings.Cut(line, "ERROR: "); ok {
		line = after
	}
	return cmp.Or(line, "it said nothing")
}

// Input is what the agent reads: one "name=value" a line. Names the cluster
// keeps for itself are left out.
func Input(meta *resources.Metadata, c Call) (string, error) {
	var b strings.Builder
	var errs []error
	line := func(name, value string) {
		if strings.ContainsAny(name+value, "\n\r\x00") || strings.ContainsAny(name, "= ") {
			errs = append(errs, fmt.Errorf("parameter %q of %s: name or value cannot be written on one line", name, meta.Name))
			return
		}
		b.WriteString(name + "=" + value + "\n")
	}
	if c.Target != "" {
		line("nodename", c.Target)
		if c.NodeID != "" {
			line("nodeid", c.NodeID)
		}
	}
	argument := hostArgument(meta, c.Params)
	for _, name := range slices.Sorted(maps.Keys(c.Params)) {
		if kept(name) || name == "action" || (name == argument && c.Params[name] == "dynamic") {
			continue
		}
		line(name, c.Params[name])
	}
	line("action", c.Action)
	if configured := c.Params[argument]; c.Target != "" && argument != "" && (configured == "" || configured == "dynamic") {
		line(argument, cmp.Or(c.Port, c.Target))
	}
	return b.String(), errors.Join(errs...)
}

// hostArgument is the parameter that names the target, "" for none.
func hostArgument(meta *resources.Metadata, params map[string]string) string {
	switch arg := params["pcmk_host_argument"]; {
	case arg == "none":
		return ""
	case arg != "":
		return arg
	case meta.Parameter("plug") != nil:
		return "plug"
	case meta.Parameter("port") != nil:
		return "port"
	}
	return ""
}

// kept tells the parameters that are the cluster's, not the device's.
func kept(name string) bool {
	return strings.HasPrefix(name, "pcmk_") || strings.HasPrefix(name, "CRM_meta_") ||
		name == "provides" || name == "stonith-timeout" || name == "crm_feature_set"
}

// Execute runs the device as a resource: a start asks the device whether it
// works, as every monitor does; a stop only forgets it. A probe asks nothing of
// the device: it tells whether the device was started here since the boot.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	marker := filepath.Join(a.cfg.run(), "stonith-"+strings.ReplaceAll(cmp.Or(op.Instance, op.Resource), "/", "_"))
	switch op.Action {
	case resources.ActionStart:
		res := a.Use(ctx, Call{Params: op.Params, Action: "monitor"})
		if res.Code == resources.OK && res.Status == resources.StatusDone {
			if err := mark(marker); err != nil {
				return failure(ctx, err)
			}
		}
		return res
	case resources.ActionStop:
		if err := os.Remove(marker); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failure(ctx, err)
		}
		return resources.Result{}
	case resources.ActionMonitor, "status":
		if _, err := os.Stat(marker); errors.Is(err, fs.ErrNotExist) {
			return resources.Result{Code: resources.NotRunning}
		}
		if op.IsProbe() {
			return resources.Result{}
		}
		return a.Use(ctx, Call{Params: op.Params, Action: "monitor"})
	case resources.ActionValidateAll:
		return a.Use(ctx, Call{Params: op.Params, Action: "validate-all"})
	}
	return resources.Result{Code: resources.ErrUnimplemented, Reason: fmt.Sprintf("fence devices have no action %s", op.Action)}
}

func mark(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(time.Now().UTC().Format(time.RFC3339)+"\n"), 0o644)
}
