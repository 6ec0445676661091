#!/usr/bin/env bash
# oci-spec 0.10.0: distribution::Reference refuses a registry at an IPv6 address, which the reference grammar has, and takes a host in
# capitals without dot or port for a repository of docker.io. containers and docker take a first component with a capital letter for a
# host, since repositories have none: the same name is asked for at another registry.
. "$(dirname "$0")/common.sh"
seen=$(rust 'oci-spec = "=0.10.0"' <<'RS'
fn main() {
    for name in ["[::1]:5000/a", "LOCALHOST/a", "localhost/a"] {
        match name.parse::<oci_spec::distribution::Reference>() {
            Ok(read) => println!("{name} -> {} {}", read.registry(), read.repository()),
            Err(error) => println!("{name} -> {error}"),
        }
    }
}
RS
)
expect "$seen" '[::1]:5000/a -> invalid reference format
LOCALHOST/a -> docker.io LOCALHOST/a
localhost/a -> localhost a'
