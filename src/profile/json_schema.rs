//! The JSON schema of a profile, made from the one list of keys, for editors that check TOML by it.

use super::words::{KEYS, Takes};
use serde_json::{Map, Value, json};

/// The schema (JSON Schema, draft 2020-12).
#[must_use]
pub fn schema() -> Value {
    let mut top = Map::new();
    for key in KEYS {
        let mut value = match key.name {
            "extends" => json!({ "oneOf": [takes(Takes::Text), takes(Takes::Texts)] }),
            _ => takes(key.takes),
        };
        if let Value::Object(fields) = &mut value {
            fields.insert("description".into(), key.about.into());
        }
        if key.section.is_empty() {
            top.insert(key.name.into(), value);
            continue;
        }
        let section = top.entry(key.section).or_insert_with(|| object(Map::new()));
        if let Some(Value::Object(keys)) = section.get_mut("properties") {
            keys.insert(key.name.into(), value);
        }
    }
    let mut whole = object(top);
    if let Value::Object(fields) = &mut whole {
        fields.insert(
            "$schema".into(),
            "https://json-schema.org/draft/2020-12/schema".into(),
        );
        fields.insert("title".into(), "sbx profile".into());
    }
    whole
}

fn object(properties: Map<String, Value>) -> Value {
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

fn takes(takes: Takes) -> Value {
    match takes {
        Takes::Text => json!({ "type": "string" }),
        Takes::Size => json!({ "type": "string", "examples": ["64M", "1G"] }),
        Takes::Span => json!({ "type": "string", "examples": ["90s", "10m"] }),
        Takes::Number => json!({ "type": "integer", "minimum": 0 }),
        Takes::Processors => json!({ "type": ["string", "number"], "examples": [1.5] }),
        Takes::Bool => json!({ "type": "boolean" }),
        Takes::Word(words) => json!({ "enum": words }),
        Takes::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Takes::Tables(keys) => {
            let properties = keys
                .iter()
                .map(|(name, t)| ((*name).to_owned(), self::takes(*t)))
                .collect();
            json!({ "type": "array", "items": object(properties) })
        }
        Takes::TextMap => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
        Takes::Ulimits => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever adds a key must not forget a section.
    #[test]
    fn every_key_is_in_it_with_its_words() {
        let schema = schema();
        for key in KEYS {
            let path = if key.section.is_empty() {
                format!("/properties/{}", key.name)
            } else {
                format!("/properties/{}/properties/{}", key.section, key.name)
            };
            let value = schema.pointer(&path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(value["description"], key.about);
            if let Takes::Word(words) = key.takes {
                assert_eq!(value["enum"], json!(words));
            }
        }
    }
}
