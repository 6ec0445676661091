//! Volumes, maps of ids that are chosen, groups and signals of an image, against images of the tests' own.

mod ids;
mod named;
mod rest;

use crate::util::image::{Image, busybox};
use crate::util::tar::{Entry, Tar};
use crate::util::{Dir, Out, Sbx};
use crate::verbs::registry::Registry;
use serde_json::json;

/// A store and volumes of the test's own, and a registry. World-readable: under root the sandbox is another user.
struct Place {
    dir: Dir,
    registry: Registry,
}

const PASSWD: &str = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n";
const GROUP: &str = "root:x:0:\napp:x:1000:\nstaff:x:50:app\nmedia:x:60:app,root\nother:x:70:\n";

impl Place {
    /// With the images `plain:1`, `app:1` (the user `app`, a volume, a signal) and `other:1` (nothing at `/data`). `None`, and a skip,
    /// without a static busybox.
    fn new() -> Option<Self> {
        let base = Tar::new([
            Entry::folder("bin/"),
            Entry::program("bin/busybox", busybox()?),
            Entry::symlink("bin/sh", "busybox"),
            Entry::folder("tmp/").mode(0o1777),
            Entry::folder("etc/"),
            Entry::file("etc/passwd", PASSWD),
            Entry::file("etc/group", GROUP),
        ]);
        let data = Tar::new([
            Entry::folder("data/").mode(0o751).owner(33, 33),
            Entry::file("data/hello", "hello\n").mode(0o640).owner(33, 33),
            Entry::file("data/set", "x").mode(0o4755).owner(1000, 1000),
            Entry::file("data/gone", "x"),
            Entry::folder("data/sub/").mode(0o700).owner(1000, 1000),
            Entry::hardlink("data/sub/hard", "data/hello"),
            Entry::symlink("data/link", "/etc/passwd"),
            Entry::symlink("alias", "data/sub"),
            Entry::file("file", "x"),
        ]);
        let without = Tar::new([
            Entry::folder("data/").mode(0o751).owner(33, 33),
            Entry::file("data/.wh.gone", ""),
        ]);
        let run = |image: Image| image.set("Cmd", json!(["sh"])).set("Env", json!(["PATH=/bin"]));
        let other = run(Image::new().add(base));
        let plain = other.clone().add(data).add(without);
        let app = plain
            .clone()
            .set("User", json!("app"))
            .set("StopSignal", json!("SIGUSR1"))
            .set("Volumes", json!({ "/var/lib/app": {}, "/data": {} }));
        let registry = Registry::default()
            .image("other", &["1"], &other.build())
            .image("plain", &["1"], &plain.build())
            .image("app", &["1"], &app.build())
            .serve();
        Some(Self {
            dir: Dir::new(),
            registry,
        })
    }

    fn sbx<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Sbx {
        Sbx::new(arguments)
            .env("XDG_DATA_HOME", self.dir.path())
            .env("XDG_RUNTIME_DIR", self.dir.path())
    }

    fn out(&self, arguments: &[&str]) -> Out {
        self.sbx(arguments).out()
    }

    /// `sbx run FLAGS IMAGE sh -c SCRIPT`; an image of the registry has a colon in its name.
    fn run(&self, flags: &[&str], image: &str, script: &str) -> Out {
        let image = match image.contains(':') {
            true => self.registry.name(image),
            false => image.to_owned(),
        };
        self.sbx(["run", "--quiet"])
            .args(flags)
            .args([image.as_str(), "sh", "-c", script])
            .out()
    }

    fn names(&self) -> Vec<String> {
        let listed = self.out(&["volume", "ls", "--quiet"]).ok();
        listed.lines().map(str::to_owned).collect()
    }
}

/// Owner, group, mode and kind of everything below the working directory, as the sandbox sees it.
const LIST: &str = "busybox find . -exec busybox stat -c '%n %u:%g %a %F' {} + | busybox sort";
