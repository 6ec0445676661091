//! User namespaces, and which ids can be had in them.

use super::Finding;
use crate::host::{Survey, refusal};
use crate::model::host::{Fact, Helper};

pub(super) fn user_namespaces(survey: &Survey) -> Finding {
    let finding = match &survey.host.user_namespaces {
        Fact::Works => Finding::works(
            "user-namespaces",
            "one was made, mapped and used",
            "runs need no root",
        ),
        Fact::Missing(why) => Finding::missing("user-namespaces", refusal::reason(why), "no run at all")
            .mend(refusal::mend(why, &survey.clues)),
    };
    let clues = &survey.clues;
    [
        ("kernel.unprivileged_userns_clone", clues.userns_clone),
        ("user.max_user_namespaces", clues.max_user_namespaces),
        ("kernel.apparmor_restrict_unprivileged_userns", clues.apparmor),
    ]
    .into_iter()
    .fold(finding, |finding, (name, value)| {
        let value = value.map_or_else(|| "not in this kernel".to_owned(), |n| n.to_string());
        finding.detail(format!("{name}: {value}"))
    })
}

pub(super) fn id_maps(survey: &Survey) -> Finding {
    let caller = &survey.host.caller;
    let finding = if caller.writes_maps {
        as_root(survey)
    } else {
        as_user(survey)
    };
    let helpers = &survey.host.id_helpers;
    let mut finding = finding
        .detail(format!("newuidmap: {}", shown(&helpers.newuidmap)))
        .detail(format!("newgidmap: {}", shown(&helpers.newgidmap)));
    for (file, ranges) in [("/etc/subuid", &helpers.subuid), ("/etc/subgid", &helpers.subgid)] {
        for range in ranges {
            finding = finding.detail(format!("{file}: {} ids from {}", range.count, range.host));
        }
    }
    for (file, why) in &survey.around.unusable_sub_ids {
        finding = finding.detail(format!("{file}: not used: {why}"));
    }
    finding
}

/// Root writes maps itself: all it needs is ids that exist.
fn as_root(survey: &Survey) -> Finding {
    /// What a map of a whole system holds.
    const WHOLE: u64 = 65536;
    let caller = &survey.host.caller;
    let exist = |ranges: &[crate::model::IdRange]| ranges.iter().map(|r| u64::from(r.count)).sum::<u64>();
    let few = |ranges: &[crate::model::IdRange]| !ranges.is_empty() && exist(ranges) < WHOLE;
    if few(&caller.outer_uids) || few(&caller.outer_gids) {
        return Finding::degraded(
            "id-maps",
            format!("only {} ids exist in this container", exist(&caller.outer_uids)),
            "a run gets fewer ids than a whole system has, or none but root's",
        )
        .mend("start the outer container with more ids (podman: --userns=auto:size=131072), or run sbx in it as an ordinary user");
    }
    Finding::works(
        "id-maps",
        "root writes them itself",
        "a run gets a range of ids that owns nothing on the host",
    )
}

/// What an ordinary user lacks for a range, the first thing first. One id needs none of it.
fn as_user(survey: &Survey) -> Finding {
    let follows = if survey.host.caller.groups.is_empty() {
        "a run gets one id, which is enough for `host` and most directories; `--map range` is refused"
    } else {
        "a run gets one id, which is enough for `host` and most directories, but keeps your supplementary groups; \
         `--map range` is refused"
    };
    let helpers = &survey.host.id_helpers;
    let lame = [
        ("newuidmap", &helpers.newuidmap),
        ("newgidmap", &helpers.newgidmap),
    ]
    .into_iter()
    .find_map(|(name, helper)| helper_lacks(name, helper, follows));
    if let Some(finding) = lame {
        return finding;
    }
    if let Some(finding) = entries(survey, follows) {
        return finding;
    }
    match &survey.maps {
        Some(Err(why)) => Finding::degraded("id-maps", why.clone(), follows)
            .mend(match survey.host.caller.name {
                Some(_) => "as root: see newuidmap(1); the login name or the number before the ids in /etc/subuid must be this user's".to_owned(),
                None => add_sub_ids(survey),
            }),
        Some(Ok(())) => Finding::works(
            "id-maps",
            "newuidmap and newgidmap wrote them",
            "a run gets a range of ids where it asks for one, and drops your supplementary groups",
        ),
        None => Finding::degraded("id-maps", "not tried: no user namespace to map", follows),
    }
}

