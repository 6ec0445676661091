//! Error numbers by name, as errno(3) spells them: what a refused call answers.

/// `EPERM`: the answer to a call that is known and refused.
pub const EPERM: u16 = 1;
/// `ENOTTY`: the answer to an ioctl that the descriptor does not know.
pub const ENOTTY: u16 = 25;
/// `ENOSYS`: the answer to a call that this kernel seems not to have; libraries fall back.
pub const ENOSYS: u16 = 38;
/// `EOPNOTSUPP`: the answer to out-of-band data where there is none.
pub const EOPNOTSUPP: u16 = 95;
/// `EAFNOSUPPORT`: the answer to a socket family that this kernel seems not to have.
pub const EAFNOSUPPORT: u16 = 97;

/// The largest number that the kernel passes on (`MAX_ERRNO`); a filter's larger ones are cut down to it.
pub const LARGEST: u16 = 4095;

#[rustfmt::skip]
const NAMES: [(&str, u16); 131] = [
    ("EPERM", 1), ("ENOENT", 2), ("ESRCH", 3), ("EINTR", 4), ("EIO", 5), ("ENXIO", 6), ("E2BIG", 7),
    ("ENOEXEC", 8), ("EBADF", 9), ("ECHILD", 10), ("EAGAIN", 11), ("ENOMEM", 12), ("EACCES", 13),
    ("EFAULT", 14), ("ENOTBLK", 15), ("EBUSY", 16), ("EEXIST", 17), ("EXDEV", 18), ("ENODEV", 19),
    ("ENOTDIR", 20), ("EISDIR", 21), ("EINVAL", 22), ("ENFILE", 23), ("EMFILE", 24), ("ENOTTY", 25),
    ("ETXTBSY", 26), ("EFBIG", 27), ("ENOSPC", 28), ("ESPIPE", 29), ("EROFS", 30), ("EMLINK", 31),
    ("EPIPE", 32), ("EDOM", 33), ("ERANGE", 34), ("EDEADLK", 35), ("ENAMETOOLONG", 36), ("ENOLCK", 37),
    ("ENOSYS", 38), ("ENOTEMPTY", 39), ("ELOOP", 40), ("ENOMSG", 42), ("EIDRM", 43), ("ECHRNG", 44),
    ("EL2NSYNC", 45), ("EL3HLT", 46), ("EL3RST", 47), ("ELNRNG", 48), ("EUNATCH", 49), ("ENOCSI", 50),
    ("EL2HLT", 51), ("EBADE", 52), ("EBADR", 53), ("EXFULL", 54), ("ENOANO", 55), ("EBADRQC", 56),
    ("EBADSLT", 57), ("EBFONT", 59), ("ENOSTR", 60), ("ENODATA", 61), ("ETIME", 62), ("ENOSR", 63),
    ("ENONET", 64), ("ENOPKG", 65), ("EREMOTE", 66), ("ENOLINK", 67), ("EADV", 68), ("ESRMNT", 69),
    ("ECOMM", 70), ("EPROTO", 71), ("EMULTIHOP", 72), ("EDOTDOT", 73), ("EBADMSG", 74), ("EOVERFLOW", 75),
    ("ENOTUNIQ", 76), ("EBADFD", 77), ("EREMCHG", 78), ("ELIBACC", 79), ("ELIBBAD", 80), ("ELIBSCN", 81),
    ("ELIBMAX", 82), ("ELIBEXEC", 83), ("EILSEQ", 84), ("ERESTART", 85), ("ESTRPIPE", 86), ("EUSERS", 87),
    ("ENOTSOCK", 88), ("EDESTADDRREQ", 89), ("EMSGSIZE", 90), ("EPROTOTYPE", 91), ("ENOPROTOOPT", 92),
    ("EPROTONOSUPPORT", 93), ("ESOCKTNOSUPPORT", 94), ("EOPNOTSUPP", 95), ("EPFNOSUPPORT", 96),
    ("EAFNOSUPPORT", 97), ("EADDRINUSE", 98), ("EADDRNOTAVAIL", 99), ("ENETDOWN", 100),
    ("ENETUNREACH", 101), ("ENETRESET", 102), ("ECONNABORTED", 103), ("ECONNRESET", 104), ("ENOBUFS", 105),
    ("EISCONN", 106), ("ENOTCONN", 107), ("ESHUTDOWN", 108), ("ETOOMANYREFS", 109), ("ETIMEDOUT", 110),
    ("ECONNREFUSED", 111), ("EHOSTDOWN", 112), ("EHOSTUNREACH", 113), ("EALREADY", 114),
    ("EINPROGRESS", 115), ("ESTALE", 116), ("EUCLEAN", 117), ("ENOTNAM", 118), ("ENAVAIL", 119),
    ("EISNAM", 120), ("EREMOTEIO", 121), ("EDQUOT", 122), ("ENOMEDIUM", 123), ("EMEDIUMTYPE", 124),
    ("ECANCELED", 125), ("ENOKEY", 126), ("EKEYEXPIRED", 127), ("EKEYREVOKED", 128), ("EKEYREJECTED", 129),
    ("EOWNERDEAD", 130), ("ENOTRECOVERABLE", 131), ("ERFKILL", 132), ("EHWPOISON", 133),
];

/// The number of a name; also `EWOULDBLOCK` and `ENOTSUP`, which are second names.
#[must_use]
pub fn number(name: &str) -> Option<u16> {
    let name = match name {
        "EWOULDBLOCK" => "EAGAIN",
        "ENOTSUP" => "EOPNOTSUPP",
        other => other,
    };
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, number)| *number)
}

/// The name of a number.
#[must_use]
pub fn name(number: u16) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(_, known)| *known == number)
        .map(|(name, _)| *name)
}

/// Every name.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_libc() {
        for (text, expected) in [
            ("EPERM", libc::EPERM),
            ("ENOTTY", libc::ENOTTY),
            ("ENOSYS", libc::ENOSYS),
            ("ENOTSUP", libc::ENOTSUP),
            ("EWOULDBLOCK", libc::EWOULDBLOCK),
            ("EAFNOSUPPORT", libc::EAFNOSUPPORT),
            ("EHWPOISON", libc::EHWPOISON),
        ] {
            assert_eq!(number(text).map(i32::from), Some(expected), "{text}");
        }
        for constant in [
            ("EPERM", EPERM),
            ("ENOTTY", ENOTTY),
            ("ENOSYS", ENOSYS),
            ("EOPNOTSUPP", EOPNOTSUPP),
            ("EAFNOSUPPORT", EAFNOSUPPORT),
        ] {
            assert_eq!(number(constant.0), Some(constant.1));
            assert_eq!(name(constant.1), Some(constant.0));
        }
        assert_eq!((number("eperm"), number("38"), name(0)), (None, None, None));
    }
}
