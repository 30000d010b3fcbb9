#!/bin/sh
# init.sh is the first process of a node: it makes the machine the node sees.
# The kernel has mounted the root of the machine outside, read-only (hostfs).
# The node's own root is a tmpfs, since only a real file system can be exported
# by NFS; what a program may change lies in overlays, on the node's disk if it
# has one. Nothing the node writes gets out, but below /lab and into its disks.
#
# Its words come from the kernel's command line, where LAB_... words become
# environment: NODE name, SHARE directory outside that is /lab inside, NETS
# addresses of eth0, eth1..., DISK block device, MODULES to load first.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -n -t proc proc /proc
release=$(uname -r)
modules=/usr/lib/uml/modules/$release
root=/mnt
mount -n -t tmpfs -o size=90%,mode=755 tmpfs $root
insmod $modules/kernel/fs/overlayfs/overlay.ko
cd $root || exit 1
mkdir -p proc sys dev run tmp lab srv mnt media outside .disk
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
if [ -n "$LAB_DISK" ]; then
	mount -n -t ext4 -o noatime,noinit_itable /dev/$LAB_DISK .disk || { echo "lab: /dev/$LAB_DISK cannot be mounted"; exit 1; }
fi
mkdir -p .disk/srv
mount -n --bind .disk/srv srv
for dir in usr etc var opt root home; do
	mkdir -p $dir .disk/upper/$dir .disk/work/$dir
	mount -n -t overlay overlay -o lowerdir=/$dir,upperdir=$root/.disk/upper/$dir,workdir=$root/.disk/work/$dir $root/$dir ||
		echo "lab: no overlay on /$dir"
done
mount -n --move /proc proc
mount -n -t sysfs sysfs sys
mount -n -t devtmpfs dev dev
mkdir -p dev/pts dev/shm
mount -n -t devpts -o gid=5,mode=620,ptmxmode=666 devpts dev/pts
mount -n -t tmpfs tmpfs dev/shm
mount -n -t tmpfs -o mode=755 tmpfs run
mount -n -t tmpfs -o mode=1777 tmpfs tmp
mount -n -t cgroup2 cgroup2 sys/fs/cgroup
mkdir -p run/lock lib/modules/$release
mount -n -t hostfs -o "$LAB_SHARE" none lab
mount -n -t hostfs -o $modules none lib/modules/$release
pivot_root . outside || exit 1
exec chroot . /bin/sh /lab/machine.sh </dev/console >/dev/console 2>&1
