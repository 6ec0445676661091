//! Which floor a module lies on, and that none imports a higher one.

use crate::project::rust;
use crate::source::{Source, end_of_item, sample, word, words};
use crate::{Findings, finding, none};

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
    if ["lib.rs", "main.rs", "bin/sbx-image.rs"].contains(&inner) {
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
