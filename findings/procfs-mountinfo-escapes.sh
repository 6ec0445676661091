#!/usr/bin/env bash
# procfs 0.18.0: mount points and sources of /proc/self/mountinfo stay escaped, so a mount below "a b" is given as a path that does not
# exist (a\040b). Linux 6.18 escapes blank, tab, newline and backslash in a mount point, and `#` only in the source. proc-mounts
# 0.3.0 gives the path that was mounted.
. "$(dirname "$0")/common.sh"
mkdir "$work/a b#c"
cat >"$work/inside" <<'SH'
mount -t tmpfs 'x y#z' "$1/a b#c" && exec "$1/target/debug/finding"
SH
rust 'procfs = "=0.18.0"
proc-mounts = "=0.3.0"' >/dev/null <<'RS'
fn main() {
    let Ok(me) = procfs::process::Process::myself() else { return };
    for mount in me.mountinfo().unwrap().0 {
        let name = mount.mount_point.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("a") && name.contains("#c") {
            println!("procfs {name} {} exists: {}", mount.mount_source.unwrap(), mount.mount_point.exists());
        }
    }
    for mount in proc_mounts::MountList::new().unwrap().0 {
        let name = mount.dest.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with("a") && name.contains("#c") {
            println!("proc-mounts {name} {} exists: {}", mount.source.display(), mount.dest.exists());
        }
    }
}
RS
expect "$(unshare --user --map-root-user --mount sh "$work/inside" "$work")" 'procfs a\040b#c x\040y\043z exists: false
proc-mounts a b#c x y#z exists: true'
