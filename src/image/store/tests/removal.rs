//! Removing, counting and checking.

use super::*;
use crate::image::remove::remove_tree;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

#[test]
fn what_is_used_is_not_removed() {
    let (_dir, store) = create();
    let (one, two) = (image(&["base", "one"], "1"), image(&["base", "two"], "2"));
    put(&store, &one, X);
    put(&store, &two, Y);
    let used = store.use_image(&one.manifest.digest).expect("the lock");
    let mut never = |kind: &Kind, _: &[String]| -> Result<(), String> { panic!("{kind}") };
    let error = store.remove(&one.manifest.digest, Wait::Never, &mut never);
    assert!(matches!(error, Err(Error::InUse(_))), "{error:?}");
    store.unname(X).expect("a name may always go");
    let freed = prune(&store, true);
    assert_eq!(
        (freed.images, freed.names),
        (vec![two.manifest.digest], vec![Y.to_owned()])
    );
    store.load(&one.manifest.digest).expect("it is in use");
    assert!(matches!(
        store.layer(&Kind::Single, &one.layers[0]),
        Ok(LayerState::Ready(_))
    ));
    // Another program has written index.json.
    index::update(&store.root, Vec::clear).expect("written");
    assert_eq!(prune(&store, true).blobs(), 0);
    // Whoever has inherited the file keeps the lock when its holder is killed.
    let inherited = used.file().try_clone().expect("another descriptor");
    nix::unistd::close(used.file().as_raw_fd()).expect("closed");
    std::mem::forget(used);
    assert_eq!(prune(&store, true).blobs(), 0);
    inherited.unlock().expect("given back");
    assert_eq!(prune(&store, true).blobs(), 4);
    assert!(store.load(&one.manifest.digest).is_err());
}

#[test]
fn one_image_is_removed_and_the_rest_stays() {
    let (dir, store) = create();
    let (one, two) = (image(&["base", "one"], "1"), image(&["base", "two"], "2"));
    put(&store, &one, X);
    put(&store, &two, Y);
    let half = Descriptor::of("", b"half of another");
    drop(store.partial(&half, Wait::Never).expect("begun"));
    let fetched = store.put_blob(b"a blob of an image on its way").expect("put");
    let mut never = |kind: &Kind, _: &[String]| -> Result<(), String> { panic!("{kind}") };
    {
        let _pulling = store.pulling(Wait::Never).expect("the lock");
        assert!(matches!(
            store.remove(&one.manifest.digest, Wait::Never, &mut never),
            Err(Error::Busy)
        ));
        assert!(matches!(
            store.prune(true, false, Wait::Never, &mut never),
            Err(Error::Busy)
        ));
    }
    let freed = store
        .remove(&one.manifest.digest, Wait::Never, &mut never)
        .expect("removed");
    assert_eq!(
        (
            freed.names.clone(),
            freed.blobs(),
            freed.layers(),
            freed.partials()
        ),
        (vec![X.to_owned()], 3, 1, 0)
    );
    assert!(
        store.has_blob(&fetched).expect("read"),
        "a pull that was killed goes on"
    );
    assert!(store.find(X).expect("read").is_none());
    store.load(&two.manifest.digest).expect("the other is whole");
    assert!(matches!(
        store.remove(&one.manifest.digest, Wait::Never, &mut never),
        Err(Error::NoSuchImage(_))
    ));
    assert_eq!(prune(&store, true).blobs(), 5);
    let left = tree_of(&dir.path().join("store"));
    let expected = [
        "blobs",
        "blobs/sha256",
        "index.json",
        "layers",
        "layers/single",
        "locks",
        "locks/index",
        "locks/store",
        "oci-layout",
        "partial",
        "sbx-store",
    ];
    assert_eq!(left, expected);
}

#[test]
fn an_image_that_cannot_be_read_stops_removal_and_can_be_removed() {
    let (_dir, store) = create();
    let (one, two) = (image(&["one"], "1"), image(&["two"], "2"));
    put(&store, &one, X);
    put(&store, &two, Y);
    std::fs::remove_file(store.blob(&one.id)).expect("removed");
    let mut never = |kind: &Kind, _: &[String]| -> Result<(), String> { panic!("{kind}") };
    assert!(
        matches!(store.prune(false, false, Wait::Never, &mut never), Err(Error::Missing(id)) if id == one.id)
    );
    assert!(store.find(Y).expect("read").is_some());
    let listed = store.images().expect("listed");
    assert!(listed[0].damage.is_some() && listed[1].damage.is_none());
    store
        .remove(&one.manifest.digest, Wait::Never, &mut never)
        .expect("removed");
    prune(&store, false);
    assert_eq!(findings(&store), [""; 0]);
}

