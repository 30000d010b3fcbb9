package nfs

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"systole/agents/internal/mounts"
)

// server is one as configured.
type server struct {
	infodir string // "" keeps what is known here
	ips     []string
	scope   string
	grace   time.Duration
	lease   time.Duration
	threads int
	v3      bool
	notify  bool
	wait    bool   // for the notification
	retry   string // minutes
	pipes   string
}

// Bounds of lease and grace time (Linux, fs/nfsd/nfsctl.c).
const (
	shortestLease = 10 * time.Second
	longestLease  = time.Hour
)

func readServer(params map[string]string) (server, error) {
	v, err := ServerMetadata.Resolve(params)
	if err != nil {
		return server{}, err
	}
	s := server{
		infodir: v.String("nfs_shared_infodir"), grace: v.Duration("nfsv4_gracetime"), lease: v.Duration("nfsv4_leasetime"),
		threads: v.Int("threads"), v3: !v.Bool("nfsv4_only"), notify: !v.Bool("nfs_no_notify"),
		wait: v.Bool("nfs_notify_foreground"), retry: v.String("nfs_smnotify_retry_time"), pipes: filepath.Clean(v.String("rpcpipefs_dir")),
		ips: strings.FieldsFunc(v.String("nfs_ip"), func(r rune) bool { return r == ',' || r == ' ' }),
	}
	var errs []error
	problem := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("parameter %s of nfsserver: %s", name, fmt.Sprintf(format, args...)))
	}
	if s.infodir != "" {
		if s.infodir = filepath.Clean(s.infodir); !filepath.IsAbs(s.infodir) || mounts.Under(s.infodir, system.lib) {
			problem("nfs_shared_infodir", "%q is not an absolute path outside of %s", s.infodir, system.lib)
		}
	}
	if !filepath.IsAbs(s.pipes) {
		problem("rpcpipefs_dir", "%q is not an absolute path", s.pipes)
	}
	for _, ip := range s.ips {
		if net.ParseIP(ip) == nil {
			problem("nfs_ip", "%q is not an address", ip)
		}
	}
	s.scope = v.String("nfs_server_scope")
	if s.scope == "" && len(s.ips) > 0 {
		s.scope = s.ips[0]
	}
	if len(s.scope) > maxScope {
		problem("nfs_server_scope", "%d characters are more than the %d of a host name", len(s.scope), maxScope)
	}
	if s.lease < shortestLease || s.lease > longestLease {
		problem("nfsv4_leasetime", "%v is not between %v and %v", s.lease, shortestLease, longestLease)
	}
	if s.grace < s.lease || s.grace > longestLease {
		problem("nfsv4_gracetime", "%v is not between the lease time %v and %v", s.grace, s.lease, longestLease)
	}
	if s.threads < 1 || s.threads > maxThreads {
		problem("threads", "%d is not between 1 and %d", s.threads, maxThreads)
	}
	return s, errors.Join(errs...)
}

const (
	maxScope   = 64   // __NEW_UTS_LEN
	maxThreads = 8192 // NFSD_MAXSERVS
)

// programs are what has to be installed.
func (s server) programs() []string {
	names := []string{"rpc.nfsd", "rpc.mountd", "exportfs"}
	if s.v3 {
		names = append(names, "rpcbind", "rpc.statd", "sm-notify")
	}
	return names
}

// daemons are what runs beside the kernel's threads, in the order of their start.
func (s server) daemons() []string {
	names := []string{"rpc.mountd"}
	if tool("nfsdcld") != "" {
		names = append([]string{"nfsdcld"}, names...)
	}
	if s.v3 {
		names = append(names, "rpc.statd")
	}
	if mapsNames() && tool("rpc.idmapd") != "" {
		names = append(names, "rpc.idmapd")
	}
	return names
}

// mapsNames tells whether the kernel's server wants users by name; by default it
// takes their numbers from clients without Kerberos.
func mapsNames() bool {
	text, err := os.ReadFile("/sys/module/nfsd/parameters/nfs4_disable_idmapping")
	return err == nil && strings.TrimSpace(string(text)) == "N"
}
