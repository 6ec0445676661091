//! The arguments of `run`, `plan` and `why`: what the user typed, and the profile that the flags come to.

use super::images::pull::When;
use super::mount_args::Mounts;
use super::report::Report;
use crate::model::{Capability, InRoot, Level, Origin, Protection, Set, Span, meant};
use crate::profile::schema::{Device, Identity, Maybe, Profile, RootMode, TerminalMode, Ulimit, UserSpec};
use crate::profile::words::Word;
use clap::Args;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

/// Flags that say what a sandbox may do; the same for every verb that makes or explains one.
#[derive(Debug, Clone, Default, Args)]
#[command(disable_help_flag = true)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a flag of its own on the command line"
)]
pub struct SandboxArgs {
    /// Profile: a built-in one (strict, default, build), a name in the profile directory, or a path; may be given more than once
    #[arg(long, value_name = "NAME|FILE", help_heading = "Policy")]
    pub profile: Vec<String>,
    /// Level of one protection: KEY=require|prefer|off (see `sbx profile schema`)
    #[arg(long, value_name = "KEY=LEVEL", help_heading = "Policy")]
    pub enforce: Vec<String>,
    /// seccomp=FILE: a filter in Docker's JSON format instead of the profile's; no-new-privileges is always on
    #[arg(long, value_name = "OPTION", help_heading = "Policy")]
    pub security_opt: Vec<String>,
    /// Keep a capability inside the user namespace
    #[arg(long, value_name = "CAP", help_heading = "Policy")]
    pub cap_add: Vec<String>,
    /// Drop a capability that the profile keeps, or `all`
    #[arg(long, value_name = "CAP", help_heading = "Policy")]
    pub cap_drop: Vec<String>,
    /// User inside: root, caller, UID[:GID], NAME[:GROUP]
    #[arg(short, long, value_name = "USER", help_heading = "Policy")]
    pub user: Option<String>,
    /// How ids are mapped: auto, caller, range, host-root
    #[arg(long, value_name = "MAP", help_heading = "Policy")]
    pub map: Option<String>,
    /// keep-id (you keep your id, or take uid=N and gid=N, with your sub-ids around it), or auto
    #[arg(long, value_name = "MODE", help_heading = "Policy")]
    pub userns: Option<String>,
    /// One line of the map of users: INSIDE:FROM:COUNT; FROM 0 is you, 1 and more are your sub-ids
    #[arg(long, value_name = "LINE", help_heading = "Policy")]
    pub uidmap: Vec<String>,
    /// One line of the map of groups; where only one of the two maps is given, it stands for both
    #[arg(long, value_name = "LINE", help_heading = "Policy")]
    pub gidmap: Vec<String>,
    /// One more group for the user: a number, or a name in the image
    #[arg(long, value_name = "GROUP", help_heading = "Policy")]
    pub group_add: Vec<String>,

