#!/bin/sh
# A container of a pod as a kubelet makes one, as far as the agent can tell: no root, no capability, a root file system that nobody writes to,
# emptyDirs in memory that belong to root and a group and that everybody may write to, files of a ConfigMap and a Secret behind links.
#
#   unshare --mount --propagation private sh pod.sh BINARY POD COMMAND...
#
# POD has the folders plan, token, state and secrets, which are the pod's volumes.
set -eu
binary=$1 pod=$2
shift 2
id=65532
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/chancery /run/bin
for volume in plan token state secrets; do
  mkdir "/run/chancery/$volume"
  mount --bind "$pod/$volume" "/run/chancery/$volume"
done
for volume in state secrets; do
  chown "0:$id" "/run/chancery/$volume"
  chmod 2777 "/run/chancery/$volume"
done
for volume in plan token; do
  mount -o remount,bind,ro "/run/chancery/$volume"
done
touch /run/bin/chancery
mount --bind "$binary" /run/bin/chancery
mount -o remount,bind,ro /run
mount -o remount,bind,ro /
exec setpriv --reuid "$id" --regid "$id" --groups "$id" --no-new-privs --inh-caps=-all --bounding-set=-all \
  env -i PATH=/run/bin:/usr/bin:/bin "$@"
