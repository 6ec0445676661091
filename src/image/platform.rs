//! Which image of an index runs here.

use super::descriptor::{Descriptor, Platform};
use crate::model::reference::shown;
use std::fmt::Write as _;
use std::str::FromStr;

/// How many platforms of an index a message names.
const LISTED: usize = 20;

/// Why a text is no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlatformError {
    /// Not two or three words.
    #[error("platform `{0}`: write OS/ARCHITECTURE[/VARIANT], as in linux/arm64")]
    Grammar(String),
    /// Not Linux.
    #[error("platform `{0}`: only images for linux can be run: write linux/{1}")]
    System(String, String),
}

/// No image of an index is for the platform that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the image is not there for {wanted}: {there}")]
pub struct NoPlatform {
    /// What is asked for.
    pub wanted: String,
    /// What there is.
    pub there: String,
}

impl Platform {
    /// The platform of a machine that uname(2) calls so.
    #[must_use]
    pub fn of_machine(machine: &str) -> Self {
        let (architecture, variant) = match machine {
            "armv8l" | "armv7l" | "armv7hl" => ("arm", Some("v7")),
            "armv6l" => ("arm", Some("v6")),
            "armv5tel" | "armv5tejl" => ("arm", Some("v5")),
            other => (in_words_of_go(other), None),
        };
        Self::normal("linux", architecture, variant)
    }

    /// The platform of this machine.
    #[must_use]
    pub fn host() -> Self {
        let name = nix::sys::utsname::uname().ok();
        let machine = name.as_ref().and_then(|name| name.machine().to_str());
        Self::of_machine(machine.unwrap_or(std::env::consts::ARCH))
    }

    /// In the form in which two are compared: arm64 is v8 and arm is v7 where nothing is said, as in containerd.
    fn normal(os: &str, architecture: &str, variant: Option<&str>) -> Self {
        let variant = variant.filter(|v| !v.is_empty());
        let variant = match (architecture, variant) {
            ("arm64", None | Some("8")) => Some("v8"),
            ("arm", None) => Some("v7"),
            ("amd64", Some("v1")) => None,
            (_, variant) => variant,
        };
        Self {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
        }
    }

    fn normalized(&self) -> Self {
        let architecture = in_words_of_go(&self.architecture);
        Self::normal(&self.os, architecture, self.variant.as_deref())
    }
}

/// The names of architectures in Go, where they differ from the kernel's.
fn in_words_of_go(name: &str) -> &str {
    match name {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i486" | "i586" | "i686" | "x86" => "386",
        "powerpc64le" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    }
}

impl FromStr for Platform {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        let grammar = || PlatformError::Grammar(shown(text));
        let word = |w: &&str| {
            let inner = w
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
            inner && !w.is_empty() && w.len() <= 32
        };
        let lower = text.to_ascii_lowercase();
        let words: Vec<&str> = lower.split('/').take(4).collect();
        if !words.iter().all(word) {
            return Err(grammar());
        }
        let (os, architecture, variant) = match words.as_slice() {
            [os, architecture] => (*os, *architecture, None),
            [os, architecture, variant] => (*os, *architecture, Some(*variant)),
            _ => return Err(grammar()),
        };
        let (architecture, variant) = match (architecture, variant) {
            ("armhf", None) => ("arm", Some("v7")),
            ("armel", None) => ("arm", Some("v6")),
            (architecture, variant) => (in_words_of_go(architecture), variant),
        };
        if os != "linux" {
            return Err(PlatformError::System(shown(text), architecture.to_owned()));
        }
        Ok(Self::normal(os, architecture, variant))
    }
}