    /// Bind mount SRC:DST, volume NAME:DST, or DST alone for one that vanishes; then :ro or :rw
    #[arg(short, long, value_name = "SRC:DST[:ro]", help_heading = "Files")]
    pub volume: Vec<OsString>,
    /// The same in words: type=bind|volume|tmpfs,source=SRC,target=DST[,readonly]
    #[arg(long, value_name = "KEY=VALUE,…", help_heading = "Files")]
    pub mount: Vec<String>,
    /// A tmpfs: DST[:size=64M,mode=1777,exec]
    #[arg(long, value_name = "DST[:OPTIONS]", help_heading = "Files")]
    pub tmpfs: Vec<String>,
    /// A device node of the host: /dev/NAME[:DST]
    #[arg(long, value_name = "DEVICE", help_heading = "Files")]
    pub device: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "SIZE", help_heading = "Files")]
    pub shm_size: Option<String>,
    /// Whether the root cannot be written
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Files")]
    pub read_only: Option<bool>,
    /// Where what is written to the root goes until the end: memory (as much as filesystem.tmp), or disk (without a limit)
    #[arg(long, value_name = "PLACE", help_heading = "Files")]
    pub upper: Option<String>,
    /// What an image's root is where the kernel refuses overlay: copy, or fuse (fuse-overlayfs where it can be had)
    #[arg(long, value_name = "WHAT", help_heading = "Files")]
    pub without_overlay: Option<String>,
    /// What becomes of the working directory: none, read-only, overlay, writable
    #[arg(long, value_name = "MODE", help_heading = "Files")]
    pub workspace: Option<String>,
    /// Directory to start in, inside
    #[arg(short = 'w', long, value_name = "DIR", help_heading = "Files")]
    pub workdir: Option<PathBuf>,

    /// Set a variable (NAME=VALUE), or pass one of yours (NAME)
    #[arg(short, long, value_name = "NAME[=VALUE]", help_heading = "Environment")]
    pub env: Vec<String>,
    /// Read variables from a file, one NAME=VALUE or NAME a line
    #[arg(long, value_name = "FILE", help_heading = "Environment")]
    pub env_file: Vec<PathBuf>,
    /// Host name inside
    #[arg(short = 'h', long, value_name = "NAME", help_heading = "Environment")]
    pub hostname: Option<String>,
    /// A name and its address for /etc/hosts: NAME:ADDRESS
    #[arg(long, value_name = "NAME:ADDRESS", help_heading = "Environment")]
    pub add_host: Vec<String>,
    /// A server that is asked for names, in place of the host's
    #[arg(long, value_name = "ADDRESS", help_heading = "Environment")]
    pub dns: Vec<String>,
    /// Network: none or host
    #[arg(
        long,
        visible_alias = "net",
        value_name = "MODE",
        help_heading = "Environment"
    )]
    pub network: Option<String>,

    /// Limit: NAME=SOFT[:HARD], for example nofile=1024
    #[arg(long, value_name = "LIMIT", help_heading = "Limits")]
    pub ulimit: Vec<String>,
    /// Kill everything after this time (10m, 90s)
    #[arg(long, value_name = "TIME", help_heading = "Limits")]
    pub timeout: Option<String>,

    /// Command to put before the arguments
    #[arg(long, value_name = "COMMAND", help_heading = "Process")]
    pub entrypoint: Option<OsString>,
    /// Standard input stays open; it always does, the flag is accepted for docker's sake
    #[arg(short, long, help_heading = "Process")]
    pub interactive: bool,
    /// A pseudo-terminal even when no stream is a terminal
    #[arg(short, long, help_heading = "Process")]
    pub tty: bool,
    /// Whether a small init is pid 1 (default true)
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Process")]
    pub init: Option<bool>,

    /// What the command gets when sbx gets SIGTERM; the image's own, or SIGTERM, when not given
    #[arg(long, value_name = "SIGNAL", help_heading = "Process")]
    pub stop_signal: Option<String>,

    /// When an image is asked for at its registry
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "missing",
        hide_default_value = true,
        help_heading = "Image"
    )]
    pub pull: When,
    /// Which image of a multi-platform one: OS/ARCH[/VARIANT]; this machine's when not given
    #[arg(long, value_name = "PLATFORM", help_heading = "Image")]
    pub platform: Option<String>,
    /// Raise or lower how much of an image is read, as for `pull`: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Image")]
    pub image_limit: Vec<String>,

    /// Print help; -h is the host name, as docker has it
    #[arg(long, action = clap::ArgAction::HelpLong)]
    pub help: Option<bool>,

    /// What to run in: `host`, an image ([HOST/]NAME[:TAG]), a directory (./path, /path), or `scratch`
    #[arg(value_name = "IMAGE", default_value = "host", hide_default_value = true)]
    pub image: OsString,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

fn parsed<T: FromStr>(flag: &str, text: &str) -> Result<Set<T>, Report>
where
    T::Err: Display,
{
    match text.parse() {
        Ok(value) => Ok(Set::new(value, Origin::flag(format!("{flag} {text}")))),
        Err(why) => Err(Report::usage(format!(
            "{flag}: {}",
            super::out::escaped(&why.to_string())
        ))),
    }
}

/// One of a closed list of words.
pub(super) fn word<T: Word>(flag: &str, text: &str) -> Result<Set<T>, Report> {
    word_of(flag, text, T::NAMES)
}

