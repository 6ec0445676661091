//! What README and SECURITY name exists: each test, each verb, each flag; and no file of attacks is left out.

use crate::project::project;
use crate::source::{end_of_item, sources, words};
use crate::{Findings, finding, none};
use std::collections::BTreeSet;

const DOCUMENTS: [&str; 2] = ["README.md", "SECURITY.md"];

/// Where attacks lie, and other words of strangers.
const ATTACKS: [&str; 9] = [
    "tests/it/archives/hostile.rs",
    "tests/it/escape/",
    "tests/it/fallback.rs",
    "tests/it/image/documents.rs",
    "tests/it/image/layers.rs",
    "tests/it/image/nonsense.rs",
    "tests/it/image/roots.rs",
    "tests/it/image/worker.rs",
    "tests/it/volumes/named.rs",
];

/// What stands between backticks, and lines that are indented by four, each with its place.
fn fragments(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(code) = line.strip_prefix("    ") {
            found.push((at + 4, code.trim_end()));
        } else {
            let mut from = at;
            for (i, piece) in line.split('`').enumerate() {
                if i % 2 == 1 {
                    found.push((from, piece));
                }
                from += piece.len() + 1;
            }
        }
        at += line.len();
    }
    found
}

/// `tests/it/escape/files.rs` is `escape::files`, `src/plan/mod.rs` is `plan`.
fn module(path: &str) -> Option<String> {
    let inner = path
        .strip_prefix("tests/it/")
        .or_else(|| path.strip_prefix("src/"))?;
    let inner = inner.strip_suffix(".rs")?;
    Some(inner.trim_end_matches("/mod").replace('/', "::"))
}

/// Every test that is run: one that is ignored shows nothing.
fn tests(files: &[(String, String)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for source in sources(files) {
        let Some(module) = module(&source.path) else {
            continue;
        };
        for at in words(&source.code, "#[test]") {
            let item = &source.code[at..end_of_item(&source.code, at)];
            let Some(start) = words(item, "fn").next() else {
                continue;
            };
            let ignored = words(&item[..start], "ignore").next().is_some();
            let name = item[start + 2..].split(['(', '<']).next().map(str::trim);
            if let (Some(name), false) = (name, ignored) {
                found.insert(format!("{module}::{name}"));
            }
        }
    }
    found
}

fn is_path(text: &str) -> bool {
    let part = |p: &str| !p.is_empty() && p.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    text.contains("::") && text.split("::").all(part)
}

/// Names of tests that are none.
fn unknown_tests(path: &str, text: &str, tests: &BTreeSet<String>) -> Findings {
    let names = fragments(text).into_iter().filter(|(_, name)| is_path(name));
    names
        .filter(|(_, name)| !tests.contains(*name))
        .map(|(at, name)| finding(path, text, at, &format!("`{name}` is no test that is run")))
        .collect()
}

/// Files of attacks that a text does not name a test of.
fn unnamed_files(path: &str, text: &str, files: &[(String, String)]) -> Findings {
    let named: Vec<_> = fragments(text).into_iter().map(|(_, name)| name).collect();
    let attacks = files
        .iter()
        .filter(|(file, _)| ATTACKS.iter().any(|place| file.starts_with(place)));
    attacks
        .filter(|(file, text)| file.ends_with(".rs") && text.contains("#[test]"))
        .filter_map(|(file, _)| Some((file, format!("{}::", module(file)?))))
        .filter(|(_, module)| !named.iter().any(|name| name.starts_with(module.as_str())))
        .map(|(file, _)| format!("{path}: no test of {file} is named"))
        .collect()
}

/// Rows of tables of threats whose last cell names no test.
fn rows_without_a_test(path: &str, text: &str) -> Findings {
    let (mut found, mut at, mut threats) = (Vec::new(), 0, false);
    for line in text.split_inclusive('\n') {
        threats = line.starts_with('|') && (threats || line.starts_with("| threat | layers | test |"));
        let cells = line.trim_end().trim_end_matches('|').rsplit('|').next();
        let bare = cells.is_some_and(|last| !fragments(last).iter().any(|(_, name)| is_path(name)));
        if threats && bare && !line.starts_with("| threat |") && !line.starts_with("|---") {
            found.push(finding(path, text, at, "a threat without a test"));
        }
        at += line.len();
    }
    found
}

/// `SecurityOpt` and `security_opt` as they are typed.
fn kebab(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.push(if c == '_' { '-' } else { c.to_ascii_lowercase() });
    }
    out
}

