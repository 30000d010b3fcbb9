#!/bin/sh
# Makes a Debian package of an installed tree, with dpkg-deb and nothing else:
#
#   make package
#
# usage: deb.sh TREE VERSION DIRECTORY
set -eu
[ $# -eq 3 ] || { sed -n '2,6p' "$0" >&2; exit 64; }
tree=$1 version=$2 out=$3
here=$(dirname "$0")

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -a "$tree/." "$work/"
install -D -m 644 "$here/../systole.conf.sample" "$work/etc/systole/systole.conf"
install -D -m 644 "$here/../systole.conf.5" "$work/usr/share/man/man5/systole.conf.5"
gzip -9n "$work/usr/share/man/man5/systole.conf.5"
install -d "$work/usr/share/doc/systole/examples"
cp -R "$here/../examples/." "$work/usr/share/doc/systole/examples/"
rm "$work"/usr/share/doc/systole/examples/*.go
install -m 644 "$here/NOTICES.md" "$work/usr/share/doc/systole/"
install -d "$work/DEBIAN"
install -m 755 "$here/postinst" "$here/prerm" "$work/DEBIAN/"
echo /etc/systole/systole.conf >"$work/DEBIAN/conffiles"
cat >"$work/DEBIAN/control" <<CONTROL
Package: systole
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: The Systole maintainers <root@localhost>
Section: admin
Priority: optional
Recommends: resource-agents, fence-agents
Conflicts: crmsh, pacemaker, pacemaker-cli-utils
Installed-Size: $(du -sk "$work" | cut -f1)
Description: Linux-HA cluster resource manager
 Keeps ordered services on the right node through any single failure, and
 never on two nodes at once. Reads and writes the CIB of Heartbeat and
 Pacemaker, and answers to the names of their tools, which is why it cannot
 be installed beside them.
CONTROL
dpkg-deb --root-owner-group --build "$work" "$out/systole_${version}_$(dpkg --print-architecture).deb"
