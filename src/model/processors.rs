//! Processors: a list of them, as cpuset(7) writes it, and a part of their time.

use super::reference::shown;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Processors by their numbers, ascending, not empty. Written `0-2,5`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Processors(Vec<u32>);

/// Why a list was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no list of processors: write numbers below {most}, for example 0-2,5", most = Processors::MOST)]
pub struct NotProcessors(String);

impl Processors {
    /// How many the kernel's masks have room for here.
    pub const MOST: u32 = 1024;

    /// Of these numbers; `None` when there are none, or one is too large.
    #[must_use]
    pub fn of(mut numbers: Vec<u32>) -> Option<Self> {
        numbers.sort_unstable();
        numbers.dedup();
        let fine = numbers.last().is_some_and(|last| *last < Self::MOST);
        fine.then_some(Self(numbers))
    }

    /// Processor 0 alone, which every machine has.
    #[must_use]
    pub fn first() -> Self {
        Self(vec![0])
    }

    /// The numbers.
    #[must_use]
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }
}

impl FromStr for Processors {
    type Err = NotProcessors;

    fn from_str(text: &str) -> Result<Self, NotProcessors> {
        let bad = || NotProcessors(shown(text));
        let number = |text: &str| -> Result<u32, NotProcessors> {
            let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let number = plain.then(|| text.parse().ok()).flatten();
            number.filter(|n| *n < Self::MOST).ok_or_else(bad)
        };
        let mut numbers = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(bad());
            }
            numbers.extend(first..=last);
        }
        Self::of(numbers).ok_or_else(bad)
    }
}

impl fmt::Display for Processors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0.as_slice();
        while let Some((first, _)) = rest.split_first() {
            let run = (*first..)
                .zip(rest)
                .take_while(|(wanted, n)| wanted == *n)
                .count();
            let (these, after) = rest.split_at(run.max(1));
            let comma = if self.0.first() == Some(first) { "" } else { "," };
            match these.last().filter(|last| *last != first) {
                Some(last) => write!(f, "{comma}{first}-{last}")?,
                None => write!(f, "{comma}{first}")?,
            }
            rest = after;
        }
        Ok(())
    }
}

impl TryFrom<String> for Processors {
    type Error = NotProcessors;
    fn try_from(text: String) -> Result<Self, NotProcessors> {
        text.parse()
    }
}

impl From<Processors> for String {
    fn from(list: Processors) -> Self {
        list.to_string()
    }
}

/// Hundredths of a processor: `1.5` is 150. What lies behind the second digit is left out. `None` for what is no number, or none at all.
#[must_use]
pub fn hundredths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let part: u64 = format!("{part:0<2}").get(..2)?.parse().ok()?;
    let whole: u64 = whole.parse().ok()?;
    let all = whole.checked_mul(100)?.checked_add(part)?;
    (all > 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written_as_the_kernel_does() {
        for (text, written) in [
            ("0", "0"),
            ("0-2,5", "0-2,5"),
            ("3,1,2,1", "1-3"),
            ("1,3", "1,3"),
            ("1023", "1023"),
        ] {
            assert_eq!(
                text.parse::<Processors>().map(|p| p.to_string()),
                Ok(written.to_owned()),
                "{text}"
            );
        }
        for text in [
            "",
            ",",
            "1-",
            "-1",
            "2-1",
            "1024",
            "a",
            "0x1",
            "+1",
            "0-99999999999",
        ] {
            assert!(text.parse::<Processors>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_part_of_a_processor() {
        for (text, expected) in [
            ("2", Some(200)),
            ("1.5", Some(150)),
            ("0.05", Some(5)),
            ("1.559", Some(155)),
            ("0", None),
            ("0.001", None),
            ("", None),
            (".5", None),
            ("1.", None),
            ("-1", None),
            ("1e3", None),
            ("99999999999999999999", None),
            ("184467440737095517", None),
        ] {
            assert_eq!(hundredths(text), expected, "{text}");
        }
    }
}
