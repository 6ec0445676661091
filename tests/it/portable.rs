//! Syntax that not every reader of TOML takes is noted, and the file still read.

use crate::util::{Dir, Out, Sbx};
use std::process::{Command, Stdio};

/// Line, column and some of the words.
type Notes = &'static [(u32, u32, &'static str)];

/// A page, and the notes on it without their words: line and column.
const PAGES: &[(&str, Notes)] = &[
    (
        "description = \"plain\"\n[environment]\nset = { A = \"1\", B = \"\\u001b\" }\n",
        &[],
    ),
    (
        "[environment]\nset = { A = \"1\",\n  B = \"2\" }\n",
        &[(2, 17, "on several lines")],
    ),
    (
        "[environment]\nset = { # why\n  A = \"1\",\n}\n",
        &[
            (2, 14, "on several lines"),
            (3, 10, "comma behind the last value"),
        ],
    ),
    (
        "[environment]\nset = { A = \"1\", }\n",
        &[(2, 16, "comma behind the last value")],
    ),
    (
        "description = \"\\e[1m \\\\e \\x41\"\n",
        &[(1, 16, "\\u001b"), (1, 26, "\\u00HH")],
    ),
    (
        "description = '\\e \\x41'\n[environment]\npass = [\n  \"A\", # why\n  \"B\",\n]\n",
        &[],
    ),
    (
        "[filesystem]\ntmpfs = [\n  { target = \"/t\", size = \"1M\" },\n  { target = \"/u\",\n    size = \"1M\" },\n]\n",
        &[(4, 19, "on several lines")],
    ),
];

/// Whether tomllib of Python reads each page.
fn python(pages: &[&str]) -> Vec<bool> {
    let script = "import sys, tomllib\n\
                  for page in sys.argv[1:]:\n    \
                  try: tomllib.loads(page); print(1)\n    \
                  except tomllib.TOMLDecodeError: print(0)";
    let mut command = Command::new("python3");
    command.args(["-c", script]).args(pages).stdin(Stdio::null());
    let out: Out = command.output().expect("python3").into();
    out.ok().lines().map(|line| line == "1").collect()
}

#[test]
fn syntax_that_older_readers_refuse_is_noted() {
    let dir = Dir::new();
    for (page, notes) in PAGES {
        let file = dir.write("page.toml", page).display().to_string();
        let out = Sbx::new(["profile", "check", &file]).out();
        out.code(0).says(&format!("{file}: fine"));
        assert_eq!(
            out.stderr().matches(": note: ").count(),
            notes.len(),
            "{page}\n{}",
            out.stderr()
        );
        for (line, column, words) in *notes {
            let said = out.stderr();
            let place = format!("{file}:{line}:{column}: note: ");
            let found = said.lines().find(|said| said.starts_with(&place));
            assert!(
                found.is_some_and(|said| said.contains(words)),
                "{place}{words}\n{said}"
            );
        }
    }
    let pages: Vec<&str> = PAGES.iter().map(|(page, _)| *page).collect();
    let portable: Vec<bool> = PAGES.iter().map(|(_, notes)| notes.is_empty()).collect();
    assert_eq!(python(&pages), portable);
}
