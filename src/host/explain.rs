//! stub
/// s
#[must_use]
pub fn diagnose(_: &str, _: i32, _: &crate::model::Host) -> Vec<String> {
    vec![]
}
