//! Where `unsafe`, printing, threads and allocation may stand.

use crate::project::rust;
use crate::source::{Source, sample, words};
use crate::{Findings, finding, none};

/// What allocates. After clone3 the heap is a copy that may have been locked in the middle of a change.
const ALLOCATES: [&str; 12] = [
    "format!",
    "vec!",
    "String",
    "Vec::",
    "Box::",
    "Rc::",
    "to_string",
    "to_owned",
    "to_vec",
    "clone()",
    "collect",
    "push",
];
const PRINTS: [&str; 8] = [
    "print!",
    "println!",
    "eprint!",
    "eprintln!",
    "dbg!",
    "stdout()",
    "stderr()",
    "io::Stdout",
];

fn unsafe_code(source: &Source) -> Findings {
    if source.path.starts_with("src/sys/") {
        return Vec::new();
    }
    let at = words(&source.code, "unsafe");
    at.map(|at| finding(&source.path, &source.code, at, "`unsafe` outside src/sys"))
        .collect()
}

fn any_of(source: &Source, list: &[&str], why: &str) -> Findings {
    let found = list
        .iter()
        .flat_map(|w| words(&source.shipped, w).map(move |at| (at, w)));
    // The descriptor of a stream is not the stream.
    let found = found.filter(|(at, w)| !source.shipped[at + w.len()..].starts_with(".as_fd()"));
    found
        .map(|(at, w)| finding(&source.path, &source.shipped, at, &format!("`{w}` {why}")))
        .collect()
}

/// The worker speaks to its parent through its streams.
const TALK: &str = "src/image/worker/talk.rs";

fn printing(source: &Source) -> Findings {
    if ["src/cli/out.rs", TALK].contains(&source.path.as_str()) {
        return Vec::new();
    }
    any_of(source, &PRINTS, "outside src/cli/out.rs")
}

fn allocation(source: &Source) -> Findings {
    if ![
        "src/sandbox/child.rs",
        "src/sandbox/child/mounts.rs",
        "src/sandbox/fresh.rs",
        "src/sandbox/init.rs",
    ]
    .contains(&source.path.as_str())
    {
        return Vec::new();
    }
    any_of(source, &ALLOCATES, "allocates after clone3")
}

/// The worker is a program of its own, which never clones.
const WORKER: &str = "src/image/worker/";

fn threads(source: &Source) -> Findings {
    if source.path.starts_with(WORKER) {
        return Vec::new();
    }
    any_of(
        source,
        &["std::thread", "thread::spawn", "thread::Builder"],
        "before clone3 no thread may exist",
    )
}

/// Only the worker links what reads the bytes of strangers: neither its threads nor its parsers are near the process that clones.
fn strangers(source: &Source) -> Findings {
    let own = ["image/worker", "image/registry", "image/unpack", "bin/sbx-image"];
    if own
        .iter()
        .any(|place| source.path.starts_with(&format!("src/{place}")))
    {
        return Vec::new();
    }
    let readers = [
        "worker::",
        "registry::",
        "unpack::",
        "ureq::",
        "rustls::",
        "tar::",
        "flate2::",
        "zstd::",
    ];
    any_of(source, &readers, "belongs to the worker alone")
}

#[test]
fn strangers_bytes_are_read_by_the_worker_alone() {
    let text = "use crate::image::unpack::Options;";
    assert_eq!(sample("src/cli/pull.rs", text, strangers).len(), 1);
    none(sample("src/image/worker/layers.rs", text, strangers));
    none(rust().iter().flat_map(strangers).collect());
}

#[test]
fn unsafe_stands_in_sys_alone() {
    assert_eq!(
        sample("src/host/a.rs", "\nfn f() { unsafe { g() } }", unsafe_code),
        ["src/host/a.rs:2: `unsafe` outside src/sys"]
    );
    none(sample(
        "src/host/a.rs",
        "// unsafe\n/* unsafe */ #![deny(unsafe_code)] fn f() { \"unsafe\"; }",
        unsafe_code,
    ));
    none(rust().iter().flat_map(unsafe_code).collect());
}

#[test]
fn only_cli_out_prints() {
    for text in [
        "fn f() { println!(\"a\") }",
        "fn f() { std::io::stdout().lock(); }",
        "fn f(o: io::Stdout) {}",
    ] {
        assert_eq!(sample("src/cli/run.rs", text, printing).len(), 1, "{text}");
        none(sample("src/cli/out.rs", text, printing));
    }
    none(sample(
        "src/cli/run.rs",
        "#[cfg(test)]\nmod tests { fn f() { println!() } }\nfn g() { stdout().as_fd(); }",
        printing,
    ));
    none(rust().iter().flat_map(printing).collect());
}

#[test]
fn nothing_allocates_after_clone3() {
    for text in [
        "fn f() { let a = format!(\"a\"); }",
        "fn f(s: String) {}",
        "fn f() { a.push(1) }",
        "fn f() { a.clone(); }",
    ] {
        assert_eq!(
            sample("src/sandbox/child.rs", text, allocation).len(),
            1,
            "{text}"
        );
        none(sample("src/sandbox/prepare.rs", text, allocation));
    }
    let fine = "fn f(a: &[CString], s: &Strings, o: Option<OwnedFd>) {}\n#[cfg(test)] mod tests { fn f() { vec![1]; } }";
    none(sample("src/sandbox/init.rs", fine, allocation));
    none(rust().iter().flat_map(allocation).collect());
}

#[test]
fn there_are_no_threads() {
    assert_eq!(sample("src/cli/a.rs", "use std::thread;", threads).len(), 1);
    none(sample("src/image/worker/a.rs", "use std::thread;", threads));
    none(rust().iter().flat_map(threads).collect());
}