#[test]
fn a_name_goes_and_the_last_one_takes_the_image_along() {
    let (_dir, store) = create();
    let made = image(&["one"], "1");
    put(&store, &made, X);
    store.name(Y, &made.manifest, None).expect("a name");
    let mut never = |kind: &Kind, _: &[String]| -> Result<(), String> { panic!("{kind}") };
    let used = store.use_image(&made.manifest.digest).expect("the lock");
    let image = store.find(X).expect("read").expect("there");
    assert_eq!(store.users(&image).expect("read"), [std::process::id()]);
    let freed = store
        .remove_name(X, Wait::Never, &mut never)
        .expect("a name may go");
    assert_eq!((freed.names, freed.images.len()), (vec![X.to_owned()], 0));
    let error = store.remove_name(Y, Wait::Never, &mut never);
    assert!(matches!(error, Err(Error::InUse(_))), "{error:?}");
    assert!(
        store.find(Y).expect("read").is_some(),
        "refused is as if not asked"
    );
    drop(used);
    assert_eq!(store.users(&image).expect("read"), [0; 0]);
    let freed = store.remove_name(Y, Wait::Never, &mut never).expect("removed");
    assert_eq!((freed.images.len(), freed.blobs(), freed.layers()), (1, 3, 1));
    let error = store.remove_name(Y, Wait::Never, &mut never);
    assert!(matches!(error, Err(Error::NoSuchImage(_))), "{error:?}");
}

#[test]
fn what_is_only_told_is_not_done() {
    let (dir, store) = create();
    let (one, two) = (image(&["base", "one"], "1"), image(&["base", "two"], "2"));
    put(&store, &one, X);
    put(&store, &two, Y);
    store.put_blob(b"of nobody").expect("put");
    drop(
        store
            .partial(&Descriptor::of("", b"half"), Wait::Never)
            .expect("begun"),
    );
    let _used = store.use_image(&one.manifest.digest).expect("the lock");
    let before = tree_of(&dir.path().join("store"));
    let mut never = |kind: &Kind, _: &[String]| -> Result<(), String> { panic!("{kind}") };
    let told = store.prune(true, true, Wait::Never, &mut never).expect("told");
    let mut after = tree_of(&dir.path().join("store"));
    // It has to ask whether anybody holds them.
    after.retain(|name| !name.starts_with("locks/layer-") && !name.starts_with("locks/image-"));
    let mut expected = before;
    expected.retain(|name| !name.starts_with("locks/layer-") && !name.starts_with("locks/image-"));
    assert_eq!(after, expected);
    assert_eq!(
        store.prune(true, false, Wait::Never, &mut never).expect("done"),
        told
    );
    assert_eq!(
        (told.names.as_slice(), told.used),
        (&[Y.to_owned()][..], vec![one.manifest.digest])
    );
    assert_eq!((told.left.len(), told.parts.len()), (0, 3 + 1 + 1 + 1));
}

#[test]
fn sizes_are_shared_and_unique() {
    let (_dir, store) = create();
    let big = "x".repeat(50_000);
    let (one, two) = (image(&[&big, "one"], "1"), image(&[&big, "two"], "2"));
    put(&store, &one, X);
    put(&store, &two, Y);
    let listed = store.images().expect("listed");
    let disk = |path: &Path| std::fs::metadata(path).expect("there").blocks() * 512;
    for (listed, made) in listed.iter().zip([&one, &two]) {
        let layer = |n: usize| {
            store
                .layer_size(&Kind::Single, &made.layers[n])
                .expect("read")
                .expect("there")
                .disk
        };
        let blob = |n: usize| disk(&store.blob(&Digest::of(&made.blobs[n])));
        assert_eq!(listed.unpacked, layer(0) + layer(1));
        assert_eq!(listed.shared, layer(0) + blob(0));
        assert_eq!(listed.unique, layer(1) + blob(1) + blob(2) + blob(3));
        assert_eq!(listed.created.as_deref(), Some("2024-01-02T03:04:05Z"));
    }
}

