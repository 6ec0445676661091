//! Plain data that every floor speaks: hosts, ids, paths, sizes, levels, capabilities, origins.
//!
//! Nothing here touches the file system, the environment or the clock; everything can be built in a test.

pub mod capability;
pub mod digest;
pub mod facts;
pub mod homes;
pub mod host;
pub mod id;
pub mod layers;
pub mod level;
pub mod nearest;
pub mod origin;
pub mod path;
pub mod processors;
pub mod reference;
pub mod unit;

pub use capability::{Capability, CapabilitySet};
pub use digest::Digest;
pub use homes::Homes;
pub use host::Host;
pub use id::{IdMap, IdRange};
pub use layers::Layers;
pub use level::{Level, Protection};
pub use nearest::{meant, question};
pub use origin::{Origin, Set};
pub use path::{HostPath, InRoot};
pub use processors::Processors;
pub use reference::Reference;
pub use unit::{Bytes, Span};
