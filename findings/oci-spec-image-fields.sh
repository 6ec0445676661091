#!/usr/bin/env bash
# oci-spec 0.10.0: what the image specification calls `os.version` and `os.features` in a descriptor's platform is neither read nor kept,
# though both are its own fields; reading and writing an image's config also loses Healthcheck, OnBuild and Shell, which the
# specification reserves for what docker writes there. A tool that edits a config through these types removes the health check.
. "$(dirname "$0")/common.sh"
seen=$(rust 'oci-spec = "=0.10.0"
serde_json = "1"' <<'RS'
use serde_json::{from_value, json, to_value};
fn main() {
    let platform: oci_spec::image::Platform =
        from_value(json!({"architecture": "amd64", "os": "windows", "os.version": "10.0.1", "os.features": ["win32k"]})).unwrap();
    println!("{:?} {}", platform.os_version(), to_value(&platform).unwrap());
    let config: oci_spec::image::ImageConfiguration = from_value(json!({
        "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []},
        "config": {"Cmd": ["x"], "Healthcheck": {"Test": ["NONE"]}, "OnBuild": ["RUN x"], "Shell": ["/bin/sh", "-c"]}
    }))
    .unwrap();
    println!("{}", to_value(&config).unwrap()["config"]);
}
RS
)
expect "$seen" 'None {"architecture":"amd64","os":"windows"}
{"Cmd":["x"]}'
