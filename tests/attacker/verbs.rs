//! Steps that are more than one system call with plain arguments.

use super::bombs;
use super::hide;
use super::step::{last, number, raw};

/// Does a step that is no system call; `None` when there is no verb of that name.
pub(crate) fn run(name: &str, words: &[&str]) -> Option<i64> {
    let numbers: Vec<i64> = words.iter().filter_map(|w| number(w)).collect();
    let n = |at: usize| numbers.get(at).copied().unwrap_or_default();
    let text = |at: usize| *words.get(at).expect("one more word");
    Some(match name {
        "int80" => int80(n(0), n(1), n(2), n(3)),
        "fds" => fds(),
        "readmem" => memory(libc::SYS_process_vm_readv, n(0), n(1)),
        "writemem" => memory(libc::SYS_process_vm_writev, n(0), n(1)),
        "stdio" => stdio(),
        "boot-time" => boot_time(),
        "netlink-answer" => netlink_answer(words),
        "execute-memory" => execute_memory(text(0), words.get(1..).unwrap_or_default()),
        "fork-bomb" => bombs::forks(n(0), false),
        "fork-hold" => bombs::forks(n(0), true),
        "open-bomb" => bombs::descriptors(n(0)),
        "memory-bomb" => bombs::memory(n(0)),
        "fill" => bombs::fill(text(0), n(0)),
        "inode-bomb" => bombs::inodes(text(0), n(0)),
        "hide" => hide::hide(text(0), n(0)),
        "allow-all" => allow_all(),
        "shared-memory" => shared_memory(n(0)),
        "sleep" => {
            std::thread::sleep(std::time::Duration::from_millis(n(0).cast_unsigned()));
            0
        }
        _ => return None,
    })
}

/// A call through the 32-bit entry, whose numbers are those of i386.
fn int80(call: i64, a: i64, b: i64, c: i64) -> i64 {
    let answer: i64;
    // SAFETY: rbx is the compiler's and is put back; the kernel takes the arguments from the low halves of the registers.
    unsafe {
        std::arch::asm!(
            "push rbx", "mov ebx, {b:e}", "int 0x80", "pop rbx",
            b = in(reg) a,
            inlateout("rax") call => answer,
            in("rcx") b, in("rdx") c,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the 32-bit entry answers with 32 bits"
    )]
    i64::from(answer as i32)
}

/// Prints every open descriptor up to 4096 and what it is, and gives their number.
fn fds() -> i64 {
    let mut count = 0;
    for fd in 0..4096 {
        if raw(libc::SYS_fcntl, [fd, libc::F_GETFD.into(), 0, 0, 0, 0]) >= 0 {
            let target = std::fs::read_link(format!("/proc/self/fd/{fd}")).unwrap_or_default();
            println!("fd {fd} {}", target.display());
            count += 1;
        }
    }
    count
}

/// `process_vm_readv` or its sister, 16 bytes.
fn memory(call: i64, pid: i64, address: i64) -> i64 {
    let mut buffer = [0u8; 16];
    let local = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    let remote = libc::iovec {
        iov_base: address as *mut libc::c_void,
        iov_len: buffer.len(),
    };
    raw(
        call,
        [pid, &raw const local as i64, 1, &raw const remote as i64, 1, 0],
    )
}

/// Installs a filter that allows every call.
fn allow_all() -> i64 {
    const SET_MODE_FILTER: i64 = 1;
    let mut instruction = libc::sock_filter {
        code: 0x06, // BPF_RET | BPF_K
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: &raw mut instruction,
    };
    raw(
        libc::SYS_seccomp,
        [SET_MODE_FILTER, 0, &raw const program as i64, 0, 0, 0],
    )
}

/// Which of the standard streams are terminals, one bit each.
fn stdio() -> i64 {
    (0..3)
        .filter(|fd| {
            // SAFETY: only a number is passed.
            unsafe { libc::isatty(*fd) == 1 }
        })
        .map(|fd| 1 << fd)
        .sum()
}

/// Seconds since boot, by `CLOCK_BOOTTIME`.
fn boot_time() -> i64 {
    let mut time = [0i64; 2];
    match raw(
        libc::SYS_clock_gettime,
        [libc::CLOCK_BOOTTIME.into(), time.as_mut_ptr() as i64, 0, 0, 0, 0],
    ) {
        0 => time[0],
        error => error,
    }
}

/// Asks by netlink, which acknowledges every request: sends the message in words of 32 bits and gives the error that comes back.
fn netlink_answer(words: &[&str]) -> i64 {
    const ROUTE: i64 = 0;
    let socket = raw(
        libc::SYS_socket,
        [libc::AF_NETLINK.into(), libc::SOCK_RAW.into(), ROUTE, 0, 0, 0],
    );
    if socket < 0 {
        return socket;
    }
    let message: Vec<u8> = words
        .iter()
        .filter_map(|word| number(word))
        .flat_map(|word| u32::try_from(word).expect("32 bits").to_ne_bytes())
        .collect();
    let length = i64::try_from(message.len()).expect("a length");
    let sent = raw(
        libc::SYS_sendto,
        [socket, message.as_ptr() as i64, length, 0, 0, 0],
    );
    if sent < 0 {
        return sent;
    }
    // A header of four words, then the error.
    let mut answer = [0i32; 64];
    let got = raw(
        libc::SYS_recvfrom,
        [socket, answer.as_mut_ptr() as i64, 256, 0, 0, 0],
    );
    if got < 20 { -last() } else { answer[4].into() }
}

/// Executes a copy of the file that lies in memory and has no name: the kernel's error, or no return.
fn execute_memory(path: &str, arguments: &[&str]) -> i64 {
    use std::os::unix::process::CommandExt;
    let fd = raw(libc::SYS_memfd_create, [c"x".as_ptr() as i64, 0, 0, 0, 0, 0]);
    if fd < 0 {
        return fd;
    }
    let place = format!("/proc/self/fd/{fd}");
    let bytes = std::fs::read(path).expect("the file");
    std::fs::write(&place, bytes).expect("memory");
    let error = std::process::Command::new(&place).args(arguments).exec();
    -i64::from(error.raw_os_error().unwrap_or(0))
}

/// Reads the first byte of a System V segment that somebody else has made.
fn shared_memory(key: i64) -> i64 {
    let id = raw(libc::SYS_shmget, [key, 0, 0, 0, 0, 0]);
    if id < 0 {
        return id;
    }
    let at = raw(libc::SYS_shmat, [id, 0, 0o10000, 0, 0, 0]);
    if at < 0 {
        return -last();
    }
    // SAFETY: the kernel has just mapped a page here, for reading.
    i64::from(unsafe { *(at as *const u8) })
}
