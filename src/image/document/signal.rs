//! Signals by name, as `StopSignal` has them.

const NAMES: [(&str, i32); 32] = [
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];
/// The first and the last real-time signal that programs may use; the C libraries keep 32 and 33 for themselves.
const REAL_TIME: (i32, i32) = (34, 64);

/// The number of a signal: `SIGTERM`, `term`, `15`, `SIGRTMIN+3`.
#[must_use]
pub fn number(text: &str) -> Option<i32> {
    let (first, last) = REAL_TIME;
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().filter(|n| (1..=last).contains(n));
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Some(*number);
    }
    let distance = |text: &str, sign: char| match text {
        "" => Some(0),
        text => text
            .strip_prefix(sign)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse::<i32>().ok())
            .filter(|n| *n <= last - first),
    };
    if let Some(rest) = name.strip_prefix("RTMIN") {
        return distance(rest, '+').map(|n| first + n);
    }
    name.strip_prefix("RTMAX")
        .and_then(|rest| distance(rest, '-'))
        .map(|n| last - n)
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn names_and_numbers() {
        for (text, signal) in [
            ("SIGTERM", 15),
            ("term", 15),
            ("9", 9),
            ("64", 64),
            ("SIGRTMIN", 34),
            ("SIGRTMIN+3", 37),
            ("RTMAX-1", 63),
            ("SIGPWR", 30),
        ] {
            assert_eq!(number(text), Some(signal), "{text}");
        }
        for text in [
            "",
            "SIG",
            "0",
            "65",
            "-1",
            "+9",
            " 9",
            "SIGTERM ",
            "RTMIN+31",
            "RTMIN+",
            "RTMIN-1",
            "RTMIN++1",
            "SIGSIGTERM",
            "99999999999",
            "\u{ff11}",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }
}
