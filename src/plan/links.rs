//! Symbolic links that the plan itself makes: a path through one is written as where it leads, before anything is mounted on it.

use super::step::{Planned, Step};
use crate::model::InRoot;
use std::path::{Component, Path, PathBuf};

/// How many links are followed (as the kernel does, path_resolution(7)).
const DEEPEST: usize = 40;

/// Where a path leads once the links among the steps are there. Links in mounts of the host are the host's to follow.
pub(super) fn follow(steps: &[Planned], asked: &InRoot) -> InRoot {
    let mut at = asked.clone();
    for _ in 0..DEEPEST {
        match steps.iter().find_map(|p| through(&p.step, &at)) {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

/// What the path becomes when this step's link lies on its way.
fn through(step: &Step, at: &InRoot) -> Option<InRoot> {
    let Step::Link(link, target) = step else {
        return None;
    };
    if !at.is_beneath(link) {
        return None;
    }
    let rest = at.as_path().strip_prefix(link.as_path()).ok()?;
    let base = link.parent().unwrap_or_else(InRoot::root);
    InRoot::new(normal(&base.as_path().join(target).join(rest))).ok()
}

fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::Normal(name) => out.push(name),
            _ => {}
        }
    }
    out
}
