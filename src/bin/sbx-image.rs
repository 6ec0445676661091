//! The worker: reads what strangers have made, in a sandbox that `sbx` makes for it.

use std::process::ExitCode;

fn main() -> ExitCode {
    sbx::image::worker::serve()
}
