//! What the store does when nothing goes wrong, and what it refuses.

use super::*;
use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

const MAPPED: Kind = Kind::Mapped {
    uids: (100_000, 65536),
    gids: (200_000, 65536),
};

#[test]
fn where_it_is() {
    let path = |data: &str, home: &str| {
        let pairs = [("XDG_DATA_HOME", data), ("HOME", home)];
        default_path(&crate::image::environment::of(&pairs)).ok()
    };
    assert_eq!(path("/d", "/h"), Some("/d/sbx".into()));
    assert_eq!(path("", "/h"), Some("/h/.local/share/sbx".into()));
    assert_eq!(path("relative", "/h"), Some("/h/.local/share/sbx".into()));
    assert_eq!(path("", "h"), None);
}

#[test]
fn a_store_is_made_once_and_told_from_everything_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("a/b/store");
    assert!(matches!(
        Store::open(&path, Open::Existing),
        Err(Error::Absent(_))
    ));
    Store::open(&path, Open::Create { give_to: None }).expect("made");
    for path in [&path, &dir.path().join("a")] {
        let mode = std::fs::metadata(path).expect("there").mode();
        assert_eq!(mode & 0o7777, 0o700, "{}", path.display());
    }
    Store::open(&path, Open::Existing).expect("opened");
    assert_eq!(std::fs::read_to_string(path.join(MARK)).expect("a file"), "1\n");
    for (text, what) in [
        ("2\n", "use a newer sbx"),
        ("0\n", "move it away"),
        ("", "is no image store of sbx"),
        ("x", "is no image store of sbx"),
        ("1\n1\n", "is no image store of sbx"),
        ("99999999999999999999999999999999999999999", "has 41 bytes"),
    ] {
        std::fs::write(path.join(MARK), text).expect("write");
        for how in [Open::Existing, Open::Create { give_to: None }] {
            let error = Store::open(&path, how).expect_err(text).to_string();
            assert!(error.contains(what) && !error.contains('\n'), "{text:?}: {error}");
        }
    }
    std::fs::remove_file(path.join(MARK)).expect("removed");
    let error = Store::open(&path, Open::Create { give_to: None });
    assert!(
        matches!(error, Err(Error::Foreign(_))),
        "a layout of another program: {error:?}"
    );
    std::fs::write(dir.path().join("file"), "").expect("write");
    assert!(Store::open(&dir.path().join("file"), Open::Create { give_to: None }).is_err());
}

/// Before anything is made in it.
#[test]
fn a_directory_that_others_may_write_is_no_store() {
    let dir = tempfile::tempdir().expect("a directory");
    let set =
        |mode| std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).expect("chmod");
    for mode in [0o770, 0o702, 0o777] {
        set(mode);
        for how in [Open::Existing, Open::Create { give_to: None }] {
            let error = Store::open(dir.path(), how).expect_err("refused").to_string();
            assert!(
                error.contains(&format!("can be written by others (mode {mode:o}): ")),
                "{error}"
            );
            assert!(error.contains("chmod 700"), "{error}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("read").count(), 0);
    }
    set(0o755);
    Store::open(dir.path(), Open::Create { give_to: None }).expect("made");
    set(0o775);
    assert!(matches!(
        Store::open(dir.path(), Open::Existing),
        Err(Error::Untrusted { .. })
    ));
}

#[test]
fn making_a_store_goes_on_where_it_was_killed() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::write(dir.path().join("sbx-store-12-34"), "").expect("write");
    assert!(matches!(
        Store::open(dir.path(), Open::Existing),
        Err(Error::Absent(_))
    ));
    Store::open(dir.path(), Open::Create { give_to: None }).expect("made");
    for gone in ["index.json", "oci-layout"] {
        std::fs::remove_file(dir.path().join(gone)).expect("removed");
    }
    std::fs::remove_dir_all(dir.path().join("locks")).expect("removed");
    let store = Store::open(dir.path(), Open::Existing).expect("opened");
    assert_eq!(store.find(X).expect("read"), None);
    assert!(
        store.use_image(&Digest::of(b"")).is_err(),
        "no directory of locks"
    );
    let store = Store::open(dir.path(), Open::Create { give_to: None }).expect("made");
    put(&store, &image(&["one"], ""), X);
}

#[test]
fn the_umask_does_not_matter() {
    let (dir, store) = create();
    put(&store, &image(&["one"], ""), X);
    let mode = |name: &str| {
        let meta = std::fs::metadata(dir.path().join("store").join(name)).expect(name);
        meta.permissions().mode() & 0o7777
    };
    assert_eq!(mode("blobs/sha256"), 0o755);
    assert_eq!(mode(&format!("blobs/sha256/{}", Digest::of(b"one").hex())), 0o644);
    assert_eq!(mode("index.json"), 0o644);
    assert_eq!(mode("locks/index"), 0o644);
}

