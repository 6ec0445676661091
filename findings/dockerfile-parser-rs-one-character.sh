#!/usr/bin/env bash
# dockerfile-parser-rs 3.4.0: an instruction whose whole argument is one character is a syntax error, so `USER 0` and `CMD w` of
# ordinary Dockerfiles do not parse, while `USER 00` does.
. "$(dirname "$0")/common.sh"
seen=$(rust 'dockerfile-parser-rs = "=3.4.0"' <<'RS'
fn main() {
    for line in ["USER 00", "USER 0", "CMD w", "CMD ww"] {
        let parsed = format!("FROM debian\n{line}\n").parse::<dockerfile_parser_rs::Dockerfile>();
        println!("{line} -> {}", parsed.map_or_else(|e| e.to_string(), |d| format!("{} instructions", d.instructions.len())));
    }
}
RS
)
expect "$seen" 'USER 00 -> 2 instructions
USER 0 -> Syntax error: USER 0
CMD w -> Syntax error: CMD w
CMD ww -> 2 instructions'
