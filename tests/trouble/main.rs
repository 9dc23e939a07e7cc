//! Daemons in trouble, real ones wherever they can be brought into it: what their keeper makes of it.
//!
//! Most tests use nothing but `Keeper`, and are made twice: of the parent in this process, and of a `bursar keep` that runs apart.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod chain;
mod disk;
mod programs;
mod stops;
mod storms;
#[path = "../support/mod.rs"]
mod support;

use std::time::Duration;

use bursar::keeper::{Keeper, KeeperError, ProcessState};

use support::{Keep, World};

const DEADLINE: Duration = Duration::from_secs(60);

/// The same in two worlds: one whose keeper is this process, and one with a `bursar keep` that has started nothing yet.
fn with_each_keeper(world: impl Fn() -> World, case: impl Fn(&World)) {
    case(&world());
    let world = world();
    let mut keep = Keep::spawn(&world, &["--stopped"]);
    keep.wait_until_said("READY=1");
    assert!(world.keeper().is_separate());
    case(&world);
}

/// The words of an order that failed, and its code.
#[track_caller]
fn refusal(result: Result<(), KeeperError>) -> (String, String) {
    let error = result.expect_err("an order that cannot be carried out");
    (error.code().to_owned(), error.to_string())
}

/// Checks the code of a failed order and that its message has all of `words`.
#[track_caller]
fn fails_with(result: Result<(), KeeperError>, code: &str, words: &[&str]) {
    let (was, said) = refusal(result);
    assert_eq!(was, code, "{said}");
    for word in words {
        assert!(said.contains(word), "'{said}' does not say '{word}'");
    }
}

#[track_caller]
fn pid_of(keeper: &mut Keeper) -> u32 {
    match keeper.state() {
        ProcessState::Running { pid } => pid,
        other => panic!("{other:?}"),
    }
}
