//! sbx: run a command that is not trusted, as an ordinary user, inside what the Linux kernel gives an unprivileged process.
//!
//! Data goes one way:
//!
//! ```text
//! argv ─ clap ─▶ RunArgs ───┐
//! profiles/*.toml ─▶ Profile ┼─ policy::resolve ─▶ Policy ┐
//! what to run in ───────────┘   (nothing optional left)   ├─ plan::build ─▶ Plan ─▶ printed by `sbx plan`
//! probes ────────────────────────────▶ Host (plain data) ─┘      │
//!                                               sandbox::prepare ─▶ Prepared (fds, C strings, BPF: all allocation done)
//!                                               Prepared::spawn ─▶ Running ─▶ supervise ─▶ Outcome
//! ```
//!
//! | module | floor | what it holds |
//! |---|---|---|
//! | [`sys`] | 0 | the only `unsafe`: one thin function a system call |
//! | [`model`] | 1 | plain data: hosts, ids, paths, sizes, levels |
//! | [`profile`] | 2 | TOML to [`profile::Profile`], inheritance, diagnostics |
//! | [`policy`] | 2 | profile and flags to a policy in which nothing is optional |
//! | [`seccomp`] | 2 | system call groups to BPF, and an interpreter to check it |
//! | [`host`] | 3 | probes that fill [`model::Host`] |
//! | [`image`] | 3 | names, registries, the store, layers; never clones |
//! | [`plan`] | 4 | pure: policy and host to typed steps and losses |
//! | [`sandbox`] | 5 | effects: prepare, spawn, the child, init, supervise, terminal |
//! | [`cli`] | 6 | the command line, all printing, exit codes |
//!
//! What never happens: a floor imports a higher one; `unsafe` stands outside `sys`; a thread exists before clone3; the child
//! of clone3 allocates; something is printed outside `cli`.

pub mod cli;
pub mod host;
pub mod image;
pub mod model;
pub mod plan;
pub mod policy;
pub mod profile;
pub mod sandbox;
pub mod seccomp;
#[allow(unsafe_code, reason = "the only door to the kernel")]
pub mod sys;
