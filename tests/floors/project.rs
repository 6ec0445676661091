//! The files of the project: how long they may grow and what may be written in none.

use crate::source::{Source, sources, word};
use crate::{Findings, finding, none};
use std::path::Path;
use std::process::Command;

/// What tells about where the project was made and by whom, in two halves each: this file is searched too.
const FOREIGN: [(&str, &str); 10] = [
    ("/wo", "rk/"),
    ("/ro", "ot/."),
    ("co-auth", "ored-by"),
    ("cla", "ude"),
    ("anth", "ropic"),
    ("chat", "gpt"),
    ("as an a", "i "),
    ("this is", "sue"),
    ("see is", "sue"),
    ("is", "sue #"),
];

fn length(path: &str, text: &str) -> Findings {
    let c = Path::new(path).extension().is_some_and(|e| e == "c");
    let limit = match path.split('/').next() {
        Some("src" | "tests") => 500,
        Some("scripts") if c => 120,
        Some("scripts" | ".ci") => 50,
        _ => return Vec::new(),
    };
    let lines = text.lines().count();
    let path = format!("{path}:{lines}: longer than {limit} lines");
    if lines > limit { vec![path] } else { Vec::new() }
}

fn foreign(path: &str, text: &str) -> Findings {
    let lower = text.to_lowercase();
    let mut found = Vec::new();
    for (a, b) in FOREIGN {
        let needle = format!("{a}{b}");
        for (at, _) in lower.match_indices(&needle) {
            // `~/…/` and `a/…/` are no absolute paths.
            let before = at.checked_sub(1).map_or(b' ', |i| lower.as_bytes()[i]);
            // A host whose user is root is one of those that plans are made for.
            let synthetic = a == "/ro" && path.ends_with(".snap");
            if !word(before) && !b"~.-".contains(&before) && !synthetic {
                found.push(finding(path, &lower, at, &format!("`{needle}`")));
            }
        }
    }
    found
}

pub(crate) fn project() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = Command::new("git")
        .args([
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()
        .expect("git");
    assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    let names = String::from_utf8(git.stdout).expect("names are UTF-8");
    let read = |name: &str| Some((name.to_owned(), std::fs::read_to_string(root.join(name)).ok()?));
    let files: Vec<_> = names.split('\0').filter_map(read).collect();
    assert!(files.iter().any(|(path, _)| path == "src/lib.rs"), "{names}");
    files
}

pub(crate) fn rust() -> Vec<Source> {
    let files: Vec<_> = project()
        .into_iter()
        .filter(|(p, _)| p.starts_with("src/") && p.ends_with(".rs"))
        .collect();
    sources(&files)
}

#[test]
fn files_stay_short() {
    for (path, limit) in [
        ("src/a.rs", 500),
        ("scripts/test", 50),
        ("scripts/a.c", 120),
        (".ci/run", 50),
    ] {
        none(length(path, &"\n".repeat(limit)));
        assert_eq!(length(path, &"\n".repeat(limit + 1)).len(), 1, "{path}");
    }
    none(
        project()
            .iter()
            .flat_map(|(path, text)| length(path, text))
            .collect(),
    );
    let longest = rust().iter().map(|s| s.text.lines().count()).max();
    assert!(longest > Some(100), "the sources were read");
}

#[test]
fn nothing_tells_where_the_project_was_made() {
    for (a, b) in FOREIGN {
        assert_eq!(foreign("a.md", &format!("at {a}{b}")).len(), 1, "{a}{b}");
    }
    none(foreign(
        "a.md",
        &["see ~", FOREIGN[0].0, FOREIGN[0].1, " and tis", "sue #"].concat(),
    ));
    none(
        project()
            .iter()
            .flat_map(|(path, text)| foreign(path, text))
            .collect(),
    );
}
