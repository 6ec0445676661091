//! Parses the built-in profiles once, here: at run time that took a fifth of the instructions of a start.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Fault = Box<dyn std::error::Error>;

/// The same names as in `profile::library`, which a test compares.
const NAMES: [&str; 6] = [
    "strict",
    "default",
    "build",
    "fetch-worker",
    "image-worker",
    "overlay-worker",
];

fn main() -> Result<(), Fault> {
    let mut code = String::from("static PARSED: [&[Node]; NAMES] = [\n");
    for name in NAMES {
        let path = format!("profiles/{name}.toml");
        println!("cargo::rerun-if-changed={path}");
        let text = std::fs::read_to_string(&path).map_err(|e| format!("{path}: {e}"))?;
        let document = DeTable::parse(&text).map_err(|e| format!("{path}: {e}"))?;
        let mut nodes = Nodes {
            text: &text,
            written: vec![String::new()],
        };
        let top = nodes.table(document.get_ref());
        let top = top.map_err(|e| format!("{path}: {e}"))?;
        nodes.put(0, &(0..0), &(0..0), &top)?;
        writeln!(code, "&[{}],", nodes.written.concat())?;
    }
    code.push_str("];\n");
    writeln!(code, "const NAMES: usize = {};", NAMES.len())?;
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var_os("OUT_DIR").ok_or("no OUT_DIR")?;
    Ok(std::fs::write(Path::new(&out).join("profiles.rs"), code)?)
}

/// The nodes of one profile, as `profile::read::parsed` has them. They hold places in the text and no pointers, each of which would be
/// relocated at every start.
struct Nodes<'a> {
    text: &'a str,
    written: Vec<String>,
}

impl Nodes<'_> {
    fn table(&mut self, table: &DeTable<'_>) -> Result<String, Fault> {
        let first = self.room(table.len());
        for (index, (name, value)) in (first..).zip(table) {
            let item = self.item(value)?;
            self.same(name.get_ref(), name.span())?;
            self.put(index, &name.span(), &value.span(), &item)?;
        }
        Ok(format!("Item::Table({first}, {})", table.len()))
    }

    fn item(&mut self, value: &Spanned<DeValue<'_>>) -> Result<String, Fault> {
        let at = value.span();
        Ok(match value.get_ref() {
            DeValue::String(text) => {
                self.same(text, at)?;
                "Item::Text".to_owned()
            }
            DeValue::Table(inner) => self.table(inner)?,
            DeValue::Array(list) => {
                let first = self.room(list.len());
                for (index, value) in (first..).zip(list.iter()) {
                    let item = self.item(value)?;
                    self.put(index, &(0..0), &value.span(), &item)?;
                }
                format!("Item::List({first}, {})", list.len())
            }
            // Their digits are read again: nothing else makes such a value.
            _ => "Item::Literal".to_owned(),
        })
    }

    /// Room for neighbours: their index is known before what is below them is written.
    fn room(&mut self, count: usize) -> usize {
        let first = self.written.len();
        self.written.resize(first + count, String::new());
        first
    }

    fn put(&mut self, index: usize, name: &Range<usize>, at: &Range<usize>, item: &str) -> Result<(), Fault> {
        let place = self.written.get_mut(index).ok_or("no room")?;
        *place = format!(
            "Node {{ name: ({}, {}), at: ({}, {}), item: {item} }},",
            name.start, name.end, at.start, at.end
        );
        Ok(())
    }

    /// What a text or a name says must stand there as it is, but for quotes.
    fn same(&self, said: &str, at: Range<usize>) -> Result<(), Fault> {
        match self.text.get(at) {
            Some(text) if text.trim_matches('"') == said => Ok(()),
            _ => Err(format!("{said:?}: write it without escapes, between double quotes").into()),
        }
    }
}
