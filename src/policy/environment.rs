//! The environment: empty, then what the profile passes and sets, then the flags.

use super::contents::EnvVar;
use super::image;
use super::request::Request;
use crate::model::{InRoot, Origin};
use crate::profile::schema::Environment;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Where programs are looked up when nobody says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Builds the whole environment; later sources replace earlier ones by name.
pub(super) fn build(profile: &Environment, request: &Request, home: &InRoot) -> Vec<EnvVar> {
    let (caller, mut out) = (&request.environment, Vec::new());
    let path = |out: &mut _| put(out, "PATH".as_ref(), PATH.into(), &Origin::Default);
    path(&mut out);
    // The marker that systemd and others look for to know that they run in a container.
    put(&mut out, "container".as_ref(), "sbx".into(), &Origin::Default);
    match image::of(request) {
        // HOME is set by the plan, which knows who the user is in the image.
        Some(image) => {
            pass(&mut out, profile, caller, false);
            // What a profile passes is meant for the host's tree: in its own the image knows better, and of PATH nothing fits.
            path(&mut out);
            for variable in image::environment(image) {
                put(&mut out, &variable.name, variable.value, &variable.origin);
            }
        }
        None => {
            put(&mut out, "HOME".as_ref(), home.as_path().into(), &Origin::Default);
            if let Some(user) = &request.user {
                put(&mut out, "USER".as_ref(), user.into(), &Origin::Default);
                put(&mut out, "LOGNAME".as_ref(), user.into(), &Origin::Default);
            }
            pass(&mut out, profile, caller, false);
        }
    }
    for (name, value) in &profile.set {
        put(&mut out, name.as_ref(), value.value.clone().into(), &value.origin);
    }
    // `--env NAME` is stronger than a profile's fixed value.
    pass(&mut out, profile, caller, true);
    out
}

fn pass(out: &mut Vec<EnvVar>, profile: &Environment, caller: &[(OsString, OsString)], by_flag: bool) {
    for pattern in profile
        .pass
        .iter()
        .filter(|p| matches!(p.origin, Origin::Flag { .. }) == by_flag)
    {
        for (name, value) in caller.iter().filter(|(name, _)| matches(&pattern.value, name)) {
            put(out, name, value.clone(), &pattern.origin);
        }
    }
}

fn put(out: &mut Vec<EnvVar>, name: &OsStr, value: OsString, origin: &Origin) {
    let new = EnvVar {
        name: name.to_owned(),
        value,
        origin: origin.clone(),
    };
    match out.iter_mut().find(|v| v.name == name) {
        Some(old) => *old = new,
        None => out.push(new),
    }
}

fn matches(pattern: &str, name: &OsStr) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.as_bytes().starts_with(start.as_bytes()),
        None => name.as_bytes() == pattern.as_bytes(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Set;
    use crate::policy::Root;

    #[test]
    fn nothing_passes_that_is_not_named() {
        let caller: Vec<(OsString, OsString)> = [
            ("LC_ALL", "C"),
            ("LC_TIME", "C"),
            ("AWS_SECRET", "x"),
            ("PATH", "/evil"),
        ]
        .map(|(n, v)| (n.into(), v.into()))
        .into();
        let mut profile = Environment {
            pass: vec![Set::new("LC_*".into(), Origin::Default)],
            ..Environment::default()
        };
        profile
            .set
            .insert("A".into(), Set::new("1".into(), Origin::flag("--env A=1")));
        let home = InRoot::new("/home/u").expect("a path");
        let request = Request {
            user: Some("u".into()),
            environment: caller,
            ..Request::new(Root::Host, Vec::new())
        };
        let names: Vec<String> = build(&profile, &request, &home)
            .iter()
            .map(|v| format!("{}={}", v.name.display(), v.value.display()))
            .collect();
        assert_eq!(
            names,
            [
                &format!("PATH={PATH}"),
                "container=sbx",
                "HOME=/home/u",
                "USER=u",
                "LOGNAME=u",
                "LC_ALL=C",
                "LC_TIME=C",
                "A=1"
            ]
        );
    }
}
