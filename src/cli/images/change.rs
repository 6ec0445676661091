//! `sbx import --change`: instructions of a Dockerfile that change the config of an image, as `docker import` takes them.

use serde_json::{Map, Value, json};

type Config = Map<String, Value>;

/// Makes a change.
///
/// # Errors
/// With what is wrong with it.
pub(super) fn change(config: &mut Config, text: &str) -> Result<(), String> {
    let (word, rest) = text
        .trim()
        .split_once([' ', '\t', '='])
        .unwrap_or((text.trim(), ""));
    let rest = rest.trim();
    if rest.is_empty() {
        return Err("write INSTRUCTION VALUE, as in `CMD [\"/bin/sh\"]`".to_owned());
    }
    match word.to_ascii_uppercase().as_str() {
        "CMD" => set(config, "Cmd", command(rest)?),
        "ENTRYPOINT" => set(config, "Entrypoint", command(rest)?),
        "WORKDIR" => set(config, "WorkingDir", json!(word_of(rest)?)),
        "USER" => set(config, "User", json!(word_of(rest)?)),
        "STOPSIGNAL" => set(config, "StopSignal", json!(word_of(rest)?)),
        "ENV" => env(config, rest)?,
        "LABEL" => {
            for (key, value) in pairs(rest)? {
                insert(config, "Labels", key, json!(value));
            }
        }
        "EXPOSE" => {
            for port in words(rest)? {
                insert(config, "ExposedPorts", exposed(&port)?, json!({}));
            }
        }
        "VOLUME" => {
            for volume in list(rest).map_or_else(|| words(rest), Ok)? {
                insert(config, "Volumes", volume, json!({}));
            }
        }
        other => return Err(unknown(other)),
    }
    Ok(())
}

fn unknown(word: &str) -> String {
    let word: String = word.chars().take(40).collect();
    format!(
        "`{}` is none of CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME, WORKDIR",
        word.escape_debug()
    )
}

fn set(config: &mut Config, key: &str, value: Value) {
    config.insert(key.to_owned(), value);
}

fn insert(config: &mut Config, map: &str, key: String, value: Value) {
    let inner = config.entry(map).or_insert_with(|| json!({}));
    if let Some(inner) = inner.as_object_mut() {
        inner.insert(key, value);
    }
}

/// `["a", "b"]`
fn list(text: &str) -> Option<Vec<String>> {
    serde_json::from_str(text).ok()
}

/// A list as it is; else a line for the shell.
fn command(text: &str) -> Result<Value, String> {
    match list(text) {
        Some(list) => Ok(json!(list)),
        None if text.starts_with('[') && text.ends_with(']') => {
            Err(format!("{} is no list of texts", text.escape_debug()))
        }
        None => Ok(json!(["/bin/sh", "-c", text])),
    }
}

fn word_of(text: &str) -> Result<String, String> {
    match words(text)?.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err("one word follows".to_owned()),
    }
}

fn exposed(port: &str) -> Result<String, String> {
    let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let plain = number.bytes().all(|b| b.is_ascii_digit());
    let number = number.parse::<u16>().ok().filter(|number| plain && *number > 0);
    match number.filter(|_| ["tcp", "udp", "sctp"].contains(&protocol)) {
        Some(number) => Ok(format!("{number}/{protocol}")),
        None => Err("a port is 1 to 65535, perhaps with /tcp, /udp or /sctp".to_owned()),
    }
}

/// `NAME=VALUE …`, or the old `NAME VALUE`.
fn env(config: &mut Config, text: &str) -> Result<(), String> {
    for (name, value) in pairs(text)? {
        let entry = format!("{name}={value}");
        let list = config.entry("Env").or_insert_with(|| json!([]));
        let Some(list) = list.as_array_mut() else { continue };
        let same = format!("{name}=");
        list.retain(|old| !old.as_str().is_some_and(|old| old.starts_with(&same)));
        list.push(json!(entry));
    }
    Ok(())
}

fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let all = words(text)?;
    if let [name, value @ ..] = all.as_slice()
        && !(value.is_empty() || name.contains('='))
    {
        return Ok(vec![(name.clone(), value.join(" "))]);
    }
    let pair = |word: String| match word.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!("`{}` is no NAME=VALUE", word.escape_debug())),
    };
    all.into_iter().map(pair).collect()
}

/// Words as a shell splits them, without anything that a shell replaces.
fn words(text: &str) -> Result<Vec<String>, String> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match (letter, quote) {
            ('\\', None | Some('"')) => {
                let next = letters.next().ok_or("a backslash stands at the end")?;
                word.get_or_insert_default().push(next);
            }
            (_, Some(open)) if letter == open => quote = None,
            ('"' | '\'', None) => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (_, None) if letter.is_whitespace() => all.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    if quote.is_some() {
        return Err("a quotation mark is not closed".to_owned());
    }
    all.extend(word);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(changes: &[&str]) -> Result<String, String> {
        let mut config = Config::new();
        for text in changes {
            change(&mut config, text)?;
        }
        Ok(Value::Object(config).to_string())
    }

    #[test]
    fn changes_are_those_of_docker() {
        for (changes, expected) in [
            (&["CMD [\"a\", \"b c\"]"][..], r#"{"Cmd":["a","b c"]}"#),
            (&["cmd echo $x"], r#"{"Cmd":["/bin/sh","-c","echo $x"]}"#),
            (&["ENTRYPOINT [\"/x\"]"], r#"{"Entrypoint":["/x"]}"#),
            (&["ENV a=1 b='2 3'", "ENV a=4"], r#"{"Env":["b=2 3","a=4"]}"#),
            (&["ENV a 1 2"], r#"{"Env":["a=1 2"]}"#),
            (&["WORKDIR /a"], r#"{"WorkingDir":"/a"}"#),
            (&["USER=1:2"], r#"{"User":"1:2"}"#),
            (&["LABEL a=b \"c d\"=e"], r#"{"Labels":{"a":"b","c d":"e"}}"#),
            (
                &["LABEL \"c d\"=\"e f\" g=h"],
                r#"{"Labels":{"c d":"e f","g":"h"}}"#,
            ),
            (&["LABEL a 'b  c'"], r#"{"Labels":{"a":"b  c"}}"#),
            (
                &["EXPOSE 80 53/udp"],
                r#"{"ExposedPorts":{"53/udp":{},"80/tcp":{}}}"#,
            ),
            (
                &["VOLUME [\"/a\"]", "VOLUME /b /c"],
                r#"{"Volumes":{"/a":{},"/b":{},"/c":{}}}"#,
            ),
            (&["STOPSIGNAL SIGINT"], r#"{"StopSignal":"SIGINT"}"#),
        ] {
            assert_eq!(after(changes).as_deref(), Ok(expected), "{changes:?}");
        }
        for wrong in [
            "",
            "CMD",
            "RUN x",
            "ENV =x",
            "ENV x",
            "LABEL x",
            "EXPOSE 0",
            "EXPOSE 70000",
            "EXPOSE +80",
            "EXPOSE 1/x",
            "CMD [1]",
            "CMD [\"a]",
            "USER a b",
            "ENV a='b",
            "ENV a=\\",
        ] {
            assert!(after(&[wrong]).is_err(), "{wrong}");
        }
    }
}