/// The image of an index for a platform: with the same variant, or one that runs there as well, else without one. The first of several.
///
/// # Errors
/// When there is none; the line lists what there is.
pub fn choose<'a>(index: &'a [Descriptor], wanted: &Platform) -> Result<&'a Descriptor, NoPlatform> {
    let wanted = wanted.normalized();
    let candidates = || {
        let known = index
            .iter()
            .filter_map(|d| Some((d, d.platform.as_ref()?.normalized())));
        known.filter(|(_, p)| p.os == wanted.os && p.architecture == wanted.architecture)
    };
    let with = |variant: Option<&str>| {
        let mut all = candidates();
        all.find(|(_, p)| p.variant.as_deref() == variant).map(|(d, _)| d)
    };
    if let Some(found) = variants(&wanted).into_iter().find_map(with) {
        return Ok(found);
    }
    match index {
        // An index of one image need not say what it is for; its config does.
        [only] if only.platform.is_none() => Ok(only),
        _ => Err(NoPlatform {
            wanted: shown(&wanted.to_string()),
            there: listed(index),
        }),
    }
}

/// What runs where `wanted` is, best first: an arm v7 runs what was made for v6.
fn variants(wanted: &Platform) -> Vec<Option<&str>> {
    let variant = wanted.variant.as_deref();
    let mut all = vec![variant];
    match (wanted.architecture.as_str(), variant) {
        ("arm", Some("v7")) => all.extend([Some("v6"), Some("v5")]),
        ("arm", Some("v6")) => all.push(Some("v5")),
        _ => {}
    }
    all.push(None);
    all
}

