//! Addresses of names by the host's own rules: getent(1) asks what `/etc/nsswitch.conf` says, and runs outside this process because a
//! static program cannot load the modules that it names.

use std::net::IpAddr;
use std::process::{Command, Stdio};

/// A name that can be nothing else: the worker that asks may be anybody's by now.
fn is_name(name: &str) -> bool {
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    (1..=253).contains(&name.len()) && name.bytes().all(letter) && !name.starts_with('-')
}

/// All addresses of a name; none when there is no such host.
#[allow(
    clippy::disallowed_methods,
    reason = "a fixed program, a checked argument, an empty environment"
)]
pub(super) fn addresses(name: &str) -> Vec<IpAddr> {
    if !is_name(name) {
        return Vec::new();
    }
    let mut found: Vec<IpAddr> = Vec::new();
    let getent = Command::new("/usr/bin/getent")
        .args(["ahosts", name])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let Ok(output) = getent else { return found };
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let address = line
            .split_ascii_whitespace()
            .next()
            .and_then(|word| word.parse().ok());
        if let Some(address) = address.filter(|address| !found.contains(address)) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_asked_for() {
        for name in ["", "-s", "a b", "a/b", "a\n", "$(id)", "a;b"] {
            assert!(!is_name(name), "{name:?}");
        }
        for name in ["localhost", "registry-1.docker.io", "a_b.example"] {
            assert!(is_name(name), "{name}");
        }
        assert!(addresses("localhost").iter().any(IpAddr::is_loopback));
    }
}
