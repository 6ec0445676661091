//! Sizes, spans of time and permission bits, as profiles and flags write them.

use super::reference::shown;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes. Written `64M`, `512k`, `1g`, `4096`: powers of 1024, as docker does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes(pub u64);

/// A span of time. Written `10m`, `90s`, `1h30m`, `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(pub Duration);

/// Why a size or a span of time was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a size.
    #[error("`{0}` is not a size: write a whole number with k, M or G, for example 64M")]
    Size(String),
    /// Not a span of time.
    #[error("`{0}` is not a span of time: write for example 500ms, 90s, 10m or 1h30m")]
    Span(String),
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::Size(shown(text));
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let shift = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(bad()),
        };
        let number: u64 = number.parse().map_err(|_| bad())?;
        number.checked_mul(1 << shift).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
            if self.0 != 0 && self.0.trailing_zeros() >= shift {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let bad = || UnitError::Span(shown(text));
        let mut rest = text;
        let mut total = Duration::ZERO;
        if rest.is_empty() {
            return Err(bad());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number: u64 = rest.get(..digits).and_then(|n| n.parse().ok()).ok_or_else(bad)?;
            let after = rest.get(digits..).unwrap_or_default();
            let letters = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
            let (unit, next) = after.split_at(letters);
            let millis: u64 = match unit {
                "ms" => 1,
                "s" => 1000,
                // Alone: behind hours it would be taken for minutes.
                "" if rest.len() == text.len() => 1000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return Err(bad()),
            };
            let part = number
                .checked_mul(millis)
                .map(Duration::from_millis)
                .ok_or_else(bad)?;
            total = total.checked_add(part).ok_or_else(bad)?;
            rest = next;
        }
        Ok(Self(total))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        match millis {
            0 => f.write_str("0s"),
            m if m % 3_600_000 == 0 => write!(f, "{}h", m / 3_600_000),
            m if m % 60_000 == 0 => write!(f, "{}m", m / 60_000),
            m if m % 1000 == 0 => write!(f, "{}s", m / 1000),
            m => write!(f, "{m}ms"),
        }
    }
}

/// Permission bits without those of set-id, as octal digits and nothing else.
#[must_use]
pub fn permissions(text: &str) -> Option<u32> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    let bits = u32::from_str_radix(text, 8).ok();
    bits.filter(|bits| plain && *bits <= 0o1777)
}

macro_rules! through_text {
    ($unit:ty) => {
        impl TryFrom<String> for $unit {
            type Error = UnitError;
            fn try_from(text: String) -> Result<Self, UnitError> {
                text.parse()
            }
        }
        impl From<$unit> for String {
            fn from(value: $unit) -> Self {
                value.to_string()
            }
        }
    };
}
through_text!(Bytes);
through_text!(Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_escaped_and_short() {
        let text = format!("1\u{1b}[31m{}", "x".repeat(10_000));
        let size = text.parse::<Bytes>().expect_err("no size").to_string();
        let span = text.parse::<Span>().expect_err("no span").to_string();
        for message in [size, span] {
            assert!(!message.contains('\u{1b}') && message.len() < 300, "{message:?}");
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("64M", 64 << 20),
            ("1g", 1 << 30),
            ("3KiB", 3072),
        ] {
            assert_eq!(text.parse::<Bytes>(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "M", "-1", "1.5G", "99999999999T", "1 G", "0x10"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
        assert_eq!(Bytes(64 << 20).to_string(), "64M");
        assert_eq!(Bytes(1500).to_string(), "1500");
    }

    #[test]
    fn spans() {
        for (text, millis) in [
            ("10m", 600_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("90", 90_000),
        ] {
            assert_eq!(
                text.parse::<Span>(),
                Ok(Span(Duration::from_millis(millis))),
                "{text}"
            );
        }
        for text in [
            "",
            "m",
            "10x",
            "-5s",
            "1.5h",
            "99999999999999999999s",
            "ms10",
            "1h30",
            "1m30",
        ] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert_eq!(
            "5400s".parse::<Span>().map(|s| s.to_string()),
            Ok("90m".to_owned())
        );
    }
}
