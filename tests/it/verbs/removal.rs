//! Names and images go; what is in use stays; what belongs to other ids leaves nothing behind.

use super::registry::Registry;
use super::{Place, two};
use crate::util::{Dir, is_root, range};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, ChildStdout, Stdio};

/// A sandbox that reads a file of its image when it is told to.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    _home: Dir,
}

impl Running {
    fn start(place: &Place, image: &str) -> Self {
        let run = place.sbx([
            "run",
            "--quiet",
            image,
            "sh",
            "-c",
            "echo ready; read x; cat /says",
        ]);
        let (mut command, home) = run.into_command();
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("sbx starts");
        let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        Self {
            child,
            out,
            _home: home,
        }
    }

    /// Lets it go on, to its end.
    fn end(mut self) -> String {
        drop(self.child.stdin.take().expect("a pipe").write_all(b"\n"));
        let mut text = String::new();
        self.out.read_to_string(&mut text).expect("text");
        assert!(self.child.wait().expect("an end").success());
        text
    }
}

/// All that there is, pulled.
fn pulled(registry: &Registry, place: &Place) -> [String; 3] {
    let names = ["one:1", "one:2", "two:1"].map(|name| registry.name(name));
    for name in &names {
        place.ok(&["pull", "-q", name]);
    }
    names
}

