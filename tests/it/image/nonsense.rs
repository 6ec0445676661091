//! Configs that make no sense, or that were written to make sbx do something: refused where they are read, or harmless where they are run.

use super::liar::Liar;
use super::place::{Canary, Home, refused};
use crate::util::Out;
use crate::util::image::Image;
use crate::util::tar::Entry;
use serde_json::{Value, json};

/// Runs busybox with one key of its config changed, by the command that the image names.
fn run(key: &str, value: Value) -> Option<(Out, String)> {
    let liar = Liar::of(&Image::busybox()?.set(key, value).build());
    Some((Home::new().run("default", &[], &liar.name(), &[]), liar.name()))
}

#[test]
fn configs_that_are_none_are_refused_where_they_are_read() {
    let long = format!("A={}", "x".repeat(200_000));
    let many: Vec<String> = (0..60).map(|n| format!("V{n}={}", "x".repeat(30_000))).collect();
    for (key, value, says) in [
        ("Env", json!(["novalue"]), "must be NAME=VALUE"),
        ("Env", json!(["=x"]), "must be NAME=VALUE"),
        ("Env", json!(["A=b\0c"]), "NUL"),
        ("Env", json!(["\x1b[31mA\u{202e}"]), "must be NAME=VALUE"),
        ("Env", json!([long]), "too large"),
        ("Env", json!(many), "too large"),
        ("Env", json!({"A": "b"}), "not what it is said to be"),
        ("Entrypoint", json!(["/bin/sh\0"]), "NUL"),
        ("Entrypoint", json!("sh -c x"), "not what it is said to be"),
        ("Cmd", json!([1]), "not what it is said to be"),
        ("WorkingDir", json!("relative/path"), "must be absolute"),
        ("WorkingDir", json!("../.."), "must be absolute"),
        ("WorkingDir", json!("\x1b]0;x\x07"), "must be absolute"),
        ("StopSignal", json!("SIG\x1b[31m"), "no signal"),
        ("StopSignal", json!("SIGKILL; rm -rf /"), "no signal"),
        ("User", json!("root\0"), "NUL"),
        ("Volumes", json!({"/x\0": {}}), "NUL"),
    ] {
        let Some((out, name)) = run(key, value) else {
            return;
        };
        refused(&out, &[&name, "config ", says]);
    }
}

#[test]
fn a_config_of_other_layers_is_refused() {
    let Some(image) = Image::busybox() else { return };
    for (rootfs, says) in [
        (json!({"type": "layers", "diff_ids": []}), "names 0 layers"),
        (json!({"type": "exploit", "diff_ids": []}), "must be `layers`"),
        (
            json!({"type": "layers", "diff_ids": ["sha256:../../x"]}),
            "not what it is said to be",
        ),
        (json!(null), "not what it is said to be"),
    ] {
        let mut lying = image.clone();
        lying.config["rootfs"] = rootfs;
        let liar = Liar::of(&lying.build());
        refused(&Home::new().sh(&liar.name(), "echo ran"), &[&liar.name(), says]);
    }
}

#[test]
fn commands_that_are_none() {
    let canary = Canary::new();
    for (entrypoint, code) in [
        (json!(["/not/there"]), 127),
        (json!(["/bin"]), 126),
        (json!(["not-on-path"]), 127),
        (json!(["./relative"]), 127),
        (json!([format!("../../../..{}", canary.at("program"))]), 127),
        (json!([canary.at("program")]), 127),
        (json!(["/proc/self/exe", "--help"]), 126),
        (json!(["/proc/1/exe", "--help"]), 126),
        (json!(["\x1b[31m\u{202e}"]), 127),
    ] {
        let Some((out, _)) = run("Entrypoint", entrypoint.clone()) else {
            return;
        };
        assert!(
            matches!(out.code, Some(126 | 127)),
            "{entrypoint} {code}: {:?} {}",
            out.code,
            out.stderr()
        );
        assert_eq!(out.stdout(), "", "{entrypoint}");
        assert!(!out.stderr().contains('\x1b') && !out.stderr().contains('\u{202e}'));
    }
    let Some((out, _)) = run("Entrypoint", json!(["", "x"])) else {
        return;
    };
    refused(&out, &["empty"]);
    canary.untouched();
}

