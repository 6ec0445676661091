//! Help pages, rendered as terminals of several widths show them.

use super::Cli;
use clap::{Command, CommandFactory};

/// Every page by its name: `sbx`, `sbx run`, `sbx volume create`.
fn pages() -> Vec<(String, Command)> {
    let mut all = Cli::command();
    all.build();
    let mut waiting = vec![("sbx".to_owned(), all)];
    let mut found = Vec::new();
    while let Some((name, page)) = waiting.pop() {
        let below = page
            .get_subcommands()
            .map(|sub| (format!("{name} {}", sub.get_name()), sub.clone()));
        waiting.extend(below);
        found.push((name, page));
    }
    found
}

/// The examples of a page: lines that are not to be broken.
fn examples(page: &Command) -> Vec<String> {
    let text = page.get_after_help().map(ToString::to_string).unwrap_or_default();
    let block = text.lines().skip_while(|line| *line != "Examples:").skip(1);
    let block = block.take_while(|line| !line.is_empty());
    block
        .filter(|line| !line.starts_with("   "))
        .map(str::to_owned)
        .collect()
}

fn each(check: impl Fn(&str, &Command, usize, &str)) {
    for (name, page) in pages() {
        for width in [60, 80, 100, 200] {
            let mut page = page.clone().term_width(width);
            for help in [page.render_help(), page.render_long_help()] {
                check(&format!("{name} at {width}"), &page, width, &help.to_string());
            }
        }
    }
}

#[test]
fn examples_are_not_broken() {
    each(|name, page, _, text| {
        for example in examples(page) {
            assert!(
                text.lines().any(|line| line == example),
                "{name}: {example}\n{text}"
            );
        }
    });
    assert!(
        pages()
            .iter()
            .map(|(_, page)| examples(page).len())
            .sum::<usize>()
            > 50
    );
}

#[test]
fn lines_fit_the_terminal() {
    each(|name, _, width, text| {
        for line in text.lines().filter(|line| line.chars().count() > width) {
            // What cannot be broken.
            assert!(!line.trim().contains(' '), "{name}: {line}");
        }
    });
}

/// Whether a line ends early although the first word of the next one would fit: the sign of text that was wrapped twice.
fn is_ragged(line: &str, next: &str, width: usize) -> bool {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let word = next.split_whitespace().next().unwrap_or_default();
    let paragraph = !line.trim().is_empty() && indent(line) == indent(next);
    paragraph && line.chars().count() + 1 + word.chars().count() <= width
}

#[test]
fn paragraphs_are_wrapped_once() {
    each(|name, page, width, text| {
        let examples = examples(page);
        let item = |line: &&str| {
            let start = line.trim_start();
            let verb = page
                .get_subcommands()
                .any(|sub| start.starts_with(sub.get_name()));
            start.is_empty()
                || start.starts_with(['-', '[', '<'])
                || verb
                || examples.iter().any(|e| e == line)
        };
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.windows(2) {
            let [line, next] = [pair[0], pair[1]];
            let prose = !item(&next) && !examples.iter().any(|e| e == line);
            assert!(
                !(prose && is_ragged(line, next, width)),
                "{name}:\n{line}\n{next}\n\n{text}"
            );
        }
    });
    assert!(is_ragged("short", "line", 60));
    assert!(!is_ragged(&"long".repeat(15), "line", 60));
}
