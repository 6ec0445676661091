#!/usr/bin/env bash
# compose_spec 0.3.0: `restart: on-failure:3`, `extra_hosts` with `host-gateway`, a volume source that begins with `~` and the hooks
# `post_start` and `pre_stop` are valid in the Compose specification and refused; the neighbouring forms are taken.
. "$(dirname "$0")/common.sh"
seen=$(rust 'compose_spec = "=0.3.0"
serde_yaml = "=0.9.34"' <<'RS'
fn main() {
    for line in [
        "restart: on-failure", "restart: on-failure:3", "extra_hosts: [\"a:10.0.0.1\"]", "extra_hosts: [\"a:host-gateway\"]",
        "volumes: [\"./x:/x\"]", "volumes: [\"~/x:/x\"]", "post_start: [{command: x}]", "pre_stop: [{command: x}]",
    ] {
        let text = format!("services:\n  web:\n    image: a\n    {line}\n");
        println!("{line} -> {}", serde_yaml::from_str::<compose_spec::Compose>(&text).is_ok());
    }
}
RS
)
expect "$seen" 'restart: on-failure -> true
restart: on-failure:3 -> false
extra_hosts: ["a:10.0.0.1"] -> true
extra_hosts: ["a:host-gateway"] -> false
volumes: ["./x:/x"] -> true
volumes: ["~/x:/x"] -> false
post_start: [{command: x}] -> false
pre_stop: [{command: x}] -> false'