/// The variants of an enum of verbs.
fn verbs(files: &[(String, String)], path: &str, name: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let file: Vec<_> = files.iter().filter(|(p, _)| p == path).cloned().collect();
    for source in sources(&file) {
        let Some(at) = words(&source.code, &format!("enum {name}")).next() else {
            continue;
        };
        let lines = source.code[at..end_of_item(&source.code, at)].lines();
        let variant = |line: &str| {
            let name = line.strip_prefix("    ")?.split(['(', ' ', ',']).next()?;
            name.starts_with(|c: char| c.is_ascii_uppercase())
                .then(|| kebab(name))
        };
        found.extend(lines.filter_map(variant));
    }
    found
}

/// The long flags that one file of clap types defines.
fn flags_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::from(["help".to_owned(), "version".to_owned()]);
    for (at, _) in text.match_indices("#[arg(") {
        let Some(end) = text[at..].find(")]\n").map(|i| at + i) else {
            continue;
        };
        let attribute = &text[at + "#[arg(".len()..end];
        if words(attribute, "long").next().is_none() {
            continue;
        }
        let field = text[end + 2..].trim_start().trim_start_matches("pub ");
        found.extend(field.split(':').next().map(kebab));
        let aliases = attribute.split("alias = \"").skip(1);
        found.extend(aliases.filter_map(|a| a.split('"').next()).map(str::to_owned));
    }
    found
}

/// The long flags of a verb, or of all of them.
fn flags(files: &[(String, String)], verb: Option<&str>) -> BTreeSet<String> {
    let shared = "src/cli/sandbox_args/";
    let own = verb.map(|verb| format!("src/cli/{verb}.rs"));
    let text = |path: &str| {
        files
            .iter()
            .find(|(p, _)| p == path)
            .map_or("", |(_, t)| t.as_str())
    };
    // Verbs on images share some of theirs.
    let with_images = own.as_ref().is_some_and(|own| text(own).is_empty());
    let takes_shared = own.as_ref().is_some_and(|own| text(own).contains("SandboxArgs"));
    let of_verb = |path: &str| {
        own.as_ref().is_none_or(|own| path == own)
            || (takes_shared && path.starts_with(shared))
            || (with_images && path.starts_with("src/cli/images/"))
    };
    let all = files
        .iter()
        .filter(|(p, _)| p.starts_with("src/cli/") && of_verb(p));
    all.flat_map(|(_, text)| flags_of(text)).collect()
}

/// The arguments of each call of sbx in a line of a shell, as far as they are sbx's own: up to `--`.
fn calls(line: &str) -> Vec<Vec<&str>> {
    let mut found = Vec::new();
    for command in line.split(['|', ';', '&', '(', ')']) {
        let mut rest = command.split_whitespace();
        let sbx = match rest.next() {
            Some("cargo") => command.contains("cargo run") && rest.any(|w| w == "--"),
            Some(program) => program == "sbx" || program.ends_with("/sbx"),
            None => false,
        };
        if sbx {
            found.push(rest.take_while(|w| *w != "--").collect());
        }
    }
    found
}

fn long(word: &str) -> Option<&str> {
    word.strip_prefix("--")?
        .split('=')
        .next()
        .filter(|f| !f.is_empty())
}

/// Verbs and flags of sbx that are none.
fn unknown_words(path: &str, text: &str, files: &[(String, String)]) -> Findings {
    let top = verbs(files, "src/cli/mod.rs", "Verb");
    let below = verbs(files, "src/cli/profile.rs", "ProfileVerb");
    let all = flags(files, None);
    let mut found = Vec::new();
    for (at, code) in fragments(text) {
        let mut wrong = |what: String| found.push(finding(path, text, at, &what));
        if let Some(flag) = code
            .split_whitespace()
            .next()
            .and_then(long)
            .filter(|f| !all.contains(*f))
        {
            wrong(format!("no verb has --{flag}"));
        }
        for call in calls(code) {
            let verb = call
                .first()
                .copied()
                .filter(|w| w.bytes().all(|b| b.is_ascii_lowercase()));
            if let Some(verb) = verb.filter(|v| !top.contains(*v)) {
                wrong(format!("there is no `sbx {verb}`"));
            }
            let second = call.get(1).filter(|_| verb == Some("profile"));
            if let Some(second) = second.filter(|s| !below.contains(**s)) {
                wrong(format!("there is no `sbx profile {second}`"));
            }
            let known = flags(files, verb);
            for flag in call
                .iter()
                .filter_map(|w| long(w))
                .filter(|f| !known.contains(*f))
            {
                wrong(format!("`sbx {}` has no --{flag}", verb.unwrap_or_default()));
            }
        }
    }
    found
}

