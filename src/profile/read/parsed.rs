//! The built-in profiles as the build has parsed them (`build.rs`).

use crate::profile::library::BUILT_IN;
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

/// A value. Where it and its name stand in the text, from and to.
struct Node {
    name: (u16, u16),
    at: (u16, u16),
    item: Item,
}

#[derive(Clone, Copy)]
enum Item {
    /// Without escapes, so that it is what stands there but for the quotes.
    Text,
    /// A number or a truth value.
    Literal,
    /// The first of its nodes, and how many.
    List(u16, u16),
    Table(u16, u16),
}

/// One profile.
#[derive(Clone, Copy)]
struct Parsed {
    text: &'static str,
    nodes: &'static [Node],
}

/// The document of a built-in profile, as parsing its text would give it.
pub(super) fn document(name: &str) -> Option<DeTable<'static>> {
    let mut both = BUILT_IN.iter().zip(PARSED);
    let ((_, text), nodes) = both.find(|((known, _), _)| *known == name)?;
    match (Parsed { text, nodes }).value(nodes.first()?)?.into_inner() {
        DeValue::Table(table) => Some(table),
        _ => None,
    }
}

fn range((from, to): (u16, u16)) -> Range<usize> {
    from.into()..to.into()
}

impl Parsed {
    fn value(self, node: &'static Node) -> Option<Spanned<DeValue<'static>>> {
        let at = range(node.at);
        let value = match node.item {
            Item::Text => DeValue::String(self.unquoted(at.clone())?),
            Item::Literal => DeValue::parse(self.text.get(at.clone())?).ok()?.into_inner(),
            Item::List(first, count) => {
                let items = self.some(first, count)?.iter().map(|node| self.value(node));
                DeValue::Array(items.collect::<Option<DeArray<'_>>>()?)
            }
            Item::Table(first, count) => {
                let entry = |node: &'static Node| {
                    let name = range(node.name);
                    let text = self.unquoted(name.clone())?;
                    Some((Spanned::new(name, text), self.value(node)?))
                };
                let entries = self.some(first, count)?.iter().map(entry);
                DeValue::Table(entries.collect::<Option<_>>()?)
            }
        };
        Some(Spanned::new(at, value))
    }

    fn unquoted(self, at: Range<usize>) -> Option<Cow<'static, str>> {
        Some(Cow::Borrowed(self.text.get(at)?.trim_matches('"')))
    }

    fn some(self, first: u16, count: u16) -> Option<&'static [Node]> {
        self.nodes.get(first.into()..)?.get(..count.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_parsed_what_the_texts_say() {
        for (name, text) in BUILT_IN {
            let parsed = DeTable::parse(text).expect("TOML").into_inner();
            let built = document(name).expect("built in");
            assert_eq!(format!("{built:?}"), format!("{parsed:?}"), "{name}");
        }
    }
}
