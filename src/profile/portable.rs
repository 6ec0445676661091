//! Syntax of TOML 1.1 in a file that reads well here: readers of TOML 1.0, such as Python 3.11's tomllib and many editors, refuse it.

use std::ops::Range;
use toml_parser::decoder::Encoding;
use toml_parser::parser::{EventReceiver, parse_document};
use toml_parser::{ErrorSink, Source, Span};

/// Newer syntax, and what every reader takes in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewerSyntax {
    /// The bytes of the file.
    pub span: Range<usize>,
    /// What it is, and the portable form.
    pub words: &'static str,
}

/// All newer syntax of a text that is TOML 1.1, in its order.
#[must_use]
pub fn newer_syntax(text: &str) -> Vec<NewerSyntax> {
    let tokens: Vec<_> = Source::new(text).lex().collect();
    let mut finder = Finder {
        text,
        open: Vec::new(),
        found: Vec::new(),
    };
    parse_document(&tokens, &mut finder, &mut ());
    let mut found = finder.found;
    found.sort_by_key(|newer| newer.span.start);
    found
}

/// What a value is in.
enum Open {
    Array,
    /// An inline table: its last comma, if nothing follows it yet, and whether it is noted to be on several lines.
    Table(Option<Span>, bool),
}

struct Finder<'a> {
    text: &'a str,
    open: Vec<Open>,
    found: Vec<NewerSyntax>,
}

impl Finder<'_> {
    fn note(&mut self, span: Range<usize>, words: &'static str) {
        self.found.push(NewerSyntax { span, words });
    }

    fn text(&self, span: Span) -> &str {
        self.text.get(span.start()..span.end()).unwrap_or_default()
    }

    /// `\e` and `\xHH`, where a backslash is not itself escaped.
    fn escapes(&mut self, span: Span, encoding: Option<Encoding>) {
        if !matches!(encoding, Some(Encoding::BasicString | Encoding::MlBasicString)) {
            return;
        }
        let mut letters = self.text(span).char_indices();
        let mut newer = Vec::new();
        while let Some((at, letter)) = letters.next() {
            if letter != '\\' {
                continue;
            }
            match letters.next() {
                Some((_, 'e')) => newer.push((at..at + 2, "the escape \\e is of TOML 1.1: write \\u001b")),
                Some((_, 'x')) => newer.push((at..at + 4, "the escape \\xHH is of TOML 1.1: write \\u00HH")),
                _ => {}
            }
        }
        for (at, words) in newer {
            self.note(span.start() + at.start..span.start() + at.end, words);
        }
    }
}

/// `07:32`, alone or behind a date, with an offset or without.
fn is_time_without_seconds(bare: &str) -> bool {
    let time = bare.rsplit(['T', 't', ' ']).next().unwrap_or_default();
    let local = time.split(['Z', 'z', '+', '-']).next().unwrap_or_default();
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    local
        .split_once(':')
        .is_some_and(|(hour, minute)| digits(hour) && digits(minute))
}

impl EventReceiver for Finder<'_> {
    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open.push(Open::Table(None, false));
        true
    }

    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if let Some(Open::Table(Some(comma), _)) = self.open.pop() {
            let words = "a comma behind the last value of an inline table is of TOML 1.1: leave it out";
            self.note(comma.start()..comma.end(), words);
        }
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open.push(Open::Array);
        true
    }

    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.open.pop();
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        if let Some(Open::Table(comma, _)) = self.open.last_mut() {
            *comma = None;
        }
        self.escapes(span, encoding);
    }

    fn value_sep(&mut self, span: Span, _: &mut dyn ErrorSink) {
        if let Some(Open::Table(comma, _)) = self.open.last_mut() {
            *comma = Some(span);
        }
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.escapes(span, encoding);
        if encoding.is_none() && is_time_without_seconds(self.text(span)) {
            let words = "a time without seconds is of TOML 1.1: add :00";
            self.note(span.start()..span.end(), words);
        }
    }

    fn newline(&mut self, span: Span, _: &mut dyn ErrorSink) {
        if let Some(Open::Table(_, noted @ false)) = self.open.last_mut() {
            *noted = true;
            let words = "an inline table on several lines is of TOML 1.1: write it on one line, or as a table of its own";
            self.note(span.start()..span.end(), words);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_need_seconds() {
        for (text, newer) in [
            ("07:32", true),
            ("1979-05-27T07:32", true),
            ("1979-05-27 07:32Z", true),
            ("1979-05-27T07:32-07:00", true),
            ("07:32:00", false),
            ("1979-05-27T07:32:00-07:00", false),
            ("1979-05-27", false),
            ("1e5", false),
            ("true", false),
        ] {
            let found = newer_syntax(&format!("a = {text}\n"));
            assert_eq!(!found.is_empty(), newer, "{text}: {found:?}");
        }
    }

    #[test]
    fn lines_within_an_array_of_an_inline_table_are_old() {
        assert_eq!(newer_syntax("a = { b = [\n 1,\n 2,\n], c = 1 }\n"), []);
        let words: Vec<&str> = newer_syntax("a = { b = [\n 1,\n],\n }\n")
            .iter()
            .map(|n| n.words)
            .collect();
        assert_eq!(words.len(), 2, "{words:?}");
    }
}
