//! Pure: a policy and a host's facts to typed steps, each with its reason, and to what is lost.

mod build;
mod filesystem;
mod generated;
mod groups;
mod identity;
mod kernel_files;
mod landlock;
mod learn;
mod limits;
mod links;
mod loss;
mod notes;
mod one_id;
mod place;
mod set_id;
mod sockets;
mod step;
#[cfg(test)]
mod tests;
mod userns;
mod verify;
pub mod why;

pub use build::build;
pub use filesystem::{Room, places, room};
pub use identity::{Identity, image_maps};
pub use learn::learn;
pub use limits::Group;
pub use loss::{Loss, Refusal};
pub use sockets::sockets_looked_up;
pub use step::{
    Access, Attributes, Holder, Holding, LayerOption, MapWriter, Namespaces, Plan, Planned, ProcFile,
    ProcKind, Rule, Step, Upper,
};
pub use verify::Violation;

pub use crate::model::facts::{Facts, Kind};
