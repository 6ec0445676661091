//! The known word that a mistyped one may have been meant as: one rule for flags, keys, values and names.

use strsim::osa_distance;

/// Longer words are not compared, since that costs the product of both lengths.
const LONGEST: usize = 64;

/// The known word with the fewest letters changed, added, left out or swapped, if these are few for the shorter of both words.
#[must_use]
pub fn meant<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let length = typed.chars().count();
    if length > LONGEST {
        return None;
    }
    let close = known.into_iter().filter_map(|word| {
        let distance = osa_distance(typed, word);
        (distance <= limit(length.min(word.chars().count()))).then_some((distance, word))
    });
    close.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// The question that ends a message, if there is a word to ask for.
#[must_use]
pub fn question(near: Option<&str>) -> String {
    near.map(|near| format!(": did you mean `{near}`?"))
        .unwrap_or_default()
}

/// Typing errors in a word of this length: none where every other word would be as close.
fn limit(length: usize) -> usize {
    match length {
        0..=2 => 0,
        length => (length / 4).clamp(1, 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_recognized_and_other_words_are_not() {
        let known = [
            "read",
            "openat",
            "clone3",
            "network",
            "--net",
            "--memory",
            "--network",
            "ro",
            "landlock-network",
        ];
        for (typed, expected) in [
            ("opennat", Some("openat")),
            ("raed", Some("read")),
            ("red", Some("read")),
            ("clone_3", Some("clone3")),
            ("netwrok", Some("network")),
            ("--memroy", Some("--memory")),
            ("--nett", Some("--net")),
            ("landlok-netwok", Some("landlock-network")),
            ("--no-healthcheck", None),
            ("--netmask", None),
            ("zzz", None),
            ("rw", None),
            ("r", None),
            ("", None),
            ("reboot", None),
        ] {
            assert_eq!(meant(typed, known), expected, "{typed}");
        }
        assert_eq!(meant(&"read".repeat(1 << 20), known), None);
        assert_eq!(meant("zzz", []), None);
    }
}
