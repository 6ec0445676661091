//! Parses the built-in profiles once, here: at run time that took a fifth of the instructions of a start.

use std::fmt::Write;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Fault = Box<dyn std::error::Error>;

/// The same names as in `profile::library`, which a test compares.
const NAMES: [&str; 5] = ["strict", "default", "build", "image-worker", "overlay-worker"];

fn main() -> Result<(), Fault> {
    let mut code = String::from("pub(super) static PARSED: &[(&str, &[(Name, Node)])] = &[\n");
    for name in NAMES {
        let path = format!("profiles/{name}.toml");
        println!("cargo::rerun-if-changed={path}");
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let document = DeTable::parse(&text).map_err(|e| format!("{path}: {e}"))?;
        writeln!(code, "({name:?}, &{}),", table(document.get_ref(), &text)?)?;
    }
    code.push_str("];\n");
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    Ok(std::fs::write(Path::new(&out).join("profiles.rs"), code)?)
}

fn table(table: &DeTable<'_>, text: &str) -> Result<String, Fault> {
    let mut code = String::from("[");
    for (name, value) in table {
        let (at, name) = (name.span(), name.get_ref());
        write!(
            code,
            "(Name {{ at: {at:?}, name: {name:?} }}, {}),",
            node(value, text)?
        )?;
    }
    code.push(']');
    Ok(code)
}

fn node(value: &Spanned<DeValue<'_>>, text: &str) -> Result<String, Fault> {
    let at = value.span();
    let item = match value.get_ref() {
        DeValue::String(text) => format!("Item::Text({text:?})"),
        DeValue::Table(inner) => format!("Item::Table(&{})", table(inner, text)?),
        DeValue::Array(list) => {
            let items = list.iter().map(|item| node(item, text));
            let items = items.collect::<Result<Vec<_>, _>>()?;
            format!("Item::List(&[{}])", items.join(","))
        }
        // Their digits are read again: nothing else makes such a value.
        _ => format!(
            "Item::Literal({:?})",
            text.get(at.clone()).ok_or("a place outside")?
        ),
    };
    Ok(format!("Node {{ at: {at:?}, item: {item} }}"))
}
