//! Copies of images, for runs on hosts where the kernel refuses overlay.

use super::talk::Talk;
use crate::image::copy::{self, Keep};
use crate::image::descriptor::Descriptor;
use crate::image::job::{Copy, Stage};
use crate::image::owner::Ownership;
use crate::image::store::Store;
use crate::sys::Errno;
use std::os::fd::{AsFd, OwnedFd};

/// Makes the directory and fills it. What is made stays when something fails: whoever asked removes it.
pub(super) fn copy(store: &Store, job: &Copy, talk: &Talk) -> Result<(), String> {
    let layers = job.layers.iter().map(|id| store.layer_folder(&job.kind, id));
    let layers: Vec<OwnedFd> = layers.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
    let into = store
        .copy_folder(&job.kind, &job.name)
        .map_err(|e| e.to_string())?;
    let mut size = 0;
    for id in &job.layers {
        let layer = store.layer_size(&job.kind, id).map_err(|e| e.to_string())?;
        size += layer.map_or(0, |layer| layer.bytes);
    }
    // Some of it is hidden by higher layers: it is not copied, and the end comes early.
    let shown = Descriptor::new("", job.image, size);
    let keep = Keep {
        owners: job.kind.ownership() == Ownership::Mapped,
        set_ids: true,
    };
    let tick = talk.ticker(&shown, Stage::Copy);
    let copied = copy::copy(&layers, into.as_fd(), keep, &mut |bytes| tick(bytes));
    let copied = copied.map_err(|e| format!("the image cannot be copied: {e}{}", hint(e.errno)))?;
    let done = Descriptor::new("", job.image, copied.bytes);
    talk.stage(&done, Stage::Complete, copied.bytes);
    Ok(())
}

fn hint(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOSPC | Errno::EDQUOT => {
            " (a copy takes as much space as the image; XDG_DATA_HOME moves the store)"
        }
        _ => "",
    }
}
