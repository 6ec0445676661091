//! What is mounted, as `-v`, `--mount` and `--tmpfs` say it.

mod keys;

use super::report::Report;
use crate::image::volume::Name;
use crate::model::path::{PathError, comparable};
use crate::model::unit::UnitError;
use crate::model::{Bytes, InRoot, Origin, Set};
use crate::profile::schema::{Mount, MountMode, Tmpfs};
use keys::{Asked, octal};
use std::collections::BTreeMap;
use std::ffi::OsStr;

/// What the flags ask for.
#[derive(Debug, Default)]
pub struct Mounts {
    /// Directories and files of the host.
    pub binds: Vec<Set<Mount>>,
    /// tmpfs mounts.
    pub tmpfs: Vec<Set<Tmpfs>>,
    /// Named volumes.
    pub named: Vec<Set<Named>>,
    /// Where volumes without a name are: each is among the tmpfs mounts.
    pub anonymous: Vec<InRoot>,
}

/// A named volume and where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its name.
    pub name: Name,
    /// Inside.
    pub target: InRoot,
    /// How it may be used.
    pub mode: MountMode,
}

const VOLUME: &str = "write SRC:DST, SRC:DST:ro, or NAME:DST for a volume";

impl Mounts {
    /// Reads the flags.
    ///
    /// # Errors
    /// For one that cannot be understood.
    pub fn read(volumes: &[impl AsRef<OsStr>], mounts: &[String], tmpfs: &[String]) -> Result<Self, Report> {
        let mut all = Self::default();
        for volume in volumes {
            all.volume(volume.as_ref())?;
        }
        for mount in mounts {
            all.mount(mount)?;
        }
        for text in tmpfs {
            all.tmpfs.push(self::tmpfs(text)?);
        }
        all.apart()?;
        Ok(all)
    }

    /// Of two that are mounted at one place, one would be hidden without a word.
    fn apart(&self) -> Result<(), Report> {
        let bind = |bind: &Set<Mount>| Some((comparable(bind.value.target.as_deref()?), bind.origin.clone()));
        let binds = self.binds.iter().filter_map(bind);
        let tmpfs = self
            .tmpfs
            .iter()
            .map(|t| (t.value.target.to_string(), t.origin.clone()));
        let named = self
            .named
            .iter()
            .map(|n| (n.value.target.to_string(), n.origin.clone()));
        let mut seen: BTreeMap<String, Origin> = BTreeMap::new();
        for (target, origin) in binds.chain(tmpfs).chain(named) {
            if let Some(other) = seen.get(&target) {
                return Err(Report::usage(format!(
                    "{origin}: {target} is the target of {other} too: each can be mounted once"
                )));
            }
            seen.insert(target, origin);
        }
        Ok(())
    }

    /// `SRC:DST[:ro|rw]`, `NAME:DST[:ro|rw]`, `DST`.
    fn volume(&mut self, volume: &OsStr) -> Result<(), Report> {
        let shown = volume.display();
        // With two colons or more, one may be part of a path.
        let colons = volume
            .as_encoded_bytes()
            .iter()
            .filter(|byte| **byte == b':')
            .count();
        let usage = |why: &dyn std::fmt::Display| {
            let report = Report::usage(format!("-v `{}`: {why}", shown.to_string().escape_debug()));
            match colons {
                0 | 1 => report,
                _ => {
                    report.hint("for a path with a colon: --mount type=bind,source=SRC,target=DST[,readonly]")
                }
            }
        };
        let text = volume
            .to_str()
            .ok_or_else(|| usage(&"not UTF-8; bind the directory above it"))?;
        let origin = Origin::flag(format!("-v {text}"));
        let mut parts = text.split(':');
        let (source, target, options) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
        if source.is_empty() || parts.next().is_some() {
            return Err(usage(&VOLUME));
        }
        let Some(target) = target else {
            if !source.starts_with('/') {
                return Err(usage(&VOLUME));
            }
            let target = InRoot::new(source).map_err(|e| usage(&e))?;
            self.anonymous(target, origin);
            return Ok(());
        };
        let mode = options.map_or(Ok(MountMode::Writable), mode);
        let mode = mode.map_err(|why| usage(&why))?;
        if source.contains('/') || matches!(source, "." | ".." | "~") {
            inside(target).map_err(|e| usage(&e))?;
            self.bind(source, target, mode, origin);
            return Ok(());
        }
        let name = source.parse().map_err(|e| usage(&e))?;
        let target = InRoot::new(target).map_err(|e| usage(&e))?;
        self.named.push(Set::new(Named { name, target, mode }, origin));
        Ok(())
    }

    fn bind(&mut self, source: &str, target: &str, mode: MountMode, origin: Origin) {
        let mount = Mount {
            source: source.to_owned(),
            target: Some(target.to_owned()),
            mode,
            optional: false,
            execute: None,
        };
        self.binds.push(Set::new(mount, origin));
    }

