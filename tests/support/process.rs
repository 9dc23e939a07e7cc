//! Processes by their number, for tests that started them.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::service::PATIENCE;
use super::wait_for;

/// Sends a signal.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a pid"), signal).expect("the signal");
}

/// The state of a process or thread, such as `S`, `T` (stopped) or `Z` (dead); none when it is gone.
fn state_of(folder: &Path) -> Option<char> {
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// Whether it runs, or is suspended.
pub fn is_alive(pid: u32) -> bool {
    !matches!(state_of(format!("/proc/{pid}").as_ref()), None | Some('Z'))
}

/// Suspends a process; returns when its last thread has stopped.
pub fn suspend(pid: u32) {
    signal(pid, Signal::STOP);
    wait_for(PATIENCE, "the suspended threads", || {
        let mut threads = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
        threads.all(|thread| state_of(&thread.expect("a thread").path()) == Some('T')).then_some(())
    });
}