fn document(files: &[(String, String)], name: &str) -> String {
    let found = files.iter().find(|(path, _)| path == name);
    found.map(|(_, text)| text.clone()).expect(name)
}

#[test]
fn every_test_that_the_documents_name_is_run() {
    let sample = [(
        "tests/it/escape/a.rs".to_owned(),
        "#[test]\nfn runs() { f(); }\n#[test]\n#[ignore = \"slow\"]\nfn waits() {}\nfn helps() {}".to_owned(),
    )];
    let known = tests(&sample);
    none(unknown_tests("S.md", "| `escape::a::runs` |", &known));
    for name in [
        "escape::a::waits",
        "escape::a::helps",
        "escape::b::runs",
        "a::runs",
    ] {
        let text = format!("one\n| x | `escape::a::runs`, `{name}` |");
        let expected = format!("S.md:2: `{name}` is no test that is run");
        assert_eq!(unknown_tests("S.md", &text, &known), [expected]);
    }
    let files = project();
    let known = tests(&files);
    for name in DOCUMENTS {
        none(unknown_tests(name, &document(&files, name), &known));
    }
}

#[test]
fn every_threat_has_a_test() {
    let table = "| threat | layers | test |\n|---|---|---|\n| a | b | `c::d` |\n";
    none(rows_without_a_test("S.md", &format!("{table}\n| e | f | g |\n")));
    for row in ["| a | `c::d` | none |", "| a | b | |", "| a | b | `cd` |"] {
        let expected = "S.md:4: a threat without a test";
        assert_eq!(
            rows_without_a_test("S.md", &format!("{table}{row}\n")),
            [expected]
        );
    }
    let text = document(&project(), "SECURITY.md");
    assert!(text.matches("| threat | layers | test |").count() > 10);
    none(rows_without_a_test("SECURITY.md", &text));
}

#[test]
fn security_names_a_test_of_every_file_of_attacks() {
    let sample = [(
        "tests/it/escape/a.rs".to_owned(),
        "#[test]\nfn runs() {}".to_owned(),
    )];
    none(unnamed_files("S.md", "`escape::a::runs`", &sample));
    for text in ["escape::a::runs", "`escape::ab::runs`"] {
        let expected = "S.md: no test of tests/it/escape/a.rs is named";
        assert_eq!(unnamed_files("S.md", text, &sample), [expected]);
    }
    let files = project();
    none(unnamed_files(
        "SECURITY.md",
        &document(&files, "SECURITY.md"),
        &files,
    ));
    let count = fragments(&document(&files, "SECURITY.md"))
        .into_iter()
        .filter(|(_, name)| name.starts_with("escape::"))
        .count();
    assert!(count > 100, "{count}");
}

#[test]
fn verbs_and_flags_that_the_documents_name_exist() {
    let files = project();
    for (fine, text) in [
        (true, "`sbx run --profile strict host -- make --no-such`"),
        (true, "    a && cargo run --release -- run --net host -- id"),
        (true, "    sbx profile show ci --resolved"),
        (true, "sbx knows, --no-such, `bwrap --no-such` and `x`"),
        (false, "`sbx runs`"),
        (false, "`sbx profile shows`"),
        (false, "    sbx run --no-such host"),
        (true, "    sbx pull --platform linux/arm64 a"),
        (false, "    sbx pull --no-such a"),
        (false, "    cargo run -- plan --diff host"),
        (false, "    sbx why --path a | sbx doctor --path"),
        (false, "`--no-such`"),
        (false, "`--no-such=1`"),
    ] {
        assert_eq!(unknown_words("R.md", text, &files).is_empty(), fine, "{text}");
    }
    for name in DOCUMENTS {
        none(unknown_words(name, &document(&files, name), &files));
    }
}

/// Whether a line of a shell builds one of the two programs alone: `cargo run` builds the one that it runs.
fn builds_one(line: &str) -> bool {
    line.split(['|', ';', '&']).any(|command| {
        let words: Vec<&str> = command.split_whitespace().collect();
        words.first() == Some(&"cargo") && (words.contains(&"run") || words.contains(&"--bin"))
    })
}

#[test]
fn commands_of_the_readme_build_both_programs() {
    assert!(builds_one("a && cargo run --release -- run host"));
    assert!(builds_one("cargo build --bin sbx"));
    assert!(!builds_one(
        "cargo build --release && target/release/sbx run host -- cargo-x"
    ));
    let readme = document(&project(), "README.md");
    let shown: Vec<&str> = readme
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .collect();
    assert!(shown.iter().any(|line| line.contains("cargo build --release")));
    let wrong: Vec<_> = shown.into_iter().filter(|line| builds_one(line)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