/// What is wrong with the entries in `/etc/subuid` and `/etc/subgid`.
fn entries(survey: &Survey, follows: &str) -> Option<Finding> {
    let helpers = &survey.host.id_helpers;
    let files = [("/etc/subuid", &helpers.subuid), ("/etc/subgid", &helpers.subgid)];
    if let Some((file, _)) = files.into_iter().find(|(_, ranges)| ranges.is_empty()) {
        let bad = survey.around.unusable_sub_ids.iter().find(|(of, _)| of == file);
        let finding = match bad {
            Some((_, why)) => Finding::degraded("id-maps", format!("{file}: {why}"), follows),
            None => Finding::degraded(
                "id-maps",
                format!("{file} names no ids for {}", user(survey)),
                follows,
            ),
        };
        let mend = match bad {
            Some(_) => format!("correct that line or remove it; then {}", add_sub_ids(survey)),
            None => add_sub_ids(survey),
        };
        return Some(finding.mend(mend));
    }
    let (file, owner) = survey.around.shared_sub_ids.first()?;
    Some(
        Finding::degraded(
            "id-maps",
            format!("{file} gives {owner} ids that are yours, too"),
            "runs with a range work, but what they keep out is open to that user's runs",
        )
        .mend("as root, give one of both another range: usermod --del-subuids and --add-subuids (--del-subgids, --add-subgids)"),
    )
}

/// The login name as a shell takes it, else the number.
fn user(survey: &Survey) -> String {
    let caller = &survey.host.caller;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    match &caller.name {
        Some(name) if name.bytes().all(plain) => name.clone(),
        Some(name) => format!("'{}'", name.replace('\'', "'\\''")),
        None => caller.uid.to_string(),
    }
}

/// usermod(8), newuidmap(1) and newgidmap(1) know users by their names alone.
fn add_sub_ids(survey: &Survey) -> String {
    let caller = &survey.host.caller;
    let add = |user: &str| {
        format!(
            "usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user} (another range where others have this one)"
        )
    };
    match caller.name {
        Some(_) => format!("as root: {}", add(&user(survey))),
        None => {
            let (uid, gid) = (caller.uid, caller.gid);
            format!(
                "as root: give uid {uid} a name, without which newuidmap refuses it: groupadd -f -g {gid} NAME; useradd -M -u {uid} -g {gid} NAME; {}",
                add("NAME")
            )
        }
    }
}

/// Nothing for a helper that is ready.
fn helper_lacks(name: &str, helper: &Helper, follows: &str) -> Option<Finding> {
    let why = helper.usable().err()?;
    let (found, mend) = match helper {
        Helper::Ready(_) => return None,
        Helper::Missing => (
            format!("{name} {why}"),
            "as root: apt install uidmap (Debian, Ubuntu), dnf install shadow-utils (Fedora), apk add shadow-uidmap (Alpine)"
                .to_owned(),
        ),
        Helper::NoPrivilege(path) => {
            let quoted = path.as_path().display().to_string().replace('\'', "'\\''");
            (
                format!("{path} {why}"),
                format!("as root: chown root '{quoted}' && chmod u+s '{quoted}'"),
            )
        }
        Helper::NoSuidMount(path) => (
            format!("{path} {why}, so that it gets no rights"),
            "as root, mount that file system without nosuid".to_owned(),
        ),
        Helper::NoNewPrivileges(path) => (
            format!("{path} {why}"),
            "start sbx without it: NoNewPrivileges=no for a service, no `no-new-privileges` for a container".to_owned(),
        ),
    };
    Some(Finding::degraded("id-maps", found, follows).mend(mend))
}

fn shown(helper: &Helper) -> String {
    match helper {
        Helper::Ready(path) => path.to_string(),
        Helper::Missing => "not installed".into(),
        Helper::NoPrivilege(path) => format!("{path}, without privilege"),
        Helper::NoSuidMount(path) => format!("{path}, on a nosuid mount"),
        Helper::NoNewPrivileges(path) => format!("{path}, under no_new_privs"),
    }
}
