//! Words of docker and podman that sbx does not have, and what to do in their place.

/// Flags and verbs, separated by blanks, each with its answer.
const WORDS: &[(&str, &str)] = &[
    (
        "-d --detach",
        "a sandbox ends with its command: put `&` behind it, or start sbx with systemd-run --user",
    ),
    (
        "exec ps stop kill rm logs attach start restart top wait rename cp --name --cidfile --restart",
        "a sandbox ends with its command, so that there is none to name, to list or to enter",
    ),
    (
        "-p --publish -P --publish-all --expose",
        "ports are not published yet: --network host shares the host's",
    ),
    (
        "--privileged",
        "there is no such switch: name what is needed, with --cap-add, --device or --enforce KEY=off",
    ),
    ("--gpus", "name the devices: --device /dev/dri/renderD128"),
    (
        "--pid --ipc --uts --cgroupns",
        "each sandbox has namespaces of its own, and none of the host's",
    ),
    (
        "build commit",
        "images are not built here: podman or buildah build, and `sbx run docker-archive:FILE` takes what they save",
    ),
];

/// What to tell who typed a flag or a verb that is none.
pub(super) fn answer(word: &str) -> Option<&'static str> {
    let bare = word.split('=').next().unwrap_or_default();
    let found = WORDS
        .iter()
        .find(|(words, _)| words.split(' ').any(|known| known == bare));
    found.map(|(_, answer)| *answer)
}
