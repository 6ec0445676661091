//! Programs of the attacker's that would run as the caller: set-id bits on files of the host.

use super::{ALL, Answers, Attack, outside, profile, under};
use crate::util::image::Image;
use crate::util::{Dir, Out, Sbx, hand_over, is_root};
use std::fs::File;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::process::{Command, Stdio};

/// Every call that takes a mode, each on a file of its name; mkdir as well, from whose mode the kernel takes the bits.
const DOORS: &str = "openat -100 @s:/w/chmod 0o102 0o600; chmod @s:/w/chmod 0o6755; \
    openat -100 @s:/w/fchmod 0o102 0o600; fchmod $2 0o6755; \
    openat -100 @s:/w/fchmodat 0o102 0o600; fchmodat -100 @s:/w/fchmodat 0o6755; \
    openat -100 @s:/w/fchmodat2 0o102 0o600; fchmodat2 -100 @s:/w/fchmodat2 0o6755 0; \
    open @s:/w/open 0o102 0o6755; openat -100 @s:/w/openat 0o102 0o6755; openat2 -100 @s:/w/openat2 @w:66,3565,0 24; \
    creat @s:/w/creat 0o6755; mknod @s:/w/mknod 0o106755 0; mknodat -100 @s:/w/mknodat 0o106755 0; \
    mkdir @s:/w/mkdir 0o6755; mkdirat -100 @s:/w/mkdirat 0o6755; openat -100 @s:/w 0o20200002 0o6755";

/// The files beneath a directory that have set-id bits, by name.
fn set_id(dir: &Dir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path()).expect("the directory");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.metadata().expect("its mode").mode() & 0o6000 != 0)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The files with set-id bits that the attack leaves in a directory that is handed over, and its answers.
fn left(profile: &str, flags: &[&str]) -> (Vec<String>, Answers) {
    let dir = Dir::open();
    let bind = format!("{}:/w:rw", dir.path().display());
    let answers = under(profile).args(["-v", &bind]).args(flags).attack(DOORS);
    (set_id(&dir), answers)
}

#[test]
fn no_file_of_the_host_becomes_a_set_id_program_of_the_caller() {
    let mut all = [
        "chmod",
        "creat",
        "fchmod",
        "fchmodat",
        "fchmodat2",
        "mknod",
        "mknodat",
        "open",
        "openat",
        "openat2",
    ]
    .map(str::to_owned)
    .to_vec();
    // Since Linux 6.6.
    if outside("fchmodat2 -100 @s:/nowhere 0 0").of("fchmodat2") == "ENOSYS" {
        all.retain(|call| call != "fchmodat2");
    }
    for name in ALL {
        let (names, answers) = left(name, &[]);
        if is_root() {
            // Files that the sandbox makes belong to ids that are nobody's on the host.
            assert_eq!(names, all, "{name}");
            continue;
        }
        assert_eq!(names, <[&str; 0]>::default(), "{name}");
        for call in [
            "chmod",
            "fchmod",
            "fchmodat",
            "fchmodat2",
            "open",
            "openat",
            "creat",
            "mknod",
            "mknodat",
        ] {
            answers.refused(call, &["EPERM"]);
        }
        answers.refused("openat2", &["ENOSYS"]);
    }
    let (names, answers) = left("strict", &["--enforce", "seccomp=off"]);
    assert_eq!(names, all);
    answers.number("openat");
}

/// With the working directory of `build`, which nobody has to ask for.
#[test]
fn the_working_directory_gets_no_set_id_program() {
    let dir = Dir::open();
    let attack = |flags: &[&str]| {
        let script = "cp /bin/true p && chmod 4755 p; ls -l p";
        let out = Sbx::run("build").within(dir.path()).args(flags).shell(script);
        (out, std::mem::take(&mut set_id(&dir)))
    };
    let (out, names) = attack(&[]);
    assert!(
        is_root() || out.stderr().contains("Operation not permitted"),
        "{}",
        out.stderr()
    );
    assert_eq!(names.is_empty(), !is_root());
    assert_eq!(attack(&["--enforce", "seccomp=off"]).1, ["p"]);
}

/// Packages set the bits, in a root that nobody else reaches; not beside a directory of the host.
#[test]
fn images_keep_set_id_bits_unless_files_of_the_host_are_shown() {
    let (_store, layout) = Image::attacker().build().layout();
    let image = format!("oci:{}", layout.display());
    let program = "openat -100 @s:/f 0o102 0o600; fchmod $0 0o4755";
    let run = |flags: &[&str]| Answers(Sbx::run("default").args(flags).args([&image, program]).out());
    assert_eq!(run(&[]).of("fchmod"), "0");
    let dir = Dir::open();
    let bind = |mode: &str| format!("{}:/w:{mode}", dir.path().display());
    assert_eq!(run(&["-v", &bind("ro")]).of("fchmod"), "0");
    let expected = if is_root() { "0" } else { "EPERM" };
    assert_eq!(run(&["-v", &bind("rw")]).of("fchmod"), expected);
    // A file that is a stream is the caller's, too.
    let path = dir.write("file", "words");
    let (mut command, _home) = Sbx::run("default")
        .args([&image, "fchmod 0 0o4755"])
        .into_command();
    command.stdin(File::open(&path).expect("the file"));
    let answers = Answers(Out::from(command.output().expect("sbx starts")));
    answers.refused("fchmod", &["EPERM"]);
    assert_eq!(std::fs::metadata(&path).expect("the file").mode() & 0o6000, 0);
}

/// With the file that is standard input, where it is passed; the same attack succeeds without the filter.
#[test]
fn a_file_on_a_standard_stream_gets_no_set_id_bits() {
    let attack = |name: &str, flags: &[&str]| {
        let dir = Dir::new();
        let path = dir.write("file", "words");
        hand_over(&path);
        let sbx = under(name).args(flags);
        let (mut command, _home) = sbx
            .args(["host", "--", "/attacker", "fchmod 0 0o4755"])
            .into_command();
        command.stdin(File::open(&path).expect("the file"));
        let out = command.output().expect("sbx starts");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        std::fs::metadata(&path).expect("the file").mode() & 0o6000 != 0
    };
    let passed = profile("streams-passed");
    for name in [&passed, "default", "build"] {
        assert_eq!(attack(name, &[]), is_root(), "{name}");
        assert!(attack(name, &["--enforce", "seccomp=off"]), "{name}");
    }
}

#[test]
fn a_directory_or_a_path_is_no_standard_stream() {
    let dir = Dir::new();
    let path = dir.write("file", "words");
    let bare = || {
        File::options()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(&path)
            .expect("a path")
    };
    let sets = [Command::stdin, Command::stdout, Command::stderr];
    for (set, name) in sets.into_iter().zip(["input", "output", "error"]) {
        for file in [File::open(dir.path()).expect("the directory"), bare()] {
            let (mut command, _home) = Sbx::sh("default", "echo started").into_command();
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            set(&mut command, file);
            let out = Out::from(command.output().expect("sbx starts"));
            out.code(125);
            assert_eq!(out.stdout(), "");
            // On standard error itself nothing can be said.
            if name != "error" {
                out.says(&format!(
                    "sbx: standard {name} is a directory or was opened with O_PATH"
                ));
            }
        }
    }
}
