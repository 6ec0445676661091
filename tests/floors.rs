//! What the compiler does not check about the sources: which floor may import which, where `unsafe`, printing, threads and
//! allocation may stand, how long a file may grow, and what may not be written anywhere in the project.
//!
//! Every check is a function of texts, so that each is first seen to fail on a sample.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests start git and stop at the first surprise"
)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

/// The modules of the crate and their floors.
const FLOORS: [(&str, u8); 14] = [
    ("sys", 0),
    ("model", 1),
    ("profile", 2),
    ("policy", 2),
    ("seccomp", 2),
    ("host", 3),
    ("image", 3),
    ("container", 3),
    ("plan", 4),
    ("sandbox", 5),
    ("network", 5),
    ("oci", 6),
    ("build", 6),
    ("cli", 6),
];
/// Imports within one floor that are meant.
const SIDEWAYS: [(&str, &str); 4] = [
    ("policy", "profile"),
    ("policy", "seccomp"),
    ("cli", "oci"),
    ("cli", "build"),
];
/// What allocates. After clone3 the heap is a copy that may have been locked in the middle of a change.
const ALLOCATES: [&str; 12] = [
    "format!",
    "vec!",
    "String",
    "Vec::",
    "Box::",
    "Rc::",
    "to_string",
    "to_owned",
    "to_vec",
    "clone()",
    "collect",
    "push",
];
const PRINTS: [&str; 8] = [
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "dbg!",
    "stdout()",
    "stderr()",
    "io::Stdout",
];
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

/// One file of Rust.
struct Source {
    path: String,
    text: String,
    /// The text with every comment and every literal blanked.
    code: String,
    /// The code without what is compiled for tests only.
    shipped: String,
}

type Findings = Vec<String>;

fn finding(path: &str, text: &str, at: usize, what: &str) -> String {
    let line = text[..at].matches('\n').count() + 1;
    format!("{path}:{line}: {what}")
}

fn blank(text: &mut [u8], from: usize, to: usize) {
    for byte in &mut text[from..to] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
}

/// Where the comment or the literal that begins at `at` ends, if one begins there.
fn end_of_words(text: &[u8], at: usize) -> Option<usize> {
    let rest = &text[at..];
    let find = |needle: &[u8], from: usize| {
        let found = rest[from..].windows(needle.len()).position(|w| w == needle);
        found.map_or(text.len(), |i| at + from + i + needle.len())
    };
    let before = at.checked_sub(1).map_or(b' ', |i| text[i]);
    let hashes = rest.iter().skip(1).take_while(|b| **b == b'#').count();
    match rest {
        [b'/', b'/', ..] => Some(find(b"\n", 0) - 1),
        [b'/', b'*', ..] => Some(find(b"*/", 2)),
        [b'r', ..]
            if rest.get(1 + hashes) == Some(&b'"') && (before == b'b' || before == b'c' || !word(before)) =>
        {
            Some(find(&[&b"\""[..], &b"#".repeat(hashes)].concat(), hashes + 2))
        }
        [b'"', ..] => {
            let mut i = 1;
            while i < rest.len() && rest[i] != b'"' {
                i += if rest[i] == b'\\' { 2 } else { 1 };
            }
            Some((at + i + 1).min(text.len()))
        }
        [b'\'', b'\\', ..] => Some(find(b"'", 3)),
        // A quote that no second follows after one character begins a lifetime.
        [b'\'', ..] => {
            let one = std::str::from_utf8(&rest[1..rest.len().min(5)])
                .map_or(1, |s| s.chars().next().map_or(1, char::len_utf8));
            (rest.get(1 + one) == Some(&b'\'')).then_some(at + 2 + one)
        }
        _ => None,
    }
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn code(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        match end_of_words(&bytes, at) {
            Some(end) => {
                blank(&mut bytes, at, end);
                at = end.max(at + 1);
            }
            None => at += 1,
        }
    }
    String::from_utf8(bytes).expect("only whole characters were blanked")
}

