//! What else docker's command line has: mounts in words, places that vanish, signals, shared memory, names.

use super::Place;
use crate::util::{Dir, Sbx, hand_over};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

#[test]
fn mounts_in_words() {
    let dir = Dir::open();
    dir.write("file", "bound\n");
    let source = dir.path().display();
    let mount = |text: String, script: &str| {
        let run = Sbx::run("default").args(["--mount", &text]);
        run.args(["host", "--", "sh", "-c", script]).out()
    };
    let bind = |more: &str| format!("type=bind,source={source},target=/m{more}");
    assert_eq!(
        mount(bind(""), "cat /m/file; echo x > /m/new && echo written").ok(),
        "bound\nwritten"
    );
    for more in [",readonly", ",ro=true", ",readonly=1"] {
        assert_eq!(
            mount(bind(more), "echo x > /m/new2 || echo refused").ok(),
            "refused",
            "{more}"
        );
    }
    let tmpfs = "type=tmpfs,dst=/m,tmpfs-size=64k,tmpfs-mode=700".to_owned();
    let script = "stat -c %a /m; head -c 100000 /dev/zero > /m/x || echo full";
    assert_eq!(mount(tmpfs, script).ok(), "700\nfull");
}

#[test]
fn a_volume_without_a_name_vanishes_and_says_so() {
    let run = |flags: &[&str]| {
        Sbx::new(["run"])
            .args(flags)
            .args(["host", "--", "sh", "-c", "echo x > /scratch/f; ls /scratch"])
            .out()
    };
    for flags in [["-v", "/scratch"], ["--mount", "target=/scratch"]] {
        let out = run(&flags);
        assert_eq!(out.ok(), "f");
        out.says("/scratch vanishes with the sandbox");
    }
}

#[test]
fn places_for_data_of_an_image_can_be_written_in_a_root_that_cannot() {
    let Some(place) = Place::new() else { return };
    let script = "echo x > /var/lib/app/f && cat /var/lib/app/f; echo x > /tmp/f; echo x > /f || echo sealed";
    assert_eq!(place.run(&["--read-only"], "app:1", script).ok(), "x\nsealed");
    // What is asked for by name has the place.
    place
        .run(
            &["--read-only", "-v", "app:/var/lib/app"],
            "app:1",
            "echo kept > /var/lib/app/f",
        )
        .ok();
    let said = place
        .run(&["-v", "app:/var/lib/app"], "app:1", "cat /var/lib/app/f")
        .ok();
    assert_eq!(said, "kept");
    // And the first use of a volume has what the image has there, though the root is read-only.
    let said = place.run(
        &["--read-only", "--user", "0:0", "-v", "data:/data"],
        "app:1",
        "busybox ls /data",
    );
    assert_eq!(said.ok(), "hello\nlink\nset\nsub");
}

/// What the command gets when sbx gets SIGTERM.
fn stopped_by(place: &Place, flags: &[&str], image: &str) -> String {
    let image = place.registry.name(image);
    let script = "trap 'echo usr1; exit' USR1; trap 'echo int; exit' INT; trap 'echo term; exit' TERM; echo ready; while :; do busybox sleep 0.05; done";
    let run = place
        .sbx(["run", "--quiet"])
        .args(flags)
        .args([image.as_str(), "sh", "-c", script]);
    let (mut command, _home) = run.into_command();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sbx starts");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut said = String::new();
    out.read_line(&mut said).expect("a line");
    assert_eq!(said, "ready\n");
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).expect("a signal");
    said.clear();
    out.read_to_string(&mut said).expect("text");
    child.wait().expect("it ends");
    said.trim_end().to_owned()
}

#[test]
fn the_image_says_how_it_is_stopped() {
    let Some(place) = Place::new() else { return };
    assert_eq!(stopped_by(&place, &[], "plain:1"), "term");
    assert_eq!(stopped_by(&place, &[], "app:1"), "usr1");
    assert_eq!(stopped_by(&place, &["--stop-signal", "SIGINT"], "app:1"), "int");
    assert_eq!(
        stopped_by(&place, &["--stop-signal", "2", "--init=false"], "app:1"),
        "int"
    );
    let image = place.registry.name("app:1");
    let plan = place.sbx(["plan", &image, "true"]).out().ok();
    assert!(
        plan.contains("SIGTERM to sbx is signal 10 to the command"),
        "{plan}"
    );
}

#[test]
fn shared_memory_names_and_hosts() {
    let size = Sbx::run("default")
        .args([
            "--shm-size",
            "2m",
            "host",
            "--",
            "sh",
            "-c",
            "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2",
        ])
        .out();
    assert_eq!(size.ok(), "2048");
    let Some(place) = Place::new() else { return };
    for image in ["host", "plain:1"] {
        let flags = [
            "-h",
            "box",
            "--add-host",
            "db:10.1.2.3",
            "--add-host",
            "six=[::2]",
        ];
        let said = place.run(&flags, image, "cat /etc/hostname; cat /etc/hosts").ok();
        assert!(
            said.starts_with("box\n10.1.2.3\tdb\n::2\tsix\n127.0.0.1\tlocalhost\n"),
            "{said}"
        );
        let flags = ["--network", "host", "--dns", "192.0.2.1"];
        assert_eq!(
            place.run(&flags, image, "cat /etc/resolv.conf").ok(),
            "nameserver 192.0.2.1"
        );
    }
    let root = Dir::new();
    hand_over(root.path());
    place
        .sbx(["run", "--quiet", "--add-host", "a:1.2.3.4"])
        .args([root.path()])
        .args(["true"])
        .out()
        .code(125)
        .says("its own /etc");
}

#[test]
fn help_is_a_long_word() {
    for verb in ["run", "plan", "why"] {
        let out = Sbx::new([verb, "--help"]).out();
        assert!(out.ok().contains("--hostname"), "{verb}");
    }
}
