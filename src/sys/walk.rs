//! Resolves a path of the host link by link, and reports links that a sandbox may have planted.

use super::{Errno, Result};
use nix::fcntl::readlink;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

/// Links that are followed, as by the kernel (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Where a path leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// The path without links. Its last name may not exist.
    pub real: PathBuf,
    /// A link in or below one of the guarded directories was followed.
    pub planted: bool,
    /// The last name does not exist.
    pub missing: bool,
}

impl Walked {
    /// A path that is taken as it is.
    #[must_use]
    pub fn plain(path: PathBuf) -> Self {
        Self {
            real: path,
            planted: false,
            missing: false,
        }
    }

    /// Whether a link in one of these directories leads out of all of them.
    #[must_use]
    pub fn leads_out_of(&self, guarded: &[impl AsRef<Path>]) -> bool {
        self.planted && !within(&self.real, guarded)
    }
}

fn within(path: &Path, directories: &[impl AsRef<Path>]) -> bool {
    directories.iter().any(|directory| path.starts_with(directory))
}

/// Resolves an absolute path. `guarded`: resolved directories in which an earlier sandbox may have written.
///
/// # Errors
/// As open(2): `ENOENT` for a directory that does not exist, `ELOOP`, `ENOTDIR`, `EACCES`.
pub fn walk(path: &Path, guarded: &[impl AsRef<Path>]) -> Result<Walked> {
    let mut rest = parts(path);
    let (mut real, mut links, mut planted) = (PathBuf::from("/"), 0, false);
    while let Some(name) = rest.pop() {
        if name == ".." {
            real.pop();
            continue;
        }
        let next = real.join(&name);
        match readlink(&next) {
            Ok(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Errno::ELOOP);
                }
                planted |= within(&real, guarded);
                let target = Path::new(&target);
                if target.is_absolute() {
                    real = PathBuf::from("/");
                }
                rest.extend(parts(target));
            }
            // Not a link.
            Err(Errno::EINVAL) => real = next,
            Err(Errno::ENOENT) if rest.is_empty() => {
                return Ok(Walked {
                    real: next,
                    planted,
                    missing: true,
                });
            }
            Err(errno) => return Err(errno),
        }
    }
    Ok(Walked {
        real,
        planted,
        missing: false,
    })
}

/// The names of a path, the last one first.
fn parts(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    let mut names: Vec<_> = names.collect();
    names.reverse();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const NONE: &[&Path] = &[];

    #[test]
    fn links_below_the_working_directory_are_seen_under_every_name_of_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let base = dir.path().canonicalize().expect("a real path");
        fs::create_dir_all(base.join("var/here/sub")).expect("mkdir");
        fs::create_dir(base.join("out")).expect("mkdir");
        symlink("var", base.join("alias")).expect("a link");
        symlink(base.join("out"), base.join("var/here/planted")).expect("a link");
        symlink("planted", base.join("var/here/twice")).expect("a link");
        symlink("sub", base.join("var/here/inner")).expect("a link");
        symlink("var/here/planted", base.join("beside")).expect("a link");
        let work = base.join("var/here");
        for (path, real, out) in [
            ("var/here/sub", Some("var/here/sub"), false),
            ("alias/here/sub/../sub", Some("var/here/sub"), false),
            ("var/here/../../out", Some("out"), false),
            ("var/here/inner/x", Some("var/here/sub/x"), false),
            ("var/here/planted/x", Some("out/x"), true),
            ("alias/here/planted", Some("out"), true),
            ("out/../var/here/twice", Some("out"), true),
            ("beside", Some("out"), true),
            ("var/here/planted/../out", Some("out"), true),
            ("gone", Some("gone"), false),
            ("gone/x", None, false),
        ] {
            let walked = walk(&base.join(path), &[&work]).ok();
            assert_eq!(
                walked.as_ref().map(|w| w.real.clone()),
                real.map(|r| base.join(r)),
                "{path}"
            );
            assert_eq!(walked.is_some_and(|w| w.leads_out_of(&[&work])), out, "{path}");
            let real = base.join(path).canonicalize().ok();
            let walked = walk(&base.join(path), NONE).ok().filter(|w| !w.missing);
            assert_eq!(walked.map(|w| w.real), real, "{path}");
        }
        symlink("loop", base.join("loop")).expect("a link");
        assert_eq!(walk(&base.join("loop"), NONE), Err(Errno::ELOOP));
        assert_eq!(walk(&base.join("loop/x"), NONE), Err(Errno::ELOOP));
    }
}
