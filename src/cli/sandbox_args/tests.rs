//! Flags that no profile has a word for.

use super::*;
use crate::policy::Userns;

fn said(args: &SandboxArgs) -> String {
    args.flags().expect_err("an error").message
}

#[test]
fn maps_of_ids() {
    let chosen = |args: &SandboxArgs| args.flags().expect("flags").userns.map(|set| set.value);
    let keep = |text: &str| SandboxArgs {
        ids: Apart(IdArgs {
            userns: Some(text.into()),
            ..IdArgs::default()
        }),
        ..SandboxArgs::default()
    };
    for (text, uid, gid) in [
        ("keep-id", None, None),
        ("keep-id:uid=5", Some(5), None),
        ("keep-id:uid=5,gid=0", Some(5), Some(0)),
    ] {
        let map = chosen(&keep(text)).expect(text);
        assert_eq!(map, Userns::KeepId { uid, gid });
        assert_eq!(map.flags(), ["--userns", text]);
    }
    assert_eq!(chosen(&keep("auto")), None);
    for (text, words) in [
        ("host", "keep-id"),
        ("nomap", "--map range"),
        ("auto:size=5", "--uidmap"),
        ("keep-id:uid=-1", "uid `-1` is no id"),
        ("keep-id:uid=4294967295", "is no id"),
        ("keep-id:size=5", "uid=N and gid=N"),
        ("container:x", "cannot be joined"),
        ("", "write keep-id"),
    ] {
        let said = said(&keep(text));
        assert!(said.starts_with("--userns `") && said.contains(words), "{said}");
    }
    let lines = |uid: &[&str], gid: &[&str]| SandboxArgs {
        ids: Apart(IdArgs {
            uidmap: uid.iter().map(ToString::to_string).collect(),
            gidmap: gid.iter().map(ToString::to_string).collect(),
            ..IdArgs::default()
        }),
        ..SandboxArgs::default()
    };
    let map = chosen(&lines(&["0:1:10", "10:0"], &[])).expect("maps");
    assert_eq!(
        map.flags().join(" "),
        "--uidmap 0:1:10 --uidmap 10:0:1 --gidmap 0:1:10 --gidmap 10:0:1"
    );
    for text in [
        "",
        "0",
        "0:0:0",
        "a:0:1",
        "0:-1:1",
        "0:0:1:1",
        "2147483647:0:2",
        "+0:0:1",
        "0:@5:1",
        "0:0: 1",
    ] {
        assert!(said(&lines(&[text], &[])).starts_with("--uidmap `"), "{text}");
        assert!(said(&lines(&[], &[text])).starts_with("--gidmap `"), "{text}");
    }
    let mut both = keep("keep-id");
    both.ids.map = Some("range".into());
    assert!(said(&both).contains("--map and --userns"));
}

#[test]
fn names_groups_and_signals() {
    let with = |set: &dyn Fn(&mut SandboxArgs)| {
        let mut args = SandboxArgs::default();
        set(&mut args);
        args
    };
    let hosts =
        with(&|a| a.surroundings.add_host = vec!["a:1.2.3.4".into(), "b:::1".into(), "c=[::2]".into()]);
    let hosts = hosts.flags().expect("hosts").hosts;
    let hosts: Vec<String> = hosts
        .iter()
        .map(|h| format!("{} {}", h.value.0, h.value.1))
        .collect();
    assert_eq!(hosts, ["a 1.2.3.4", "b ::1", "c ::2"]);
    for text in [
        "a",
        ":1.2.3.4",
        "a:b",
        "a b:1.2.3.4",
        "a\n:1.2.3.4",
        "a:host-gateway",
        "-a:1.2.3.4",
    ] {
        let said = said(&with(&|a| a.surroundings.add_host = vec![text.into()]));
        assert!(said.starts_with("--add-host `") && !said.contains('\n'), "{said}");
    }
    for text in ["", "a b", "a:b", "-1", "99999999999", "keep-groups"] {
        let said = said(&with(&|a| a.ids.group_add = vec![text.into()]));
        assert!(said.starts_with("--group-add `"), "{said}");
    }
    for text in ["", "SIGFOO", "0", "65"] {
        assert!(said(&with(&|a| a.process.stop_signal = Some(text.into()))).starts_with("--stop-signal `"));
    }
    for text in ["", "big", "0"] {
        assert!(said(&with(&|a| a.files.shm_size = Some(text.into()))).starts_with("--shm-size"));
    }
    assert!(said(&with(&|a| a.surroundings.dns = vec!["example.org".into()])).starts_with("--dns `"));
}
