//! Tables for people. What stands in a cell may be anybody's words.

use super::out;

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

/// For people: three digits at most before the unit.
pub(super) fn size(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >> shift > 0 {
            let tenths = (bytes >> (shift - 10)) * 10 / 1024;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_reaches_the_terminal_as_it_is() {
        let shown = table(
            &["A", "B"],
            &[vec![out::EVIL.to_owned(), "x".to_owned()], vec!["y".to_owned()]],
        );
        assert_eq!(shown.lines().count(), 3);
        assert!(
            !shown.contains(['\x1b', '\u{9b}', '\u{202e}', '\u{7f}']),
            "{shown:?}"
        );
    }
}
