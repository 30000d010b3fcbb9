package filesystem

import "systole/resources"

// Metadata describes the agent. The names are those of ocf:heartbeat:Filesystem,
// so that its configurations run unchanged.
var Metadata = resources.Metadata{
	Name: "Filesystem", Version: "1.0", API: "1.0",
	Short: "Mounts a file system",
	Long: "Mounts a local, network, memory or bind file system. A monitor reads the table of mounts, and so never hangs; " +
		"with OCF_CHECK_LEVEL 10 it reads from the device or directory, with 20 it writes a file and reads it back. " +
		"A stop ends the processes in the way, names them, and succeeds only when the file system is not mounted any more.",
	Parameters: []resources.Parameter{
		{Name: "device", Type: resources.ParamString, Required: true, Short: "What to mount",
			Long: "A block device, UUID=…, LABEL=…, PARTUUID=…, PARTLABEL=…, -U or -L as for mount, HOST:/PATH for NFS, a directory for a bind mount, a file for a loop mount, any word for a file system without a device (tmpfs)."},
		{Name: "directory", Type: resources.ParamString, Required: true, Unique: true, Short: "Mount point",
			Long: "Absolute path of the mount point. It is made if it does not exist."},
		{Name: "fstype", Type: resources.ParamString, Required: true, Short: "Type of the file system",
			Long: "As for mount -t: ext4, xfs, nfs, tmpfs…; none for a bind mount."},
		{Name: "options", Type: resources.ParamString, Short: "Mount options",
			Long: "As for mount -o, separated by commas. With bind or rbind the device is a directory."},
		{Name: "statusfile_prefix", Type: resources.ParamString, Default: ".Filesystem_status/", Short: "Beginning of the status file's name",
			Long: "The write test of OCF_CHECK_LEVEL 20 writes the file PREFIX + resource + _ + node below the mount point."},
		{Name: "run_fsck", Type: resources.ParamString, Default: "auto", Short: "Check before mounting",
			Long: "auto checks file systems without a journal (ext2, vfat, exfat, minix), force every one on a block device, no none. Only repairs that are safe without asking are made."},
		{Name: "fast_stop", Type: resources.ParamBoolean, Default: "no", Short: "Do not wait for the users of the file system",
			Long: "If true, processes in the way of a stop have one second to end before they are killed, and the stop gives up soon after. Otherwise they have up to a third of the stop's timeout, and it is tried until the timeout."},
		{Name: "force_clones", Type: resources.ParamBoolean, Default: "false", Short: "Allow clones of a local file system",
			Long: "A local file system mounted on two nodes at once is destroyed, so a clone of one is refused. Set this only if every node has a device of its own under the same name."},
		{Name: "force_unmount", Type: resources.ParamString, Default: "true", Short: "End the processes in the way of a stop",
			Long: "true and safe, which are the same here since the search cannot block: end them. false: leave them alone; the stop fails and names them."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "60s"},
		{Name: "stop", Timeout: "60s"},
		{Name: "status", Timeout: "40s", Interval: "20s", Depth: "0"},
		{Name: "monitor", Timeout: "40s", Interval: "20s", Depth: "0"},
		{Name: "meta-data", Timeout: "5s"},
		{Name: "validate-all", Timeout: "5s"},
	},
}
