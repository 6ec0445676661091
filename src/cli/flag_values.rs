//! Values of flags that no profile has a word for: maps of ids, groups, signals, names of hosts.

use super::report::Report;
use super::run_args::SandboxArgs;
use crate::image::document::signal;
use crate::model::{Bytes, IdRange, Origin, Set};
use crate::policy::{Flags, Userns};
use crate::profile::schema::MapKind;
use std::net::IpAddr;

/// No id beyond 31 bits: what is above is -1 to some program.
const LAST: u32 = 0x7fff_ffff;

fn wrong(flag: &str, text: &str, why: impl std::fmt::Display) -> Report {
    Report::usage(format!("{flag} `{}`: {why}", text.escape_debug()))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let id = text.parse().ok()?;
    (digits && id <= LAST).then_some(id)
}

/// What `--userns` means: a word of identity.map, or a map of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Asked {
    Word(MapKind),
    Map(Userns),
}

fn userns(text: &str) -> Result<Asked, Report> {
    let wrong = |why: &str| Err(wrong("--userns", text, why));
    let (word, options) = match text.split_once(':') {
        Some((word, options)) => (word, Some(options)),
        None => (text, None),
    };
    match (word, options) {
        ("keep-id", options) => keep_id(text, options.unwrap_or_default()),
        ("auto", None) => Ok(Asked::Word(MapKind::Auto)),
        ("auto", Some(_)) => {
            wrong("auto takes no options here: write --uidmap and --gidmap to choose the ids")
        }
        ("host", _) => {
            wrong("every sandbox has a user namespace of its own: write keep-id to keep your id in it")
        }
        ("nomap", _) => wrong(
            "without you in the map nothing could be mounted for you: write --map range, where you are root inside",
        ),
        ("container" | "ns", _) => {
            wrong("the namespace of another sandbox cannot be joined: write keep-id or auto")
        }
        _ => wrong("write keep-id, keep-id:uid=N,gid=N or auto"),
    }
}

fn keep_id(text: &str, options: &str) -> Result<Asked, Report> {
    let (mut uid, mut gid) = (None, None);
    for option in options.split(',').filter(|o| !o.is_empty()) {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        let place = match key {
            "uid" => &mut uid,
            "gid" => &mut gid,
            other => {
                let why = format!(
                    "the option `{}` is not known; write uid=N and gid=N",
                    other.escape_debug()
                );
                return Err(wrong("--userns", text, why));
            }
        };
        let id = number(value);
        *place = Some(id.ok_or_else(|| {
            let why = format!("{key} `{}` is no id: write 0 to {LAST}", value.escape_debug());
            wrong("--userns", text, why)
        })?);
    }
    Ok(Asked::Map(Userns::KeepId { uid, gid }))
}

/// `INSIDE:FROM[:COUNT]`
fn line(flag: &str, text: &str) -> Result<IdRange, Report> {
    let parts: Vec<&str> = text.split(':').collect();
    let numbers: Option<Vec<u32>> = parts.iter().map(|part| number(part)).collect();
    let (inside, host, count) = match numbers.as_deref() {
        Some([inside, host]) => (*inside, *host, 1),
        Some([inside, host, count]) => (*inside, *host, *count),
        _ => {
            let why = match text.contains(['@', '+', 'u', 'g']) {
                true => {
                    "podman's signs @, +, u and g are not known: write INSIDE:FROM:COUNT, where FROM 0 is you and 1, 2, … are your sub-ids"
                }
                false => "write INSIDE:FROM:COUNT, three numbers; FROM 0 is you, 1, 2, … are your sub-ids",
            };
            return Err(wrong(flag, text, why));
        }
    };
    let ends = |first: u32| u64::from(first) + u64::from(count) <= u64::from(LAST) + 1;
    if count == 0 || !ends(inside) || !ends(host) {
        let why = format!("the count is at least 1, and ids end at {LAST}");
        return Err(wrong(flag, text, why));
    }
    Ok(IdRange { inside, host, count })
}

fn groups(args: &SandboxArgs) -> Result<Vec<Set<String>>, Report> {
    let one = |text: &String| {
        let wrong = |why: &str| wrong("--group-add", text, why);
        if text == "keep-groups" {
            return Err(wrong(
                "your own groups would open inside what only they may open outside, and no map can name them: bind what is needed, or name \
                 a group of the image",
            ));
        }
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let odd = |c: char| c.is_control() || matches!(c, ':' | ',' | '/' | ' ');
        if text.is_empty() || text.len() > 256 || text.starts_with(['-', '+']) || text.contains(odd) {
            return Err(wrong("write the name of a group in the image, or a number"));
        }
        if digits && number(text).is_none() {
            return Err(wrong("group ids end at 2147483647"));
        }
        Ok(Set::new(
            text.clone(),
            Origin::flag(format!("--group-add {text}")),
        ))
    };
    args.group_add.iter().map(one).collect()
}

