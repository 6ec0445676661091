//! How far a pull is: a line for each layer that is redrawn on a terminal, a line for each when it is done in a pipe.

use crate::cli::out;
use crate::cli::table::size;
use crate::image::job::{Progress, Stage};
use crate::model::Digest;

/// What has been shown.
#[derive(Debug)]
pub(in crate::cli) struct Shown {
    quiet: bool,
    terminal: bool,
    lines: Vec<(Digest, Progress)>,
    /// How many lines stand on the terminal, to be drawn over.
    drawn: usize,
    /// What a load has brought.
    loaded: Vec<(Digest, Vec<String>)>,
}

impl Shown {
    pub(in crate::cli) fn new(quiet: bool) -> Self {
        Self {
            quiet,
            terminal: out::on_terminal(),
            lines: Vec::new(),
            drawn: 0,
            loaded: Vec::new(),
        }
    }

    pub(in crate::cli) fn loaded(&mut self, manifest: Digest, names: Vec<String>) {
        self.loaded.push((manifest, names));
    }

    /// The images that a load has brought.
    pub(in crate::cli) fn into_loaded(self) -> Vec<(Digest, Vec<String>)> {
        self.loaded
    }

    pub(in crate::cli) fn note(&mut self, text: &str) {
        if !self.quiet {
            out::words(format_args!("sbx: {}", out::escaped(text)));
            self.drawn = 0;
        }
    }

    pub(in crate::cli) fn progress(&mut self, progress: &Progress) {
        if self.quiet {
            return;
        }
        let new = match self.lines.iter_mut().find(|(blob, _)| *blob == progress.blob) {
            Some((_, old)) => {
                let changed = old.stage != progress.stage;
                *old = progress.clone();
                changed
            }
            None => {
                self.lines.push((progress.blob, progress.clone()));
                true
            }
        };
        if self.terminal {
            self.draw();
        } else if new && matches!(progress.stage, Stage::Complete) {
            out::words(line(progress));
        }
    }

    fn draw(&mut self) {
        let lines: Vec<String> = self.lines.iter().map(|(_, progress)| line(progress)).collect();
        out::redraw(self.drawn, &lines);
        self.drawn = lines.len();
    }
}

fn line(p: &Progress) -> String {
    let word = match p.stage {
        Stage::Present => "already there",
        Stage::Transfer => "downloading",
        Stage::Send => "uploading",
        Stage::Unpack => "unpacking",
        Stage::Copy => "copying",
        Stage::Complete => "complete",
    };
    let share = (p.bytes.min(p.total) * 100).checked_div(p.total).unwrap_or(100);
    let size = size(p.total);
    match p.stage {
        Stage::Transfer | Stage::Send | Stage::Unpack | Stage::Copy => {
            format!("{}: {word} {share:>3}% of {size}", p.blob.short())
        }
        Stage::Present | Stage::Complete => format!("{}: {word}, {size}", p.blob.short()),
    }
}
