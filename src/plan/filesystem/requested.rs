//! What was asked for by name: the workspace, `-v`, `--tmpfs` and the profile's mounts.

use super::Builder;
use crate::model::facts::{Astray, Found, Kind};
use crate::model::{Bytes, HostPath, InRoot, Set};
use crate::plan::links;
use crate::plan::loss::Refusal;
use crate::plan::step::{Attributes, Holding, Step};
use crate::policy::{Bind, HOME, Scratch, never_shown};
use crate::profile::schema::WorkdirMode;

impl Builder<'_> {
    /// The workspace, `-v`, `--tmpfs` and the profile's mounts, parents before children.
    pub(super) fn requested(&mut self) -> Result<(), Refusal> {
        enum Asked {
            Bind(Set<Bind>),
            Tmpfs(Set<Scratch>),
            Overlay,
        }
        let policy = self.policy;
        let depth = |path: &InRoot| path.as_path().components().count();
        let mut all: Vec<(usize, Asked)> = Vec::new();
        all.extend(
            policy
                .binds
                .iter()
                .map(|b| (depth(&b.value.target), Asked::Bind(b.clone()))),
        );
        all.extend(
            policy
                .scratch
                .iter()
                .map(|s| (depth(&s.value.target), Asked::Tmpfs(s.clone()))),
        );
        if policy.workspace.mode.value == WorkdirMode::Overlay {
            let deep = policy
                .workspace
                .source
                .as_ref()
                .map_or(0, |s| s.as_path().components().count());
            all.push((deep, Asked::Overlay));
        }
        all.sort_by_key(|(depth, _)| *depth);
        for (_, asked) in all {
            match asked {
                Asked::Bind(bind) => self.bind(&bind)?,
                Asked::Tmpfs(tmpfs) => self.scratch(&tmpfs),
                Asked::Overlay => self.workspace_overlay()?,
            }
        }
        Ok(())
    }

    fn bind(&mut self, set: &Set<Bind>) -> Result<(), Refusal> {
        let bind = &set.value;
        let refuse = |why: String| Refusal::Value {
            what: format!("cannot bind {} to {}", bind.source, bind.target),
            origin: set.origin.clone(),
            why,
        };
        let Some(Found { kind, real }) = self.facts.sources.get(&bind.source) else {
            if bind.optional {
                return Ok(());
            }
            let why = match self.facts.unreadable.get(&bind.source) {
                Some(error) => format!("cannot look it up on the host: {error}"),
                None => "no such file or directory on the host; create it, or mark the mount optional in a profile".into(),
            };
            return Err(refuse(why));
        };
        if let Some(why) = self.led_astray(&bind.source, real) {
            let leads = (*real != bind.source).then(|| format!("it leads to {real}: "));
            return Err(refuse(leads.unwrap_or_default() + why));
        }
        let target = links::follow(&self.steps, &bind.target);
        self.clear_below(&target);
        self.point(&target, *kind);
        let attributes = Attributes {
            writable: bind.writable,
            execute: bind.execute,
            devices: false,
        };
        self.add(
            Step::Bind(real.clone(), target.clone(), attributes),
            set.origin.to_string(),
        );
        self.mounts.push((target, false));
        Ok(())
    }

    /// Reason not to mount a source that exists. In the working directory an earlier sandbox may have planted a link (as in
    /// CVE-2024-42472), so none leads out of it.
    fn led_astray(&self, source: &HostPath, real: &HostPath) -> Option<&'static str> {
        let astray = self.facts.astray.get(source);
        if astray == Some(&Astray::Link) {
            return Some(
                "a link in the working directory may have been put there by what ran in it; write that path if you mean it",
            );
        }
        never_shown(real.as_path(), &self.policy.homes).or(astray.map(|_| HOME))
    }

    fn scratch(&mut self, set: &Set<Scratch>) {
        let s = &set.value;
        let target = links::follow(&self.steps, &s.target);
        self.clear_below(&target);
        self.point(&target, Kind::Directory);
        let attributes = Attributes {
            writable: true,
            execute: s.execute,
            devices: false,
        };
        self.add(
            Step::Tmpfs(
                target.clone(),
                Holding {
                    bytes: s.size,
                    inodes: s.inodes,
                },
                s.mode,
                attributes,
            ),
            set.origin.to_string(),
        );
        self.mounts.push((target, true));
    }

    fn workspace_overlay(&mut self) -> Result<(), Refusal> {
        let (Some(source), origin) = (&self.policy.workspace.source, &self.policy.workspace.mode.origin)
        else {
            return Ok(());
        };
        let refuse = |why: String| Refusal::Value {
            what: "filesystem.workdir = overlay".into(),
            origin: origin.clone(),
            why,
        };
        if !self.host.overlay.works() {
            return Err(refuse(
                "this host refuses overlay to unprivileged users: use read-only or writable".into(),
            ));
        }
        let target = InRoot::new(source.as_path()).map_err(|e| refuse(e.to_string()))?;
        let target = links::follow(&self.steps, &target);
        self.clear_below(&target);
        self.point(&target, Kind::Directory);
        let attributes = Attributes {
            writable: true,
            execute: self.policy.execute_written,
            devices: false,
        };
        self.add(
            Step::WorkspaceOverlay(source.clone(), target.clone(), self.workspace_size(), attributes),
            origin.to_string(),
        );
        self.mounts.push((target, true));
        Ok(())
    }

    /// Whatever is written there counts as memory: when it is full that is to be an error inside, before it is the end of everything.
    fn workspace_size(&self) -> Bytes {
        let size = self.policy.tmp.value.0.max(1 << 30);
        let memory = self.policy.memory.as_ref();
        Bytes(memory.map_or(size, |memory| size.min(memory.value.0 / 2)))
    }
}
