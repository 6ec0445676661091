//! Which image, and when its registry is asked.

use crate::cli::images::pull::When;
use clap::Args;

/// Flags about the image.
#[derive(Debug, Clone, Default, Args)]
pub struct ImageArgs {
    /// When an image is asked for at its registry; missing when not given
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "missing",
        hide_default_value = true,
        help_heading = "Image"
    )]
    pub pull: When,
    /// Which image of a multi-platform one: OS/ARCH[/VARIANT]; this machine's when not given
    #[arg(long, value_name = "PLATFORM", help_heading = "Image")]
    pub platform: Option<String>,
    /// Raise or lower how much of an image is read, as for `pull`: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Image")]
    pub image_limit: Vec<String>,
}
