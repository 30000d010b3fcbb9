package nfs

import "systole/resources"

// ServerMetadata describes nfsserver. The names are those of ocf:heartbeat:nfsserver,
// so that its configurations run unchanged; threads, nfsv4_gracetime and
// nfsv4_leasetime are new, and NFS 4 alone is the default.
var ServerMetadata = resources.Metadata{
	Name: "nfsserver", Version: "1.0", API: "1.0",
	Short: "Runs the kernel's NFS server",
	Long: "Runs the NFS server of the kernel with its daemons, with or without systemd, and keeps what it must remember of its clients on shared storage. " +
		"Order: the file system, then nfsserver, then exportfs, and the address clients use last; a stop goes the other way, so that clients wait instead of getting errors. " +
		"Disable the server's own unit (systemctl disable nfs-server).",
	Parameters: []resources.Parameter{
		{Name: "nfs_shared_infodir", Type: resources.ParamString, Short: "Recovery directory on shared storage",
			Long: "Directory with what a server must know of its clients to let them reclaim their locks and open files. It is mounted on /var/lib/nfs (bind) while the server runs and is filled at the first start. Left out, that knowledge stays on this node and is lost with a failover."},
		{Name: "nfs_ip", Type: resources.ParamString, Short: "Addresses clients use",
			Long: "Addresses that move with the server, separated by commas. NFS 3 clients are told in their name that the server has restarted."},
		{Name: "nfs_server_scope", Type: resources.ParamString, Short: "Server scope of NFS 4",
			Long: "The name under which the server is the same one on every node; without it clients do not reclaim after a failover (RFC 8881, 8.4.2.1). Left out, it is the first of nfs_ip, else the node's own name."},
		{Name: "nfsv4_gracetime", Type: resources.ParamTime, Default: "10s", Short: "Grace time of NFS 4",
			Long: "After a start, clients known before may reclaim for this long, and nothing new is opened; it ends early when all have. At least the lease time."},
		{Name: "nfsv4_leasetime", Type: resources.ParamTime, Default: "10s", Short: "Lease time of NFS 4",
			Long: "A client that is silent for this long may lose its locks. Short leases make short failovers and more messages; 10 s to 3600 s."},
		{Name: "threads", Type: resources.ParamInteger, Default: "8", Short: "Threads of the server",
			Long: "How many requests the kernel serves at a time."},
		{Name: "nfsv4_only", Type: resources.ParamBoolean, Default: "true", Short: "No NFS 3",
			Long: "If false, NFS 3 is served too, which needs rpcbind and rpc.statd."},
		{Name: "nfs_no_notify", Type: resources.ParamBoolean, Default: "false", Short: "Do not tell NFS 3 clients of a restart",
			Long: "NFS 3 clients that are not told keep locks the server does not know."},
		{Name: "nfs_notify_foreground", Type: resources.ParamBoolean, Default: "false", Short: "Wait until NFS 3 clients were told",
			Long: "If true, the start ends when sm-notify has reached every client or given up."},
		{Name: "nfs_smnotify_retry_time", Type: resources.ParamInteger, Short: "How long NFS 3 clients are told, in minutes",
			Long: "Left out, 15; 0 is until all have answered."},
		{Name: "rpcpipefs_dir", Type: resources.ParamString, Default: "/run/rpc_pipefs", Short: "Mount point of rpc_pipefs",
			Long: "Where the daemons talk with the kernel; mounted there if it is not."},
		{Name: "nfs_init_script", Type: resources.ParamString, Deprecated: true, Short: "Not used",
			Long: "Taken for the sake of existing configurations: this agent starts the daemons itself."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "40s"},
		{Name: "stop", Timeout: "40s"},
		{Name: "status", Timeout: "20s", Interval: "10s", Depth: "0"},
		{Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0"},
		{Name: "meta-data", Timeout: "5s"},
		{Name: "validate-all", Timeout: "30s"},
	},
}

// ExportMetadata describes exportfs; the names are those of ocf:heartbeat:exportfs.
var ExportMetadata = resources.Metadata{
	Name: "exportfs", Version: "1.0", API: "1.0",
	Short: "Exports directories by NFS",
	Long:  "Adds directories to what the NFS server of this node exports, and takes them out again. The server itself is nfsserver's. An fsid makes clients' file handles good on every node.",
	Parameters: []resources.Parameter{
		{Name: "directory", Type: resources.ParamString, Required: true, Short: "Directories to export",
			Long: "Absolute paths separated by blanks."},
		{Name: "clientspec", Type: resources.ParamString, Required: true, Short: "Who may mount them",
			Long: "As in exports(5): addresses, networks, names, wildcards or netgroups, separated by blanks."},
		{Name: "fsid", Type: resources.ParamString, Required: true, Short: "Identity of the file system for clients",
			Long: "A number that no other export of the cluster has, or a UUID; the same on every node, or handles go stale in a failover. With several directories it is a number, which counts up by one for each. 0 or root is the root of the NFS 4 tree."},
		{Name: "options", Type: resources.ParamString, Short: "Options of the export",
			Long: "As in exports(5), without parentheses: rw,no_root_squash. An fsid in them gives way to the parameter."},
		{Name: "unlock_on_stop", Type: resources.ParamBoolean, Default: "1", Short: "Give locks back at a stop",
			Long: "The kernel forgets the clients' NFS 3 locks on the file system, so that it can be unmounted."},
		{Name: "wait_for_leasetime_on_stop", Type: resources.ParamBoolean, Default: "0", Short: "Wait for the lease time at a stop",
			Long: "Needed only if the server goes on running on this node while the file system moves: open files of NFS 4 clients hold it until their leases end. Give the stop a longer timeout than the lease time."},
		{Name: "rmtab_backup", Type: resources.ParamString, Default: ".rmtab", Short: "Where to keep the list of NFS 3 mounts",
			Long: "A file below the directory that moves with it, kept by monitors; none for none."},
	},
	Actions: []resources.ActionSpec{
		{Name: "start", Timeout: "40s"},
		{Name: "stop", Timeout: "120s"},
		{Name: "status", Timeout: "20s", Interval: "10s", Depth: "0"},
		{Name: "monitor", Timeout: "20s", Interval: "10s", Depth: "0"},
		{Name: "meta-data", Timeout: "5s"},
		{Name: "validate-all", Timeout: "30s"},
	},
}
