#!/usr/bin/env bash
# parse-dockerfile 0.1.9: a here-document is seen only where it is the first word of RUN. Behind a command (`RUN cat <<EOF`), as
# BuildKit's documentation writes it too, its body is read as instructions.
. "$(dirname "$0")/common.sh"
seen=$(rust 'parse-dockerfile = "=0.1.9"' <<'RS'
fn main() {
    for run in ["RUN <<EOF cat > /x", "RUN cat <<EOF > /x"] {
        let text = format!("FROM debian\n{run}\nhello\nEOF\nUSER nobody\n");
        let parsed = parse_dockerfile::parse(&text);
        println!("{run} -> {}", parsed.map_or_else(|e| e.to_string(), |d| format!("{} instructions", d.instructions.len())));
    }
}
RS
)
expect "$seen" "RUN <<EOF cat > /x -> 3 instructions
RUN cat <<EOF > /x -> unknown instruction 'hello' at line 3 column 1"