#[test]
fn cve_2019_5736_an_interpreter_that_is_sbx_is_not_executed() {
    let Some(image) = Image::busybox() else { return };
    let image = image.layer([
        Entry::program("script", "#!/proc/self/exe\n"),
        Entry::symlink("link", "/proc/self/exe"),
        Entry::symlink("bin/named", "/proc/1/exe"),
    ]);
    let (home, liar) = (Home::new(), Liar::of(&image.build()));
    for profile in ["strict", "default", "build"] {
        for command in ["/script", "/link", "named"] {
            let out = home.run(profile, &[], &liar.name(), &[command, "--help"]);
            assert!(
                matches!(out.code, Some(126 | 127)),
                "{profile} {command}: {:?}",
                out.code
            );
            assert!(!out.stdout().contains("Usage"), "{}", out.stdout());
        }
        assert_eq!(home.run(profile, &[], &liar.name(), &["echo", "ran"]).ok(), "ran");
    }
}

#[test]
fn working_directories_that_lead_elsewhere() {
    let canary = Canary::new();
    let Some(base) = Image::busybox() else { return };
    let base = base.layer([
        Entry::symlink("out", canary.at("")),
        Entry::symlink("inside", "/srv/data"),
        Entry::file("srv/data/here", ""),
        Entry::file("a-file", ""),
    ]);
    let inside: fn(&Out) = |out| assert_eq!(out.ok(), "/srv/data", "{}", out.stderr());
    let no: fn(&Out) = |out| refused(out, &[]);
    let made: fn(&Out) = |out| {
        assert!(
            out.code == Some(125) || out.ok().starts_with('/'),
            "{}",
            out.stderr()
        )
    };
    for (dir, holds) in [
        ("/inside", inside),
        ("/inside/../inside", no),
        ("/../../../tmp/new", no),
        ("/a-file", no),
        ("/a-file/below", no),
        ("/out", made),
        ("/out/new", made),
        ("/proc/self/fd/3", no),
        ("/proc/self/fd/7/../..", no),
        ("/proc/self/cwd", made),
        ("/proc/1/cwd", no),
        ("/dev/new", made),
    ] {
        let liar = Liar::of(&base.clone().set("WorkingDir", json!(dir)).build());
        for profile in ["strict", "default"] {
            let script = "busybox pwd -P; test -e secret && echo host; exit 0";
            let out = Home::new().run(profile, &[], &liar.name(), &["/bin/sh", "-c", script]);
            assert!(!out.stdout().contains("host"), "{dir}");
            holds(&out);
            canary.untouched();
        }
    }
}

#[test]
fn words_of_a_config_do_not_act_on_the_terminal() {
    let evil = "\x1b]0;title\x07\u{202e}\r\n";
    let Some(mut image) = Image::busybox() else { return };
    image.config["architecture"] = json!(format!("amd64{evil}"));
    image.config["os"] = json!(evil);
    let image = image
        .set("Labels", json!({evil: evil}))
        .set("User", json!(evil))
        .set("Env", json!([format!("PATH=/bin{evil}")]))
        .set("Volumes", json!({format!("/{evil}"): {}}))
        .set("ExposedPorts", json!({evil: {}}))
        .set("Cmd", json!([evil]));
    let (home, liar) = (Home::new(), Liar::of(&image.build()));
    for verb in [
        &["pull"][..],
        &["run", "--profile", "default"],
        &["run", "--explain"],
        &["plan"],
        &["plan", "--json"],
    ] {
        for flags in [&[][..], &["--user", "0"]] {
            if !flags.is_empty() && verb[0] == "pull" {
                continue;
            }
            let out = home.sbx([verb, flags, &[&liar.name()]].concat()).out();
            let said = format!("{}{}", out.stdout(), out.stderr());
            let acts = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
            assert!(!said.contains(acts), "{verb:?} {flags:?}: {said:?}");
        }
    }
}

#[test]
fn what_an_image_may_not_ask_for() {
    // Volumes, ports and labels are no mounts, no holes and no flags.
    let canary = Canary::new();
    let Some(image) = Image::busybox() else { return };
    let image: Image = image
        .set("Volumes", json!({canary.at(""): {}, "/etc": {}, "../..": {}}))
        .set("ExposedPorts", json!({"22/tcp": {}}))
        .set(
            "Labels",
            json!({"sbx.profile": "build", "io.podman.privileged": "true"}),
        )
        .set(
            "Env",
            json!(["PATH=/bin", "LD_PRELOAD=/evil.so", "GCONV_PATH=/", "SBX_TEST=1"]),
        );
    let (home, liar) = (Home::new(), Liar::of(&image.build()));
    let script = format!(
        "cat {} 2>/dev/null; echo $LD_PRELOAD; busybox ip link 2>/dev/null | busybox grep -c mtu",
        canary.at("secret")
    );
    assert_eq!(home.sh(&liar.name(), &script).ok(), "/evil.so\n1");
    canary.untouched();
}