#[test]
fn what_root_makes_is_the_workers() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = place();
    let path = dir.path().join("store");
    let give_to = Some((100_000, 200_000));
    // As one that was killed has left it.
    std::fs::create_dir(&path).expect("mkdir");
    let store = Store::open(&path, Open::Create { give_to }).expect("made");
    put(&store, &image(&["one"], ""), X);
    let _used = store.use_image(&Digest::of(b"")).expect("the lock");
    store.prepare(&MAPPED).expect("made");
    // Opened again, nobody has to say whose it is.
    let store = Store::open(&path, Open::Existing).expect("opened");
    put(&store, &image(&["two"], ""), Y);
    drop(
        store
            .partial(&Descriptor::of("", b"three"), Wait::Never)
            .expect("begun"),
    );
    let mut seen = 0;
    for name in tree_of(&path) {
        let meta = path.join(&name).symlink_metadata().expect("there");
        let layer = name.contains("/tree");
        let owner = if layer { (0, 0) } else { (100_000, 200_000) };
        assert_eq!((meta.uid(), meta.gid()), owner, "{name}");
        seen += 1;
    }
    assert!(seen > 20);
    assert_eq!(std::fs::metadata(&path).expect("there").uid(), 100_000);
}

#[test]
fn images_are_found_by_name_and_by_digits() {
    let (_dir, store) = create();
    let (one, two) = (image(&["one"], "1"), image(&["two"], "2"));
    put(&store, &one, X);
    put(&store, &two, Y);
    let source = Digest::of(b"index");
    store
        .name("docker.io/library/x:latest", &one.manifest, Some(&source))
        .expect("named");
    let found = store.find(X).expect("read").expect("found");
    assert_eq!(found.names, [X, "docker.io/library/x:latest"]);
    assert_eq!(
        (found.manifest, found.id, found.source),
        (one.manifest.digest, Some(one.id), None)
    );
    let latest = store
        .find("docker.io/library/x:latest")
        .expect("read")
        .expect("found");
    assert_eq!(latest.source, Some(source));
    for text in [
        one.id.to_string(),
        one.id.hex(),
        one.id.short(),
        one.id.hex()[..4].to_owned(),
        one.id.hex()[..8].to_uppercase(),
        one.manifest.digest.to_string(),
        format!("sha256:{}", &one.manifest.digest.hex()[..20]),
    ] {
        let found = store
            .find(&text)
            .expect("read")
            .unwrap_or_else(|| panic!("{text}"));
        assert_eq!(found.id, Some(one.id), "{text}");
    }
    for text in [
        "",
        "x",
        "docker.io/library/z:1",
        "sha256:",
        "abc",
        &one.id.hex()[..3],
        &"0".repeat(64),
        "../x",
    ] {
        assert_eq!(store.find(text).expect("read"), None, "{text}");
    }
}

#[test]
fn digits_that_fit_two_images_are_refused() {
    let (_dir, store) = create();
    let made: Vec<Made> = (0..600).map(|n| image(&[], &n.to_string())).collect();
    let mut seen = BTreeMap::new();
    let twins = made
        .iter()
        .find_map(|m| seen.insert(m.id.hex()[..4].to_owned(), m).map(|other| (m, other)));
    let (a, b) = twins.expect("two of 600 ids begin with the same four digits");
    put(&store, a, X);
    put(&store, b, Y);
    let error = store.find(&a.id.hex()[..4]).expect_err("ambiguous").to_string();
    assert!(
        error.contains(&a.id.short()) && error.contains(&b.id.short()),
        "{error}"
    );
    assert_eq!(
        store.find(&a.id.short()).expect("read").and_then(|i| i.id),
        Some(a.id)
    );
}

