//! Times: as people say them, and as programs write them.

/// 0001-01-01T00:00:00Z, which Go writes for a time that was never set.
const GO_ZERO: i64 = -62_135_596_800;

/// `3 days ago`, for a time in RFC 3339; `-` for anything else, and for a time that was never set.
pub(super) fn ago(time: &str, now: i64) -> String {
    let Some(then) = seconds(time).filter(|then| *then != GO_ZERO) else {
        return "-".to_owned();
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
    let (clock, zone) = rest.split_at(rest.find(['Z', 'z', '+', '-'])?);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let (sign, zone) = zone.split_at(1);
    let offset = match (sign, zone) {
        ("Z" | "z", "") => 0,
        ("+", zone) => offset(zone)?,
        ("-", zone) => -offset(zone)?,
        _ => return None,
    };
    let of_month = |month| days(year + month / 12, month % 12 + 1, 1) - days(year, month, 1);
    let right = !fraction.is_empty()
        && fraction.bytes().all(|b| b.is_ascii_digit())
        && (1..=12).contains(&month)
        && (1..=of_month(month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    right.then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

/// `01:30` in seconds.
fn offset(zone: &str) -> Option<i64> {
    let [hours, minutes] = numbers(zone, ':', [2, 2])?;
    (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)
}

/// Numbers of exactly so many digits.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let parts: Vec<&str> = text.split(separator).collect();
    let parts: [&str; N] = parts.try_into().ok()?;
    let mut numbers = [0; N];
    for ((part, digits), number) in parts.iter().zip(digits).zip(&mut numbers) {
        let right = part.len() == digits && part.bytes().all(|b| b.is_ascii_digit());
        *number = part.parse().ok().filter(|_| right)?;
    }
    Some(numbers)
}

/// Since 1970-01-01, in the Gregorian calendar: years begin in March, so that the leap day is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Seconds since 1970 in RFC 3339.
pub(super) fn moment(seconds: u64) -> String {
    let (days, rest) = (seconds / 86400, seconds % 86400);
    // Days since 0000-03-01, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let date = in_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
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
            ("2024-02-29T00:00:00Z", Some(1_709_164_800)),
            ("1999-12-31T23:59:60Z", Some(946_684_800)),
            ("2024-13-02T03:04:05Z", None),
            ("2024-00-02T03:04:05Z", None),
            ("2023-02-29T03:04:05Z", None),
            ("2024-04-31T03:04:05Z", None),
            ("2024-1-02T03:04:05Z", None),
            ("2024-01-02T3:04:05Z", None),
            ("2024-01-02T03:04:05.Z", None),
            ("2024-01-02T03:04:05.xZ", None),
            ("2024-01-02T03:04:05Zx", None),
            ("2024-01-02T03:04:05+24:00", None),
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
        for none in [
            "yesterday",
            "",
            "0001-01-01T00:00:00Z",
            "0001-01-01T01:00:00+01:00",
        ] {
            assert_eq!(ago(none, then), "-", "{none}");
        }
    }

    #[test]
    fn moments_are_those_of_date() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(moment(seconds), text);
        }
    }
}
