//! Layers that are made to reach outside, or to hurt. Every room's canary is compared after each.
