//! How the host's own tree is laid out, for the `host` root.

use crate::model::host::{HostTree, TopEntry};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What programs read in `/etc` and that holds no secret: these names and nothing else are shown inside, read-only.
///
/// A name that ends with `*` stands for all that begin so. `ssl` and `pki` are named by their public parts, because `ssl/private` and
/// `pki/tls/private` lie beside them. Left out on purpose: `npmrc`, `pip.conf`, `wgetrc` and `maven/settings.xml`, where administrators
/// put registry tokens; `resolv.conf`, which without a network only says whom the host asks
/// (with the host's network the plan adds it); `ld.so.preload`, whose libraries may not
/// be there; and what programs do without (`vim`, `magic`, `networks`), since each name costs a mount, a hundredth of a whole start.
const ETC: &[&str] = &[
    "ImageMagick-*",
    "R",
    "alternatives",
    "bash.bashrc",
    "bashrc",
    "ca-certificates/extracted",
    "chromium.d",
    "crypto-policies",
    "debian_version",
    "emacs",
    "fedora-release",
    "fonts",
    "gitconfig",
    "inputrc",
    "java",
    "java-*",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "lsb-release",
    "maven/logging",
    "maven/m2.conf",
    "mime.types",
    "os-release",
    "perl",
    "pki/ca-trust/extracted",
    "pki/java",
    "pki/tls/cert.pem",
    "pki/tls/certs",
    "pki/tls/openssl.cnf",
    "profile",
    "profile.d",
    "protocols",
    "python3.*",
    "redhat-release",
    "services",
    "ssl/ca-bundle.pem",
    "ssl/cert.pem",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "texmf",
    "timezone",
    "xml",
];

/// Links or directories at the top that the loader and scripts name.
const TOP: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Where else distributions and administrators keep programs.
const STORES: [&str; 4] = ["/opt", "/nix/store", "/gnu/store", "/snap"];

/// Looks at the names only; what they are is looked up for the mounts that a policy really makes.
pub(super) fn look(root: &Path) -> HostTree {
    let stores = STORES
        .iter()
        .filter(|s| root.join(s.trim_start_matches('/')).is_dir());
    let (etc_links, etc) = etc(&root.join("etc"));
    HostTree {
        top: TOP.iter().filter_map(|name| top(root, name)).collect(),
        etc,
        etc_links,
        stores: stores.map(|s| (*s).to_owned()).collect(),
    }
}

fn top(root: &Path, name: &str) -> Option<(String, TopEntry)> {
    let path = root.join(name);
    match fs::read_link(&path) {
        Ok(target) if target.starts_with("usr") || target.starts_with("/usr") => {
            Some((name.to_owned(), TopEntry::Link(target)))
        }
        // A link to elsewhere would lead nowhere inside: what it leads to is shown in its place.
        _ => path.is_dir().then(|| (name.to_owned(), TopEntry::Directory)),
    }
}

/// Links into `/usr`, and everything else. One pass over the directory costs a third of asking for each name.
fn etc(directory: &Path) -> (Vec<(String, PathBuf)>, Vec<String>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return Default::default();
    };
    let there: HashMap<OsString, bool> = entries
        .filter_map(Result::ok)
        .map(|e| (e.file_name(), e.file_type().is_ok_and(|t| t.is_symlink())))
        .collect();
    let (mut links, mut rest) = (Vec::new(), Vec::new());
    for name in ETC.iter().flat_map(|pattern| matching(pattern, &there)) {
        let is_link = there.get(OsStr::new(&name)).is_some_and(|link| *link);
        let target = is_link
            .then(|| fs::read_link(directory.join(&name)).ok())
            .flatten();
        match target.filter(|t| into_usr(t)) {
            Some(target) => links.push((name, target)),
            None => rest.push(name),
        }
    }
    (links, rest)
}