    fn anonymous(&mut self, target: InRoot, origin: Origin) {
        self.anonymous.push(target.clone());
        self.tmpfs.push(Set::new(plain_tmpfs(target), origin));
    }

    /// `type=bind|tmpfs|volume,source=…,target=…,readonly`, with docker's keys and their aliases.
    fn mount(&mut self, text: &str) -> Result<(), Report> {
        let usage =
            |why: &dyn std::fmt::Display| Report::usage(format!("--mount `{}`: {why}", text.escape_debug()));
        let asked = Asked::read(text).map_err(|why| usage(&why))?;
        let origin = Origin::flag(format!("--mount {text}"));
        let target = asked
            .target
            .as_deref()
            .ok_or_else(|| usage(&"target is missing: add target=/PATH"))?;
        let target = InRoot::new(target).map_err(|e| usage(&format!("target: {e}")))?;
        let mode = match asked.read_only {
            true => MountMode::ReadOnly,
            false => MountMode::Writable,
        };
        match (asked.kind.as_str(), asked.source) {
            ("bind", Some(source)) if !source.is_empty() => {
                self.bind(&source, &target.to_string(), mode, origin);
            }
            ("bind", _) => return Err(usage(&"source is missing: add source=/PATH of the host")),
            ("tmpfs", _) => {
                let tmpfs = Tmpfs {
                    size: asked.size,
                    mode: asked.mode,
                    ..plain_tmpfs(target)
                };
                self.tmpfs.push(Set::new(tmpfs, origin));
            }
            (_, Some(name)) if !name.is_empty() => {
                let name = name.parse().map_err(|e| usage(&format!("source: {e}")))?;
                self.named.push(Set::new(Named { name, target, mode }, origin));
            }
            _ if asked.read_only => {
                return Err(usage(
                    &"readonly: nothing could ever be in a volume without a source",
                ));
            }
            _ => self.anonymous(target, origin),
        }
        Ok(())
    }
}

fn plain_tmpfs(target: InRoot) -> Tmpfs {
    Tmpfs {
        target,
        size: None,
        inodes: None,
        mode: None,
        execute: None,
    }
}

/// A place inside; `~/` is the home there.
fn inside(target: &str) -> Result<InRoot, PathError> {
    let below = target.strip_prefix("~/").map(|rest| format!("/{rest}"));
    InRoot::new(below.as_deref().unwrap_or(target))
}

fn mode(options: &str) -> Result<MountMode, String> {
    match options {
        "ro" => Ok(MountMode::ReadOnly),
        "rw" => Ok(MountMode::Writable),
        other => Err(format!(
            "the option `{}` is not known; write ro or rw",
            other.escape_debug()
        )),
    }
}

/// `DST[:size=64M,mode=1777,exec]`
fn tmpfs(text: &str) -> Result<Set<Tmpfs>, Report> {
    let usage = |why: String| Report::usage(format!("--tmpfs `{}`: {why}", text.escape_debug()));
    let (target, options) = text.split_once(':').unwrap_or((text, ""));
    let target = InRoot::new(target).map_err(|e| usage(e.to_string()))?;
    let mut tmpfs = plain_tmpfs(target);
    let mut seen: Vec<&str> = Vec::new();
    for option in options.split(',').filter(|o| !o.is_empty()) {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let once = if name == "noexec" { "exec" } else { name };
        if seen.contains(&once) {
            return Err(usage(format!(
                "{} is there twice: write it once",
                once.escape_debug()
            )));
        }
        seen.push(once);
        match (name, value) {
            ("size", size) => tmpfs.size = Some(self::size(size).map_err(usage)?),
            ("mode", mode) => tmpfs.mode = Some(octal(mode).map_err(|why| usage(format!("mode {why}")))?),
            ("nr_inodes", number) => tmpfs.inodes = Some(inodes(number).map_err(usage)?),
            ("exec", "") => tmpfs.execute = Some(true),
            ("noexec", "") => tmpfs.execute = Some(false),
            // Every mount is writable where it is a tmpfs, and nosuid and nodev always.
            ("rw" | "nosuid" | "nodev", "") => {}
            _ => {
                return Err(usage(format!(
                    "the option `{}` is not known; write size, nr_inodes, mode, exec or noexec",
                    option.escape_debug()
                )));
            }
        }
    }
    Ok(Set::new(tmpfs, Origin::flag(format!("--tmpfs {text}"))))
}

/// As tmpfs(5) takes it, but for 0, which is no limit there.
fn size(text: &str) -> Result<Bytes, String> {
    let size: Bytes = text.parse().map_err(|e: UnitError| e.to_string())?;
    let none = || "a size of 0 would be no limit: write how much there may be".to_owned();
    (size.0 > 0).then_some(size).ok_or_else(none)
}

/// Likewise.
fn inodes(text: &str) -> Result<u64, String> {
    let number = text.parse::<Bytes>().ok().filter(|n| n.0 > 0);
    number
        .map(|n| n.0)
        .ok_or_else(|| "nr_inodes: write how many files and directories there may be, for example 10k".into())
}

#[cfg(test)]
mod tests;
