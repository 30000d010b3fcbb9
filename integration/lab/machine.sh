#!/bin/sh
# machine.sh goes on where init.sh ends, inside the node's own root.
# What the harness puts there comes before what the machine outside has.
export PATH=/lab/bin:$PATH
echo "$LAB_NODE" >/proc/sys/kernel/hostname
echo "$LAB_NODE" >/etc/hostname
echo "127.0.0.1 localhost $LAB_NODE" >/etc/hosts
ln -sf /lab/guest /usr/sbin/fence_lab
{
	echo "link set lo up"
	n=0
	for address in $(echo "$LAB_NETS" | tr , ' '); do
		echo "link set vec$n name eth$n"
		echo "addr add $address dev eth$n"
		echo "link set eth$n up"
		n=$((n + 1))
	done
} | ip -batch -
[ -z "$LAB_MODULES" ] || modprobe -a $(echo "$LAB_MODULES" | tr , ' ')
# With one processor, what arrives waits for whoever computes: the kernel leaves it to a thread
# that has no priority, and a busy machine is deaf for seconds.
for process in /proc/[0-9]*; do
	{ read -r name <$process/comm; } 2>/dev/null && [ "$name" = ksoftirqd/0 ] && chrt -f -p 1 ${process#/proc/}
done
/lab/guest /dev/tty1 &
# The first process reaps orphans.
while :; do wait; sleep 1; done
