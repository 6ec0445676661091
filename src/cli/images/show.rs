//! How images are shown: tables for people, JSON for programs, times as people say them. What images say of themselves is escaped in all
//! of them.

use crate::cli::out;
use crate::cli::report::Report;
use crate::image::store::Image;
use crate::model::Reference;
use serde_json::Value;

/// Prints a line, or a table.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn print(text: &str) -> Result<(), Report> {
    out::data(text).map_err(|e| Report::sbx(format!("standard output: {e}")))
}

/// Prints JSON. What a terminal would act on is written by its number: serde_json leaves some of it as it is.
///
/// # Errors
/// Standard output cannot be written.
pub(super) fn json(value: &Value) -> Result<(), Report> {
    let text = serde_json::to_string_pretty(value).map_err(Report::sbx)?;
    print(&numbered(&text))
}

fn numbered(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        // Line ends are the only ones that stand outside of strings.
        if c == '\n' || out::escaped(c.encode_utf8(&mut [0; 4])).starts_with(c) {
            safe.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                safe.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    safe
}

/// A table: columns are as wide as what stands in them, the last one has no end.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let escaped = |row: &Vec<String>| row.iter().map(|cell| out::escaped(cell)).collect();
    let head = head.iter().map(|&cell| cell.to_owned()).collect();
    let all: Vec<Vec<String>> = std::iter::once(head).chain(rows.iter().map(escaped)).collect();
    let columns = all.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        let cells = all.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// As much as fits.
pub(super) fn cut(text: &str, length: usize) -> String {
    let shown: String = text.chars().take(length).collect();
    match shown.len() < text.len() {
        true => format!("{shown}…"),
        false => shown,
    }
}

/// A name without its tag, and the tag, or the digest that it was pulled by. What is no full name was written by another program.
pub(super) fn name_and_tag(name: &str) -> (String, String) {
    match name.parse::<Reference>() {
        Ok(reference) if reference.to_string() == name => {
            let digest = reference.digest().map(|digest| format!("@{}", digest.short()));
            let tag = reference.tag().unwrap_or_default();
            let tag = format!("{tag}{}", digest.unwrap_or_default());
            (reference.name(), tag)
        }
        _ => (cut(name, 100), "-".to_owned()),
    }
}

/// What messages call an image: by its first name, or by its id.
pub(super) fn called(image: &Image) -> String {
    match image.names.first() {
        Some(name) => name.escape_debug().to_string(),
        None => image.id.unwrap_or(image.manifest).short(),
    }
}

/// `3 days ago`, for a time in RFC 3339; what is none is shown as it is.
pub(super) fn ago(time: &str, now: i64) -> String {
    let Some(then) = seconds(time) else {
        return cut(time, 30);
    };
    let past = now - then;
    if past < 0 {
        return "in the future".to_owned();
    }
    // Images that are to be the same whenever they are built have a time of 1970 or 1980.
    let units = [
        (31_557_600, "year"),
        (2_629_800, "month"),
        (604_800, "week"),
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    for (length, unit) in units {
        match past / length {
            0 => {}
            1 => return format!("1 {unit} ago"),
            many => return format!("{many} {unit}s ago"),
        }
    }
    "now".to_owned()
}

/// Since 1970.
pub(super) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since
        .ok()
        .and_then(|past| i64::try_from(past.as_secs()).ok())
        .unwrap_or_default()
}

/// `2024-01-02T03:04:05[.678](Z|+01:00)` in seconds since 1970.
fn seconds(time: &str) -> Option<i64> {
    let (date, rest) = time.split_once(['T', 't', ' '])?;
    let numbers = |text: &str, separator: char| -> Option<[i64; 3]> {
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let parts: Vec<i64> = text
            .split(separator)
            .map(|part| part.parse().ok().filter(|_| digits(part) && part.len() <= 4))
            .collect::<Option<_>>()?;
        parts.try_into().ok()
    };
    let [year, month, day] = numbers(date, '-')?;
    let end = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(end);
    let [hour, minute, second] = numbers(clock.split('.').next()?, ':')?;
    let offset = match zone.split_at(1) {
        ("Z" | "z", "") => 0,
        (sign, zone) => {
            let [hours, minutes, _] = numbers(&format!("{zone}:0"), ':')?;
            let offset = hours * 3600 + minutes * 60;
            if sign == "-" { -offset } else { offset }
        }
    };
    let right =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    right.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// Since 1970-01-01, in the Gregorian calendar: years begin in March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        for (time, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-02-29T12:34:56Z", Some(951_827_696)),
            ("2024-01-02T03:04:05.678901234Z", Some(1_704_164_645)),
            ("2024-01-02T03:04:05+01:30", Some(1_704_159_245)),
            ("2024-01-02T03:04:05.1-01:00", Some(1_704_168_245)),
            ("1969-12-31T23:59:59z", Some(-1)),
            ("0001-01-01T00:00:00Z", Some(-62_135_596_800)),
            ("2024-13-02T03:04:05Z", None),
            ("2024-01-02T24:04:05Z", None),
            ("2024-01-02T03:04:05", None),
            ("2024-01-02", None),
            ("2024-01-02T03:04:05+1", None),
            ("2024-01-02T03:04:05\u{e9}Z", None),
            ("99999999999999999999-01-02T03:04:05Z", None),
            ("-1-01-02T03:04:05Z", None),
            ("", None),
        ] {
            assert_eq!(seconds(time), expected, "{time}");
        }
    }

    #[test]
    fn times_are_said_as_people_do() {
        let then = 1_704_164_645;
        for (past, expected) in [
            (-1, "in the future"),
            (0, "now"),
            (1, "1 second ago"),
            (59, "59 seconds ago"),
            (60, "1 minute ago"),
            (7200, "2 hours ago"),
            (86_400 * 3, "3 days ago"),
            (86_400 * 15, "2 weeks ago"),
            (86_400 * 70, "2 months ago"),
            (86_400 * 800, "2 years ago"),
        ] {
            assert_eq!(ago("2024-01-02T03:04:05Z", then + past), expected, "{past}");
        }
        assert_eq!(ago("yesterday", then), "yesterday");
    }

    #[test]
    fn nothing_reaches_the_terminal_as_it_is() {
        let evil = "a\x1b[31m\u{9b}31m\u{202e}b\n\u{7f}\u{fc}";
        let shown = table(
            &["A", "B"],
            &[vec![evil.to_owned(), "x".to_owned()], vec!["y".to_owned()]],
        );
        assert_eq!(shown.lines().count(), 3);
        assert!(
            !shown.contains(['\x1b', '\u{9b}', '\u{202e}', '\u{7f}']),
            "{shown:?}"
        );
        let text = numbered(&serde_json::to_string_pretty(&[evil]).expect("JSON"));
        assert!(
            text.chars()
                .all(|c| c == '\n' || out::escaped(&c.to_string()).starts_with(c)),
            "{text:?}"
        );
        let back: Vec<String> = serde_json::from_str(&text).expect("JSON");
        assert_eq!(back, [evil], "and nothing is lost");
    }

    #[test]
    fn names_have_two_parts() {
        let digest = crate::model::Digest::of(b"");
        for (name, expected) in [
            (
                "docker.io/library/debian:12",
                ("docker.io/library/debian", "12".to_owned()),
            ),
            ("a:5000/b:c", ("a:5000/b", "c".to_owned())),
            (
                &format!("q.io/a@{digest}"),
                ("q.io/a", format!("@{}", digest.short())),
            ),
            ("12", ("12", "-".to_owned())),
            ("a b", ("a b", "-".to_owned())),
        ] {
            assert_eq!(name_and_tag(name), (expected.0.to_owned(), expected.1), "{name}");
        }
    }
}
