//! One file as text, as code without words, and as what is shipped of it.

use crate::Findings;
use std::collections::BTreeSet;

/// One file of Rust.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with every comment and every literal blanked.
    pub(crate) code: String,
    /// The code without what is compiled for tests only.
    pub(crate) shipped: String,
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

pub(crate) fn word(byte: u8) -> bool {
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
pub(crate) fn end_of_item(code: &str, at: usize) -> usize {
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

pub(crate) fn sources(files: &[(String, String)]) -> Vec<Source> {
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
pub(crate) fn words<'a>(code: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = code.as_bytes();
    code.match_indices(needle).map(|(at, _)| at).filter(move |at| {
        let end = at + needle.len();
        let starts = *at == 0 || !word(bytes[at - 1]);
        starts && !(word(bytes[end - 1]) && bytes.get(end).copied().is_some_and(word))
    })
}

/// What a check finds in one sample file.
pub(crate) fn sample(path: &str, text: &str, check: impl Fn(&Source) -> Findings) -> Findings {
    sources(&[(path.into(), text.into())])
        .iter()
        .flat_map(check)
        .collect()
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
    let shipped: Vec<_> = sources(&files)
        .into_iter()
        .map(|s| s.shipped.contains("println"))
        .collect();
    assert_eq!(shipped, [false, false, true]);
}
