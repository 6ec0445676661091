//! Memory, swap and processes.

use super::{Deciding, Refusal};
use crate::model::host::Cgroup;
use crate::model::{Level, Origin, Protection, Set};
use crate::policy::{Resource, Swap};

impl Deciding<'_, '_> {
    pub(super) fn memory(&mut self) -> Result<(), Refusal> {
        let policy = self.policy;
        if !policy.enforcement.wants(Protection::Memory) {
            return Ok(());
        }
        if self.place.has("memory") {
            self.counted_memory();
            return Ok(());
        }
        self.uncounted()?;
        let Some(memory) = &policy.memory else {
            return Ok(());
        };
        self.made.watch = Some(memory.clone());
        // Whoever prefers a count is content with a watch where there is nothing else, but not without a word where something was found.
        let refused = matches!(self.host.cgroup, Cgroup::Refused { .. });
        if refused || policy.enforcement.level(Protection::Memory).value == Level::Require {
            let words = format!(
                "{} for the sandbox as a whole is watched, which a burst may pass for a moment, and not counted by the kernel: {}",
                memory.value,
                self.reason()
            );
            self.ledger.lacks(Protection::Memory, &words, self.mend())?;
        }
        Ok(())
    }

    fn counted_memory(&mut self) {
        let policy = self.policy;
        // Before the end, so that nobody is ever between the two.
        if let Some(high) = &policy.memory_high {
            let files = vec![("memory.high", high.value.0.to_string())];
            self.write("memory", files, &high.origin);
        }
        let Some(memory) = &policy.memory else { return };
        let swap = policy
            .swap
            .as_ref()
            .map_or(Some(0), |s| s.value.besides(Some(memory.value)));
        let files = vec![
            ("memory.max", memory.value.0.to_string()),
            (
                "memory.swap.max",
                swap.map_or("max".to_owned(), |n| n.to_string()),
            ),
            ("memory.oom.group", "1".to_owned()),
        ];
        self.made.counted.push(Resource::Data);
        self.write("memory", files, &memory.origin);
    }

    /// RLIMIT_NPROC holds them too, though nobody is told when it is met: not worth a scope of systemd for them alone.
    pub(super) fn pids(&mut self) {
        let (policy, place) = (self.policy, &self.place);
        let Some(pids) = policy.pids.as_ref().filter(|_| place.has("pids")) else {
            return;
        };
        let scope = matches!(place.parent, Some((_, _, Some(_))));
        let flag = matches!(pids.origin, Origin::Flag { .. });
        if scope && self.made.controllers.is_empty() && !flag {
            return;
        }
        self.made.counted.push(Resource::Nproc);
        // Our init is one more.
        let most = pids.value.saturating_add(u64::from(policy.init.value));
        self.write("pids", vec![("pids.max", most.to_string())], &pids.origin);
    }

    /// What a watch does not tell apart, or cannot do.
    fn uncounted(&mut self) -> Result<(), Refusal> {
        let policy = self.policy;
        let some = |s: &&Set<Swap>| s.value.besides(policy.memory.as_ref().map(|m| m.value)) != Some(0);
        let swap = policy.swap.as_ref().filter(some).map(|s| &s.origin);
        let high = policy.memory_high.as_ref().map(|s| &s.origin);
        for (origin, what) in [
            (swap, "swap cannot be counted apart"),
            (high, "nobody is slowed down at limits.memory-high"),
        ] {
            if let Some(origin) = origin {
                let words = format!("{what}: {}", self.reason());
                self.lacking(Protection::Memory, origin, &words, self.mend())?;
            }
        }
        Ok(())
    }
}
