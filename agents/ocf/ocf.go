// Package ocf runs unmodified OCF resource agent scripts with the environment
// the field's agents expect (OCF RA API 1.1 and what Pacemaker adds to it).
//
// It holds no state. Each operation is one process (agents/process); its exit
// status is the OCF code, and the last line on standard error that begins with
// "ocf-exit-reason:" is the reason shown to people.
package ocf

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
	"strconv"
	"strings"

	"systole/agents/process"
	"systole/resources"
)

// Config is where scripts and what they call are.
type Config struct {
	Root    string   // OCF_ROOT; default /usr/lib/ocf
	SbinDir string   // HA_SBIN_DIR, and first in PATH: our crm_attribute and the like; default /usr/sbin
	RscTmp  string   // HA_RSCTMP, made when missing; default /run/resource-agents
	Env     []string // further "NAME=value", after all others
}

// FeatureSet is the crm_feature_set told to agents: that of Pacemaker 2.1.5.
// From 3.10.0 on they set promotion scores with "crm_attribute -p".
const FeatureSet = "3.16.1"

const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func (c Config) root() string    { return cmp.Or(c.Root, "/usr/lib/ocf") }
func (c Config) sbinDir() string { return cmp.Or(c.SbinDir, "/usr/sbin") }
func (c Config) rscTmp() string  { return cmp.Or(c.RscTmp, "/run/resource-agents") }

// Agent is one script. It is safe for concurrent use.
type Agent struct {
	cfg  Config
	id   resources.AgentID
	path string
}

// Find looks a script up; its error says where it was looked for.
func (c Config) Find(id resources.AgentID) (*Agent, error) {
	path := filepath.Join(c.root(), "resource.d", id.Provider, id.Type)
	if !plainName(id.Provider) || !plainName(id.Type) {
		return nil, fmt.Errorf("agent %s: provider and type must be plain file names", id)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("agent %s is not installed: there is no %s", id, path)
	case err != nil:
		return nil, fmt.Errorf("agent %s: %w", id, err)
	case info.IsDir() || info.Mode()&0o111 == 0:
		return nil, fmt.Errorf("agent %s: %s is not executable", id, path)
	}
	return &Agent{cfg: c, id: id, path: path}, nil
}

func plainName(s string) bool {
	return s != "" && s[0] != '.' && !strings.ContainsRune(s, '/')
}

// Providers are the providers installed, sorted.
func (c Config) Providers() []string { return list(filepath.Join(c.root(), "resource.d"), true) }

// Types are the scripts of a provider, sorted.
func (c Config) Types(provider string) []string {
	if !plainName(provider) {
		return nil
	}
	return list(filepath.Join(c.root(), "resource.d", provider), false)
}

func list(dir string, dirs bool) (names []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil // no directory: nothing is installed
	}
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name())) // follows links
		if err == nil && plainName(e.Name()) && info.IsDir() == dirs && (dirs || info.Mode()&0o111 != 0) {
			names = append(names, e.Name())
		}
	}
	return names
}

// MetaData runs the script's meta-data.
func (a *Agent) MetaData(ctx context.Context) ([]byte, error) {
	res := a.Execute(ctx, resources.Op{Action: resources.ActionMetaData, Agent: a.id, Resource: a.id.Type})
	if res.Status != resources.StatusDone || res.Code != resources.OK {
		return nil, fmt.Errorf("metadata of %s: exit %d: %s", a.id, res.Code, cmp.Or(res.Reason, res.Output))
	}
	return res.Stdout, nil
}

// Execute runs the script with one action.
func (a *Agent) Execute(ctx context.Context, op resources.Op) resources.Result {
	// Mode 1755: owned by root, as agents keep state files of theirs in it.
	if err := os.MkdirAll(a.cfg.rscTmp(), 0o755); err == nil {
		_ = os.Chmod(a.cfg.rscTmp(), 0o755|os.ModeSticky)
	}
	exit, err := process.Run(ctx, process.Command{Path: a.path, Args: []string{string(op.Action)}, Env: a.cfg.Environ(op)})
	return Interpret(exit, err)
}

