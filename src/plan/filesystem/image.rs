//! An image as the root: its layers, and what every container has of its own, whatever the image has there.

use super::{Builder, at};
use crate::model::InRoot;
use crate::model::facts::{APT, RESOLVER};
use crate::plan::generated;
use crate::plan::identity::Identity;
use crate::plan::loss::Refusal;
use crate::plan::step::{Attributes, Step};
use crate::policy::{Image, Root};
use crate::profile::schema::NetworkMode;

impl Builder<'_> {
    /// Its layers under one that vanishes, or a copy of them. A place of ours that the image has as a link, or as a file, is made anew.
    pub(super) fn image(&mut self, image: &Image) -> Result<(), Refusal> {
        self.image_root(image)?;
        self.mounts.push((InRoot::root(), true));
        for place in crate::plan::places(self.policy) {
            if !self.facts.places.contains(&place) {
                self.add(
                    Step::Clear(place),
                    "no link of the image's decides where a mount lands",
                );
            }
        }
        Ok(())
    }

    /// What every container has of its own, whatever the image has there.
    pub(super) fn image_etc(&mut self, identity: &Identity) {
        const OWN: [&str; 3] = ["hosts", "hostname", "resolv.conf"];
        let generated = generated::etc(self.policy, self.host, identity);
        let own = generated.into_iter().filter(|(name, _)| OWN.contains(name));
        let resolver = ("resolv.conf", b"# no network\n".to_vec());
        let resolver = (self.policy.network.value == NetworkMode::None).then_some(resolver);
        self.directory(&at("/etc"), 0o755);
        for (name, bytes) in own.chain(resolver) {
            let place = at(&format!("/etc/{name}"));
            self.add(
                Step::Clear(place.clone()),
                "a link of the image's would lead elsewhere",
            );
            self.add(
                Step::File(place, bytes),
                "generated: the image's own is another machine's",
            );
        }
        if self.facts.apt && identity.uids.is_single() && identity.uid == 0 {
            let place = at(&format!("{APT}/90-sbx-one-id"));
            let text =
                b"// There is one id here: nobody to become for downloads.\nAPT::Sandbox::User \"root\";\n";
            self.add(Step::Clear(place.clone()), "made anew");
            self.add(
                Step::File(place, text.to_vec()),
                "apt checks that it has become another user",
            );
        }
        if self.asks_as_the_host() {
            let reason = "network.mode = host: names are asked where the host asks";
            self.add(
                Step::Clear(at(RESOLVER)),
                "a link of the image's would lead elsewhere",
            );
            self.bind_host(RESOLVER, Attributes::READ, reason);
        }
    }

    /// Docker makes the directory that a command starts in where the image lacks it.
    pub(super) fn image_start(&mut self) {
        if !matches!(self.policy.root, Root::Image(_)) {
            return;
        }
        let there = self.steps.len();
        self.directory(&self.policy.start_in.clone(), 0o755);
        for made in self.steps.iter_mut().skip(there) {
            made.reason = "to start in".to_owned();
        }
    }
}
