//! Mounts as docker writes them, and what is wrong with others.

use super::*;

fn mount(text: &str) -> Result<Mounts, String> {
    Mounts::read(&[] as &[&str], &[text.to_owned()], &[]).map_err(|report| report.message)
}

#[test]
fn mounts_are_dockers() {
    let bind = mount("type=bind,src=/a,dst=/b,readonly").expect("a bind");
    let one = &bind.binds[0].value;
    assert_eq!(
        (one.source.as_str(), one.target.as_deref(), one.mode),
        ("/a", Some("/b"), MountMode::ReadOnly)
    );
    let quoted = mount("type=bind,\"source=/a,\"\"b\",destination=/b,ro=false,bind-propagation=rprivate")
        .expect("a bind");
    assert_eq!(quoted.binds[0].value.source, "/a,\"b");
    assert_eq!(quoted.binds[0].value.mode, MountMode::Writable);
    let tmpfs = mount("type=tmpfs,target=/t,tmpfs-size=64m,tmpfs-mode=1770").expect("a tmpfs");
    let one = &tmpfs.tmpfs[0].value;
    assert_eq!(
        (one.size, one.mode.as_deref()),
        (Some(Bytes(64 << 20)), Some("1770"))
    );
    let named = mount("source=data,target=/d,ro").expect("a volume");
    assert_eq!(named.named[0].value.name.as_str(), "data");
    assert_eq!(mount("target=/d").expect("a volume").anonymous.len(), 1);
}

#[test]
fn what_is_wrong_is_named() {
    for (text, words) in [
        ("", "empty key"),
        (
            "type=nfs,target=/x",
            "type `nfs`: write one of bind, tmpfs, volume",
        ),
        ("type=bind,target=/x", "source is missing"),
        ("type=bind,source=/a", "target is missing"),
        (
            "type=bind,source=/a,target=b",
            "target: `b` is not an absolute path",
        ),
        ("type=bind,source=/a,target=/b/../c", "target: "),
        ("type=bind,source=/a,source=/b,target=/c", "source is there twice"),
        ("type=bind,src=/a,source=/b,target=/c", "source is there twice"),
        ("type=bind,source=/a,target=/b,readonly=maybe", "readonly `maybe`"),
        (
            "type=bind,source=/a,target=/b,tmpfs-size=1m",
            "tmpfs-size is for type=tmpfs",
        ),
        (
            "type=bind,source=/a,target=/b,bind-propagation=rshared",
            "rprivate",
        ),
        (
            "type=bind,source=/a,target=/b,bind-recursive=disabled",
            "bind-recursive is not",
        ),
        ("type=tmpfs,source=/a,target=/b", "source: a tmpfs has none"),
        ("type=tmpfs,target=/b,tmpfs-size=big", "tmpfs-size: `big`"),
        ("type=tmpfs,target=/b,tmpfs-size=0", "tmpfs-size: a size of 0"),
        ("type=tmpfs,target=/b,tmpfs-mode=999", "tmpfs-mode `999`"),
        ("type=tmpfs,target=/b,tmpfs-mode=+777", "tmpfs-mode `+777`"),
        ("type=volume,source=a/b,target=/c", "is no name of a volume"),
        (
            "source=a,target=/c,volume-nocopy",
            "volume-nocopy is not supported",
        ),
        (
            "source=a,target=/c,volume-driver=nfs",
            "volume-driver is not supported",
        ),
        (
            "source=a,target=/c,tmpfs-mode=700",
            "tmpfs-mode is for type=tmpfs",
        ),
        ("source=a,targt=/c", "did you mean target?"),
        ("source=a,target", "target has no value"),
        ("\"source=a,target=/c", "not closed"),
        ("\"source=a\"x,target=/c", "comma is missing"),
    ] {
        let said = mount(text).expect_err(text);
        assert!(
            said.starts_with("--mount `") && said.contains(words),
            "{text}: {said}"
        );
    }
}

#[test]
fn volumes_are_told_from_paths() {
    let read = |text: &str| Mounts::read(&[text], &[], &[]).map_err(|report| report.message);
    for (text, binds, named, anonymous) in [
        ("/a:/b", 1, 0, 0),
        ("./a:/b:ro", 1, 0, 0),
        (".:/b", 1, 0, 0),
        ("..:/b", 1, 0, 0),
        ("~:/b", 1, 0, 0),
        ("data:/b", 0, 1, 0),
        ("/b", 0, 0, 1),
    ] {
        let all = read(text).expect(text);
        let counted = (all.binds.len(), all.named.len(), all.anonymous.len());
        assert_eq!(counted, (binds, named, anonymous), "{text}");
    }
    for text in [
        "",
        "data",
        ":/b",
        "a b:/c",
        "data:b",
        "-x:/b",
        "/a:/b:z",
        "/a:/b:",
        "/a:/b:ro,rw",
        "/a:",
        "/a:b",
        "/a:/b:ro:x",
        "/a/../b",
    ] {
        assert!(read(text).expect_err(text).starts_with("-v `"), "{text}");
    }
}

#[test]
fn options_of_a_tmpfs_are_checked_where_they_are_typed() {
    let read =
        |text: &str| Mounts::read(&[] as &[&str], &[], &[text.to_owned()]).map_err(|report| report.message);
    let all = read("/t:size=64m,mode=0700,nr_inodes=1k,exec,rw,nosuid").expect("a tmpfs");
    let one = &all.tmpfs[0].value;
    assert_eq!(
        (one.size, one.mode.as_deref(), one.inodes, one.execute),
        (Some(Bytes(64 << 20)), Some("0700"), Some(1024), Some(true))
    );
    for (text, words) in [
        ("t", "not an absolute path"),
        ("/t:size=0", "0 would be no limit"),
        ("/t:size", "is not a size"),
        ("/t:mode=888", "mode `888`: write octal"),
        ("/t:mode=", "mode ``: write octal"),
        ("/t:nr_inodes=0", "nr_inodes"),
        ("/t:size=1m,size=2m", "size is there twice"),
        ("/t:exec,noexec", "exec is there twice"),
        ("/t:exec=1", "`exec=1` is not known"),
        ("/t:ro", "`ro` is not known"),
    ] {
        let said = read(text).expect_err(text);
        assert!(
            said.starts_with("--tmpfs `") && said.contains(words),
            "{text}: {said}"
        );
    }
}

#[test]
fn a_place_is_mounted_once() {
    let read = |volumes: &[&str], mounts: &[&str], tmpfs: &[&str]| {
        let own = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        Mounts::read(volumes, &own(mounts), &own(tmpfs)).map_err(|report| report.message)
    };
    assert!(
        read(
            &["/a:/x", "/a:/y", "d:/z", "/w"],
            &["type=tmpfs,target=/v"],
            &["/u"]
        )
        .is_ok()
    );
    assert!(read(&["/a:/x", "/a:/x/y", "/a:~/x"], &[], &[]).is_ok());
    for (volumes, mounts, tmpfs) in [
        (&["/a:/x", "/b:/x/"][..], &[][..], &[][..]),
        (&["/a:~/x", "/b:~//x"], &[], &[]),
        (&["/a:/x", "d:/x"], &[], &[]),
        (&["/x", "d:/x"], &[], &[]),
        (&["/a:/x"], &["type=bind,source=/b,target=/x"], &[]),
        (&["/a:/x"], &[], &["/x:size=1m"]),
        (&[], &[], &["/x", "/x:size=1m"]),
    ] {
        let said = read(volumes, mounts, tmpfs).expect_err("twice");
        assert!(said.contains("/x is the target of the flag "), "{said}");
    }
}