#[test]
fn verify_knows_what_a_run_and_a_load_have_there() {
    let (dir, store) = create();
    let copy = store.new_copy(Kind::Single).expect("a name");
    drop(
        store
            .copy_folder(&Kind::Single, copy.name())
            .expect("a directory"),
    );
    let spool = store.spool().expect("a file");
    assert!(copy.path().is_dir() && dir.path().join("store").join(spool.within()).is_file());
    assert_eq!(findings(&store), [""; 0]);
    for name in ["copies/x", "copies/single/x"] {
        std::fs::write(dir.path().join("store").join(name), "").expect("write");
    }
    assert_eq!(findings(&store).len(), 2);
}

#[test]
fn verify_finds_what_is_wrong() {
    let (dir, store) = create();
    let made = image(&["one", "two"], "1");
    put(&store, &made, X);
    assert_eq!(findings(&store), [""; 0]);
    let path = |name: &str| dir.path().join("store").join(name);
    let change = |blob: &Path, text: &str| {
        std::fs::set_permissions(blob, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        std::fs::write(blob, text).expect("write");
    };
    change(&store.blob(&made.layers[0]), "onE");
    change(&store.blob(&made.layers[1]), "longer");
    std::fs::remove_dir_all(path(&format!("layers/single/{}", made.layers[0].hex()))).expect("removed");
    std::fs::remove_file(path(&format!("layers/single/{}/size.json", made.layers[1].hex())))
        .expect("removed");
    for name in [
        "stray",
        "blobs/sha256/x",
        "blobs/md5",
        "layers/other",
        "layers/single/x",
        "partial/\u{1b}[31mx",
        "locks/x",
    ] {
        std::fs::write(path(name), "").expect("write");
    }
    let found = findings(&store).join("\n");
    assert!(found.contains("partial/\\u{1b}[31mx"), "{found:?}");
    for what in [
        format!("blob {} has other contents", made.layers[0].short()),
        format!("blob {} has other contents", made.layers[1].short()),
        format!(
            "{X}: blob {} has 6 bytes, and must have 3",
            made.layers[1].short()
        ),
        "1 of its layers are not unpacked for single".to_owned(),
        "is not whole: it has no size.json".to_owned(),
    ] {
        assert!(found.contains(&what), "{what}\n{found}");
    }
    assert_eq!(found.matches("is nothing of sbx's").count(), 7, "{found}");
    std::fs::remove_file(store.blob(&made.layers[0])).expect("removed");
    assert!(findings(&store).join("\n").contains("which is missing"));
    change(&store.blob(&made.id), "{}");
    assert!(
        findings(&store)
            .join("\n")
            .contains("image docker.io/library/x:1 cannot be read")
    );
    assert!(matches!(
        store.load(&made.manifest.digest),
        Err(Error::Corrupt { .. })
    ));
}

#[test]
fn what_is_measured_and_removed_may_be_deep_and_closed() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut path = dir.path().join("top");
    for depth in 0..300 {
        std::fs::create_dir_all(&path).expect("mkdir");
        std::fs::write(path.join("file"), "x").expect("write");
        path.push(if depth % 2 == 0 { "a" } else { ".deep-1" });
    }
    std::fs::set_permissions(
        dir.path().join("top/a/.deep-1"),
        std::fs::Permissions::from_mode(0o0),
    )
    .expect("chmod");
    std::os::unix::fs::symlink(dir.path(), dir.path().join("top/link")).expect("a link");
    std::fs::write(dir.path().join("beside"), "x").expect("write");
    let parent = std::fs::File::open(dir.path()).expect("a directory");
    if nix::unistd::geteuid().is_root() {
        let top = std::fs::File::open(dir.path().join("top")).expect("a directory");
        assert_eq!(measure(top.as_fd()).expect("measured").files, 601);
    }
    for told in ["removed", "gone already"] {
        remove_tree(parent.as_fd(), OsStr::new("top")).expect(told);
    }
    assert_eq!(tree_of(dir.path()), ["beside"]);
}
