#!/usr/bin/env bash
# Linux 6.18 (6.1 as well), procfs: proc(5) says that subset=pid hides all but processes. A proc that was mounted whole and is then
# reconfigured to subset=pid keeps every name that something is mounted on, and loses the rest: so a chosen few files can be shown
# beside the processes, which a proc that was mounted with subset=pid has no names for.
. "$(dirname "$0")/common.sh"
cat >"$work/inside" <<'SH'
cd "$1" && mkdir late early && echo mine >file
mount -t proc proc late && mount -t proc -o subset=pid proc early
mount --bind file late/uptime && mount -o remount,subset=pid late
look() { for name in uptime version; do printf '%s %s: ' "$1" "$name"; cat "$1/$name" 2>&1 | sed 's/.*: //'; done; }
look late
look early
mount --bind file early/uptime 2>/dev/null || echo "early: nothing can be mounted on uptime"
SH
expect "$(unshare --user --map-root-user --mount --pid --fork sh "$work/inside" "$work")" 'late uptime: mine
late version: No such file or directory
early uptime: No such file or directory
early version: No such file or directory
early: nothing can be mounted on uptime'
