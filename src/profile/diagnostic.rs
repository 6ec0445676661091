//! What is wrong with a profile, where, and what would be right.

use crate::model::Origin;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;
use std::sync::Arc;

/// The text of one profile, and how to name places in it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The path as the user would write it, or the name of a built-in profile.
    pub name: Arc<str>,
    /// Whether it is part of the binary.
    pub built_in: bool,
    /// The whole text.
    pub text: Arc<str>,
    lines: Arc<[usize]>,
}

/// One fault of a profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rendered}")]
pub struct Error {
    /// The file, for programs.
    pub path: String,
    /// Counted from 1; 0 when the file could not be read at all.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub help: Option<String>,
    rendered: String,
}

impl Source {
    /// Takes a text.
    #[must_use]
    pub fn new(name: &str, built_in: bool, text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        Self {
            name: name.into(),
            built_in,
            text: text.into(),
            lines: starts.collect(),
        }
    }

    /// Line and column of a byte, both counted from 1.
    #[must_use]
    pub fn position(&self, at: usize) -> (u32, u32) {
        let line = self.lines.partition_point(|start| *start <= at).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let column = self
            .text
            .get(start..at)
            .map_or(0, |before| before.chars().count())
            + 1;
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        (number(line), number(column))
    }

    /// The origin of a value at these bytes.
    #[must_use]
    pub fn origin(&self, span: &Range<usize>) -> Origin {
        let (line, column) = self.position(span.start);
        if self.built_in {
            Origin::BuiltIn {
                profile: Arc::clone(&self.name),
                line,
            }
        } else {
            Origin::File {
                path: Arc::clone(&self.name),
                line,
                column,
            }
        }
    }

    /// A fault at these bytes.
    #[must_use]
    pub fn fault(&self, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> Error {
        let message = message.into();
        let (line, column) = self.position(span.start);
        let rendered = self.render(span, &message, help.as_deref());
        Error {
            path: self.name.to_string(),
            line,
            column,
            message,
            help,
            rendered,
        }
    }

    fn render(&self, span: Range<usize>, message: &str, help: Option<&str>) -> String {
        // Control characters of a hostile file must not reach the terminal; each becomes one character, so spans still fit by column.
        let clean: String = self
            .text
            .chars()
            .map(|c| match c {
                '\t' => ' ',
                c if c.is_control() && c != '\n' => '?',
                c => c,
            })
            .collect();
        let text = if clean.len() == self.text.len() {
            clean.as_str()
        } else {
            &self.text
        };
        let text = if text.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
            ""
        } else {
            text
        };
        let end = span.end.max(span.start).min(text.len());
        let span = span.start.min(end)..end;
        let path = self.name.escape_debug().to_string();
        let label = help.unwrap_or_default();
        let snippet = Snippet::source(text)
            .path(path.as_str())
            .annotation(AnnotationKind::Primary.span(span).label(label));
        let report = &[Level::ERROR.primary_title(message).element(snippet)];
        Renderer::plain().render(report)
    }
}

impl Error {
    /// A fault of a file as a whole.
    #[must_use]
    pub fn whole(path: &str, message: impl Into<String>, help: Option<String>) -> Self {
        let message = message.into();
        let path = path.escape_debug().to_string();
        let rendered = match &help {
            Some(help) => format!("profile {path}: {message}; {help}"),
            None => format!("profile {path}: {message}"),
        };
        Self {
            path,
            line: 0,
            column: 0,
            message,
            help,
            rendered,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let source = Source::new("x", false, "a = 1\nä = \"ö\" x\n");
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(6), (2, 1));
        assert_eq!(source.position("a = 1\nä = ".len()), (2, 5));
    }

    #[test]
    fn a_hostile_text_reaches_no_terminal() {
        let source = Source::new("evil\u{1b}]0;x", false, "a = \"\u{1b}[31m\"\n");
        let shown = source.fault(4..9, "bad", None).to_string();
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
