//! The three standard streams: every byte, both ends, and what happens when one of them is not there.

use crate::util::{Out, Sbx, outer_shell};
use std::io::{Read, Write};

/// Every byte value, in an order that a line-wise or text-wise copy would show.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

/// An outer shell that runs `$S`, a sandbox of the profile `default`.
fn outside(script: &str) -> Out {
    outer_shell("run --quiet --profile default host --", script)
}

#[test]
fn every_byte_passes_both_ways() {
    let input = bytes(1 << 20);
    let out = Sbx::run("strict")
        .args(["host", "--", "cat"])
        .stdin(input.clone())
        .out();
    out.code(0);
    assert!(out.stdout == input, "{} bytes came back", out.stdout.len());
    let out = Sbx::sh("strict", "cat >&2").stdin(input.clone()).out();
    out.code(0);
    assert!(out.stderr == input, "{} bytes came back", out.stderr.len());
}

#[test]
fn the_two_outputs_are_two() {
    let out = Sbx::sh("default", "echo one; echo two >&2").out();
    assert_eq!(out.ok(), "one");
    assert_eq!(out.stderr(), "two\n");
}

#[test]
fn a_hundred_megabytes_lose_nothing() {
    let out = outside("head -c 100000000 /dev/zero | $S cat | $S cat | wc -c; echo ${PIPESTATUS[*]}");
    assert_eq!(out.ok(), "100000000\n0 0 0 0");
}

#[test]
fn output_is_complete_when_the_command_ends_before_its_reader() {
    // The last bytes are still in the pipe when everything inside is gone.
    for _ in 0..20 {
        let out = outside("$S sh -c 'head -c 60000 /dev/zero' | { sleep 0.02; wc -c; }");
        assert_eq!(out.ok(), "60000");
    }
}

#[test]
fn the_end_of_input_is_seen_inside() {
    assert_eq!(Sbx::sh("default", "cat; echo end").out().ok(), "end");
    assert_eq!(
        Sbx::sh("default", "read a; read b || echo end of $a")
            .stdin("x\n")
            .out()
            .ok(),
        "end of x"
    );
}

#[test]
fn the_end_of_output_is_seen_outside_before_the_command_ends() {
    let (mut child, _home) = Sbx::sh("default", "echo all; exec >&-; exec 2>&-; read x; exit 5").spawn();
    let mut said = String::new();
    // Would wait for ever if init or a helper kept the pipe open.
    child
        .stdout
        .take()
        .expect("a pipe")
        .read_to_string(&mut said)
        .expect("read");
    assert_eq!(said, "all\n");
    assert!(child.try_wait().expect("wait").is_none(), "it is still there");
    child
        .stdin
        .take()
        .expect("a pipe")
        .write_all(b"go\n")
        .expect("write");
    assert_eq!(child.wait().expect("wait").code(), Some(5));
}

#[test]
fn a_reader_that_goes_away_is_a_sigpipe_inside() {
    let out = outside("$S sh -c 'while :; do echo y; done' | head -n 1; echo ${PIPESTATUS[0]}");
    assert_eq!(out.ok(), format!("y\n{}", 128 + libc::SIGPIPE));
    // The command's disposition is the default one, whatever sbx was started with.
    let out =
        outside("trap '' PIPE; $S sh -c 'sleep 0.2; echo y; echo after >&2' | true; echo ${PIPESTATUS[0]}");
    assert_eq!(out.ok(), (128 + libc::SIGPIPE).to_string());
    assert_eq!(out.stderr(), "");
}

#[test]
fn closed_streams_stay_usable_or_closed_but_never_become_something_else() {
    // A descriptor that sbx opens for itself must not end up where a stream belongs.
    let look = "for i in 0 1 2; do readlink /proc/self/fd/$i || echo none; done >$PWD/said";
    for (closed, index) in [("<&-", 0), (">&-", 1), ("2>&-", 2)] {
        let out = outside(&format!(
            "${{S/default/build}} sh -c '{look}' {closed}; echo $?; cat said"
        ));
        let said = out.stdout();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.first(), Some(&"0"), "{closed}: {said} {}", out.stderr());
        let seen = lines.get(index + 1).copied().unwrap_or_default();
        // Standard output is what the shell inside writes `said` to.
        assert!(
            if index == 1 {
                seen.ends_with("/said")
            } else {
                seen == "none"
            },
            "{closed}: {said}"
        );
    }
    let out = outside("$S true <&- >&- 2>&-; echo $?; $S sh -c 'exit 3' <&- >&- 2>&-; echo $?");
    assert_eq!(out.ok(), "0\n3");
}

#[test]
fn a_closed_stream_is_closed_inside_and_who_uses_it_is_told() {
    for (command, closed, said) in [
        ("sh -c 'echo x'", ">&-", "echo: I/O error"),
        ("/bin/echo x", ">&-", "write error: Bad file descriptor"),
        ("cat", "<&-", "Bad file descriptor"),
    ] {
        let out = outside(&format!("$S {command} {closed}; echo $?"));
        assert_eq!(out.ok(), "1", "{command} {closed}");
        out.says(said);
    }
    let out = outside("$S sh -c 'echo x >&2 || exit 9' 2>&-; echo $?");
    assert_eq!(out.ok(), "9");
}