/// Where the block or the statement after `at` ends.
fn end_of_item(code: &str, at: usize) -> usize {
    let mut depth = 0;
    for (i, byte) in code.bytes().enumerate().skip(at) {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 1 => return i + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return i + 1,
            _ => {}
        }
    }
    code.len()
}

const TEST: &str = "#[cfg(test)]";

fn shipped(code: &str) -> String {
    let mut bytes = code.as_bytes().to_vec();
    for (at, _) in code.match_indices(TEST) {
        blank(&mut bytes, at, end_of_item(code, at));
    }
    String::from_utf8(bytes).expect("only whole items were blanked")
}

/// Files whose declaration says that they are compiled for tests only.
fn test_files(files: &[(String, String)]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in files {
        let code = code(text);
        for (at, _) in code.match_indices(TEST) {
            let item = code[at + TEST.len()..end_of_item(&code, at)].trim();
            let name = item
                .trim_start_matches("pub ")
                .strip_prefix("mod ")
                .and_then(|m| m.strip_suffix(';'));
            let folder = ["/mod.rs", "/lib.rs", ".rs"]
                .into_iter()
                .find_map(|end| path.strip_suffix(end));
            if let (Some(name), Some(folder)) = (name, folder) {
                found.insert(format!("{folder}/{}.rs", name.trim()));
            }
        }
    }
    found
}

fn sources(files: &[(String, String)]) -> Vec<Source> {
    let tests = test_files(files);
    let source = |(path, text): &(String, String)| {
        let code = code(text);
        let shipped = if tests.contains(path) {
            String::new()
        } else {
            shipped(&code)
        };
        Source {
            path: path.clone(),
            text: text.clone(),
            code,
            shipped,
        }
    };
    files.iter().map(source).collect()
}

/// Where a word stands in the code, as a word: `String` is not found in `CString`.
fn words<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(needle).map(|(at, _)| at).filter(move |at| {
        let end = at + needle.len();
        let starts = *at == 0 || !word(bytes[at - 1]);
        starts && !(word(bytes[end - 1]) && bytes.get(end).copied().is_some_and(word))
    })
}

fn floor(module: &str) -> Option<u8> {
    FLOORS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, floor)| *floor)
}

/// The names that a path or a group of paths begins with: `a::b` has one, `{a::b, c}` two.
fn first_names(rest: &str) -> Vec<&str> {
    let name = |text: &str| text.bytes().take_while(|b| word(*b) || *b == b'*').count();
    let rest = rest.trim_start();
    let Some(group) = rest.strip_prefix('{') else {
        return vec![&rest[..name(rest)]];
    };
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (i, byte) in group.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth > 0 => depth -= 1,
            b',' | b'}' if depth == 0 => {
                let one = group[start..i].trim();
                found.extend((!one.is_empty()).then(|| &one[..name(one)]));
                start = i + 1;
                if byte == b'}' {
                    break;
                }
            }
            _ => {}
        }
    }
    found
}

/// How many modules a place in a file lies below the crate's root.
fn depth(path: &str, code: &str, at: usize) -> usize {
    let inner = path
        .trim_start_matches("src/")
        .trim_end_matches(".rs")
        .trim_end_matches("/mod");
    let inline = words(code, "mod").filter(|m| {
        let end = end_of_item(code, *m);
        *m < at && at < end && code[*m..end].ends_with('}')
    });
    inner.split('/').count() + inline.count()
}

/// Every module of the crate's root that the code names: through `crate::`, or through enough `super::`.
fn imports<'a>(path: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let mut found = Vec::new();
    for at in words(code, "crate::") {
        found.extend(first_names(&code[at + 7..]).into_iter().map(|name| (at, name)));
    }
    for at in words(code, "super::").filter(|at| !code[..*at].ends_with("::")) {
        let mut rest = &code[at..];
        let mut up = 0;
        while let Some(more) = rest.strip_prefix("super::") {
            (rest, up) = (more, up + 1);
        }
        if up == depth(path, code, at) {
            found.extend(first_names(rest).into_iter().map(|name| (at, name)));
        }
    }
    found.extend(words(code, "use crate as").map(|at| (at, "crate as")));
    found
}

