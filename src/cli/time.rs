//! Times: as people say them, and as programs write them.

use super::table::cut;

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
