//! Threads that wait for each other's locks.

use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Until another thread has set it, and is likely to have gone on.
fn until(flag: &AtomicBool) {
    let start = Instant::now();
    while !flag.load(Ordering::SeqCst) {
        assert!(
            start.elapsed() < Duration::from_secs(30),
            "the other thread has not come so far"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(20));
}

#[test]
fn who_waits_says_so_and_gets_what_the_other_has_made() {
    let (_dir, store) = create();
    let blob = Descriptor::of("", b"both want this");
    let layer = Digest::of(b"layer");
    let (blob_waited, layer_waited) = (AtomicBool::new(false), AtomicBool::new(false));
    let Ok(Partial::Open(first)) = store.partial(&blob, Wait::Never) else {
        panic!("it is not there");
    };
    let Ok(Claim::New(new)) = store.new_layer(Kind::Single, &layer, Wait::Never) else {
        panic!("it is not there");
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut say = || blob_waited.store(true, Ordering::SeqCst);
            let second = store.partial(&blob, Wait::Saying(&mut say)).expect("a turn");
            assert!(matches!(second, Partial::Complete), "{second:?}");
        });
        scope.spawn(|| {
            let mut say = || layer_waited.store(true, Ordering::SeqCst);
            let second = store
                .new_layer(Kind::Single, &layer, Wait::Saying(&mut say))
                .expect("a turn");
            assert!(matches!(second, Claim::Ready(_)), "{second:?}");
        });
        until(&blob_waited);
        first.file().write_all(b"both want this").expect("written");
        first.commit().expect("whole");
        until(&layer_waited);
        let size = new.measure().expect("a size");
        new.commit(&[], &size).expect("whole");
    });
}

#[test]
fn who_waited_for_one_that_gave_up_goes_on() {
    let (_dir, store) = create();
    let blob = Descriptor::of("", b"both want this");
    let waited = AtomicBool::new(false);
    let Ok(Partial::Open(first)) = store.partial(&blob, Wait::Never) else {
        panic!("it is not there");
    };
    first.file().write_all(b"both").expect("written");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut say = || waited.store(true, Ordering::SeqCst);
            let second = store.partial(&blob, Wait::Saying(&mut say)).expect("a turn");
            let Partial::Open(second) = second else {
                panic!("it is not whole");
            };
            assert_eq!(second.have().expect("a size"), 4);
        });
        until(&waited);
        drop(first);
    });
}

/// While one waits for a file, its holder removes it, and a third begins anew with one of the same name: the first must wait on.
#[test]
fn a_file_without_a_name_locks_nothing() {
    let (_dir, store) = create();
    let (waited, got) = (AtomicBool::new(false), AtomicBool::new(false));
    let take = |wait: Wait<'_>| lock::take(&store.root, "image-x", Holders::Alone, wait).expect("no error");
    let first = take(Wait::Never).expect("free");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let held = take(Wait::Saying(&mut || waited.store(true, Ordering::SeqCst)));
            assert!(held.is_some());
            got.store(true, Ordering::SeqCst);
        });
        until(&waited);
        store.root.unlink("locks/image-x").expect("removed");
        let third = take(Wait::Never).expect("a new file is free");
        drop(first);
        std::thread::sleep(Duration::from_millis(50));
        assert!(!got.load(Ordering::SeqCst), "two hold one lock");
        drop(third);
        until(&got);
    });
}

#[test]
fn a_part_without_a_name_is_nobodys() {
    let (_dir, store) = create();
    let (waited, got) = (AtomicBool::new(false), AtomicBool::new(false));
    let blob = Descriptor::of("", b"wanted by three");
    let first = store.partial(&blob, Wait::Never).expect("free");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut say = || waited.store(true, Ordering::SeqCst);
            let open = store.partial(&blob, Wait::Saying(&mut say)).expect("a turn");
            assert!(matches!(open, Partial::Complete), "{open:?}");
            got.store(true, Ordering::SeqCst);
        });
        until(&waited);
        store
            .root
            .unlink(&format!("partial/{}", blob.digest.hex()))
            .expect("removed");
        let third = store.partial(&blob, Wait::Never).expect("a new file is free");
        drop(first);
        std::thread::sleep(Duration::from_millis(50));
        assert!(!got.load(Ordering::SeqCst), "two write one blob");
        let Partial::Open(third) = third else {
            panic!("it is not there");
        };
        third.file().write_all(b"wanted by three").expect("written");
        third.commit().expect("whole");
        until(&got);
    });
}

/// Between the look at an image's blobs and its name, nobody may remove them.
#[test]
fn nothing_is_named_while_something_is_removed() {
    let (_dir, store) = create();
    let made = image(&["one"], "");
    put(&store, &made, X);
    let got = AtomicBool::new(false);
    let alone = lock::take(&store.root, "store", Holders::Alone, Wait::Never).expect("no error");
    assert!(matches!(store.pulling(Wait::Never), Err(Error::Busy)));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            store.name(Y, &made.manifest, None).expect("a name");
            got.store(true, Ordering::SeqCst);
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!got.load(Ordering::SeqCst));
        drop(alone);
        until(&got);
    });
}

#[test]
fn no_lock_loses_its_name_while_somebody_holds_it() {
    let (_dir, store) = create();
    let manifest = Digest::of(b"an image");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                prune(&store, false);
            }
        });
        let mut lost = 0;
        for _ in 0..3000 {
            let lock = store.use_image(&manifest).expect("a lock");
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(200) {
                std::hint::spin_loop();
            }
            lost += u32::from(nix::sys::stat::fstat(lock.file()).expect("its status").st_nlink == 0);
        }
        done.store(true, Ordering::SeqCst);
        assert_eq!(lost, 0, "locks that nobody finds any more");
    });
}