#[test]
fn a_name_moves_and_what_loses_its_last_one_stays_without() {
    let (_dir, store) = create();
    let (one, two) = (image(&["base", "one"], "1"), image(&["base", "two"], "2"));
    put(&store, &one, X);
    put(&store, &two, X);
    let all = store.all().expect("read");
    assert_eq!(all.len(), 2);
    assert_eq!(
        all.iter()
            .find(|i| i.manifest == one.manifest.digest)
            .expect("kept")
            .names,
        [""; 0]
    );
    assert_eq!(store.find(X).expect("read").expect("found").id, Some(two.id));
    store.name(Y, &one.manifest, None).expect("named again");
    assert_eq!(store.all().expect("read").len(), 2);
    assert!(store.unname(Y).expect("taken") && !store.unname(Y).expect("gone"));
    let freed = prune(&store, false);
    assert_eq!(
        (freed.images.clone(), freed.blobs(), freed.layers()),
        (vec![one.manifest.digest], 3, 1)
    );
    assert!(freed.bytes() > 0);
    assert_eq!(store.all().expect("read").len(), 1);
    assert_eq!(findings(&store), [""; 0]);
    store.load(&two.manifest.digest).expect("the other is whole");
}

#[test]
fn only_whole_images_get_names() {
    let (_dir, store) = create();
    let made = image(&["one"], "");
    for missing in 0..made.blobs.len() {
        let (_dir, store) = create();
        for (n, blob) in made.blobs.iter().enumerate() {
            if n != missing {
                store.put_blob(blob).expect("put");
            }
        }
        let error = store
            .name(X, &made.manifest, None)
            .expect_err("a blob is missing");
        assert!(
            matches!(error, Error::Missing(digest) if digest == Digest::of(&made.blobs[missing])),
            "{error}"
        );
        assert_eq!(store.find(X).expect("read"), None);
    }
    put(&store, &made, X);
    let long = "x".repeat(1025);
    for name in ["", "abcd", "sha256:00", "a b", "a\nb", "\u{e9}", "a\"b", &long] {
        assert!(
            matches!(store.name(name, &made.manifest, None), Err(Error::Name(_))),
            "{name}"
        );
    }
    let lie = Descriptor {
        media_type: crate::image::document::DOCKER_MANIFEST.to_owned(),
        ..made.manifest.clone()
    };
    assert!(matches!(store.name(X, &lie, None), Err(Error::Document { .. })));
    let lie = Descriptor {
        size: 7,
        ..made.manifest.clone()
    };
    assert!(matches!(store.name(X, &lie, None), Err(Error::Missing(_))));
}

#[test]
fn a_fetch_goes_on_where_it_stopped() {
    let (_dir, store) = create();
    let blob = Descriptor::of("", b"0123456789");
    // Here and below not `Never`: what another test has forked holds every lock of this process until it executes.
    let Partial::Open(open) = store.partial(&blob, Wait::Silently).expect("ours") else {
        panic!("it is not there");
    };
    open.file().write_all(b"01234").expect("written");
    assert!(
        matches!(store.partial(&blob, Wait::Never), Err(Error::Busy)),
        "one writes"
    );
    drop(open);
    assert!(matches!(store.open_blob(&blob.digest), Err(Error::Missing(_))));
    let Partial::Open(open) = store.partial(&blob, Wait::Silently).expect("ours") else {
        panic!("it is not whole");
    };
    assert_eq!(open.have().expect("a size"), 5);
    assert!(matches!(
        open.commit(),
        Err(Error::Size {
            expected: 10,
            found: 5,
            ..
        })
    ));
    let Partial::Open(open) = store.partial(&blob, Wait::Silently).expect("ours") else {
        panic!("it is not whole");
    };
    let mut file = open.file();
    file.seek(SeekFrom::End(0)).expect("seek");
    file.write_all(b"56789").expect("written");
    open.commit().expect("whole");
    assert!(matches!(store.partial(&blob, Wait::Never), Ok(Partial::Complete)));
    let mut text = String::new();
    store
        .open_blob(&blob.digest)
        .expect("there")
        .read_to_string(&mut text)
        .expect("read");
    assert_eq!(text, "0123456789");
    let shorter = Descriptor {
        size: 4,
        ..blob.clone()
    };
    let Partial::Open(open) = store.partial(&shorter, Wait::Silently).expect("ours") else {
        panic!("another size is not this blob");
    };
    open.file().write_all(b"long enough").expect("written");
    drop(open);
    let Partial::Open(open) = store.partial(&shorter, Wait::Silently).expect("ours") else {
        panic!("another size is not this blob");
    };
    assert_eq!(open.have().expect("a size"), 0, "more than all is thrown away");
    drop(open);
    assert_eq!(prune(&store, false).partials(), 1);
}