fn listed(index: &[Descriptor]) -> String {
    let name = |d: &Descriptor| d.platform.as_ref().map(|p| shown(&p.to_string()));
    // Attestations are listed under this name; nothing runs there.
    let names = index
        .iter()
        .filter_map(name)
        .filter(|name| name != "unknown/unknown");
    let mut names: Vec<_> = names.collect();
    names.dedup();
    let mut line = match names.as_slice() {
        [] => "its index names no platform".to_owned(),
        some => {
            let few: Vec<_> = some.iter().take(LISTED).map(String::as_str).collect();
            format!("there is {}", few.join(", "))
        }
    };
    if names.len() > LISTED {
        let _ = write!(line, " and {} more", names.len() - LISTED);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Digest;

    fn index(platforms: &[&str]) -> Vec<Descriptor> {
        let one = |text: &&str| {
            let mut words = text.split('/').map(str::to_owned);
            let platform = words.next().filter(|os| !os.is_empty()).map(|os| Platform {
                os,
                architecture: words.next().unwrap_or_default(),
                variant: words.next(),
            });
            Descriptor {
                media_type: "application/vnd.oci.image.manifest.v1+json".to_owned(),
                digest: Digest::of(text.as_bytes()),
                size: 1,
                platform,
                annotations: Default::default(),
            }
        };
        platforms.iter().map(one).collect()
    }

    #[test]
    fn machines_have_gos_names() {
        for (machine, expected) in [
            ("x86_64", "linux/amd64"),
            ("aarch64", "linux/arm64/v8"),
            ("armv7l", "linux/arm/v7"),
            ("armv6l", "linux/arm/v6"),
            ("armv8l", "linux/arm/v7"),
            ("riscv64", "linux/riscv64"),
            ("ppc64le", "linux/ppc64le"),
            ("s390x", "linux/s390x"),
            ("i686", "linux/386"),
            ("loongarch64", "linux/loong64"),
        ] {
            assert_eq!(Platform::of_machine(machine).to_string(), expected);
        }
        assert_eq!(Platform::host().os, "linux");
    }

    #[test]
    fn a_platform_is_two_or_three_words() {
        for (text, expected) in [
            ("linux/amd64", Some("linux/amd64")),
            ("Linux/AMD64", Some("linux/amd64")),
            ("linux/x86_64", Some("linux/amd64")),
            ("linux/amd64/v1", Some("linux/amd64")),
            ("linux/amd64/v3", Some("linux/amd64/v3")),
            ("linux/arm64", Some("linux/arm64/v8")),
            ("linux/aarch64/v8", Some("linux/arm64/v8")),
            ("linux/arm64/v9", Some("linux/arm64/v9")),
            ("linux/arm", Some("linux/arm/v7")),
            ("linux/armhf", Some("linux/arm/v7")),
            ("linux/armel", Some("linux/arm/v6")),
            ("linux/arm/v5", Some("linux/arm/v5")),
            ("linux/unheard-of", Some("linux/unheard-of")),
            ("", None),
            ("linux", None),
            ("amd64", None),
            ("linux/", None),
            ("/amd64", None),
            ("linux/amd64/", None),
            ("linux/arm/v7/x", None),
            ("linux/a b", None),
            ("linux/\u{e9}", None),
            ("windows/amd64", None),
        ] {
            let parsed = text.parse::<Platform>().map(|p| p.to_string()).ok();
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
        let system = "windows/x86_64".parse::<Platform>().expect_err("not linux");
        assert!(system.to_string().contains("write linux/amd64"), "{system}");
        let long = "linux/".to_owned() + &"x".repeat(10_000);
        assert!(long.parse::<Platform>().is_err_and(|e| e.to_string().len() < 300));
    }

    #[test]
    fn the_variant_decides_then_none() {
        for (there, wanted, expected) in [
            (&["linux/arm64", "linux/amd64"][..], "linux/amd64", Some(1)),
            (&["linux/arm64/v8"], "linux/arm64", Some(0)),
            (&["linux/arm64"], "linux/arm64/v8", Some(0)),
            (&["linux/amd64/v3", "linux/amd64"], "linux/amd64", Some(1)),
            (&["linux/amd64", "linux/amd64/v3"], "linux/amd64/v3", Some(1)),
            (&["linux/amd64"], "linux/amd64/v3", Some(0)),
            (&["linux/amd64/v3"], "linux/amd64", None),
            (
                &["linux/arm/v5", "linux/arm/v6", "linux/arm/v7"],
                "linux/arm",
                Some(2),
            ),
            (&["linux/arm/v5", "linux/arm/v6"], "linux/arm/v7", Some(1)),
            (&["linux/arm/v7"], "linux/arm/v6", None),
            (&["windows/amd64", "unknown/unknown"], "linux/amd64", None),
            (&["linux/amd64", "linux/amd64"], "linux/amd64", Some(0)),
            (&["linux/x86_64"], "linux/amd64", Some(0)),
            (&[""], "linux/amd64", Some(0)),
            (&["", ""], "linux/amd64", None),
            (&["", "linux/amd64"], "linux/amd64", Some(1)),
            (&[], "linux/amd64", None),
        ] {
            let index = index(there);
            let wanted = wanted.parse().expect(wanted);
            let found = choose(&index, &wanted).ok();
            let at = found.and_then(|found| index.iter().position(|d| std::ptr::eq(d, found)));
            assert_eq!(at, expected, "{there:?} {wanted}");
        }
    }

    #[test]
    fn what_there_is_is_listed_and_cut() {
        let refused = |there: &[&str]| {
            let wanted = "linux/s390x".parse().expect("a platform");
            choose(&index(there), &wanted).expect_err("none").to_string()
        };
        assert_eq!(
            refused(&["linux/amd64", "linux/arm/v7", "unknown/unknown"]),
            "the image is not there for linux/s390x: there is linux/amd64, linux/arm/v7"
        );
        assert_eq!(
            refused(&[]),
            "the image is not there for linux/s390x: its index names no platform"
        );
        let line = refused(&["li\x1bnux/amd64"]);
        assert!(line.ends_with("there is li\\u{1b}nux/amd64"), "{line}");
        let many: Vec<_> = (0..50).map(|n| format!("os{n}/{}", "x".repeat(1000))).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        let line = refused(&many);
        assert!(line.ends_with(" and 30 more") && line.len() < 20 * 120, "{line}");
    }
}
