//! passwd of an image, read before anything is mounted, through whatever links its layers have: nothing outside is ever read, and with one
//! layer what is read is what the kernel finds. Layers are scripts, with `%` on a line between them, the lowest first.
#![no_main]

use sbx::host::sources::look_up;
use sbx::image::descriptor::Compression;
use sbx::model::facts::User;
use sbx::model::host::HostTree;
use sbx::model::{HostPath, Layers};
use sbx::policy::{Image, ImageConfig, Policy, Root};
use sbx::profile::schema::UserSpec;
use sbx_fuzz::ground::Ground;
use sbx_fuzz::script::archive;
use sbx_fuzz::{a_policy, is_fit};
use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Of nobody but the user beside.
const HOME: &str = "/home/9d4ab0c52b1f";

fn ground() -> (Ground, Policy) {
    let ground = Ground::with(&[
        ("etc/passwd", &format!("mine:x:7:7::{HOME}:\n")),
        ("etc/group", "mine:x:7:\n"),
    ]);
    let policy = a_policy(Root::Host);
    (ground, policy)
}

thread_local!(static GROUND: RefCell<(Ground, Policy)> = RefCell::new(ground()));

fn ask(policy: &mut Policy, root: Root) -> Option<User> {
    policy.root = root;
    policy.user.value = UserSpec::Names {
        user: "mine".into(),
        group: Some("mine".into()),
    };
    match look_up(policy, &HostTree::default(), &[], None).user {
        Some(Ok(user)) => {
            assert_ne!(
                user.home.as_deref(),
                Some(Path::new(HOME)),
                "the host's passwd was read"
            );
            Some(user)
        }
        Some(Err(why)) => {
            is_fit(&why);
            None
        }
        None => None,
    }
}

fn image(within: &Path, names: &[&str]) -> Root {
    Root::Image(Image {
        name: "fuzz".into(),
        layers: Layers {
            within: HostPath::new(within).expect("a path"),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        },
        config: ImageConfig::default(),
    })
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // So that no layer can say it by itself.
    if data.windows(12).any(|w| HOME.as_bytes().ends_with(w)) {
        return;
    }
    let cut = data.windows(3).position(|w| w == b"\n%\n");
    let (low, top) = cut.map_or((data, &b""[..]), |at| (&data[..at + 1], &data[at + 3..]));
    GROUND.with_borrow_mut(|(ground, policy)| {
        let canary = ground.canary();
        let layer = |text: &[u8]| archive(text, canary.as_os_str().as_bytes());
        let (low, top) = (layer(low), layer(top));
        let made = ground.keep(&low, Compression::None, "low") && ground.keep(&top, Compression::None, "top");
        if made {
            let within = ground.inside();
            let _ = ask(policy, image(&within, &["top", "low"]));
            let alone = ask(policy, image(&within, &["low"]));
            let root = HostPath::new(within.join("low")).expect("a path");
            assert_eq!(
                alone,
                ask(policy, Root::Directory(root)),
                "not what the kernel finds"
            );
        }
        ground.clear();
    });
});
