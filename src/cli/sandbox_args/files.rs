//! What is mounted, and what can be written.

use super::{parsed, word, wrong};
use crate::cli::mount_args::Mounts;
use crate::cli::report::Report;
use crate::model::{Bytes, InRoot, Origin, Set};
use crate::policy::Flags;
use crate::profile::schema::{Device, Profile, RootMode};
use crate::sys::named::Planted;
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Flags about files.
#[derive(Debug, Clone, Default, Args)]
pub struct FileArgs {
    /// Bind-mount SRC:DST, mount volume NAME:DST, or DST for an anonymous volume; add :ro or :rw
    #[arg(short, long, value_name = "SRC:DST[:ro]", help_heading = "Files")]
    pub volume: Vec<OsString>,
    /// Mount in key=value form: type=bind|volume|tmpfs,source=SRC,target=DST[,readonly]
    #[arg(long, value_name = "KEY=VALUE,…", help_heading = "Files")]
    pub mount: Vec<String>,
    /// Mount a tmpfs: DST[:size=64M,nr_inodes=16k,mode=1777,exec]
    #[arg(long, value_name = "DST[:OPTIONS]", help_heading = "Files")]
    pub tmpfs: Vec<String>,
    /// Device node of the host: /dev/NAME[:DST]
    #[arg(long, value_name = "DEVICE", help_heading = "Files")]
    pub device: Vec<String>,
    /// Size of /dev/shm, e.g. 64m
    #[arg(long, value_name = "SIZE", help_heading = "Files")]
    pub shm_size: Option<String>,
    /// Mount the root filesystem read-only
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Files")]
    pub read_only: Option<bool>,
    /// Where writes to the root filesystem are kept during the run: memory (size filesystem.tmp) or disk (unlimited without --storage-opt)
    #[arg(long, value_name = "PLACE", help_heading = "Files")]
    pub upper: Option<String>,
    /// size=SIZE: limit on writes to the root; on disk it is enforced by polling, and exceeding it kills the sandbox
    #[arg(long, value_name = "OPTION", help_heading = "Files")]
    pub storage_opt: Vec<String>,
    /// Fallback when overlayfs is unavailable: copy, or fuse (fuse-overlayfs, else copy)
    #[arg(long, value_name = "WHAT", help_heading = "Files")]
    pub without_overlay: Option<String>,
    /// How the working directory is mounted: none, read-only, overlay, writable
    #[arg(long, value_name = "MODE", help_heading = "Files")]
    pub workspace: Option<String>,
    /// Directory inside the sandbox to start in
    #[arg(short = 'w', long, value_name = "DIR", help_heading = "Files")]
    pub workdir: Option<PathBuf>,
}

impl FileArgs {
    /// What `-v`, `--mount` and `--tmpfs` ask for.
    ///
    /// # Errors
    /// For flags that cannot be understood.
    pub fn mounts(&self) -> Result<Mounts, Report> {
        Mounts::read(&self.volume, &self.mount, &self.tmpfs)
    }

    /// The directories in which a sandbox of these flags may have written.
    #[must_use]
    pub fn planted(&self) -> Planted {
        let mut planted = Planted::workdir();
        // Flags that cannot be understood are reported when they are needed.
        for bind in self.mounts().unwrap_or_default().binds {
            planted.add(Path::new(&bind.value.source));
        }
        planted
    }

    pub(super) fn profile(&self, p: &mut Profile) -> Result<(), Report> {
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
        for text in &self.storage_opt {
            let why = "write size=SIZE, for example size=10G";
            let size = text
                .strip_prefix("size=")
                .and_then(|size| size.parse::<Bytes>().ok());
            let size = size
                .filter(|size| size.0 > 0)
                .ok_or_else(|| wrong("--storage-opt", text, why))?;
            let origin = Origin::flag(format!("--storage-opt {text}"));
            p.filesystem.upper_size = Some(Set::new(size, origin));
        }
        if let Some(what) = &self.without_overlay {
            p.filesystem.without_overlay = Some(word("--without-overlay", what)?);
        }
        if let Some(mode) = &self.workspace {
            p.filesystem.workdir = Some(word("--workspace", mode)?);
        }
        Ok(())
    }

    pub(super) fn flags(&self, flags: &mut Flags) -> Result<(), Report> {
        let Some(text) = &self.shm_size else { return Ok(()) };
        let size = parsed::<Bytes>("--shm-size", text)?;
        if size.value.0 == 0 {
            let why = "0 would mean without limit: write a size";
            return Err(wrong("--shm-size", text, why));
        }
        flags.shm = Some(size);
        Ok(())
    }
}
