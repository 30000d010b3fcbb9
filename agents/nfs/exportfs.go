package nfs

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"systole/agents/internal/ocferr"
	"systole/resources"
)

// Exporter is the agent exportfs. It has no state and is safe for concurrent use.
type Exporter struct{ paths paths }

// NewExporter makes the agent exportfs.
func NewExporter() *Exporter { return &Exporter{system} }

// MetaData is the OCF document.
func (*Exporter) MetaData(context.Context) ([]byte, error) { return ExportMetadata.XML(), nil }

// exports is what is configured: every directory for every client.
type exports struct {
	want    []export
	options string // without fsid
	unlock  bool
	wait    bool
	backup  string // "" for none
}

// Execute runs one operation.
func (a *Exporter) Execute(ctx context.Context, op resources.Op) resources.Result {
	x, err := readExports(op.Params)
	if err != nil {
		return resources.Result{Code: resources.ErrConfigured, Reason: err.Error()}
	}
	switch op.Action {
	case resources.ActionStart:
		err = a.start(ctx, x)
	case resources.ActionStop:
		err = a.stop(ctx, x)
	case resources.ActionMonitor, "status":
		err = a.monitor(ctx, x, op)
	case resources.ActionValidateAll:
		err = installed("exportfs")
	default:
		err = ocferr.Errorf(resources.ErrUnimplemented, "exportfs has no action %s", op.Action)
	}
	return ocferr.Result(ctx, err)
}

func readExports(params map[string]string) (exports, error) {
	v, err := ExportMetadata.Resolve(params)
	if err != nil {
		return exports{}, err
	}
	x := exports{unlock: v.Bool("unlock_on_stop"), wait: v.Bool("wait_for_leasetime_on_stop"), backup: v.String("rmtab_backup")}
	if x.backup == "none" {
		x.backup = ""
	}
	var errs []error
	problem := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("parameter %s of exportfs: %s", name, fmt.Sprintf(format, args...)))
	}
	options := strings.Split(v.String("options"), ",")
	x.options = strings.Join(slices.DeleteFunc(options, func(o string) bool { return o == "" || strings.HasPrefix(o, "fsid=") }), ",")
	if strings.ContainsAny(x.options, " ()") {
		problem("options", "%q has a blank or a parenthesis", v.String("options"))
	}
	if x.backup != "" && !filepath.IsLocal(x.backup) {
		problem("rmtab_backup", "%q is not a path below the directory", x.backup)
	}
	fsid := v.String("fsid")
	if fsid == "root" {
		fsid = "0"
	}
	first, notNumber := strconv.ParseUint(fsid, 10, 32)
	dirs, clients := strings.Fields(v.String("directory")), strings.Fields(v.String("clientspec"))
	if strings.ContainsAny(fsid, ", ") || notNumber != nil && len(dirs) > 1 {
		problem("fsid", "%q is not an identity; with several directories it must be a number", v.String("fsid"))
	}
	for i, dir := range dirs {
		if !filepath.IsAbs(dir) {
			problem("directory", "%q is not an absolute path", dir)
		}
		id := fsid
		if notNumber == nil {
			id = strconv.FormatUint(first+uint64(i), 10)
		}
		for _, client := range clients {
			if strings.ContainsAny(client, "()") || strings.HasPrefix(client, "-") {
				problem("clientspec", "%q is no client", client)
			}
			x.want = append(x.want, export{filepath.Clean(dir), bare(client), []string{"fsid=" + id}})
		}
	}
	if len(x.want) == 0 {
		problem("directory", "no directory, or no clientspec")
	}
	return x, errors.Join(errs...)
}

// bare takes the brackets from an IPv6 address or network, as etab has it.
func bare(client string) string {
	if strings.HasPrefix(client, "[") {
		return strings.NewReplacer("[", "", "]", "").Replace(client)
	}
	return client
}

// spec is an export as the program exportfs takes it: CLIENT:DIRECTORY.
func (e export) spec() string {
	client := e.client
	if strings.Contains(client, ":") {
		address, bits, network := strings.Cut(client, "/")
		client = "[" + address + "]"
		if network {
			client += "/" + bits
		}
	}
	return client + ":" + e.dir
}

