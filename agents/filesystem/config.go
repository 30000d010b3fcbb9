package filesystem

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"systole/resources"
)

// config is one mount as configured.
type config struct {
	device  string // as configured
	dir     string // clean
	fstype  string
	options []string
	prefix  string
	fsck    string
	fast    bool
	force   bool
	clones  bool
}

// kind is what a file system lives on; it decides what may be done with it.
type kind int

const (
	onBlock   kind = iota // one node at a time, or it is destroyed
	onCluster             // a block device many nodes may have mounted
	onNetwork             // a server guards it; it may hang
	onMemory              // no device
	onTree                // a bind mount
)

var kinds = map[string]kind{
	"gfs2": onCluster, "ocfs2": onCluster,
	"nfs": onNetwork, "nfs4": onNetwork, "cifs": onNetwork, "smb3": onNetwork, "smbfs": onNetwork, "ceph": onNetwork,
	"glusterfs": onNetwork, "fuse.glusterfs": onNetwork, "fuse.sshfs": onNetwork, "lustre": onNetwork, "9p": onNetwork, "afs": onNetwork,
	"tmpfs": onMemory, "ramfs": onMemory, "overlay": onMemory, "proc": onMemory, "sysfs": onMemory, "virtiofs": onMemory,
	"hugetlbfs": onMemory, "nfsd": onMemory, "rpc_pipefs": onMemory, "configfs": onMemory, "cgroup2": onMemory, "zfs": onMemory,
}

func (c config) kind() kind {
	if c.has("bind") || c.has("rbind") {
		return onTree
	}
	return kinds[c.fstype]
}

func (c config) has(option string) bool { return slices.Contains(c.options, option) }

// unjournaled are checked before a mount unless run_fsck says otherwise: the
// others repair themselves while they are mounted.
var unjournaled = []string{"ext2", "vfat", "msdos", "exfat", "minix", "hfs"}

func (c config) checked() bool {
	switch {
	case c.kind() != onBlock, c.fsck == "no":
		return false
	case c.fsck == "force":
		return true
	}
	return slices.Contains(unjournaled, c.fstype)
}

// readOnlyTypes cannot be written.
var readOnlyTypes = []string{"iso9660", "squashfs", "erofs", "cramfs", "romfs"}

// writable tells whether the mount is meant to be written.
func (c config) writable() bool { return !c.has("ro") && !slices.Contains(readOnlyTypes, c.fstype) }

// read checks the parameters. It does not look at the machine.
func read(params map[string]string) (config, error) {
	v, err := Metadata.Resolve(params)
	if err != nil {
		return config{}, err
	}
	c := config{
		device: v.String("device"), dir: filepath.Clean(v.String("directory")), fstype: v.String("fstype"),
		options: strings.FieldsFunc(v.String("options"), func(r rune) bool { return r == ',' }),
		prefix:  v.String("statusfile_prefix"), fsck: v.String("run_fsck"), fast: v.Bool("fast_stop"), clones: v.Bool("force_clones"),
	}
	var errs []error
	problem := func(name, format string, args ...any) {
		errs = append(errs, fmt.Errorf("parameter %s of Filesystem: %s", name, fmt.Sprintf(format, args...)))
	}
	if !filepath.IsAbs(c.dir) || c.dir == "/" {
		problem("directory", "%q is not the absolute path of a mount point", v.String("directory"))
	}
	if strings.HasPrefix(c.fstype, "-") || strings.ContainsAny(c.fstype, " ,/") {
		problem("fstype", "%q is not the type of a file system", c.fstype)
	}
	if !slices.Contains([]string{"auto", "force", "no"}, c.fsck) {
		problem("run_fsck", "%q is none of auto, force, no", c.fsck)
	}
	switch v.String("force_unmount") {
	case "safe":
		c.force = true
	default:
		if c.force, err = resources.ParseBool(v.String("force_unmount")); err != nil {
			problem("force_unmount", "%q is none of true, safe, false", v.String("force_unmount"))
		}
	}
	switch c.kind() {
	case onTree:
		if !filepath.IsAbs(c.device) {
			problem("device", "%q is not the absolute path of a directory, as options %q want it", c.device, strings.Join(c.options, ","))
		}
	case onBlock, onCluster:
		if _, tagged := c.tag(); !tagged && !filepath.IsAbs(c.device) {
			problem("device", "%q is neither a path nor UUID=…, LABEL=…", c.device)
		}
	case onNetwork:
		if strings.HasPrefix(c.fstype, "nfs") && !strings.Contains(c.device, ":/") {
			problem("device", "%q is not HOST:/PATH", c.device)
		}
	}
	if strings.HasPrefix(c.device, "-") {
		if _, tagged := c.tag(); !tagged {
			problem("device", "%q looks like an option of mount", c.device)
		}
	}
	return c, errors.Join(errs...)
}

// tag is a device named by what is written on it, in the form NAME=value.
func (c config) tag() (string, bool) {
	for short, name := range map[string]string{"-U": "UUID", "-L": "LABEL"} {
		if value, ok := strings.CutPrefix(c.device, short); ok && strings.TrimSpace(value) != "" {
			return name + "=" + strings.TrimSpace(value), true
		}
	}
	name, value, ok := strings.Cut(c.device, "=")
	return c.device, ok && value != "" && slices.Contains([]string{"UUID", "LABEL", "PARTUUID", "PARTLABEL"}, name)
}

// statusFile is what the write test writes.
func (c config) statusFile(op resources.Op) string {
	name := op.Resource
	if op.Node != "" {
		name += "_" + op.Node
	}
	return filepath.Join(c.dir, c.prefix+strings.ReplaceAll(name, "/", "_"))
}

// allowed refuses a clone of what must be mounted once only.
func (c config) allowed(op resources.Op) error {
	if op.Meta["clone"] == "" || op.Meta["clone_max"] == "1" || c.kind() != onBlock || !c.writable() || c.clones {
		return nil
	}
	return fmt.Errorf("a clone would mount %s on several nodes at once, which destroys a file system of type %s: "+
		"do not clone it, or set force_clones if each node has a device of its own", c.device, c.fstype)
}
