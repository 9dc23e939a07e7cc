//! Bad input and faults, through the real `bursar` program: each has a clear error, and nothing is half applied.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod answers;
mod death;
mod files;
mod payees;
mod processes;
mod scene;
mod secrets;
mod settings;
#[path = "../support/mod.rs"]
mod support;