// find is the line of etab for a wanted export. exportfs writes a single host by the
// name it resolves to, so that is looked for if the host as configured is not there.
func find(ctx context.Context, have []export, want export) (export, bool) {
	at := func(client string) int {
		return slices.IndexFunc(have, func(e export) bool { return e.dir == want.dir && strings.EqualFold(e.client, client) })
	}
	if i := at(want.client); i >= 0 {
		return have[i], true
	}
	if strings.ContainsAny(want.client, "/*?@") {
		return export{}, false
	}
	for _, name := range alsoCalled(ctx, want.client) {
		if i := at(name); i >= 0 {
			return have[i], true
		}
	}
	return export{}, false
}

// resolveWithin bounds a question for a host's names.
const resolveWithin = 2 * time.Second

// alsoCalled are the other names of a host.
func alsoCalled(ctx context.Context, host string) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, resolveWithin)
	defer cancel()
	var r net.Resolver
	addrs := []string{host}
	if _, err := netip.ParseAddr(host); err != nil {
		addrs, _ = r.LookupHost(ctx, host)
	}
	names = slices.Clone(addrs)
	for _, a := range addrs {
		found, _ := r.LookupAddr(ctx, a)
		for _, name := range found {
			names = append(names, strings.TrimSuffix(name, "."))
		}
	}
	return names
}

func (a *Exporter) start(ctx context.Context, x exports) error {
	if err := installed("exportfs"); err != nil {
		return err
	}
	if err := a.paths.openEtab(); err != nil {
		return err
	}
	for _, want := range x.want {
		if info, err := os.Stat(want.dir); err != nil || !info.IsDir() {
			return ocferr.Errorf(resources.ErrInstalled, "%s is no directory on this node: mount or make it first", want.dir)
		}
		if x.backup != "" {
			if err := a.paths.restoreMounts(filepath.Join(want.dir, x.backup)); err != nil {
				return fmt.Errorf("list of mounts: %w", err)
			}
		}
		options := strings.TrimPrefix(x.options+","+want.options[0], ",")
		if err := run(ctx, "exportfs", "-o", options, want.spec()); err != nil {
			return err
		}
	}
	// The program succeeds with a name it cannot resolve: the table says what is true.
	return a.monitor(ctx, x, resources.Op{Action: resources.ActionMonitor})
}

func (a *Exporter) monitor(ctx context.Context, x exports, op resources.Op) error {
	have, err := a.paths.readEtab()
	if err != nil {
		return err
	}
	var missing []string
	for _, want := range x.want {
		e, there := find(ctx, have, want)
		switch {
		case !there:
			missing = append(missing, want.spec())
		case "fsid="+e.fsid() != want.options[0]:
			return fmt.Errorf("%s is exported with fsid %q, not %s: clients would get stale handles", want.spec(), e.fsid(), want.options[0])
		}
	}
	switch {
	case len(missing) == len(x.want):
		return ocferr.Errorf(resources.NotRunning, "not exported: %s", strings.Join(missing, ", "))
	case len(missing) > 0:
		return fmt.Errorf("not exported, while others are: %s", strings.Join(missing, ", "))
	}
	if x.backup != "" && !op.IsProbe() {
		return a.backup(x)
	}
	return nil
}

// backup keeps the NFS 3 mounts of the directories beside them.
func (a *Exporter) backup(x exports) error {
	for _, want := range x.want {
		if err := a.paths.keepMounts(want.dir, filepath.Join(want.dir, x.backup)); err != nil {
			return fmt.Errorf("list of mounts: %w", err)
		}
	}
	return nil
}

func (a *Exporter) stop(ctx context.Context, x exports) error {
	have, err := a.paths.readEtab()
	if err != nil {
		return err
	}
	ended := false
	for _, want := range x.want {
		e, there := find(ctx, have, want)
		if !there {
			continue
		}
		if x.backup != "" {
			if err := a.paths.keepMounts(want.dir, filepath.Join(want.dir, x.backup)); err != nil {
				return fmt.Errorf("list of mounts: %w", err)
			}
		}
		if err := run(ctx, "exportfs", "-u", e.spec()); err != nil {
			return err
		}
		ended = true
	}
	if !ended {
		return nil
	}
	if have, err = a.paths.readEtab(); err != nil {
		return err
	}
	for _, want := range x.want {
		if _, there := find(ctx, have, want); there {
			return fmt.Errorf("%s is exported still", want.spec())
		}
		if x.unlock {
			if err := a.paths.unlock(want.dir); err != nil {
				return err
			}
		}
	}
	if x.wait {
		return a.paths.awaitLease(ctx)
	}
	return nil
}
