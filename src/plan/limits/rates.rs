//! What only a cgroup can do: a share of the processors, and rates of disks.

use super::{Deciding, Facts, Ledger, Refusal, lacking};
use crate::model::{Origin, Protection};
use crate::policy::Policy;
use std::collections::BTreeMap;

impl Deciding<'_, '_> {
    pub(super) fn weight(&mut self) -> Result<(), Refusal> {
        let Some(weight) = self.wanted(Protection::Cpu, &self.policy.cpu_weight) else {
            return Ok(());
        };
        if self.place.has("cpu") {
            let files = vec![("cpu.weight", weight.value.to_string())];
            self.write("cpu", files, &weight.origin);
            return Ok(());
        }
        let words = format!("the share of the processors is everybody's: {}", self.reason());
        self.lacking(Protection::Cpu, &weight.origin, &words, self.mend())
    }

    pub(super) fn io(&mut self, facts: &Facts) -> Result<(), Refusal> {
        let policy = self.policy;
        if policy.io.is_empty() || !policy.enforcement.wants(Protection::Io) {
            return Ok(());
        }
        if !self.place.has("io") {
            let words = format!("disks are as fast as they are: {}", self.reason());
            // The first flag among them refuses, whatever a profile prefers.
            let flag = |o: &&Origin| matches!(o, Origin::Flag { .. });
            let all = || policy.io.iter().map(|io| &io.origin);
            let Some(origin) = all().find(flag).or_else(|| all().next()) else {
                return Ok(());
            };
            return self.lacking(Protection::Io, origin, &words, self.mend());
        }
        for (disk, (rates, origin)) in disks(policy, facts, self.ledger)? {
            let each = rates.iter().map(|(name, rate)| format!(" {name}={rate}"));
            let line = format!("{disk}{}", each.collect::<String>());
            self.write("io", vec![("io.max", line)], &origin);
        }
        Ok(())
    }
}

type Rates = BTreeMap<&'static str, u64>;

/// Two paths may lie on one disk: the kernel keeps what was written last, so that the lower of the two is written.
fn disks<'a>(
    policy: &Policy,
    facts: &'a Facts,
    ledger: &mut Ledger<'_>,
) -> Result<BTreeMap<&'a str, (Rates, Origin)>, Refusal> {
    const MEND: &str = "name the device (/dev/…), or a path that lies on one";
    let mut all: BTreeMap<&str, (Rates, Origin)> = BTreeMap::new();
    for io in &policy.io {
        let disk = match facts.disks.get(&io.value.path) {
            Some(Ok(disk)) => disk,
            other => {
                let why = other.and_then(|found| found.as_ref().err());
                let why = why.map_or("its disk was not looked for", String::as_str);
                let words = format!("{} is as fast as it is: {why}", io.value.path);
                lacking(Protection::Io, &io.origin, (policy, &mut *ledger), &words, MEND)?;
                continue;
            }
        };
        let (rates, _) = all
            .entry(disk)
            .or_insert_with(|| (Rates::new(), io.origin.clone()));
        for (name, rate) in io.value.limit.rates() {
            let Some(rate) = rate else { continue };
            let lowest = rates.entry(name).or_insert(rate);
            *lowest = rate.min(*lowest);
        }
    }
    Ok(all)
}
