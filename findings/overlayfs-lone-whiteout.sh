#!/usr/bin/env bash
# Linux 6.18, overlayfs: a whiteout in a directory that only one layer has is listed by readdir, as a name that stat does not find, so
# find(1) and rm -r fail on a name that is not there. In a directory that two layers have the same whiteout is not listed. Layers of
# images hold such whiteouts where a file was made and removed between two others.
. "$(dirname "$0")/common.sh"
cat >"$work/inside" <<'SH'
cd "$1" && mkdir -p lower/both upper/both upper/alone work merged
mknod upper/both/gone c 0 0 && mknod upper/alone/gone c 0 0
mount -t overlay overlay -o userxattr,lowerdir=upper:lower merged || exit
for directory in both alone; do
  echo "$directory lists: $(ls -U merged/$directory), stat: $(stat -c %F merged/$directory/gone 2>&1 | sed 's/.*: //')"
done
SH
expect "$(unshare --user --map-root-user --mount sh "$work/inside" "$work")" 'both lists: , stat: No such file or directory
alone lists: gone, stat: No such file or directory'
