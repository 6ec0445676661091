//! Trees that are hard to remove.
