//! What is mounted where, as this process sees it.

/// A line of `/proc/self/mountinfo`.
pub(super) struct Mount {
    /// The file system's type.
    pub(super) kind: String,
    /// Which directory of it.
    pub(super) root: String,
    /// Where it is.
    pub(super) point: String,
    /// What is mounted there, as whoever mounted it called it.
    pub(super) source: String,
}

/// All of them, in the order in which they were made.
pub(super) fn mounts(mountinfo: &str) -> impl Iterator<Item = Mount> {
    mountinfo.lines().filter_map(mount)
}

/// proc_pid_mountinfo(5): fields up to a lone `-`, then the type.
fn mount(line: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ');
    let root = fields.nth(3)?;
    let mut after = after.split(' ');
    Some(Mount {
        kind: after.next()?.to_owned(),
        source: plain(after.next()?),
        root: plain(root),
        point: plain(fields.next()?),
    })
}

/// The kernel writes space, tab, newline and backslash as three octal digits.
fn plain(field: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(field.to_owned(), |text, (code, meant)| text.replace(code, meant))
}