// Interpret makes a result of a process that follows the OCF exit codes.
func Interpret(exit process.Exit, err error) resources.Result {
	res := resources.Result{Code: resources.Code(exit.Code), Reason: ExitReason(exit.Stderr), Output: exit.Text(), Stdout: exit.Stdout}
	switch {
	case exit.Killed:
		res.Status, res.Code = resources.StatusTimeout, resources.ErrGeneric
	case errors.Is(err, fs.ErrNotExist):
		res.Status, res.Code = resources.StatusNotInstalled, resources.ErrInstalled
	case errors.Is(err, fs.ErrPermission):
		res.Status, res.Code = resources.StatusErrorHard, resources.ErrPerm
	case err != nil || exit.Signal != 0:
		res.Status, res.Code = resources.StatusError, resources.ErrGeneric
	}
	switch {
	case err != nil:
		res.Reason = err.Error()
	case exit.Signal != 0 && !exit.Killed:
		res.Reason = fmt.Sprintf("ended by signal %d (%v)", int(exit.Signal), exit.Signal)
	}
	return res
}

// exitReasonPrefix marks the reason on standard error (OCF_EXIT_REASON_PREFIX).
const exitReasonPrefix = "ocf-exit-reason:"

// ExitReason is the text of the last line with the prefix, "" without one.
func ExitReason(stderr []byte) string {
	var reason []byte
	for line := range bytes.Lines(stderr) {
		if rest, ok := bytes.CutPrefix(line, []byte(exitReasonPrefix)); ok {
			reason = rest
		}
	}
	return strings.ToValidUTF8(strings.TrimSpace(string(reason)), "?")
}

// Environ is the complete environment of an operation.
func (c Config) Environ(op resources.Op) []string {
	env := map[string]string{
		"OCF_ROOT":                   c.root(),
		"OCF_RA_VERSION_MAJOR":       "1", // without it ocf-shellfuncs believes a person runs the script
		"OCF_RA_VERSION_MINOR":       "1",
		"OCF_RESOURCE_INSTANCE":      cmp.Or(op.Instance, op.Resource),
		"OCF_RESOURCE_TYPE":          op.Agent.Type,
		"OCF_RESOURCE_PROVIDER":      op.Agent.Provider,
		"OCF_EXIT_REASON_PREFIX":     exitReasonPrefix,
		"OCF_OUTPUT_FORMAT":          "text",
		"OCF_RESKEY_crm_feature_set": FeatureSet,
		"HA_SBIN_DIR":                c.sbinDir(),
		"HA_RSCTMP":                  c.rscTmp(),
		"HA_LOGFACILITY":             "daemon",
		"HA_LOGD":                    "no",
		"HA_use_logd":                "off",
		"HA_debug":                   "0",
		"HA_cluster_type":            "corosync",
		"HA_quorum_type":             "corosync",
		"HA_mcp":                     "true",
		"PCMK_logfacility":           "daemon",
		"PCMK_debug":                 "0",
		"PCMK_cluster_type":          "corosync",
		"PCMK_quorum_type":           "corosync",
		"PCMK_mcp":                   "true",
		"PATH":                       c.sbinDir() + ":" + searchPath,
		"LC_ALL":                     "C",
	}
	if op.CheckLevel != 0 {
		env["OCF_CHECK_LEVEL"] = strconv.Itoa(op.CheckLevel)
	}
	for name, value := range op.Params {
		env["OCF_RESKEY_"+name] = value
	}
	for name, value := range metaFacts(op) {
		env["OCF_RESKEY_CRM_meta_"+name] = value
	}
	list := make([]string, 0, len(env)+len(c.Env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if strings.ContainsAny(name, "=\x00") || strings.Contains(env[name], "\x00") {
			continue // cannot be said in an environment
		}
		list = append(list, name+"="+env[name])
	}
	return append(list, c.Env...)
}
