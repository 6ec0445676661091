//! What the root is made of: nothing, a directory, or the host's own programs.

use super::{Builder, at};
use crate::model::facts::RESOLVER;
use crate::model::host::TopEntry;
use crate::model::{Bytes, HostPath, InRoot, Layers};
use crate::plan::generated;
use crate::plan::identity::Identity;
use crate::plan::loss::Refusal;
use crate::plan::step::{Attributes, LayerOption, Step};
use crate::policy::Root;
use crate::profile::schema::{NetworkMode, RootMode};

impl Builder<'_> {
    pub(super) fn seals(&self) -> bool {
        let overlay = matches!(self.steps.first().map(|p| &p.step), Some(Step::RootOverlay(..)));
        let own = self.policy.root != Root::Host && self.policy.root_mode.value == RootMode::Ephemeral;
        match &self.policy.root {
            Root::Host | Root::Scratch | Root::Image(_) => !own,
            Root::Directory(_) => overlay && !own,
        }
    }

    pub(super) fn root(&mut self) -> Result<(), Refusal> {
        let mode = &self.policy.root_mode;
        match &self.policy.root {
            Root::Host | Root::Scratch => {
                let size = if self.policy.root == Root::Scratch && mode.value == RootMode::Ephemeral {
                    self.policy.tmp.value
                } else {
                    Bytes(1 << 20)
                };
                self.add(Step::RootTmpfs(size), "holds the mount points");
                self.mounts.push((InRoot::root(), true));
            }
            Root::Directory(source) => {
                let missing = self.missing_place();
                if mode.value == RootMode::ReadOnly && missing.is_none() {
                    self.add(
                        Step::RootBind(source.clone()),
                        format!("the image; filesystem.root = read-only ({})", mode.origin),
                    );
                    self.mounts.push((InRoot::root(), false));
                } else if self.host.overlay.works() {
                    let why = match missing {
                        Some(place) => format!("the image has no directory {place} to mount on"),
                        None => format!("filesystem.root = ephemeral ({})", mode.origin),
                    };
                    let layers = Layers::of(source.clone());
                    let upper = self.upper()?;
                    self.add(Step::RootOverlay(layers, upper, LayerOption::Each), why);
                    self.mounts.push((InRoot::root(), true));
                } else {
                    return self.no_overlay(source, missing);
                }
            }
            Root::Image(image) => self.image(image)?,
        }
        Ok(())
    }

    /// Whether names are asked for where the host asks.
    pub(super) fn asks_as_the_host(&self) -> bool {
        self.policy.network.value == NetworkMode::Host && self.policy.dns.is_empty()
    }

    fn no_overlay(&self, source: &HostPath, missing: Option<InRoot>) -> Result<(), Refusal> {
        let why = match missing {
            Some(place) => format!(
                "it has no directory {place}, and this host cannot mount overlay: make that directory"
            ),
            None => {
                "filesystem.root = ephemeral needs overlay, which this host refuses: use read-only".into()
            }
        };
        Err(Refusal::Value {
            what: format!("the root {source}"),
            origin: self.policy.root_mode.origin.clone(),
            why,
        })
    }

    /// The first place that has to be mounted on and is no directory of the image.
    fn missing_place(&self) -> Option<InRoot> {
        super::places(self.policy)
            .into_iter()
            .find(|place| !self.facts.places.contains(place))
    }

    pub(super) fn host_tree(&mut self) {
        self.bind_host("/usr", Attributes::READ_EXECUTE, "image host: the programs");
        for (name, entry) in &self.host.tree.top {
            match entry {
                TopEntry::Link(target) => self.add(
                    Step::Link(at(&format!("/{name}")), target.clone()),
                    "as on the host",
                ),
                TopEntry::Directory => self.bind_host(
                    &format!("/{name}"),
                    Attributes::READ_EXECUTE,
                    "image host: the programs",
                ),
            }
        }
        for store in &self.host.tree.stores {
            self.bind_host(
                store,
                Attributes::READ_EXECUTE,
                "image host: where programs are kept too",
            );
        }
        self.directory(&at("/var"), 0o755);
        self.add(Step::Link(at("/var/tmp"), "/tmp".into()), "programs expect it");
        self.directory(&at("/run"), 0o755);
        self.add(Step::Link(at("/var/run"), "/run".into()), "programs expect it");
    }

    pub(super) fn bind_host(&mut self, path: &str, attributes: Attributes, reason: &str) {
        let Ok(source) = HostPath::new(path) else { return };
        let Some(found) = self.facts.sources.get(&source) else {
            return;
        };
        let target = at(path);
        self.point(&target, found.kind);
        self.add(Step::Bind(found.real.clone(), target.clone(), attributes), reason);
        self.mounts.push((target, false));
    }

    pub(super) fn etc(&mut self, identity: &Identity) {
        self.directory(&at("/etc"), 0o755);
        for name in &self.host.tree.etc {
            self.bind_host(
                &format!("/etc/{name}"),
                Attributes::READ,
                "image host: read by programs, no secret",
            );
        }
        if self.asks_as_the_host() {
            self.bind_host(
                RESOLVER,
                Attributes::READ,
                "network.mode = host: names are asked where the host asks",
            );
        }
        for (name, target) in &self.host.tree.etc_links {
            self.add(
                Step::Link(at(&format!("/etc/{name}")), target.clone()),
                "as on the host",
            );
        }
        for (name, bytes) in generated::etc(self.policy, self.host, identity) {
            self.add(
                Step::File(at(&format!("/etc/{name}")), bytes),
                "generated: the host's own tells too much",
            );
        }
    }
}
