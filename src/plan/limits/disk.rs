//! How much may be written to the root.

use super::{Ledger, Refusal};
use crate::model::{HostPath, Level, Protection};
use crate::plan::step::{Planned, Step, Upper, sealed};
use crate::policy::Policy;

/// Where what is written goes, if to the disk.
enum Written {
    /// To a layer that is empty at first. Whether nobody but processes inside has its files open.
    Layer(HostPath, bool),
    /// Among the files of a copy.
    Copy,
}

fn written(step: &Step) -> Option<Written> {
    match step {
        Step::RootCopy(_) => Some(Written::Copy),
        Step::RootOverlay(_, Upper::Disk(at), _) => Some(Written::Layer(at.clone(), true)),
        Step::RootFuse {
            upper: Upper::Disk(at),
            ..
        } => Some(Written::Layer(at.clone(), false)),
        _ => None,
    }
}

/// What is written to memory is bounded by its tmpfs. On the disk no ordinary user can have a quota: a layer is watched where a size is
/// said, and everything else is a loss.
pub(in crate::plan) fn written_root(
    policy: &Policy,
    steps: &mut Vec<Planned>,
    ledger: &mut Ledger<'_>,
) -> Result<(), Refusal> {
    const MEMORY: &str = "filesystem.upper = \"memory\" (--upper memory), which holds as much as filesystem.upper-size or tmp says";
    const SIZE: &str = "filesystem.upper-size (--storage-opt size=SIZE)";
    const FREE: &str = "what is written to the root goes to the disk, until the end and without a limit";
    if sealed(steps) || !policy.enforcement.wants(Protection::Disk) {
        return Ok(());
    }
    let Some(found) = steps.iter().find_map(|p| written(&p.step)) else {
        return Ok(());
    };
    match (found, &policy.upper_size) {
        (Written::Copy, Some(size)) => {
            let words = format!("{FREE}: the root is a copy");
            let mend = "`sbx doctor overlay` says what mends it";
            super::lacking(Protection::Disk, &size.origin, (policy, ledger), &words, mend)
        }
        (Written::Copy, None) => ledger.lacks(
            Protection::Disk,
            &format!("{FREE}: the root is a copy"),
            "`sbx doctor overlay` says what mends it",
        ),
        (Written::Layer(..), None) => ledger.lacks(
            Protection::Disk,
            &format!("{FREE}: filesystem.upper = disk"),
            &format!("{SIZE}, which is watched; or {MEMORY}"),
        ),
        (Written::Layer(at, nameless), Some(size)) => {
            let behind = steps.iter().position(|p| matches!(p.step, Step::MapIds { .. }));
            let planned = Planned {
                step: Step::WatchDisk {
                    most: size.value,
                    at,
                    nameless,
                },
                reason: format!("filesystem.upper-size ({})", size.origin),
            };
            steps.insert(behind.map_or(0, |at| at + 1), planned);
            if policy.enforcement.level(Protection::Disk).value == Level::Require {
                let words = "what is written to the disk is watched, which a burst may pass for a moment, and not counted by the kernel";
                return ledger.lacks(Protection::Disk, words, MEMORY);
            }
            Ok(())
        }
    }
}
