//! The kernel's version, and what follows from it alone.

use crate::model::host::{Fact, Kernel, ProcMount};

/// Reads `6.18.44-fc-v595` as 6.18. `None` for what no kernel calls itself.
pub(super) fn version(release: &[u8]) -> Option<Kernel> {
    let text = std::str::from_utf8(release).ok()?;
    let (major, rest) = text.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| digits.parse().ok())?
    };
    Some(Kernel {
        major: number(major)?,
        minor: number(minor)?,
    })
}

/// `subset=pid` came with Linux 5.8.
pub(super) fn proc(kernel: Kernel) -> ProcMount {
    if kernel.at_least(5, 8) {
        ProcMount::Private
    } else {
        ProcMount::Fresh
    }
}

/// A fact that holds from a version on, as long as nothing else speaks against it.
pub(super) fn since(kernel: Kernel, major: u16, minor: u16) -> Fact<String> {
    if kernel.at_least(major, minor) {
        Fact::Works
    } else {
        Fact::Missing(format!("Linux {major}.{minor} or later has it"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, expected) in [
            ("6.18.44-fc-v595", Some((6, 18))),
            ("5.10.0-28-amd64", Some((5, 10))),
            ("6.1-rc3", Some((6, 1))),
            ("4.19", Some((4, 19))),
            ("10.0.0", Some((10, 0))),
            ("", None),
            ("6", None),
            ("6.", None),
            (".1", None),
            ("six.one", None),
            ("+6.1", None),
            ("6.+1", None),
            ("6.99999", None),
            ("99999.1", None),
            ("-6.1", None),
        ] {
            assert_eq!(
                version(text.as_bytes()).map(|k| (k.major, k.minor)),
                expected,
                "{text}"
            );
        }
        assert_eq!(version(b"6.1\xff"), None);
    }

    #[test]
    fn order_is_by_number() {
        let kernel = |major, minor| Kernel { major, minor };
        assert!(kernel(5, 10).at_least(5, 8));
        assert!(!kernel(5, 4).at_least(5, 8));
        assert!(kernel(6, 0).at_least(5, 19));
        assert_eq!(proc(kernel(5, 7)), ProcMount::Fresh);
        assert_eq!(since(kernel(5, 11), 5, 11), Fact::Works);
        assert!(!since(kernel(5, 10), 5, 11).works());
    }
}
