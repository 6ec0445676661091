//! Who the command is: users, groups, and how ids are mapped.

use super::{parsed, word, wrong};
use crate::cli::report::Report;
use crate::model::{IdRange, Origin, Set};
use crate::policy::{Flags, Userns};
use crate::profile::schema::{MapKind, Profile, UserSpec};
use clap::Args;

/// Flags about ids.
#[derive(Debug, Clone, Default, Args)]
pub struct IdArgs {
    /// User inside the sandbox: root, caller, UID[:GID] or NAME[:GROUP]
    #[arg(short, long, value_name = "USER", help_heading = "Policy")]
    pub user: Option<String>,
    /// ID mapping: caller (your id alone), range (your id and your sub-ids), auto (range for an image if available, else caller), host-root
    /// (as root: the host's own ids)
    #[arg(long, value_name = "MAP", help_heading = "Policy")]
    pub map: Option<String>,
    /// User namespace mode: keep-id[:uid=N,gid=N] (your id, or these, with your sub-ids around it) or auto
    #[arg(long, value_name = "MODE", help_heading = "Policy")]
    pub userns: Option<String>,
    /// UID mapping CONTAINER:INTERMEDIATE:SIZE, as podman's (0 is your uid, 1… your sub-uids)
    #[arg(long, value_name = "LINE", help_heading = "Policy")]
    pub uidmap: Vec<String>,
    /// GID mapping in the same form; one of the two maps alone is used for both
    #[arg(long, value_name = "LINE", help_heading = "Policy")]
    pub gidmap: Vec<String>,
    /// Supplementary group for the user: a number, or a name in the image
    #[arg(long, value_name = "GROUP", help_heading = "Policy")]
    pub group_add: Vec<String>,
}

/// No id beyond 31 bits: what is above is -1 to some program.
const LAST: u32 = 0x7fff_ffff;

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

fn groups(args: &IdArgs) -> Result<Vec<Set<String>>, Report> {
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

impl IdArgs {
    pub(super) fn profile(&self, p: &mut Profile) -> Result<(), Report> {
        if let Some(user) = &self.user {
            p.identity.user = Some(parsed::<UserSpec>("--user", user)?);
        }
        if let Some(map) = &self.map {
            p.identity.map = Some(word("--map", map)?);
        } else if let Some(map) = self.map_by_userns()? {
            p.identity.map = Some(map);
        }
        Ok(())
    }

    pub(super) fn flags(&self, flags: &mut Flags) -> Result<(), Report> {
        flags.userns = self.chosen_map()?;
        flags.groups = groups(self)?;
        Ok(())
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
    fn map_by_userns(&self) -> Result<Option<Set<MapKind>>, Report> {
        let Some(text) = &self.userns else { return Ok(None) };
        Ok(match userns(text)? {
            Asked::Word(map) => Some(Set::new(map, Origin::flag(format!("--userns {text}")))),
            Asked::Map(_) => None,
        })
    }
}
