//! A limit to what is written to standard output and standard error: for logs that somebody keeps.

use super::{plan, record, run};
use crate::streams::bytes;
use crate::util::{Dir, Out, Sbx, outer_shell, patient, within};
use std::io::Read;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// An outer shell with a sandbox in `$S`, whose output may be a mebibyte.
fn outside(script: &str) -> Out {
    outer_shell("run --quiet --output-limit 1m", script)
}

#[test]
fn as_much_as_may_be_passes_and_a_byte_more_ends_it() {
    for (script, passed) in [
        ("printf '%04999d\\n' 0", 5000),
        (
            "printf '%01999d\\n' 0; sleep 0.1; printf '%02999d\\n' 0 >&2",
            2000,
        ),
        ("printf '%04999d\\n' 0 >&2", 0),
    ] {
        let fits = run(&["--json", "--output-limit", "5000"], script);
        assert_eq!(fits.code(0).stdout.len(), passed, "{script}");
        assert_eq!(record(&fits)["output_bytes"], 5000, "{script}");
        let over = run(&["--json", "--output-limit", "4999"], script);
        over.code(137)
            .says("than the limit of 4999 (the flag --output-limit 4999)");
        let zeros = over.stderr.iter().take_while(|byte| **byte == b'0').count();
        assert_eq!(over.stdout.len() + zeros, 4999, "{script}");
        let r = record(&over);
        assert_eq!(
            (r["reason"].as_str(), r["output_bytes"].as_u64()),
            (Some("output"), Some(4999)),
            "{r}"
        );
    }
}

#[test]
fn whoever_writes_without_end_is_ended() {
    for flags in [&[][..], &["-t"]] {
        let started = Instant::now();
        let flags = [&["--output-limit", "100k"], flags].concat();
        let out = run(&flags, "yes & exec yes");
        out.code(137).says("more was written to standard output");
        // A limit is shown in the largest unit that divides it.
        out.says("limit of 100K");
        assert_eq!(out.stdout.len(), 100 << 10, "{flags:?}");
        assert!(started.elapsed() < patient(Duration::from_secs(10)));
    }
}

#[test]
fn every_byte_passes_in_its_order() {
    let input = bytes(900_000);
    let sbx = Sbx::run("default").args(["--output-limit", "1m", "host", "--", "cat"]);
    let out = sbx.stdin(input.clone()).out();
    out.code(0);
    assert!(out.stdout == input, "{} bytes came back", out.stdout.len());
    let both = outside("$S host -- sh -c 'for i in 1 2 3; do echo $i; echo $i >&2; done' 2>&1");
    assert_eq!(both.ok(), "1\n1\n2\n2\n3\n3");
    let apart = outside("$S host -- sh -c 'echo out; echo err >&2' 2>/dev/null");
    assert_eq!(apart.ok(), "out");
}

#[test]
fn its_readers_may_be_slow_or_go() {
    let slow = outside("$S host -- head -c 300000 /dev/zero | { sleep 0.3; wc -c; }; echo ${PIPESTATUS[0]}");
    assert_eq!(slow.ok(), "300000\n0");
    // SIGPIPE, as without a limit.
    let gone = outside("$S host -- sh -c 'exec yes' | head -n 1; echo ${PIPESTATUS[0]}");
    assert_eq!(gone.ok(), "y\n141");
    let never = outside(
        "$S --timeout 1s host -- head -c 200000 /dev/zero | { sleep 4; wc -c; }; echo ${PIPESTATUS[0]}",
    );
    never.says("the time of 1s was up");
    assert!(never.ok().ends_with("\n137"), "{}", never.stdout());
}

#[test]
fn a_stream_that_closes_is_closed_outside_too() {
    let (mut command, _home) = Sbx::run("default")
        .args(["--output-limit", "1m", "host", "--"])
        .args(["sh", "-c", "echo first; exec >&-; exec sleep 60"])
        .into_command();
    let mut child = command.stdout(Stdio::piped()).spawn().expect("sbx starts");
    let mut text = String::new();
    let mut output = child.stdout.take().expect("a pipe");
    output.read_to_string(&mut text).expect("its end");
    assert_eq!(text, "first\n");
    assert!(child.try_wait().expect("wait").is_none(), "it still runs");
    child.kill().expect("killed");
    within(Duration::from_secs(5), "it ends", || {
        child.try_wait().expect("wait").is_some()
    });
}

#[test]
fn what_cannot_be_written_is_told() {
    let (mut command, _home) = Sbx::run("default")
        .args(["--output-limit", "1m", "--json", "host", "--", "echo", "lost"])
        .into_command();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("a device");
    let out = Out::from(command.stdout(full).output().expect("sbx starts"));
    out.code(125).says("No space left on device").says("is lost");
    out.says("\"reason\":\"exited\",\"exit_code\":125");
}

#[test]
fn without_an_init_it_holds_as_well() {
    let dir = Dir::open();
    dir.write(
        "p.toml",
        "extends = [\"default\"]\n[namespaces]\ninit = false\n[limits]\noutput = \"64K\"\n",
    );
    let sbx = Sbx::new(["run", "--profile", "./p.toml", "host", "--", "yes"]).within(dir.path());
    let out = sbx.out();
    out.code(137).says("the limit of 64K (./p.toml:5:10)");
    assert_eq!(out.stdout.len(), 64 << 10);
}

#[test]
fn it_stands_in_the_plan_and_nothing_is_no_limit() {
    let steps = plan(&["--output-limit", "10m"]).ok();
    let line = steps
        .lines()
        .find(|line| line.contains("more than 10M ends everything"));
    assert!(line.is_some_and(|line| line.starts_with("limits ")), "{steps}");
    plan(&["--output-limit", "0"]).code(125).says("write how much");
    plan(&["--output-limit", "much"]).code(2).says("is not a size");
}
