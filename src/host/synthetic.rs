//! Hosts that were never probed: what tests and plan snapshots are made for.
//!
//! They are ordinary values of [`Host`], kept where the real ones are made, so that a new field is filled in both places.

use crate::model::host::{
    Caller, Cgroup, Fact, Helper, HostTree, IdHelpers, Kernel, ProcMount, TopEntry, UserNamespaceRefusal,
};
use crate::model::{Homes, Host, HostPath, IdRange};

impl Host {
    /// A Debian 12 desktop or server with uidmap installed: user 1000 with sub-ids and a delegated cgroup. Everything works but
    /// Landlock's later rules, which Linux 6.1 has not.
    #[must_use]
    pub fn debian_12() -> Self {
        Self {
            kernel: Kernel { major: 6, minor: 1 },
            caller: user(),
            user_namespaces: Fact::Works,
            id_helpers: IdHelpers {
                newuidmap: helper("/usr/bin/newuidmap"),
                newgidmap: helper("/usr/bin/newgidmap"),
                subuid: vec![ids(100_000, 65536)],
                subgid: vec![ids(100_000, 65536)],
            },
            landlock_abi: 2,
            seccomp: Fact::Works,
            proc: ProcMount::Private,
            time_namespace: Fact::Works,
            namespace_limits: Fact::Works,
            overlay: Fact::Works,
            image_overlay: Fact::Works,
            disk_upper: Fact::Works,
            fuse: Fact::Works,
            fuse_overlayfs: HostPath::new("/usr/bin/fuse-overlayfs").ok(),
            tun: Fact::Works,
            cgroup: delegated(),
            processors: vec![0, 1],
            tree: merged_usr(),
        }
    }

    /// [`Self::debian_12`] without the package uidmap and without sub-ids.
    #[must_use]
    pub fn no_subids() -> Self {
        Self {
            id_helpers: IdHelpers::default(),
            ..Self::debian_12()
        }
    }

    /// [`Self::debian_12`] with a kernel whose Landlock has this ABI; 0 for none.
    #[must_use]
    pub fn landlock_abi(abi: u8) -> Self {
        // landlock(7) lists which kernel came with which ABI.
        let minor = |minor| Kernel { major: 6, minor };
        let kernel = match abi {
            0..=2 => minor(1),
            3 => minor(2),
            4 => minor(7),
            5 => minor(10),
            6 => minor(12),
            _ => minor(18),
        };
        Self {
            kernel,
            landlock_abi: abi,
            ..Self::debian_12()
        }
    }

    /// [`Self::debian_12`] where nothing is delegated: a login by su, cron, or a session without a user systemd.
    #[must_use]
    pub fn no_cgroup() -> Self {
        Self {
            cgroup: Cgroup::NotDelegated,
            ..Self::debian_12()
        }
    }

    /// Root in a docker container started with `--security-opt seccomp=unconfined --cap-add SYS_ADMIN`: namespaces work, `/proc` is
    /// partly masked, so that no other one can be mounted, and `/proc/sys` is read-only.
    #[must_use]
    pub fn nested_in_docker() -> Self {
        Self {
            caller: root(),
            id_helpers: IdHelpers::default(),
            proc: ProcMount::Refused,
            namespace_limits: Fact::Missing("/proc/sys is read-only".into()),
            fuse: Fact::Missing("ENOENT".into()),
            tun: Fact::Missing("ENOENT".into()),
            cgroup: Cgroup::NotDelegated,
            ..Self::debian_12()
        }
    }

    /// Root in a rootless podman container: only ids 0 to 65536 exist, so that no range far away can be mapped.
    #[must_use]
    pub fn nested_in_podman() -> Self {
        let mut host = Self::nested_in_docker();
        host.caller.outer_uids = vec![ids(0, 1), ids(1, 65536)];
        host.caller.outer_gids = vec![ids(0, 1), ids(1, 65536)];
        host
    }

    /// Root on a CI machine or in a CI virtual machine: all rights, no sub-ids, nothing delegated.
    #[must_use]
    pub fn ci_root() -> Self {
        Self {
            caller: root(),
            id_helpers: IdHelpers::default(),
            cgroup: Cgroup::Legacy,
            ..Self::debian_12()
        }
    }

    /// Ubuntu 24.04 as installed: a user namespace can be made, but AppArmor takes all its rights.
    #[must_use]
    pub fn ubuntu_apparmor() -> Self {
        Self {
            user_namespaces: Fact::Missing(UserNamespaceRefusal::AppArmor),
            ..Self::landlock_abi(4)
        }
    }
}

fn user() -> Caller {
    Caller {
        uid: 1000,
        gid: 1000,
        groups: Vec::new(),
        name: Some("user".into()),
        home: Some("/home/user".into()),
        homes: Homes::named(["/home/user".into()]),
        writes_maps: false,
        outer_uids: Vec::new(),
        outer_gids: Vec::new(),
    }
}

fn root() -> Caller {
    Caller {
        uid: 0,
        gid: 0,
        name: Some("root".into()),
        home: Some("/root".into()),
        homes: Homes::named(["/root".into()]),
        writes_maps: true,
        ..user()
    }
}

fn helper(path: &str) -> Helper {
    HostPath::new(path).map_or(Helper::Missing, Helper::Ready)
}

fn ids(host: u32, count: u32) -> IdRange {
    IdRange {
        inside: 0,
        host,
        count,
    }
}

fn delegated() -> Cgroup {
    let own = "/sys/fs/cgroup/user.slice/user-1000.slice/user@1000.service/app.slice";
    HostPath::new(own).map_or(Cgroup::NotDelegated, |path| Cgroup::Delegated {
        path,
        controllers: vec!["cpu".into(), "memory".into(), "pids".into()],
        own: false,
    })
}

/// As `ls -l /` shows it on Debian 12 for amd64.
fn merged_usr() -> HostTree {
    let links = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
    let etc = [
        "alternatives",
        "ld.so.cache",
        "ld.so.conf",
        "ld.so.conf.d",
        "mime.types",
        "profile",
        "protocols",
        "services",
        "ssl/certs",
        "ssl/openssl.cnf",
        "terminfo",
        "timezone",
    ];
    HostTree {
        top: links
            .iter()
            .map(|name| (String::from(*name), TopEntry::Link(format!("usr/{name}").into())))
            .collect(),
        etc: etc.map(String::from).to_vec(),
        etc_links: vec![
            ("localtime".into(), "/usr/share/zoneinfo/Etc/UTC".into()),
            ("os-release".into(), "../usr/lib/os-release".into()),
        ],
        stores: vec!["/opt".into()],
    }
}