/// `NAME:ADDRESS`, `NAME=ADDRESS`; an IPv6 address may stand in brackets.
fn host(text: &str) -> Result<Set<(String, IpAddr)>, Report> {
    let wrong = |why: &str| wrong("--add-host", text, why);
    let (name, address) = text
        .split_once([':', '='])
        .ok_or_else(|| wrong("write NAME:ADDRESS"))?;
    let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if name.is_empty() || name.len() > 253 || name.starts_with('-') || !name.bytes().all(letter) {
        return Err(wrong("the name of a host has letters, digits, dots and hyphens"));
    }
    if address == "host-gateway" {
        return Err(wrong("there is no gateway: write an address"));
    }
    let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = bare
        .unwrap_or(address)
        .parse()
        .map_err(|_| wrong("what follows the name is no IPv4 or IPv6 address"))?;
    Ok(Set::new(
        (name.to_owned(), address),
        Origin::flag(format!("--add-host {text}")),
    ))
}

fn server(text: &str) -> Result<Set<IpAddr>, Report> {
    let address = text
        .parse()
        .map_err(|_| wrong("--dns", text, "write the address of a name server"))?;
    Ok(Set::new(address, Origin::flag(format!("--dns {text}"))))
}

impl SandboxArgs {
    /// What only flags say, but for volumes, which are looked for.
    ///
    /// # Errors
    /// For a flag that cannot be understood, or that contradicts another.
    pub fn flags(&self) -> Result<Flags, Report> {
        let stop_signal = self.stop_signal.as_ref().map(|text| {
            let number = signal::number(text);
            let wrong = || {
                wrong(
                    "--stop-signal",
                    text,
                    "write a name or a number, for example SIGINT",
                )
            };
            let signal = number.ok_or_else(wrong)?;
            Ok::<_, Report>(Set::new(signal, Origin::flag(format!("--stop-signal {text}"))))
        });
        let shm = self.shm_size.as_ref().map(|text| {
            let size = text.parse::<Bytes>();
            let size = size
                .map_err(|e| Report::usage(format!("--shm-size: {}", super::out::escaped(&e.to_string()))))?;
            if size.0 == 0 {
                return Err(wrong(
                    "--shm-size",
                    text,
                    "0 would mean without limit: write a size",
                ));
            }
            Ok(Set::new(size, Origin::flag(format!("--shm-size {text}"))))
        });
        Ok(Flags {
            userns: self.chosen_map()?,
            groups: groups(self)?,
            stop_signal: stop_signal.transpose()?,
            shm: shm.transpose()?,
            hosts: self
                .add_host
                .iter()
                .map(|text| host(text))
                .collect::<Result<_, _>>()?,
            dns: self
                .dns
                .iter()
                .map(|text| server(text))
                .collect::<Result<_, _>>()?,
            ..Flags::default()
        })
    }

    fn chosen_map(&self) -> Result<Option<Set<Userns>>, Report> {
        let lines = !self.uidmap.is_empty() || !self.gidmap.is_empty();
        let given = [
            ("--map", self.map.is_some()),
            ("--userns", self.userns.is_some()),
            ("--uidmap", lines),
        ];
        let given: Vec<&str> = given
            .iter()
            .filter(|(_, given)| *given)
            .map(|(flag, _)| *flag)
            .collect();
        if let [first, second, ..] = *given.as_slice() {
            return Err(Report::usage(format!(
                "{first} and {second}: both say how ids are mapped, write one of them"
            )));
        }
        if let Some(text) = &self.userns {
            return Ok(match userns(text)? {
                Asked::Word(_) => None,
                Asked::Map(map) => Some(Set::new(map, Origin::flag(format!("--userns {text}")))),
            });
        }
        if !lines {
            return Ok(None);
        }
        let read = |flag, texts: &[String]| {
            texts
                .iter()
                .map(|text| line(flag, text))
                .collect::<Result<Vec<_>, _>>()
        };
        let (mut uids, mut gids) = (read("--uidmap", &self.uidmap)?, read("--gidmap", &self.gidmap)?);
        // As podman has it: one stands for both.
        if uids.is_empty() {
            uids.clone_from(&gids);
        } else if gids.is_empty() {
            gids.clone_from(&uids);
        }
        let words = [("--uidmap", &self.uidmap), ("--gidmap", &self.gidmap)];
        let words: Vec<String> = words
            .iter()
            .flat_map(|(flag, texts)| texts.iter().map(move |text| format!("{flag} {text}")))
            .collect();
        Ok(Some(Set::new(
            Userns::Maps { uids, gids },
            Origin::flag(words.join(" ")),
        )))
    }