#[test]
fn interactive_is_what_always_is() {
    for flag in ["-i", "--interactive"] {
        let out = Sbx::run("default")
            .args([flag, "host", "--", "cat"])
            .stdin("words")
            .out();
        assert_eq!(out.ok(), "words");
    }
}

#[test]
fn no_other_descriptor_passes() {
    let out = outside("exec 7</etc/hostname 9>kept; $S sh -c 'ls /proc/self/fd'");
    // 3 is the directory that ls itself reads.
    assert_eq!(out.ok(), "0\n1\n2\n3");
}

#[test]
fn input_that_nobody_reads_is_left_for_the_next() {
    let out = outside("printf 'one\\ntwo\\n' >in; { $S sh -c 'exit 0'; cat; } <in");
    assert_eq!(out.ok(), "one\ntwo");
}

#[test]
fn appended_output_is_appended() {
    let out = outside("echo a >f; $S sh -c 'echo b' >>f; $S sh -c 'echo c >&2' 2>>f; cat f");
    assert_eq!(out.ok(), "a\nb\nc");
}

/// As [`outside`], under strict: files are relayed there.
fn relayed(script: &str) -> Out {
    outer_shell("run --quiet --profile strict host --", script)
}

#[test]
fn relayed_files_arrive_whole_and_in_order() {
    let whole = relayed("head -c 3000000 /dev/urandom >in; $S cat <in >out; cmp in out && echo same");
    assert_eq!(whole.ok(), "same");
    let both = relayed("$S sh -c 'for i in 1 2 3; do echo $i; echo $i >&2; done' >both 2>&1; cat both");
    assert_eq!(both.ok(), "1\n1\n2\n2\n3\n3");
    let more = relayed("echo a >f; $S sh -c 'echo b' >>f; $S sh -c 'echo c >&2' 2>>f; cat f");
    assert_eq!(more.ok(), "a\nb\nc");
    let group = relayed("{ echo a; $S echo b; echo c; } >f; cat f");
    assert_eq!(group.ok(), "a\nb\nc");
    let around = relayed("echo old >f; exec 3<>f; $S sh -c 'cat; echo new' <&3 >&3; echo last >&3; cat f");
    assert!(around.ok().ends_with("new\nlast"), "{}", around.stdout());
}

#[test]
fn what_is_unread_of_a_relayed_file_is_left_for_the_next() {
    let left = |script: &str| relayed(&format!("head -c 300000 /dev/zero >in; {script}")).ok();
    assert_eq!(left("{ $S true; wc -c; } <in"), "300000");
    assert_eq!(left("{ $S head -c 1000 >/dev/null; wc -c; } <in"), "299000");
    assert_eq!(left("{ head -c 1000 >/dev/null; $S true; wc -c; } <in"), "299000");
    assert_eq!(left("{ $S cat >/dev/null; wc -c; } <in"), "0");
    assert_eq!(left("{ $S sh -c 'exec <&-'; wc -c; } <in"), "300000");
    let seeks = relayed("echo x >in; $S perl -e 'sysseek(STDIN, 0, 0) or print qq($!)' <in");
    assert_eq!(seeks.ok(), "Illegal seek");
}

#[test]
fn a_relayed_file_that_cannot_grow_ends_the_run() {
    let limit = relayed("ulimit -f 100; $S head -c 200000 /dev/zero >f; echo $?; wc -c <f");
    let unit = 1024 * 100;
    assert!(limit.ok().ends_with(&format!("\n{unit}")), "{}", limit.stdout());
    assert_ne!(limit.ok().lines().next(), Some("0"));
}

#[test]
fn a_full_disk_below_a_relayed_file_is_told() {
    let enter =
        "mkdir small; mount -t tmpfs -o size=64k,mode=777 tmpfs small; touch small/f; chmod 666 small/f";
    let inner = "unshare --map-user=4242 --map-group=4242 -- sh -c \"$S head -c 200000 /dev/zero >small/f\"";
    let out = outer_shell(
        "run --quiet --profile strict --enforce groups=off host --",
        &format!("export S; unshare -rm sh -c '{enter}; {inner}; echo $?; wc -c <small/f'"),
    );
    assert_eq!(out.ok(), "125\n65536", "{}", out.stderr());
    out.says("No space left on device").says("is lost");
}

#[test]
fn only_files_are_relayed() {
    let kinds = "x=$(readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2); echo \"$x\" >&2";
    let kinds = |script: &str| relayed(&format!("$S sh -c '{kinds}' {script}")).stderr();
    assert_eq!(kinds("</dev/null >/dev/null").matches("/dev/null").count(), 2);
    let files = kinds("</etc/passwd >f");
    assert_eq!(files.matches("pipe:").count(), 3, "{files}");
}

#[test]
fn a_full_device_is_told_to_the_command() {
    let out = outside("$S sh -c 'echo x' >/dev/full; echo $?");
    assert_ne!(out.ok(), "0");
}
