#!/usr/bin/env bash
# oci-spec 0.10.0, the types of youki: a config.json whose process.scheduler.flags holds the runtime specification's
# SCHED_FLAG_DL_OVERRUN is refused; the only spelling taken is SCHED_FLAG_D_L_OVERRUN, which no specification and no kernel has.
. "$(dirname "$0")/common.sh"
seen=$(rust 'oci-spec = "=0.10.0"
serde_json = "1"' <<'RS'
use serde_json::{from_value, json};
fn main() {
    let spec = |more: serde_json::Value| {
        let mut process = json!({"cwd": "/", "args": ["x"], "user": {"uid": 0, "gid": 0}});
        process.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        from_value::<oci_spec::runtime::Spec>(json!({"ociVersion": "1.2.0", "process": process}))
    };
    for flag in ["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_D_L_OVERRUN"] {
        println!("{flag} {}", spec(json!({"scheduler": {"policy": "SCHED_DEADLINE", "flags": [flag]}})).is_ok());
    }
}
RS
)
expect "$seen" 'SCHED_FLAG_RECLAIM true
SCHED_FLAG_DL_OVERRUN false
SCHED_FLAG_D_L_OVERRUN true'
