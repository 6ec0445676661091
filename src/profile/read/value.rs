//! One value of a profile, read as what its key takes.

use crate::model::processors::hundredths;
use crate::model::{Bytes, Capability, InRoot, Set, Span, meant};
use crate::profile::diagnostic::{Error, Source};
use crate::profile::schema::Maybe;
use crate::profile::words::Word;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;
use toml::Spanned;
use toml::de::DeValue;

type Value<'a> = Spanned<DeValue<'a>>;

/// One value and the way to it.
pub(super) struct At<'a> {
    pub(super) source: &'a Source,
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    pub(super) value: &'a Value<'a>,
}

impl<'a> At<'a> {
    pub(super) fn fault(&self, message: impl Into<String>, help: impl Into<String>) -> Error {
        self.source.fault(self.value.span(), message, Some(help.into()))
    }

    pub(super) fn wrong_type(&self, wanted: &str) -> Error {
        let got = self.value.get_ref().type_str();
        self.fault(
            format!("`{}` takes no {got}", self.key),
            format!("write {wanted}"),
        )
    }

    pub(super) fn set<T>(&self, value: T) -> Set<T> {
        Set::new(value, self.source.origin(&self.value.span()))
    }

    pub(super) fn str(&self, wanted: &str) -> Result<&'a str, Error> {
        self.str_or(|| wanted.to_owned())
    }

    fn str_or(&self, wanted: impl Fn() -> String) -> Result<&'a str, Error> {
        let text = self
            .value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.wrong_type(&wanted()))?;
        if text.contains('\0') {
            return Err(self.fault(
                format!("`{}` contains a NUL byte", self.key),
                "the kernel takes no NUL",
            ));
        }
        Ok(text)
    }

    pub(super) fn text(&self) -> Result<Set<String>, Error> {
        Ok(self.set(self.str("a text in quotes")?.to_owned()))
    }

    pub(super) fn word<T: Word>(&self) -> Result<Maybe<T>, Error> {
        let list = || {
            T::NAMES
                .iter()
                .map(|w| format!("\"{w}\""))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let text = self.str_or(|| format!("one of {}", list()))?;
        let found = T::WORDS.iter().find(|(w, _)| *w == text).map(|(_, v)| *v);
        let value = found.ok_or_else(|| {
            let near = meant(text, T::NAMES.iter().copied()).map(|w| format!("did you mean \"{w}\"? "));
            let help = format!("{}it takes {}", near.unwrap_or_default(), list());
            self.fault(
                format!("`{}` does not take \"{}\"", self.key, text.escape_debug()),
                help,
            )
        })?;
        Ok(Some(self.set(value)))
    }

    pub(super) fn parsed<T: FromStr>(&self) -> Result<Maybe<T>, Error>
    where
        T::Err: Display,
    {
        let text = self.str("a text in quotes, for example \"64M\", \"10m\" or \"1000:1000\"")?;
        let value = text
            .parse()
            .map_err(|e: T::Err| self.fault(format!("`{}` cannot be used", self.key), e.to_string()))?;
        Ok(Some(self.set(value)))
    }

    pub(super) fn number(&self) -> Result<u64, Error> {
        let integer = self
            .value
            .get_ref()
            .as_integer()
            .ok_or_else(|| self.wrong_type("a whole number"))?;
        u64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| {
            self.fault(
                format!("`{}` is out of range", self.key),
                "write a whole number from 0 on",
            )
        })
    }

    /// The kernel has a meaning of its own for 0, and never that of nothing: a tmpfs of 0 bytes has no limit.
    fn above_zero<T: Default + PartialEq>(&self, value: T) -> Result<T, Error> {
        let zero = || {
            self.fault(
                format!("`{}` cannot be 0", self.key),
                "write more, or leave it out",
            )
        };
        (value != T::default()).then_some(value).ok_or_else(zero)
    }

    pub(super) fn positive(&self) -> Result<u64, Error> {
        self.above_zero(self.number()?)
    }

    pub(super) fn size(&self) -> Result<Maybe<Bytes>, Error> {
        let size = self.parsed::<Bytes>()?;
        size.iter()
            .try_for_each(|s| self.above_zero(s.value.0).map(drop))?;
        Ok(size)
    }

    pub(super) fn time(&self) -> Result<Maybe<Span>, Error> {
        let time = self.parsed::<Span>()?;
        time.iter()
            .try_for_each(|t| self.above_zero(t.value.0).map(drop))?;
        Ok(time)
    }

    /// As cpu.weight of a cgroup takes it.
    pub(super) fn weight(&self) -> Result<u64, Error> {
        let bad = || {
            self.fault(
                format!("`{}` is out of range", self.key),
                "write a whole number from 1 to 10000",
            )
        };
        let number = self.number()?;
        (1..=10_000).contains(&number).then_some(number).ok_or_else(bad)
    }

    pub(super) fn bool(&self) -> Result<bool, Error> {
        self.value
            .get_ref()
            .as_bool()
            .ok_or_else(|| self.wrong_type("true or false"))
    }

    /// Hundredths of a processor, from `2`, `1.5` or `"1.5"`.
    pub(super) fn processors(&self) -> Result<u64, Error> {
        let value = self.value.get_ref();
        let text = match (value.as_float(), value.as_str()) {
            // An integer may be written in another base.
            _ if value.is_integer() => &self.number()?.to_string(),
            (Some(float), _) => float.as_str(),
            (_, Some(text)) => text,
            _ => return Err(self.wrong_type("a number of processors, for example 1.5")),
        };
        hundredths(text).ok_or_else(|| {
            self.fault(
                "`cpu` cannot be used",
                "write a number of processors, for example 2 or 1.5",
            )
        })
    }

    pub(super) fn list<T>(&self, each: impl Fn(&At<'a>) -> Result<T, Error>) -> Result<Vec<Set<T>>, Error> {
        let array = self
            .value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.wrong_type("a list in [ ]"))?;
        let mut all = Vec::with_capacity(array.len());
        for value in array.iter() {
            let item = At {
                source: self.source,
                section: self.section,
                key: self.key,
                value,
            };
            all.push(item.set(each(&item)?));
        }
        Ok(all)
    }

    pub(super) fn texts(&self) -> Result<Vec<Set<String>>, Error> {
        self.list(|item| Ok(item.str("texts in quotes")?.to_owned()))
    }

    /// Names of variables, or how they begin: a `*` anywhere else would be a letter like any other, and pass nothing.
    pub(super) fn variables(&self) -> Result<Vec<Set<String>>, Error> {
        self.list(|item| {
            let text = item.str("names of variables in quotes")?;
            let name = text.strip_suffix('*').unwrap_or(text);
            if text.is_empty() || name.contains(['*', '=']) {
                return Err(item.fault(
                    format!("`{}` is no name of a variable", text.escape_debug()),
                    "write NAME, or NAME* for all that begin so",
                ));
            }
            Ok(text.to_owned())
        })
    }

    pub(super) fn texts_or_one(&self) -> Result<Vec<Set<String>>, Error> {
        if self.value.get_ref().is_str() {
            Ok(vec![self.text()?])
        } else {
            self.texts()
        }
    }

    pub(super) fn capabilities(&self) -> Result<Set<Vec<Capability>>, Error> {
        let list = self.list(|item| {
            let capability: Capability = item.str("names of capabilities(7)")?.parse().map_err(
                |e: crate::model::capability::UnknownCapability| {
                    item.fault("unknown capability", e.to_string())
                },
            )?;
            if capability.undoes_the_sandbox() {
                return Err(item.fault(
                    format!("capability {capability} cannot be kept"),
                    "it would let the command undo the sandbox",
                ));
            }
            Ok(capability)
        })?;
        Ok(self.set(list.into_iter().map(|s| s.value).collect()))
    }

    pub(super) fn path(&self) -> Result<InRoot, Error> {
        let text = self.str("an absolute path")?;
        InRoot::new(text).map_err(|e| self.fault(format!("`{}` cannot be used", self.key), e.to_string()))
    }

    pub(super) fn map<T>(
        &self,
        each: impl Fn(&str, &At<'a>) -> Result<T, Error>,
    ) -> Result<BTreeMap<String, Set<T>>, Error> {
        let table = self
            .value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.wrong_type("a table, { name = \"value\" }"))?;
        let mut all = BTreeMap::new();
        for (name, value) in table {
            let item = At {
                source: self.source,
                section: self.section,
                key: self.key,
                value,
            };
            all.insert(name.get_ref().to_string(), item.set(each(name.get_ref(), &item)?));
        }
        Ok(all)
    }

    pub(super) fn text_map(&self) -> Result<BTreeMap<String, Set<String>>, Error> {
        let environment = self.section == "environment";
        self.map(|name, item| {
            if environment && (name.is_empty() || name.contains(['=', '\0'])) {
                return Err(item.fault(
                    "a variable's name cannot be empty or contain `=`",
                    "write NAME = \"value\"",
                ));
            }
            Ok(item.str("a text in quotes")?.to_owned())
        })
    }

    pub(super) fn str_value(&self) -> Result<String, Error> {
        Ok(self.str("a text in quotes")?.to_owned())
    }
}
