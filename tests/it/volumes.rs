//! Volumes, maps of ids that are chosen, groups and signals of an image, against images of the tests' own.

mod ids;
mod named;
mod rest;

use crate::util::{Dir, Out, Sbx, skip};
use crate::verbs::registry::Registry;
use serde_json::{Value, json};

/// A store and volumes of the test's own, and a registry. World-readable: under root the sandbox is another user.
struct Place {
    dir: Dir,
    registry: Registry,
}

/// One entry of a layer: a path, and what is there.
enum What<'a> {
    Folder(u32, u64),
    File(u32, u64, &'a [u8]),
    Link(&'a str),
    Hard(&'a str),
}

fn packed(entries: &[(&str, What<'_>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, what) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mtime(1_000_000_000);
        let (kind, mode, owner, content): (_, _, _, &[u8]) = match what {
            What::Folder(mode, owner) => (tar::EntryType::Directory, *mode, *owner, &[]),
            What::File(mode, owner, content) => (tar::EntryType::Regular, *mode, *owner, content),
            What::Link(_) => (tar::EntryType::Symlink, 0o777, 0, &[]),
            What::Hard(_) => (tar::EntryType::Link, 0o644, 0, &[]),
        };
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(owner);
        header.set_gid(owner);
        header.set_size(content.len() as u64);
        match what {
            What::Link(to) | What::Hard(to) => builder.append_link(&mut header, path, to),
            _ => builder.append_data(&mut header, path, content),
        }
        .expect("in memory");
    }
    builder.into_inner().expect("in memory")
}

const PASSWD: &[u8] = b"root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n";
const GROUP: &[u8] = b"root:x:0:\napp:x:1000:\nstaff:x:50:app\nmedia:x:60:app,root\nother:x:70:\n";

impl Place {
    /// With the images `plain:1`, `app:1` (the user `app`, a volume, a signal) and `other:1` (nothing at `/data`). `None`, and a skip,
    /// without a static busybox.
    fn new() -> Option<Self> {
        let Ok(busybox) = std::fs::read("/usr/bin/busybox").or_else(|_| std::fs::read("/bin/busybox")) else {
            skip("busybox", "there is no static busybox to make an image of");
            return None;
        };
        let base = packed(&[
            ("bin/", What::Folder(0o755, 0)),
            ("bin/busybox", What::File(0o755, 0, &busybox)),
            ("bin/sh", What::Link("busybox")),
            ("tmp/", What::Folder(0o1777, 0)),
            ("etc/", What::Folder(0o755, 0)),
            ("etc/passwd", What::File(0o644, 0, PASSWD)),
            ("etc/group", What::File(0o644, 0, GROUP)),
        ]);
        let data = packed(&[
            ("data/", What::Folder(0o751, 33)),
            ("data/hello", What::File(0o640, 33, b"hello\n")),
            ("data/set", What::File(0o4755, 1000, b"x")),
            ("data/gone", What::File(0o644, 0, b"x")),
            ("data/sub/", What::Folder(0o700, 1000)),
            ("data/sub/hard", What::Hard("data/hello")),
            ("data/link", What::Link("/etc/passwd")),
            ("alias", What::Link("data/sub")),
            ("file", What::File(0o644, 0, b"x")),
        ]);
        let without = packed(&[
            ("data/", What::Folder(0o751, 33)),
            ("data/.wh.gone", What::File(0o644, 0, b"")),
        ]);
        let run = |more: Value| {
            let mut run = json!({ "Cmd": ["sh"], "Env": ["PATH=/bin"] });
            for (key, value) in more.as_object().into_iter().flatten() {
                run[key] = value.clone();
            }
            run
        };
        let app =
            json!({ "User": "app", "StopSignal": "SIGUSR1", "Volumes": { "/var/lib/app": {}, "/data": {} } });
        let mut registry = Registry::default();
        registry.image_with("other", &["1"], std::slice::from_ref(&base), &run(json!({})));
        let layers = [base, data, without];
        registry.image_with("plain", &["1"], &layers, &run(json!({})));
        registry.image_with("app", &["1"], &layers, &run(app));
        let registry = registry.serve();
        Some(Self {
            dir: Dir::new(),
            registry,
        })
    }

    fn sbx<S: AsRef<std::ffi::OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Sbx {
        Sbx::new(arguments).env("XDG_DATA_HOME", self.dir.path())
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
