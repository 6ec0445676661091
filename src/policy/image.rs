//! What an image's config means for a run, where no flag says otherwise.

use super::contents::{Bind, EnvVar, Scratch};
use super::flags::Userns;
use super::mounts::taken;
use super::request::{Error, Image, Request, Root, refuse};
use crate::model::{Bytes, InRoot, Origin, Set};
use crate::profile::schema::UserSpec;
use std::ffi::OsString;

/// The image of a request, where it has one.
pub(super) fn of(request: &Request) -> Option<&Image> {
    match &request.root {
        Root::Image(image) => Some(image),
        _ => None,
    }
}

/// The whole command, as docker puts it together: a command replaces the image's, `--entrypoint` replaces its entrypoint and drops its
/// command, and an empty `--entrypoint` leaves neither. `ENTRYPOINT [""]` in an image resets the entrypoint of its base.
///
/// # Errors
/// Without any.
pub(super) fn command(request: &Request) -> Result<Vec<OsString>, Error> {
    let config = of(request).map(|image| &image.config);
    let entrypoint = match &request.entrypoint {
        Some(flag) => Some(flag)
            .filter(|flag| !flag.is_empty())
            .cloned()
            .into_iter()
            .collect(),
        None => config
            .map(|c| &c.entrypoint)
            .filter(|entrypoint| !matches!(entrypoint.as_slice(), [only] if only.is_empty()))
            .cloned()
            .unwrap_or_default(),
    };
    let rest = if !request.command.is_empty() || request.entrypoint.is_some() {
        request.command.clone()
    } else {
        config.map(|c| c.command.clone()).unwrap_or_default()
    };
    let command: Vec<OsString> = entrypoint.into_iter().chain(rest).collect();
    match (command.first(), config) {
        (None, None) => Err(Error::NoCommand),
        (None, Some(_)) => Err(Error::NoCommandInImage),
        // Looked up on PATH it would be found in any of its directories, as a directory.
        (Some(first), _) if first.is_empty() => {
            refuse("the command", &Origin::Image, "its first word is empty")
        }
        _ => Ok(command),
    }
}

/// Who the command runs as: an image that names nobody means root, which is nobody outside; who keeps its id means to be that.
pub(super) fn user(user: Set<UserSpec>, request: &Request) -> Set<UserSpec> {
    let keeps = request.flags.userns.as_ref();
    let keeps = keeps.filter(|userns| matches!(userns.value, Userns::KeepId { .. }));
    match (of(request), &user.value) {
        (_, UserSpec::Image) if keeps.is_some() => Set::new(
            UserSpec::Caller,
            keeps.map_or(Origin::Default, |k| k.origin.clone()),
        ),
        (Some(image), UserSpec::Image) => Set::new(
            spec(image.config.user.as_deref().unwrap_or_default()),
            Origin::Image,
        ),
        _ => user,
    }
}

/// `NAME[:GROUP]`, `UID[:GID]`, or any mixture of them, by the image's own files. Here `caller` would be a name like any other.
fn spec(text: &str) -> UserSpec {
    match text.split_once(':').unwrap_or((text, "")) {
        ("", "") => UserSpec::Root,
        // Who names a group alone stays root.
        (user, group) => UserSpec::Names {
            user: if user.is_empty() { "0" } else { user }.to_owned(),
            group: (!group.is_empty()).then(|| group.to_owned()),
        },
    }
}

/// Where the command starts.
///
/// # Errors
/// For a directory that leads upwards.
pub(super) fn start_in(image: &Image) -> Result<InRoot, Error> {
    let Some(directory) = &image.config.start_in else {
        return Ok(InRoot::root());
    };
    InRoot::new(directory).or_else(|e| refuse("the image's working directory", &Origin::Image, e.to_string()))
}

/// The image's variables.
pub(super) fn environment(image: &Image) -> impl Iterator<Item = EnvVar> {
    image.config.environment.iter().map(|(name, value)| EnvVar {
        name: name.clone(),
        value: value.clone(),
        origin: Origin::Image,
    })
}

/// What asks the command to end: the flag's signal, else the image's.
pub(super) fn stop_signal(request: &Request) -> Option<Set<i32>> {
    let of_image = || {
        let signal = of(request)?.config.stop_signal?;
        Some(Set::new(signal, Origin::Image))
    };
    request.flags.stop_signal.clone().or_else(of_image)
}

/// Honest images name one or two. Each is a mount and as much memory again, and whoever made the image chose how many.
const MOST_VOLUMES: usize = 16;

/// Places for data in a root that cannot be written: each gets a tmpfs, unless something was asked for there.
pub(super) fn volumes(
    request: &Request,
    binds: &[Set<Bind>],
    scratch: &mut Vec<Set<Scratch>>,
    notes: &mut Vec<String>,
    (size, execute): (Bytes, bool),
) {
    let places = of(request).map_or(&[][..], |image| &image.config.volumes);
    if places.len() > MOST_VOLUMES {
        notes.push(format!(
            "the image names {} volumes: only the first {MOST_VOLUMES} can be written",
            places.len()
        ));
    }
    for place in places.iter().take(MOST_VOLUMES) {
        let target = match InRoot::new(std::path::Path::new("/").join(place)) {
            Ok(target) if taken(&target).is_none() => target,
            _ => {
                let place = place.display().to_string();
                notes.push(format!(
                    "the image's volume {} cannot be made",
                    place.escape_debug()
                ));
                continue;
            }
        };
        let asked = binds.iter().any(|bind| target.is_beneath(&bind.value.target))
            || scratch.iter().any(|tmpfs| tmpfs.value.target == target);
        if !asked {
            let tmpfs = Scratch {
                target,
                size,
                inodes: None,
                mode: 0o1777,
                execute,
            };
            scratch.push(Set::new(tmpfs, Origin::Image));
        }
    }
    scratch.sort_by_key(|s| s.value.target.as_path().components().count());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{HostPath, Layers};
    use crate::policy::ImageConfig;

    #[test]
    fn an_image_gets_a_few_volumes() {
        let places = |count: usize| (0..count).map(|n| format!("/v{n}").into()).collect();
        let made = |count| {
            let config = ImageConfig {
                volumes: places(count),
                ..ImageConfig::default()
            };
            let layers = Layers::of(HostPath::new("/store").expect("a path"));
            let name = "x".to_owned();
            let request = Request::new(Root::Image(Image { name, layers, config }), Vec::new());
            let (mut scratch, mut notes) = (Vec::new(), Vec::new());
            volumes(&request, &[], &mut scratch, &mut notes, (Bytes(1 << 20), false));
            (scratch.len(), notes.len())
        };
        assert_eq!([made(2), made(MOST_VOLUMES)], [(2, 0), (MOST_VOLUMES, 0)]);
        assert_eq!(made(100_000), (MOST_VOLUMES, 1));
    }

    #[test]
    fn users_are_dockers() {
        let names = |user: &str, group: Option<&str>| UserSpec::Names {
            user: user.to_owned(),
            group: group.map(str::to_owned),
        };
        for (text, expected) in [
            ("", UserSpec::Root),
            (":", UserSpec::Root),
            ("caller", names("caller", None)),
            ("1000:", names("1000", None)),
            ("app:50", names("app", Some("50"))),
            (":50", names("0", Some("50"))),
        ] {
            assert_eq!(spec(text), expected, "{text}");
        }
    }
}