/// The same, where only some of the words are offered to whoever wrote none of them.
fn word_of<T: Word>(flag: &str, text: &str, offered: &[&str]) -> Result<Set<T>, Report> {
    if let Some((_, value)) = T::WORDS.iter().find(|(name, _)| *name == text) {
        return Ok(Set::new(*value, Origin::flag(format!("{flag} {text}"))));
    }
    let list = offered.join(", ");
    let report = Report::usage(format!("{flag} `{}`: write one of {list}", text.escape_debug()));
    Err(match meant(text, offered.iter().copied()) {
        Some(near) => report.hint(format!("did you mean `{near}`?")),
        None => report,
    })
}

impl SandboxArgs {
    /// The profile that the flags come to, to be merged last. `before`: what the profiles say, which flags take capabilities from.
    ///
    /// # Errors
    /// For flags that cannot be understood.
    pub fn profile(&self, before: &Identity) -> Result<Profile, Report> {
        let mut p = Profile::default();
        self.identity(&mut p, before)?;
        self.files(&mut p)?;
        self.surroundings(&mut p)?;
        self.enforcement(&mut p)?;
        if self.tty {
            p.terminal.mode = Some(Set::new(TerminalMode::Always, Origin::flag("-t")));
        }
        if let Some(init) = self.init {
            p.namespaces.init = Some(Set::new(init, Origin::flag(format!("--init={init}"))));
        }
        Ok(p)
    }

    fn identity(&self, p: &mut Profile, before: &Identity) -> Result<(), Report> {
        if let Some(user) = &self.user {
            p.identity.user = Some(parsed::<UserSpec>("--user", user)?);
        }
        if let Some(map) = &self.map {
            p.identity.map = Some(word("--map", map)?);
        } else if let Some(map) = self.map_by_userns()? {
            p.identity.map = Some(map);
        }
        if self.cap_add.is_empty() && self.cap_drop.is_empty() {
            return Ok(());
        }
        let kept =
            |set: &Maybe<Vec<Capability>>| set.as_ref().map(|set| set.value.clone()).unwrap_or_default();
        let mut all = kept(&before.capabilities);
        let mut of_root = kept(&before.root_capabilities);
        for name in &self.cap_drop {
            if name.eq_ignore_ascii_case("all") {
                all.clear();
                of_root.clear();
            } else {
                let gone = parsed::<Capability>("--cap-drop", name)?.value;
                all.retain(|c| *c != gone);
                of_root.retain(|c| *c != gone);
            }
        }
        for name in &self.cap_add {
            all.push(parsed::<Capability>("--cap-add", name)?.value);
        }
        let flags = self.cap_add.iter().map(|c| format!("--cap-add {c}"));
        let text = flags
            .chain(self.cap_drop.iter().map(|c| format!("--cap-drop {c}")))
            .collect::<Vec<_>>()
            .join(" ");
        let origin = Origin::flag(text);
        if !self.cap_drop.is_empty() {
            p.identity.root_capabilities = Some(Set::new(of_root, origin.clone()));
        }
        p.identity.capabilities = Some(Set::new(all, origin));
        Ok(())
    }

    /// What `-v`, `--mount` and `--tmpfs` ask for.
    ///
    /// # Errors
    /// For flags that cannot be understood.
    pub fn mounts(&self) -> Result<Mounts, Report> {
        Mounts::read(&self.volume, &self.mount, &self.tmpfs)
    }

