//! What the escape tests run inside: system calls, one after the other, with arguments that no library would let through.
//!
//! The first argument is a program of this little language; every step prints `NAME=RESULT`, a number or the name of an error:
//!
//! ```text
//! STEP; STEP; …        a step is the name or number of a system call and its arguments, or one of the verbs of `verbs`
//! 42 -1 0x541 0o755    numbers
//! $0                   the result of step 0
//! @s:TEXT              a pointer to a C string; \0 and \n are understood
//! @z:N                 a pointer to N bytes of zero
//! @w:1,2,0x3           a pointer to 64-bit words; @d: 32-bit words, @b: bytes
//! @len                 the size of the last thing that was pointed to
//! ```
//!
//! Without an argument, as `sbx` starts its image worker, it says what `/store/words` holds, if that is there; else the program is what
//! `/store/attack` holds, and the answers go to `/store/answers`.
//!
//! `as:ROLE …` plays a part outside the sandbox instead; see `outside`.
//!
//! `openat -100 @s:/proc/1/mem 2; read $0 @z:16 16` asks for the memory of pid 1 and reads the start of it.
#![allow(
    unsafe_code,
    missing_docs,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::expect_used,
    clippy::panic,
    clippy::exit,
    clippy::disallowed_methods,
    clippy::multiple_unsafe_ops_per_block,
    reason = "an attacker asks for what no library would let through, and stops at the first mistake of its test"
)]

mod bombs;
mod hide;
mod outside;
mod step;
mod verbs;

fn main() {
    // A write to a file that is too large must say so, and not kill.
    // SAFETY: SIG_IGN runs no code.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let program = std::env::args().nth(1).unwrap_or_else(in_the_store);
    if let Some(role) = program.strip_prefix("as:") {
        outside::play(role);
    }
    let mut results = Vec::new();
    for text in program.split(';').map(str::trim).filter(|t| !t.is_empty()) {
        let mut words = text.split_whitespace();
        let name = words.next().expect("a step");
        let words: Vec<&str> = words.collect();
        let result = match verbs::run(name, &words) {
            Some(answer) => answer,
            None => step::call(name, &words, &results),
        };
        println!("{name}={}", step::show(result));
        results.push(result);
    }
}

/// The program that the store holds; what is printed goes beside it from here on.
fn in_the_store() -> String {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    if let Ok(words) = std::fs::read("/store/words") {
        // Nobody listens before the job has been taken; and whoever listens may stop to.
        let _ = std::io::stdin().lines().next();
        let _ = std::io::stdout().write_all(&words);
        std::process::exit(0);
    }
    let answers = std::fs::File::create("/store/answers").expect("the store can be written");
    // SAFETY: both are open descriptors, and nobody else has the second one.
    unsafe { libc::dup2(answers.as_raw_fd(), libc::STDOUT_FILENO) };
    std::fs::read_to_string("/store/attack").expect("a program")
}
