//! The built-in profiles as the build has parsed them (`build.rs`).

use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, Error};

include!(concat!(env!("OUT_DIR"), "/profiles.rs"));

/// A key, and where it stands.
pub(super) struct Name {
    at: Range<usize>,
    name: &'static str,
}

/// A value, and where it stands.
pub(super) struct Node {
    at: Range<usize>,
    item: Item,
}

enum Item {
    Text(&'static str),
    /// A number or a truth value, as written.
    Literal(&'static str),
    List(&'static [Node]),
    Table(&'static [(Name, Node)]),
}

/// The document of a built-in profile, as parsing its text would give it.
pub(super) fn document(name: &str) -> Option<Result<DeTable<'static>, Error>> {
    let (_, top) = PARSED.iter().find(|(known, _)| *known == name)?;
    Some(table(top))
}

fn table(entries: &'static [(Name, Node)]) -> Result<DeTable<'static>, Error> {
    let entry = |(name, node): &'static (Name, Node)| {
        let key = Spanned::new(name.at.clone(), Cow::Borrowed(name.name));
        Ok((key, value(node)?))
    };
    entries.iter().map(entry).collect()
}

fn value(node: &'static Node) -> Result<Spanned<DeValue<'static>>, Error> {
    let value = match node.item {
        Item::Text(text) => DeValue::String(Cow::Borrowed(text)),
        Item::Literal(text) => DeValue::parse(text)?.into_inner(),
        Item::List(items) => DeValue::Array(items.iter().map(value).collect::<Result<DeArray<'_>, _>>()?),
        Item::Table(entries) => DeValue::Table(table(entries)?),
    };
    Ok(Spanned::new(node.at.clone(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::library::BUILT_IN;

    #[test]
    fn the_build_parsed_what_the_texts_say() {
        let parsed = PARSED.iter().map(|(name, _)| *name);
        assert!(parsed.eq(BUILT_IN.iter().map(|(name, _)| *name)));
        for (name, text) in BUILT_IN {
            let parsed = DeTable::parse(text).expect("TOML").into_inner();
            let built = document(name).expect("built in").expect("values");
            assert_eq!(format!("{built:?}"), format!("{parsed:?}"), "{name}");
        }
    }
}
