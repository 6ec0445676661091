//! One system call: name and words to registers, and the answer to a word.

use sbx::seccomp::table;

/// Makes the call. What pointers point to is leaked: this process is short.
pub(crate) fn call(name: &str, words: &[&str], results: &[i64]) -> i64 {
    let number = table::number(name)
        .map(i64::from)
        .or_else(|| number(name))
        .unwrap_or_else(|| panic!("no such system call or verb: {name}"));
    let mut registers = [0i64; 6];
    let mut size = 0;
    for (register, word) in registers.iter_mut().zip(words) {
        *register = value(word, results, &mut size);
    }
    let forks = matches!(name, "clone" | "clone3" | "fork" | "vfork");
    let answer = raw(number, registers);
    if forks && answer == 0 {
        // SAFETY: the copy ends at once and touches nothing.
        unsafe { libc::_exit(0) };
    }
    if forks && answer > 0 {
        // SAFETY: no status is asked for.
        unsafe {
            libc::wait4(
                i32::try_from(answer).unwrap_or(-1),
                std::ptr::null_mut(),
                libc::__WALL,
                std::ptr::null_mut(),
            )
        };
    }
    answer
}

/// The call as the kernel answers it: negative numbers are errors.
pub(crate) fn raw(number: i64, [a, b, c, d, e, f]: [i64; 6]) -> i64 {
    // SAFETY: that it is not safe is the point of this program; its memory is its own.
    let answer = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    if answer == -1 { -last() } else { answer }
}

/// errno.
pub(crate) fn last() -> i64 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0).into()
}

fn value(word: &str, results: &[i64], size: &mut usize) -> i64 {
    if let Some(step) = word.strip_prefix('$') {
        let step: usize = step.parse().expect("$N");
        return *results.get(step).expect("a step that has been done");
    }
    if word == "@len" {
        return i64::try_from(*size).expect("a size");
    }
    if let Some(what) = word.strip_prefix('@') {
        let (kind, text) = what.split_once(':').expect("@KIND:TEXT");
        let bytes = bytes(kind, text, results);
        *size = bytes.len() - usize::from(kind == "s");
        return bytes.leak().as_ptr() as i64;
    }
    number(word).unwrap_or_else(|| panic!("no value: {word}"))
}

fn bytes(kind: &str, text: &str, results: &[i64]) -> Vec<u8> {
    let all = || {
        text.split(',').map(|word| match word.strip_prefix('$') {
            Some(_) => value(word, results, &mut 0),
            None => number(word).expect("a number"),
        })
    };
    match kind {
        "s" => {
            let mut bytes = text.replace("\\0", "\0").replace("\\n", "\n").into_bytes();
            bytes.push(0);
            bytes
        }
        "z" => vec![0; usize::try_from(number(text).expect("@z:N")).expect("a size")],
        "w" => all().flat_map(i64::to_ne_bytes).collect(),
        #[allow(
            clippy::cast_possible_truncation,
            reason = "what does not fit is cut, as in C"
        )]
        "d" => all().flat_map(|n| (n as i32).to_ne_bytes()).collect(),
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "what does not fit is cut, as in C"
        )]
        "b" => all().map(|n| n as u8).collect(),
        _ => panic!("no such kind: @{kind}"),
    }
}

/// Decimal, `0x` and `0o`, with a sign; a hexadecimal number may use all 64 bits.
pub(crate) fn number(text: &str) -> Option<i64> {
    let (digits, minus) = text.strip_prefix('-').map_or((text, false), |t| (t, true));
    let magnitude = if let Some(hex) = digits.strip_prefix("0x") {
        u64::from_str_radix(hex, 16).ok()?.cast_signed()
    } else if let Some(octal) = digits.strip_prefix("0o") {
        i64::from_str_radix(octal, 8).ok()?
    } else {
        digits.parse().ok()?
    };
    Some(if minus { -magnitude } else { magnitude })
}

/// A number, or the name of an error.
pub(crate) fn show(answer: i64) -> String {
    match answer {
        -4095..0 => nix::errno::Errno::from_raw(i32::try_from(-answer).unwrap_or(0)),
        _ => return answer.to_string(),
    }
    .to_string()
    .split(':')
    .next()
    .unwrap_or_default()
    .to_owned()
}