    /// What `--userns auto` says to `identity.map`.
    pub(super) fn map_by_userns(&self) -> Result<Option<Set<MapKind>>, Report> {
        let Some(text) = &self.userns else { return Ok(None) };
        Ok(match userns(text)? {
            Asked::Word(map) => Some(Set::new(map, Origin::flag(format!("--userns {text}")))),
            Asked::Map(_) => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(args: &SandboxArgs) -> String {
        args.flags().expect_err("an error").message
    }

    #[test]
    fn maps_of_ids() {
        let chosen = |args: &SandboxArgs| args.flags().expect("flags").userns.map(|set| set.value);
        let keep = |text: &str| SandboxArgs {
            userns: Some(text.into()),
            ..SandboxArgs::default()
        };
        for (text, uid, gid) in [
            ("keep-id", None, None),
            ("keep-id:uid=5", Some(5), None),
            ("keep-id:uid=5,gid=0", Some(5), Some(0)),
        ] {
            let map = chosen(&keep(text)).expect(text);
            assert_eq!(map, Userns::KeepId { uid, gid });
            assert_eq!(map.flags(), ["--userns", text]);
        }
        assert_eq!(chosen(&keep("auto")), None);
        for (text, words) in [
            ("host", "keep-id"),
            ("nomap", "--map range"),
            ("auto:size=5", "--uidmap"),
            ("keep-id:uid=-1", "uid `-1` is no id"),
            ("keep-id:uid=4294967295", "is no id"),
            ("keep-id:size=5", "uid=N and gid=N"),
            ("container:x", "cannot be joined"),
            ("", "write keep-id"),
        ] {
            let said = said(&keep(text));
            assert!(said.starts_with("--userns `") && said.contains(words), "{said}");
        }
        let lines = |uid: &[&str], gid: &[&str]| SandboxArgs {
            uidmap: uid.iter().map(ToString::to_string).collect(),
            gidmap: gid.iter().map(ToString::to_string).collect(),
            ..SandboxArgs::default()
        };
        let map = chosen(&lines(&["0:1:10", "10:0"], &[])).expect("maps");
        assert_eq!(
            map.flags().join(" "),
            "--uidmap 0:1:10 --uidmap 10:0:1 --gidmap 0:1:10 --gidmap 10:0:1"
        );
        for text in [
            "",
            "0",
            "0:0:0",
            "a:0:1",
            "0:-1:1",
            "0:0:1:1",
            "2147483647:0:2",
            "+0:0:1",
            "0:@5:1",
            "0:0: 1",
        ] {
            assert!(said(&lines(&[text], &[])).starts_with("--uidmap `"), "{text}");
            assert!(said(&lines(&[], &[text])).starts_with("--gidmap `"), "{text}");
        }
        let both = SandboxArgs {
            map: Some("range".into()),
            ..keep("keep-id")
        };
        assert!(said(&both).contains("--map and --userns"));
    }

    #[test]
    fn names_groups_and_signals() {
        let with = |set: &dyn Fn(&mut SandboxArgs)| {
            let mut args = SandboxArgs::default();
            set(&mut args);
            args
        };
        let hosts = with(&|a| a.add_host = vec!["a:1.2.3.4".into(), "b:::1".into(), "c=[::2]".into()]);
        let hosts = hosts.flags().expect("hosts").hosts;
        let hosts: Vec<String> = hosts
            .iter()
            .map(|h| format!("{} {}", h.value.0, h.value.1))
            .collect();
        assert_eq!(hosts, ["a 1.2.3.4", "b ::1", "c ::2"]);
        for text in [
            "a",
            ":1.2.3.4",
            "a:b",
            "a b:1.2.3.4",
            "a\n:1.2.3.4",
            "a:host-gateway",
            "-a:1.2.3.4",
        ] {
            let said = said(&with(&|a| a.add_host = vec![text.into()]));
            assert!(said.starts_with("--add-host `") && !said.contains('\n'), "{said}");
        }
        for text in ["", "a b", "a:b", "-1", "99999999999", "keep-groups"] {
            let said = said(&with(&|a| a.group_add = vec![text.into()]));
            assert!(said.starts_with("--group-add `"), "{said}");
        }
        for text in ["", "SIGFOO", "0", "65"] {
            assert!(said(&with(&|a| a.stop_signal = Some(text.into()))).starts_with("--stop-signal `"));
        }
        for text in ["", "big", "0"] {
            assert!(said(&with(&|a| a.shm_size = Some(text.into()))).starts_with("--shm-size"));
        }
        assert!(said(&with(&|a| a.dns = vec!["example.org".into()])).starts_with("--dns `"));
    }
}
