#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a container would give one of Stentor's programs: its ServiceAccount files, its Secrets in /etc, a /run of its
# own, and no more rights than the manifests grant. Run by `ip netns exec`, which made a mount namespace: nobody else
# sees these mounts. FOLDER holds account/ (token, ca.crt, namespace) and etc/ (what appears in /etc).
#
#   container.sh FOLDER root-with-net-raw|nobody|root PROGRAM [ARGUMENT…]
set -euo pipefail
folder=$1 rights=$2
shift 2

mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/secrets/kubernetes.io/serviceaccount
# A bind, not a copy: a token that the lab rotates is seen, as with a projected volume.
[[ ! -d $folder/account ]] || mount --bind "$folder/account" /run/secrets/kubernetes.io/serviceaccount
if [[ -d $folder/etc ]] && ! mount -t overlay overlay -o "lowerdir=$folder/etc:/etc" /etc 2>/dev/null; then
  # A kernel without overlayfs: a copy of /etc with the Secrets in it does as well.
  mkdir -p "$folder/etc-copy"
  cp -a /etc/. "$folder/etc/." "$folder/etc-copy"
  mount --bind "$folder/etc-copy" /etc
fi

case $rights in
  root-with-net-raw)
    exec setpriv --bounding-set=-all,+net_raw --inh-caps=-all,+net_raw --no-new-privs "$@" ;;
  nobody)
    exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs "$@" ;;
  root) exec "$@" ;;
esac
echo "container.sh: unknown rights '$rights'" >&2
exit 2
