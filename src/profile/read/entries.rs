//! Values with fields of their own: mounts, tmpfs, devices, limits by name.

use super::unknown;
use super::value::At;
use crate::model::path::comparable;
use crate::model::{Bytes, InRoot, Set};
use crate::profile::diagnostic::Error;
use crate::profile::schema::{Device, IoLimit, Mount, MountMode, Tmpfs, Ulimit};
use crate::profile::words::Takes;
use std::collections::BTreeMap;

impl<'a> At<'a> {
    pub(super) fn ulimits(&self) -> Result<BTreeMap<String, Set<Ulimit>>, Error> {
        self.map(|name, item| {
            let text = item.str("\"SOFT\" or \"SOFT:HARD\"")?;
            text.parse().map_err(|_| {
                item.fault(
                    format!("ulimit `{}` cannot be used", name.escape_debug()),
                    "write \"SOFT\" or \"SOFT:HARD\"",
                )
            })
        })
    }

    /// A list of tables, each with keys of a closed list; a target that is named twice is a mistake.
    pub(super) fn tables<T>(
        &self,
        keys: &'static [(&'static str, Takes)],
        each: impl Fn(&At<'a>, &Fields<'a>) -> Result<T, Error>,
    ) -> Result<Vec<Set<T>>, Error> {
        let list = self.list(|item| {
            let table = item
                .value
                .get_ref()
                .as_table()
                .ok_or_else(|| item.wrong_type("tables, { … }"))?;
            let mut fields = Vec::new();
            for (name, value) in table {
                let Some((key, _)) = keys.iter().find(|(k, _)| *k == name.get_ref().as_ref()) else {
                    let known = keys.iter().map(|(k, _)| *k).collect();
                    return Err(unknown(item.source, name.span(), "key", name.get_ref(), known));
                };
                fields.push(At {
                    source: item.source,
                    section: item.section,
                    key,
                    value,
                });
            }
            let fields = Fields(fields);
            let mut target = fields.optional("target", At::str_value)?;
            if target.is_none() && self.key == "mounts" {
                target = fields.optional("source", At::str_value)?;
            }
            Ok((target.as_deref().map(comparable), each(item, &fields)?))
        })?;
        let mut seen: Vec<&str> = Vec::new();
        for (item, value) in list
            .iter()
            .zip(self.value.get_ref().as_array().into_iter().flatten())
        {
            if let Some(target) = &item.value.0 {
                if seen.contains(&target.as_str()) {
                    let message = format!(
                        "two entries of `{}` have the target {}",
                        self.key,
                        target.escape_debug()
                    );
                    return Err(self.source.fault(
                        value.span(),
                        message,
                        Some("each target can be mounted once".into()),
                    ));
                }
                seen.push(target);
            }
        }
        Ok(list.into_iter().map(|s| s.map(|(_, v)| v)).collect())
    }

    pub(super) fn mount(&self, fields: &Fields<'a>) -> Result<Mount, Error> {
        Ok(Mount {
            source: fields.needed(self, "source", At::str_value)?,
            target: fields.optional("target", |at| {
                let text = at.str("an absolute path, or ~/…")?;
                let rest = text.strip_prefix("~/").map(|r| format!("/{r}"));
                InRoot::new(rest.as_deref().unwrap_or(text))
                    .map_err(|e| at.fault("`target` cannot be used", e.to_string()))?;
                Ok(text.to_owned())
            })?,
            mode: fields
                .optional("mode", At::word)?
                .flatten()
                .map_or(MountMode::ReadOnly, |s| s.value),
            optional: fields.optional("optional", At::bool)?.unwrap_or(false),
            execute: fields.optional("execute", At::bool)?,
        })
    }

    pub(super) fn tmpfs(&self, fields: &Fields<'a>) -> Result<Tmpfs, Error> {
        Ok(Tmpfs {
            target: fields.needed(self, "target", At::path)?,
            size: fields.optional("size", At::size)?.flatten().map(|s| s.value),
            inodes: fields.optional("inodes", At::positive)?,
            mode: fields.optional("mode", At::str_value)?,
            execute: fields.optional("execute", At::bool)?,
        })
    }

    pub(super) fn io(&self, fields: &Fields<'a>) -> Result<IoLimit, Error> {
        let size = |key| -> Result<Option<Bytes>, Error> {
            Ok(fields.optional(key, At::size)?.flatten().map(|s| s.value))
        };
        let number = |key| fields.optional(key, At::positive);
        Ok(IoLimit {
            path: fields.needed(self, "path", At::str_value)?,
            read_bps: size("read-bps")?,
            write_bps: size("write-bps")?,
            read_iops: number("read-iops")?,
            write_iops: number("write-iops")?,
        })
    }

    pub(super) fn device(&self, fields: &Fields<'a>) -> Result<Device, Error> {
        Ok(Device {
            source: fields.needed(self, "source", At::str_value)?,
            target: fields.optional("target", At::path)?,
            optional: fields.optional("optional", At::bool)?.unwrap_or(false),
        })
    }
}

/// The fields of one entry of a list of tables.
pub(super) struct Fields<'a>(Vec<At<'a>>);

impl<'a> Fields<'a> {
    fn optional<T>(&self, key: &str, read: impl Fn(&At<'a>) -> Result<T, Error>) -> Result<Option<T>, Error> {
        self.0.iter().find(|at| at.key == key).map(read).transpose()
    }

    fn needed<T>(
        &self,
        entry: &At<'a>,
        key: &str,
        read: impl Fn(&At<'a>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.optional(key, read)?.ok_or_else(|| {
            entry.fault(
                format!("an entry of `{}` has no `{key}`", entry.key),
                format!("write {key} = \"…\""),
            )
        })
    }
}