/// The names that a line of [`ETC`] stands for. Of `ssl/certs` only `ssl` is seen here.
fn matching(pattern: &str, there: &HashMap<OsString, bool>) -> Vec<String> {
    let Some(start) = pattern.strip_suffix('*') else {
        let first = pattern.split('/').next().unwrap_or(pattern);
        let found = there.contains_key(OsStr::new(first));
        return if found {
            vec![pattern.to_owned()]
        } else {
            Vec::new()
        };
    };
    let mut all: Vec<String> = there
        .keys()
        .filter_map(|n| n.to_str())
        .filter(|n| n.starts_with(start) && plain(n))
        .map(str::to_owned)
        .collect();
    all.sort_unstable();
    all
}

/// `/etc/localtime` and `/etc/os-release` lead into `/usr`, which is shown anyway: the same link inside costs a tenth of a mount.
fn into_usr(target: &Path) -> bool {
    let down = target.strip_prefix("..").or_else(|_| target.strip_prefix("/"));
    down.is_ok_and(|d| d.starts_with("usr") && d.components().all(|c| matches!(c, Component::Normal(_))))
}

/// `python3.11`, not `python3.old key`: a name that stands for many is taken only when it looks like what it stands for.
fn plain(name: &str) -> bool {
    name.bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn etc_is_sorted_and_holds_no_secret() {
        let mut sorted = ETC.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, ETC);
        let secrets = [
            "ssl/private/key.pem",
            "pki/tls/private/localhost.key",
            "shadow",
            "gshadow",
            "passwd",
            "group",
            "sudoers",
            "ssh/ssh_host_rsa_key",
            "machine-id",
            "resolv.conf",
            "hosts",
            "krb5.keytab",
            "NetworkManager/system-connections/wifi",
            "wireguard/wg0.conf",
            "default/grub",
            "npmrc",
            "maven/settings.xml",
            "apt/auth.conf",
            "environment",
        ];
        for secret in secrets {
            let shown = ETC.iter().any(|name| match name.strip_suffix('*') {
                Some(start) => secret.starts_with(start),
                None => Path::new(secret).starts_with(name),
            });
            assert!(!shown, "{secret}");
        }
    }

    #[test]
    fn a_tree_is_looked_at_by_name() {
        let dir = tempfile::tempdir().expect("a directory");
        let root = dir.path();
        for name in [
            "usr/bin",
            "lib",
            "opt",
            "elsewhere",
            "etc/ssl/private",
            "etc/python3.11",
            "etc/java-17",
            "etc/java-evil\n",
        ] {
            fs::create_dir_all(root.join(name)).expect("mkdir");
        }
        symlink("usr/bin", root.join("bin")).expect("link");
        symlink("elsewhere", root.join("sbin")).expect("link");
        symlink("nowhere", root.join("lib64")).expect("link");
        fs::write(root.join("etc/shadow"), "").expect("write");
        symlink("../usr/lib/os-release", root.join("etc/os-release")).expect("link");
        symlink("/usr/../home/x", root.join("etc/localtime")).expect("link");
        let tree = look(root);
        assert_eq!(
            tree.top,
            [
                ("bin".into(), TopEntry::Link("usr/bin".into())),
                ("sbin".into(), TopEntry::Directory),
                ("lib".into(), TopEntry::Directory),
            ]
        );
        assert_eq!(tree.stores, ["/opt"]);
        assert_eq!(
            tree.etc_links,
            [("os-release".into(), "../usr/lib/os-release".into())]
        );
        assert_eq!(
            tree.etc,
            [
                "java-17",
                "localtime",
                "python3.11",
                "ssl/ca-bundle.pem",
                "ssl/cert.pem",
                "ssl/certs",
                "ssl/openssl.cnf"
            ]
        );
    }

    #[test]
    fn a_missing_etc_is_an_empty_one() {
        assert_eq!(look(Path::new("/no/such/root")), HostTree::default());
    }
}