#[test]
fn a_name_goes_and_the_last_one_takes_the_image_along() {
    let Some((registry, place)) = two() else { return };
    let [one, again, two] = pulled(&registry, &place);
    let id = place.json(&["inspect", &one])[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(place.ok(&["rmi", &one]), format!("untagged {one}"));
    assert_eq!(
        place.ok(&["run", "--quiet", "--pull", "never", &again]),
        "this is one"
    );
    let layers = place.layers().len();
    let said = place.ok(&["rmi", &again]);
    assert!(
        said.starts_with(&format!("untagged {again}\nremoved {}, ", &id[7..19])),
        "{said}"
    );
    assert_eq!(
        place.layers().len(),
        layers - 1,
        "the layer that nothing else needs"
    );
    assert_eq!(
        place.ok(&["run", "--quiet", "--pull", "never", &two]),
        "this is two"
    );
    place.out(&["rmi", &one]).code(1).says("not in the store");
    place.ok(&["rmi", "-f", &one]);
    // One that fails keeps no other.
    place
        .out(&["rmi", "nothing-a", &two, "nothing-b"])
        .code(1)
        .says("nothing-a")
        .says("nothing-b");
    assert_eq!((place.layers(), place.names("blobs/sha256")), (vec![], vec![]));
}

#[test]
fn by_its_id_an_image_goes_with_all_its_names() {
    let Some((registry, place)) = two() else { return };
    let (one, again) = (registry.name("one:1"), registry.name("one:2"));
    place.ok(&["pull", "-q", &one]);
    place.ok(&["pull", "-q", &again]);
    let id = place.ok(&["images", "-q"]);
    place
        .out(&["rmi", &id])
        .code(1)
        .says("has several names")
        .says(&again);
    let said = place.ok(&["rmi", "-f", &id]);
    assert!(
        said.starts_with(&format!("untagged {one}\nuntagged {again}\nremoved {id}, ")),
        "{said}"
    );
    assert_eq!(place.ok(&["images", "-q"]), "");
    place.out(&["rmi", &id]).code(1).says("not in the store");
    place.ok(&["rmi", "-f", &id]);
}

#[test]
fn what_a_sandbox_runs_on_stays_until_it_ends() {
    let Some((registry, place)) = two() else { return };
    let [one, again, two] = pulled(&registry, &place);
    let running = Running::start(&place, &one);
    let process = format!("process {}", running.child.id());
    place.ok(&["rmi", &one]);
    for force in [&["rmi"][..], &["rmi", "-f"]] {
        let refused = [force, &[again.as_str()]].concat();
        place
            .out(&refused)
            .code(1)
            .says("in use by the running sandbox of")
            .says(&process)
            .says(&again);
    }
    let id = place.json(&["inspect", &again])[0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    place
        .out(&["rmi", "-f", &id])
        .code(1)
        .says("in use")
        .says(&process);
    let (short, before) = (
        &place.json(&["inspect", &again])[0]["digest"].clone(),
        place.layers(),
    );
    let digest = short.as_str().expect("a digest");
    for arguments in [&["prune", "-a", "--dry-run"][..], &["prune", "-a"]] {
        let out = place.out(arguments);
        out.code(0).says(&format!(
            "image {} stays: a running sandbox uses it",
            &digest[7..19]
        ));
        assert!(out.stdout().contains(&two) && !out.stdout().contains(&again));
    }
    assert_eq!(place.layers().len(), before.len() - 1, "the other one went");
    // Another may still begin.
    assert_eq!(
        place.ok(&["run", "--quiet", "--pull", "never", &again]),
        "this is one"
    );
    assert_eq!(running.end(), "this is one\n");
    place.ok(&["rmi", &again]);
    assert_eq!(place.layers(), [""; 0]);
}

#[test]
fn pruning_says_what_it_frees() {
    let Some((registry, place)) = two() else { return };
    let (one, two) = (registry.name("one:1"), registry.name("two:1"));
    place.ok(&["pull", "-q", &one]);
    place.ok(&["pull", "-q", &two]);
    assert_eq!(place.ok(&["prune"]), "freed 0 B", "what has a name stays");
    let image = place.json(&["inspect", &one])[0].clone();
    let text = |value: &serde_json::Value| value.as_str().expect("text")[7..19].to_owned();
    // It loses its name to the other.
    place.ok(&["tag", &two, &one]);
    let told = place.ok(&["prune", "--dry-run"]);
    let layer = text(&image["layers"][1]["digest"]);
    for line in [
        format!("image     {}", text(&image["digest"])),
        format!("blob      {}, ", text(&image["id"])),
        format!("blob      {layer}, "),
        format!("layer     {layer} for "),
    ] {
        assert!(told.contains(&line), "{line} is not in\n{told}");
    }
    assert!(
        !told.contains(&text(&image["layers"][0]["digest"])),
        "the other needs it:\n{told}"
    );
    assert_eq!(place.layers().len(), 3, "only told");
    let done = place.ok(&["prune"]);
    assert_eq!(done, told.replace("would free", "freed"));
    assert_eq!(place.layers().len(), 2);
    assert_eq!(
        place.ok(&["run", "--quiet", "--pull", "never", &one]),
        "this is two"
    );
    let told = place.ok(&["prune", "--all", "--dry-run"]);
    assert!(
        told.contains(&format!("name      {two}")) && told.contains(" MiB"),
        "{told}"
    );
    assert_eq!(place.ok(&["prune", "--all"]), told.replace("would free", "freed"));
    let left = [
        place.layers(),
        place.names("blobs/sha256"),
        place.names("partial"),
    ]
    .concat();
    assert_eq!(left, [""; 0]);
}

/// The directory of layers of a kind that is mapped, with a file of another id than this process's; `None`, and a skip, where ids
/// cannot be mapped.
fn mapped(place: &Place) -> Option<String> {
    if !range() {
        return None;
    }
    let mut kinds = place.names("layers").into_iter();
    let kind = kinds.find(|kind| kind.starts_with("mapped-"));
    let kind = kind.expect("layers of a map");
    let trees = place.names(&format!("layers/{kind}"));
    let own = nix::unistd::geteuid().as_raw();
    let foreign = trees.iter().any(|hex| {
        let path = place.store().join(format!("layers/{kind}/{hex}/tree/srv"));
        path.metadata().is_ok_and(|srv| srv.uid() != own)
    });
    assert!(foreign, "nothing in {kind} belongs to another id: {trees:?}");
    Some(kind)
}

#[test]
fn layers_of_other_ids_leave_nothing_behind() {
    let Some((registry, place)) = two() else { return };
    let (one, two) = (registry.name("one:1"), registry.name("two:1"));
    place.ok(&["pull", "-q", &one]);
    place.ok(&["pull", "-q", "--map", "caller", &one]);
    place.ok(&["pull", "-q", &two]);
    if mapped(&place).is_none() {
        return;
    }
    place.ok(&["rmi", &one]);
    assert!(
        !place.layers().iter().any(|name| name.contains(".old-")),
        "{:?}",
        place.layers()
    );
    place.ok(&["prune", "-a"]);
    assert_eq!(place.layers(), [""; 0]);
}

#[test]
fn what_nobody_can_map_any_more_is_told() {
    let Some((registry, place)) = two() else { return };
    let one = registry.name("one:1");
    place.ok(&["pull", "-q", &one]);
    let Some(kind) = mapped(&place) else { return };
    let layers = place.store().join("layers");
    let other = "mapped-7-7-7-7";
    std::fs::rename(layers.join(&kind), layers.join(other)).expect("renamed");
    let out = place.out(&["prune", "-a"]);
    if is_root() {
        // Root may remove whatever there is.
        out.code(0);
        assert_eq!(place.layers(), [""; 0]);
        return;
    }
    out.code(1)
        .says("for mapped-7-7-7-7 could not be removed: their files belong to ids that you cannot have");
    let left = place.layers();
    assert!(
        !left.is_empty() && left.iter().all(|name| name.starts_with("mapped-7-7-7-7/.old-")),
        "{left:?}"
    );
    for name in &left {
        let path = layers.join(name);
        out.says(&format!("as root: rm -rf -- {}", layers.join(other).display()));
        out.says(path.to_str().expect("text"));
    }
    place.out(&["prune"]).code(1).says("could not be removed");
    assert_eq!(place.ok(&["prune", "--dry-run"]).lines().count(), left.len() + 1);
    // Mapped again, it goes.
    std::fs::rename(layers.join(other), layers.join(&kind)).expect("renamed");
    place.ok(&["prune"]);
    assert_eq!(place.layers(), [""; 0]);
}

#[test]
fn many_at_once_leave_a_store_that_is_whole() {
    let Some((registry, place)) = two() else { return };
    let (one, two) = (registry.name("one:1"), registry.name("two:1"));
    place.ok(&["pull", "-q", &one]);
    let round = |_| {
        let run = |arguments: &[&str]| {
            let (mut command, home) = place.sbx(arguments).into_command();
            let command = command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            (command.spawn().expect("sbx starts"), home)
        };
        let all = [
            run(&["run", "--quiet", &one]),
            run(&["rmi", "-f", &one]),
            run(&["pull", "-q", &two]),
            run(&["prune", "-a"]),
            run(&["run", "--quiet", &one]),
            run(&["images"]),
        ];
        for (child, _home) in all {
            let out = child.wait_with_output().expect("an end");
            let said = String::from_utf8_lossy(&out.stderr).into_owned();
            assert!(!said.contains("panicked"), "{said}");
            // Whoever came too late, or was there first, says so in one line; nothing else goes wrong.
            let fine = [
                "in use",
                "not in the store",
                "stays",
                "waiting",
                "is gone",
                "complete, ",
            ];
            let odd = said
                .lines()
                .find(|l| !(l.starts_with("  ") || l.is_empty() || fine.iter().any(|f| l.contains(f))));
            assert_eq!(odd, None, "{said}");
        }
    };
    (0..4).for_each(round);
    let found = place.ok(&["verify"]);
    assert!(found.ends_with("all images are intact"), "{found}");
    place.ok(&["prune", "-a"]);
    assert_eq!(place.layers(), [""; 0]);
}