    fn files(&self, p: &mut Profile) -> Result<(), Report> {
        let mounts = self.mounts()?;
        p.filesystem.mounts.extend(mounts.binds);
        p.filesystem.tmpfs.extend(mounts.tmpfs);
        for text in &self.device {
            let (source, target) = text
                .split_once(':')
                .map_or((text.as_str(), None), |(s, t)| (s, Some(t)));
            let target = target
                .map(|t| InRoot::new(t).map_err(|e| Report::usage(format!("--device: {e}"))))
                .transpose()?;
            let device = Device {
                source: source.to_owned(),
                target,
                optional: false,
            };
            p.filesystem
                .devices
                .push(Set::new(device, Origin::flag(format!("--device {text}"))));
        }
        if let Some(read_only) = self.read_only {
            let mode = if read_only {
                RootMode::ReadOnly
            } else {
                RootMode::Ephemeral
            };
            p.filesystem.root = Some(Set::new(mode, Origin::flag(format!("--read-only={read_only}"))));
        }
        if let Some(place) = &self.upper {
            p.filesystem.upper = Some(word("--upper", place)?);
        }
        if let Some(what) = &self.without_overlay {
            p.filesystem.without_overlay = Some(word("--without-overlay", what)?);
        }
        if let Some(mode) = &self.workspace {
            p.filesystem.workdir = Some(word("--workspace", mode)?);
        }
        Ok(())
    }

    fn surroundings(&self, p: &mut Profile) -> Result<(), Report> {
        for file in &self.env_file {
            super::env_file::read(file, p)?;
        }
        for text in &self.env {
            super::env_file::put(p, text, &Origin::flag(format!("--env {text}")))
                .map_err(|why| Report::usage(format!("--env `{}`: {why}", text.escape_debug())))?;
        }
        if let Some(name) = &self.hostname {
            p.namespaces.hostname = Some(Set::new(name.clone(), Origin::flag(format!("--hostname {name}"))));
        }
        if let Some(mode) = &self.network {
            // The others are refused by name: this version has none of them.
            p.network.mode = Some(word_of("--network", mode, &["none", "host"])?);
        }
        for text in &self.ulimit {
            let (name, limit) = ulimit(text)?;
            p.limits
                .ulimits
                .insert(name, Set::new(limit, Origin::flag(format!("--ulimit {text}"))));
        }
        if let Some(time) = &self.timeout {
            p.limits.time = Some(parsed::<Span>("--timeout", time)?);
        }
        Ok(())
    }

    fn enforcement(&self, p: &mut Profile) -> Result<(), Report> {
        for text in &self.enforce {
            let known = || Protection::ALL.map(Protection::key).join(", ");
            let (key, level) = text.split_once('=').ok_or_else(|| {
                Report::usage(format!("--enforce `{}`: write KEY=LEVEL", text.escape_debug()))
            })?;
            let protection = Protection::ALL.into_iter().find(|x| x.key() == key);
            let protection = protection.ok_or_else(|| {
                Report::usage(format!(
                    "--enforce: `{}` is no protection; they are {}",
                    key.escape_debug(),
                    known()
                ))
            })?;
            let mut level = word::<Level>("--enforce", level)?;
            level.origin = Origin::flag(format!("--enforce {text}"));
            p.enforcement.insert(protection, level);
        }
        Ok(())
    }

    /// The file of `--security-opt seccomp=FILE`; other options are refused, but for the one that is always on.
    ///
    /// # Errors
    /// For an option that is not known.
    pub fn seccomp_file(&self) -> Result<Option<&str>, Report> {
        let mut file = None;
        for option in &self.security_opt {
            match option.split_once('=') {
                Some(("seccomp", "unconfined")) => {
                    return Err(Report::usage(
                        "--security-opt seccomp=unconfined: write --enforce seccomp=off, so that it is seen",
                    ));
                }
                Some(("seccomp", path)) => file = Some(path),
                None if option == "no-new-privileges" => {}
                Some(("no-new-privileges", "true")) => {}
                _ => {
                    let shown = option.escape_debug();
                    return Err(Report::usage(format!(
                        "--security-opt `{shown}`: write seccomp=FILE or no-new-privileges"
                    )));
                }
            }
        }
        Ok(file)
    }
}

/// `NAME=SOFT[:HARD]`
fn ulimit(text: &str) -> Result<(String, Ulimit), Report> {
    let limit = text
        .split_once('=')
        .and_then(|(name, values)| Some((name.to_owned(), values.parse().ok()?)));
    limit.ok_or_else(|| {
        Report::usage(format!(
            "--ulimit `{}`: write NAME=SOFT or NAME=SOFT:HARD",
            text.escape_debug()
        ))
    })
}
