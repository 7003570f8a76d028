#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The first process of a node: makes the namespaces that it was started in look like a machine of its own, then runs
# containerd and reaps what the containers leave. It dies, and with its pid namespace everything on the node does.
#
#   machine.sh NAME FOLDER CONTROL-GROUP CONTAINERD [ARGUMENT…]
#
# FOLDER holds what survives a reboot: var-lib, var-log. Everything else that a node writes is in memory.
set -euo pipefail
name=$1 folder=$2 group=$3
shift 3

hostname "$name"

# A /run of its own keeps apart containerd's state, the pods' network namespaces and the lock of iptables.
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/lock /run/cgroup

# The view of the node's own network interfaces. It hides the control groups, so these are held and put back.
mount --rbind /sys/fs/cgroup /run/cgroup
mount -t sysfs sysfs /sys
mount --rbind /run/cgroup /sys/fs/cgroup
umount --recursive --lazy /run/cgroup
for procs in /sys/fs/cgroup/"$group"/machine/cgroup.procs /sys/fs/cgroup/*/"$group"/machine/cgroup.procs; do
  [[ ! -e $procs ]] || echo 0 >"$procs"
done

# A kubelet keeps to --root-dir, but its plugins' sockets, the CNI plugins and the logs do not.
mount --bind "$folder/var-lib" /var/lib
mount --bind "$folder/var-log" /var/log

# What a kubelet wants of the kernel as a whole, it finds set, and so leaves this machine's settings alone.
while read -r key value; do
  [[ -e /proc/sys/$key ]] || continue
  echo "$value" >"/run/$(basename "$key")"
  mount --bind "/run/$(basename "$key")" "/proc/sys/$key"
done <<'END'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END

mount --make-rshared /
touch "$folder/booted"

"$@" &
trap : TERM HUP INT
while :; do
  wait || true
  sleep 1
done
