#!/usr/bin/env bash
# docker-compose-types 0.24.0: of a port in the long form, `name` and `app_protocol` are dropped without a word; a port that is a plain
# number, which the Compose specification allows, is refused, while the same number as a string is taken.
. "$(dirname "$0")/common.sh"
seen=$(rust 'docker-compose-types = "=0.24.0"
serde_yaml = "=0.9.34"' <<'RS'
fn main() {
    for ports in ["[{target: 80, name: web, app_protocol: http}]", "[80]", "[\"80\"]"] {
        let text = format!("services:\n  web:\n    image: a\n    ports: {ports}\n");
        match serde_yaml::from_str::<docker_compose_types::Compose>(&text) {
            Ok(file) => {
                let text = serde_yaml::to_string(&file).unwrap();
                println!("{ports} -> {}", text.lines().last().unwrap().trim());
            }
            Err(_) => println!("{ports} -> refused"),
        }
    }
}
RS
)
expect "$seen" '[{target: 80, name: web, app_protocol: http}] -> - target: 80
[80] -> refused
["80"] -> - '"'80'"
