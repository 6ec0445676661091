//! Which image, and when its registry is asked.

use crate::cli::images::pull::When;
use clap::Args;

/// Flags about the image.
#[derive(Debug, Clone, Default, Args)]
pub struct ImageArgs {
    /// When to pull the image
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value = "missing",
        help_heading = "Image"
    )]
    pub pull: When,
    /// Platform of a multi-platform image: OS/ARCH[/VARIANT] [default: this machine]
    #[arg(long, value_name = "PLATFORM", help_heading = "Image")]
    pub platform: Option<String>,
    /// Limit on what is read of an image, as for `pull`: NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE", help_heading = "Image")]
    pub image_limit: Vec<String>,
}
