#!/usr/bin/env bash
# gtmpl-ng 1.0.0, a port of Go's text/template: escapes are processed inside a raw string (between backquotes), where Go keeps the
# backslash and the n; and `eq` of an integer and a float is true, where Go stops with "incompatible types for comparison".
. "$(dirname "$0")/common.sh"
seen=$(rust 'gtmpl-ng = "=1.0.0"' <<'RS'
fn main() {
    for text in [r#"{{`a\nb`}}"#, r#"{{eq 3 3.0}}"#] {
        println!("{text} -> {:?}", gtmpl_ng::template(text, 0).unwrap());
    }
}
RS
)
expect "$seen" '{{`a\nb`}} -> "a\nb"
{{eq 3 3.0}} -> "true"'
