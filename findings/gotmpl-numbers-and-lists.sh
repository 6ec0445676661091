#!/usr/bin/env bash
# gotmpl 0.6.1, a port of Go's text/template with "Go compatible output": float64 values from 1e21 on, and `%v` of 1e6, are printed
# without the exponent that Go's fmt prints (1e+21, 1e+06); `%q` and `%s` do not reach into a list, so docker's usual
# `{{printf "%q" .Args}}` prints a format error where Go prints ["sh" "-c"].
. "$(dirname "$0")/common.sh"
seen=$(rust 'gotmpl = { version = "=0.6.1", features = ["serde"] }
serde_json = "1"' <<'RS'
fn main() {
    let data = gotmpl::to_value(&serde_json::json!({"E": 1e21, "Args": ["sh", "-c"]})).unwrap();
    for text in [r#"{{.E}}"#, r#"{{printf "%v" 1e6}}"#, r#"{{printf "%q" .Args}}"#, r#"{{printf "%s" .Args}}"#] {
        let template = gotmpl::Template::new("").parse(text).unwrap();
        println!("{text} -> {}", template.execute_to_string(&data).unwrap());
    }
}
RS
)
expect "$seen" '{{.E}} -> 1000000000000000000000
{{printf "%v" 1e6}} -> 1000000
{{printf "%q" .Args}} -> %!q(list=[sh -c])
{{printf "%s" .Args}} -> %!s(list=[sh -c])'
