//! stub
pub mod sources;
pub mod synthetic;
use crate::model::host::*;
use crate::model::*;
/// s
pub mod explain {
    /// s
    #[must_use]
    pub fn diagnose(_: &str, _: i32, _: &crate::model::Host) -> Vec<String> {
        vec![]
    }
}
/// s
/// # Errors
/// s
pub fn presumed() -> Result<Host, String> {
    let uid = nix::unistd::geteuid().as_raw();
    let gid = nix::unistd::getegid().as_raw();
    let groups = nix::unistd::getgroups()
        .unwrap_or_default()
        .into_iter()
        .map(nix::unistd::Gid::as_raw)
        .filter(|g| *g != gid)
        .collect();
    let mut top = vec![];
    for n in ["bin", "sbin", "lib", "lib32", "lib64", "libx32"] {
        if let Ok(t) = std::fs::read_link(format!("/{n}")) {
            top.push((n.to_string(), TopEntry::Link(t)));
        }
    }
    let etc = [
        "alternatives",
        "ssl",
        "ca-certificates",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "localtime",
        "timezone",
        "mime.types",
        "services",
        "protocols",
        "gitconfig",
        "terminfo",
        "bash.bashrc",
        "profile",
        "java-17-openjdk",
        "python3.11",
        "os-release",
        "debian_version",
    ]
    .into_iter()
    .filter(|n| std::fs::metadata(format!("/etc/{n}")).is_ok())
    .map(String::from)
    .collect();
    Ok(Host {
        kernel: Kernel { major: 6, minor: 18 },
        caller: Caller {
            uid,
            gid,
            groups,
            name: Some("tester".into()),
            home: std::env::var_os("HOME").map(Into::into),
            writes_maps: uid == 0,
            outer_uids: vec![],
            outer_gids: vec![],
        },
        user_namespaces: Fact::Works,
        id_helpers: IdHelpers {
            newuidmap: Helper::Missing,
            newgidmap: Helper::Missing,
            subuid: vec![],
            subgid: vec![],
        },
        landlock_abi: 7,
        seccomp: Fact::Works,
        proc: ProcMount::Private,
        time_namespace: Fact::Works,
        namespace_limits: Fact::Works,
        overlay: Fact::Works,
        fuse: Fact::Works,
        tun: Fact::Works,
        cgroup: Cgroup::Legacy,
        tree: HostTree {
            top,
            etc,
            stores: vec![],
        },
    })
}
/// s
#[must_use]
pub fn id_helpers(_: &Caller) -> IdHelpers {
    let p = |s| Helper::Ready(HostPath::new(s).unwrap_or_else(|_| unreachable!()));
    let r = vec![IdRange {
        inside: 0,
        host: 100_000,
        count: 65536,
    }];
    IdHelpers {
        newuidmap: p("/usr/bin/newuidmap"),
        newgidmap: p("/usr/bin/newgidmap"),
        subuid: r.clone(),
        subgid: r,
    }
}