fn upward(source: &Source) -> Findings {
    let path = &source.path;
    let inner = path.trim_start_matches("src/");
    if ["lib.rs", "main.rs"].contains(&inner) {
        return Vec::new();
    }
    let own = inner
        .split('/')
        .next()
        .unwrap_or_default()
        .trim_end_matches(".rs");
    let Some(here) = floor(own) else {
        return vec![format!("{path}:1: `{own}` has no floor: give it one")];
    };
    let mut found = Vec::new();
    for (at, name) in imports(path, &source.code) {
        let tests = !source
            .shipped
            .get(at..)
            .is_some_and(|s| s.starts_with(&source.code[at..at + 5]));
        let what = match floor(name) {
            None => format!("`{name}` has no floor: name the module"),
            Some(there) if there > here => format!("`{own}` (floor {here}) imports `{name}` (floor {there})"),
            Some(there) if there == here && name != own && !tests && !SIDEWAYS.contains(&(own, name)) => {
                format!("`{own}` imports `{name}` beside it")
            }
            Some(_) => continue,
        };
        found.push(finding(path, &source.code, at, &what));
    }
    found
}

fn unsafe_code(source: &Source) -> Findings {
    if source.path.starts_with("src/sys/") {
        return Vec::new();
    }
    let at = words(&source.code, "unsafe");
    at.map(|at| finding(&source.path, &source.code, at, "`unsafe` outside src/sys"))
        .collect()
}

fn any_of(source: &Source, list: &[&str], why: &str) -> Findings {
    let found = list
        .iter()
        .flat_map(|w| words(&source.shipped, w).map(move |at| (at, w)));
    // The descriptor of a stream is not the stream.
    let found = found.filter(|(at, w)| !source.shipped[at + w.len()..].starts_with(".as_fd()"));
    found
        .map(|(at, w)| finding(&source.path, &source.shipped, at, &format!("`{w}` {why}")))
        .collect()
}

fn printing(source: &Source) -> Findings {
    if source.path == "src/cli/out.rs" {
        return Vec::new();
    }
    any_of(source, &PRINTS, "outside src/cli/out.rs")
}

fn allocation(source: &Source) -> Findings {
    if !["src/sandbox/child.rs", "src/sandbox/init.rs"].contains(&source.path.as_str()) {
        return Vec::new();
    }
    any_of(source, &ALLOCATES, "allocates after clone3")
}

fn threads(source: &Source) -> Findings {
    any_of(
        source,
        &["std::thread", "thread::spawn", "thread::Builder"],
        "before clone3 no thread may exist",
    )
}

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
            if !word(before) && !b"~.-".contains(&before) {
                found.push(finding(path, &lower, at, &format!("`{needle}`")));
            }
        }
    }
    found
}