#[test]
fn a_layer_is_there_when_it_is_whole() {
    let (dir, store) = create();
    let layer = Digest::of(b"layer");
    let Claim::New(new) = store.new_layer(MAPPED, &layer, Wait::Silently).expect("ours") else {
        panic!("it is not there");
    };
    file(&new, "a", b"a");
    assert_eq!(store.layer(&MAPPED, &layer).expect("read"), LayerState::Absent);
    assert!(matches!(
        store.new_layer(MAPPED, &layer, Wait::Never),
        Err(Error::Busy)
    ));
    drop(new);
    assert_eq!(
        tree_of(&dir.path().join(format!("store/layers/{MAPPED}"))),
        [""; 0],
        "nothing is left"
    );
    let Claim::New(new) = store.new_layer(MAPPED, &layer, Wait::Silently).expect("ours") else {
        panic!("it is not there");
    };
    file(&new, "a", &[1; 10_000]);
    let owners = [crate::image::owner::Owner {
        path: "a".into(),
        uid: 1,
        gid: 2,
        mode: 0o4755,
        device: None,
    }];
    let size = new.measure().expect("a size");
    assert!(
        size.files == 2 && size.bytes == 10_000 && size.disk >= 10_000,
        "{size:?}"
    );
    let path = new.commit(&owners, &size).expect("committed");
    assert_eq!(
        store.layer(&MAPPED, &layer).expect("read"),
        LayerState::Ready(path.clone())
    );
    assert_eq!(std::fs::read(path.join("a")).expect("a file").len(), 10_000);
    assert_eq!(
        store.layer(&Kind::Single, &layer).expect("read"),
        LayerState::Absent
    );
    assert_eq!(store.layer_size(&MAPPED, &layer).expect("read"), Some(size));
    assert_eq!(
        store.layer_owners(&MAPPED, &layer).expect("read").as_deref(),
        Some(&owners[..])
    );
    assert!(matches!(
        store.new_layer(MAPPED, &layer, Wait::Never),
        Ok(Claim::Ready(_))
    ));
    let kept = |_: &Kind, _: &[String]| -> Result<(), String> { panic!("nothing is done") };
    let told = store
        .prune(false, true, Wait::Never, &mut { kept })
        .expect("told");
    assert_eq!((told.layers(), told.bytes()), (1, size.disk));
    // Nobody can remove it: it is no layer any more, and tried again.
    let freed = store.prune(false, false, Wait::Never, &mut |_, _| Err("why".to_owned()));
    let freed = freed.expect("pruned");
    let old = format!(".old-{}", layer.hex());
    let path = dir.path().join(format!("store/layers/{MAPPED}/{old}"));
    let left = Left {
        kind: MAPPED,
        path: path.clone(),
        why: "why".to_owned(),
    };
    assert_eq!((freed.parts, freed.left), (vec![], vec![left]));
    assert_eq!(store.layer(&MAPPED, &layer).expect("read"), LayerState::Absent);
    unpack(&store, MAPPED, &layer);
    let mut asked = Vec::new();
    let freed = store.prune(false, false, Wait::Never, &mut |kind, entries| {
        asked.push((*kind, entries.to_vec()));
        store.remove_remains(kind, entries).map_err(|e| e.to_string())
    });
    let freed = freed.expect("pruned");
    assert_eq!((freed.left.len(), freed.layers(), freed.parts.len()), (0, 1, 2));
    assert_eq!(asked, [(MAPPED, vec![old.clone()]), (MAPPED, vec![old])]);
    assert!(!path.exists());
    for entry in [
        layer.hex(),
        ".old-..".to_owned(),
        ".old-/x".to_owned(),
        "..".to_owned(),
    ] {
        assert!(store.remove_remains(&MAPPED, &[entry]).is_err());
    }
    assert_eq!(store.layer(&MAPPED, &layer).expect("read"), LayerState::Absent);
}

#[test]
fn kinds_have_one_text_each() {
    for kind in [Kind::Single, MAPPED] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    for text in [
        "",
        "Single",
        "mapped",
        "mapped-1-2-3",
        "mapped-1-2-3-4-5",
        "mapped-01-2-3-4",
        "mapped-+1-2-3-4",
        "mapped-1-2-3-4294967296",
    ] {
        assert_eq!(text.parse::<Kind>(), Err(()), "{text}");
    }
}

#[test]
fn hard_links_count_once() {
    let (_dir, store) = create();
    let Claim::New(new) = store
        .new_layer(Kind::Single, &Digest::of(b""), Wait::Never)
        .expect("ours")
    else {
        panic!("it is not there");
    };
    file(&new, "a", &[1; 100_000]);
    let one = new.measure().expect("a size");
    let flags = nix::fcntl::AtFlags::empty();
    nix::unistd::linkat(new.dir(), "a", new.dir(), "b", flags).expect("a link");
    assert_eq!(new.measure().expect("a size"), one);
}
