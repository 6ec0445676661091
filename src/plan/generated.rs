//! Files of the `host` root that are written, not shown: the host's own would tell who else uses the machine, or point outside.

use super::identity::Identity;
use crate::model::{Host, InRoot};
use crate::policy::Policy;
use crate::profile::schema::UserSpec;

/// The user `nobody` and the group `nogroup`.
pub(super) const NOBODY: u32 = 65534;
/// The group of terminals.
pub(super) const TTY: u32 = 5;

/// `/etc` files by name and content.
pub(super) fn etc(policy: &Policy, host: &Host, identity: &Identity) -> Vec<(&'static str, Vec<u8>)> {
    let own = host.caller.name.as_deref().filter(|_| !host.caller.writes_maps);
    let name = match &policy.user.value {
        UserSpec::Names { user, .. } if user == "nobody" => user,
        _ => own.unwrap_or("user"),
    };
    let home = &policy.home.0;
    let hostname = &policy.hostname.value;
    let mut all = vec![
        ("passwd", passwd(name, home, identity).into_bytes()),
        ("group", group(name, identity).into_bytes()),
        ("hosts", hosts(policy).into_bytes()),
        ("hostname", format!("{hostname}\n").into_bytes()),
        ("nsswitch.conf", b"passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n".to_vec()),
    ];
    if !policy.dns.is_empty() {
        let servers = policy
            .dns
            .iter()
            .map(|server| format!("nameserver {}\n", server.value));
        all.push(("resolv.conf", servers.collect::<String>().into_bytes()));
    }
    all
}

/// Names that were asked for stand first: the first line with a name is the one that counts.
fn hosts(policy: &Policy) -> String {
    let mut out = String::new();
    for host in &policy.hosts {
        let (name, address) = &host.value;
        out.push_str(&format!("{address}\t{name}\n"));
    }
    out.push_str("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost\n127.0.1.1\t");
    out.push_str(&policy.hostname.value);
    out.push('\n');
    out
}

/// No line but the user's, root's and nobody's. A colon or a newline in the home's path would forge one.
fn passwd(name: &str, home: &InRoot, identity: &Identity) -> String {
    let home = home.to_string().replace([':', '\n'], "_");
    let mut out = String::from("root:x:0:0:root:/root:/bin/sh\n");
    if identity.uid != 0 {
        out.push_str(&format!(
            "{name}:x:{}:{}::{home}:/bin/sh\n",
            identity.uid, identity.gid
        ));
    }
    if identity.uid != NOBODY {
        out.push_str(&format!(
            "nobody:x:{NOBODY}:{NOBODY}:nobody:/nonexistent:/usr/sbin/nologin\n"
        ));
    }
    out
}

fn group(name: &str, identity: &Identity) -> String {
    let mut out = format!("root:x:0:\ntty:x:{TTY}:\n");
    if !matches!(identity.gid, 0 | TTY | NOBODY) {
        out.push_str(&format!("{name}:x:{}:\n", identity.gid));
    }
    out.push_str(&format!("nogroup:x:{NOBODY}:\n"));
    out
}