fn project() -> Vec<(String, String)> {
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

fn rust() -> Vec<Source> {
    let files: Vec<_> = project()
        .into_iter()
        .filter(|(p, _)| p.starts_with("src/") && p.ends_with(".rs"))
        .collect();
    sources(&files)
}

#[track_caller]
fn none(findings: Findings) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// What a check finds in one sample file.
fn sample(path: &str, text: &str, check: impl Fn(&Source) -> Findings) -> Findings {
    sources(&[(path.into(), text.into())])
        .iter()
        .flat_map(check)
        .collect()
}

#[test]
fn no_floor_imports_a_higher_one() {
    for text in [
        "use crate::sandbox::Running;",
        "use crate::{model::Host, sandbox::{self, Running}};",
        "fn f() {\n    crate::cli::main();\n}",
        "use super::super::cli::out;",
        "mod inner {\n    use super::super::super::plan;\n}",
        "#[cfg(test)]\nmod tests {\n    use crate::plan::Plan;\n}",
        "use crate::host;",
        "use crate::*;",
        "use crate as other;",
    ] {
        let path = if text.contains("host") {
            "src/policy/a.rs"
        } else {
            "src/host/a.rs"
        };
        assert_eq!(sample(path, text, upward).len(), 1, "{text}");
    }
    assert_eq!(
        sample("src/profile/a.rs", "use crate::seccomp::Table;", upward).len(),
        1
    );
    assert_eq!(sample("src/other/a.rs", "", upward).len(), 1);
    for text in [
        "use crate::model::{Host, sandbox};\n// crate::cli\nconst A: &str = \"crate::cli\";",
        "use super::sources;\nmod inner {\n    use super::super::x;\n}",
        "#[cfg(test)]\nmod tests {\n    use crate::image::Image;\n}",
        "use crate::host::a;\nfn f<'a>(c: char) -> &'a str { r#\"crate::cli\"# }",
    ] {
        none(sample("src/host/a.rs", text, upward));
    }
    none(rust().iter().flat_map(upward).collect());
}

#[test]
fn unsafe_stands_in_sys_alone() {
    assert_eq!(
        sample("src/host/a.rs", "\nfn f() { unsafe { g() } }", unsafe_code),
        ["src/host/a.rs:2: `unsafe` outside src/sys"]
    );
    none(sample(
        "src/host/a.rs",
        "// unsafe\n/* unsafe */ #![deny(unsafe_code)] fn f() { \"unsafe\"; }",
        unsafe_code,
    ));
    none(rust().iter().flat_map(unsafe_code).collect());
}

#[test]
fn only_cli_out_prints() {
    for text in [
        "fn f() { println!(\"a\") }",
        "fn f() { std::io::stdout().lock(); }",
        "fn f(o: io::Stdout) {}",
    ] {
        assert_eq!(sample("src/cli/run.rs", text, printing).len(), 1, "{text}");
        none(sample("src/cli/out.rs", text, printing));
    }
    none(sample(
        "src/cli/run.rs",
        "#[cfg(test)]\nmod tests { fn f() { println!() } }\nfn g() { stdout().as_fd(); }",
        printing,
    ));
    none(rust().iter().flat_map(printing).collect());
}

#[test]
fn nothing_allocates_after_clone3() {
    for text in [
        "fn f() { let a = format!(\"a\"); }",
        "fn f(s: String) {}",
        "fn f() { a.push(1) }",
        "fn f() { a.clone(); }",
    ] {
        assert_eq!(
            sample("src/sandbox/child.rs", text, allocation).len(),
            1,
            "{text}"
        );
        none(sample("src/sandbox/prepare.rs", text, allocation));
    }
    let fine = "fn f(a: &[CString], s: &Strings, o: Option<OwnedFd>) {}\n#[cfg(test)] mod tests { fn f() { vec![1]; } }";
    none(sample("src/sandbox/init.rs", fine, allocation));
    none(rust().iter().flat_map(allocation).collect());
}

#[test]
fn there_are_no_threads() {
    assert_eq!(sample("src/cli/a.rs", "use std::thread;", threads).len(), 1);
    none(rust().iter().flat_map(threads).collect());
}

#[test]
fn files_declared_for_tests_are_tests() {
    let files = [
        (
            "src/cli/mod.rs".to_owned(),
            "#[cfg(test)]\nmod tests;\nmod run;".to_owned(),
        ),
        ("src/cli/tests.rs".to_owned(), "fn f() { println!() }".to_owned()),
        ("src/cli/run.rs".to_owned(), "fn f() { println!() }".to_owned()),
    ];
    assert_eq!(sources(&files).iter().flat_map(printing).count(), 1);
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
