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

use std::path::Path;
use std::time::Duration;

use bursar::keeper::{Keeper, KeeperError, ProcessState};
use rustix::process::{Pid, Signal, kill_process};

use support::{Keep, World, wait_for};

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

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// The state of a process or thread, such as `S`, `T` (stopped) or `Z` (dead); none when it is gone.
fn state_of(folder: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

fn is_alive(pid: u32) -> bool {
    !matches!(state_of(format!("/proc/{pid}").as_ref()), None | Some('Z'))
}

/// Suspends a process; returns when its last thread has stopped.
fn suspend(pid: u32) {
    signal(pid, Signal::STOP);
    wait_for(DEADLINE, "the suspended threads", || {
        let mut threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
        threads.all(|thread| state_of(&thread.unwrap().path()) == Some('T')).then_some(())
    });
}
