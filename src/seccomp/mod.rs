//! stub
use crate::model::{Origin, Set};
use crate::sys::seccomp::Instruction;
use std::collections::BTreeMap;
/// s
#[derive(Debug, Clone)]
pub struct Table;
/// s
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("x {0}")]
pub struct Error(Origin);
/// s
#[derive(Debug)]
#[allow(missing_docs, reason = "stub")]
pub struct Spec<'a> {
    pub allow: &'a [Set<String>],
    pub deny: &'a BTreeMap<String, Set<String>>,
    pub guards: &'a [Set<String>],
    pub socket_families: &'a [String],
}
/// s
/// # Errors
/// s
pub fn resolve(_: &Spec<'_>) -> Result<Table, Error> {
    Ok(Table)
}
impl Table {
    /// s
    #[must_use]
    pub fn summary(&self) -> String {
        String::new()
    }
    /// s
    /// # Errors
    /// s
    pub fn compile(&self) -> Result<Vec<Instruction>, Error> {
        Ok(vec![Instruction {
            code: 6,
            jt: 0,
            jf: 0,
            k: 0x7fff_0000,
        }])
    }
}
/// s
pub mod docker {
    use super::{Error, Table};
    /// s
    /// # Errors
    /// s
    pub fn parse(
        _: &str,
        _: crate::model::CapabilitySet,
        _: crate::model::host::Kernel,
    ) -> Result<Table, Error> {
        Ok(Table)
    }
}
