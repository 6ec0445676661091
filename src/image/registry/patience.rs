//! How long is waited, how often is tried, and what `Retry-After` means.

use nix::poll::{PollTimeout, poll};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The numbers of waiting, in one place. A user wants the default; tests want less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection stands, TLS included.
    pub connect: Duration,
    /// Until the headers of an answer are there.
    pub headers: Duration,
    /// Until a registry has stored what it was given: it may hash gigabytes before it answers.
    pub store: Duration,
    /// Over what time the speed of a body is measured.
    pub window: Duration,
    /// Bytes that must have come in a window.
    pub least: u64,
    /// Tries in a row without any progress.
    pub tries: u32,
    /// The wait after the first failure; it doubles with each.
    pub first_wait: Duration,
    /// The longest wait, whoever asks for it.
    pub longest_wait: Duration,
    /// How often one lets oneself be sent on.
    pub redirects: u32,
}

impl Default for Patience {
    fn default() -> Self {
        let window = Duration::from_secs(60);
        Self {
            connect: Duration::from_secs(15),
            headers: Duration::from_secs(60),
            store: Duration::from_secs(600),
            window,
            least: 1024 * window.as_secs(),
            tries: 5,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            redirects: 5,
        }
    }
}

impl Patience {
    /// How long to wait after this many failures in a row (from 1), when the server asked for `asked`.
    pub(super) fn wait(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let doubled = self
            .first_wait
            .saturating_mul(1 << failures.saturating_sub(1).min(16));
        asked
            .unwrap_or(doubled)
            .max(self.first_wait)
            .min(self.longest_wait)
    }
}

/// Tries in a row without any progress.
#[derive(Debug)]
pub(super) struct Tries {
    patience: Patience,
    failures: u32,
}

impl Tries {
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            failures: 0,
        }
    }

    /// Counts a failure and waits; false when it was the last that is forgiven.
    pub(super) fn again(&mut self, asked: Option<Duration>) -> bool {
        self.failures += 1;
        if self.failures >= self.patience.tries {
            return false;
        }
        sleep(self.patience.wait(self.failures, asked));
        true
    }

    /// Something has been got: the count begins anew.
    pub(super) fn progress(&mut self) {
        self.failures = 0;
    }
}

/// Waits, or less when a signal comes: then it is tried a little sooner.
fn sleep(time: Duration) {
    let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    let _ = poll(&mut [], time);
}

/// The meaning of a `Retry-After` header: seconds, or an HTTP date (RFC 9110, 10.2.3).
pub(super) fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit mean more time than anybody waits.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let then = Duration::from_secs(http_date(value)?);
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    Some(then.saturating_sub(now))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`. The two obsolete forms have died out among servers.
fn http_date(text: &str) -> Option<u64> {
    let (_, text) = text.split_once(", ")?;
    let words: Vec<&str> = text.split(' ').collect();
    let [day, month, year, time, "GMT"] = words[..] else {
        return None;
    };
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let month = u64::try_from(MONTHS.iter().position(|m| *m == month)?).ok()? + 1;
    let number = |text: &str, digits: usize, most: u64| {
        let right = text.len() == digits && text.bytes().all(|b| b.is_ascii_digit());
        right
            .then(|| text.parse().ok())
            .flatten()
            .filter(|n: &u64| *n <= most)
    };
    let (day, year) = (number(day, 2, 31)?, number(year, 4, 9999)?);
    let clock: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = clock[..] else {
        return None;
    };
    let seconds = number(hour, 2, 23)? * 3600 + number(minute, 2, 59)? * 60 + number(second, 2, 60)?;
    Some(days(year, month, day)? * 86_400 + seconds)
}

/// Days between 1970 and a day of the Gregorian calendar; years begin in March here, so that the leap day is the last.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let of_year = (153 * month + 2) / 5 + day.checked_sub(1)?;
    (365 * year + year / 4 - year / 100 + year / 400 + of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_date_1() {
        for (text, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Thu, 29 Feb 2024 23:59:59 GMT", Some(1_709_251_199)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Mon, 01 Mar 2100 00:00:00 GMT", Some(4_107_542_400)),
            ("Sun, 06 Nov 1994 08:49:37 CET", None),
            ("Sun, 06 Nov 1994 8:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:49:37 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 0000 08:49:37 GMT", None),
            ("Sunday, 06-Nov-94 08:49:37 GMT", None),
            ("", None),
        ] {
            assert_eq!(http_date(text), seconds, "{text}");
        }
    }

    #[test]
    fn nobody_makes_one_wait_for_long() {
        let patience = Patience::default();
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777 - 7);
        let after = |text| retry_after(text, now).map(|d| d.as_secs());
        assert_eq!(after("3"), Some(3));
        assert_eq!(after(" 3 "), Some(3));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(7));
        assert_eq!(after("Sun, 06 Nov 1994 08:40:00 GMT"), Some(0));
        assert_eq!(after("99999999999999999999999999"), Some(u64::MAX));
        for nonsense in ["-3", "3.5", "soon", "", "+1"] {
            assert_eq!(after(nonsense), None, "{nonsense}");
        }
        let asked = |text| patience.wait(1, retry_after(text, now)).as_secs();
        assert_eq!(
            [asked("0"), asked("7"), asked("86400"), asked("soon")],
            [1, 7, 60, 1]
        );
        let waits: Vec<u64> = (1..9).map(|n| patience.wait(n, None).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(patience.wait(u32::MAX, None).as_secs(), 60);
    }
}
