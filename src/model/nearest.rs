//! The known word that a mistyped one is nearest to.

/// The word with the fewest letters changed, added or left out, whatever it is; the first of several.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    ranked(typed, known).map(|(_, word)| word)
}

/// The same, when so few letters differ that it may have been meant.
#[must_use]
pub fn meant<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + typed.chars().count() / 4;
    ranked(typed, known)
        .filter(|(distance, _)| *distance <= limit)
        .map(|(_, word)| word)
}

fn ranked<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<(usize, &'a str)> {
    // What is very long is no typing error, and comparing costs the product of both lengths.
    let typed: Vec<char> = typed.chars().take(64).collect();
    let ranked = known.into_iter().map(|word| (distance(&typed, word), word));
    ranked.min_by_key(|(distance, _)| *distance)
}

/// Levenshtein's distance.
fn distance(typed: &[char], word: &str) -> usize {
    let mut row: Vec<usize> = (0..=typed.len()).collect();
    for (above, letter) in word.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        for (place, other) in typed.iter().enumerate() {
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
        let known = ["read", "openat", "clone3", "network"];
        for (typed, expected) in [
            ("opennat", "openat"),
            ("raed", "read"),
            ("clone_3", "clone3"),
            ("netwrok", "network"),
        ] {
            assert_eq!(nearest(typed, known), Some(expected));
            assert_eq!(meant(typed, known), Some(expected));
        }
    }

    #[test]
    fn what_is_far_was_not_meant() {
        assert_eq!(meant("zzz", ["network", "limits"]), None);
        assert_eq!(nearest("zzz", ["network"]), Some("network"));
        assert_eq!(nearest("zzz", []), None);
    }
}
