//! One process, held by a pidfd so that a reused pid is never mistaken for it, and its confirmed exit.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, pidfd_send_signal, waitid};
use serde::{Deserialize, Serialize};

use super::boot_id;
use crate::coin::Timestamp;

/// What tells a process from every other that had or will have its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProcessIdentity {
    /// Its number.
    pub(super) pid: u32,
    /// When it was started, in clock ticks since boot: field 22 of `/proc/PID/stat`, see proc(5).
    pub(super) start_ticks: u64,
    /// The boot in which both mean something.
    pub(super) boot_id: String,
    /// When we started or found it.
    pub(super) started_s: i64,
}

impl ProcessIdentity {
    /// Reads it from `/proc`.
    fn of(pid: u32) -> io::Result<ProcessIdentity> {
        let start_ticks = start_ticks(pid)?;
        Ok(ProcessIdentity { pid, start_ticks, boot_id: boot_id(), started_s: Timestamp::now().0 })
    }
}

/// A process that was alive when we took hold of it.
#[derive(Debug)]
pub(super) struct Process {
    identity: ProcessIdentity,
    pidfd: OwnedFd,
}

impl Process {
    /// Takes hold of a process by number: a child that was not waited for, or one whose arguments were checked.
    pub(super) fn take(pid: u32) -> io::Result<Process> {
        let pidfd = open(pid)?;
        Ok(Process { identity: ProcessIdentity::of(pid)?, pidfd })
    }

    /// Finds a process again; none when it has ended or its number belongs to another.
    pub(super) fn find(identity: &ProcessIdentity) -> Option<Process> {
        if identity.boot_id.is_empty() || identity.boot_id != boot_id() {
            return None;
        }
        // First the handle, then the proof: if the start time is still the same, nobody else had the number in between.
        let pidfd = open(identity.pid).ok()?;
        let same = start_ticks(identity.pid).is_ok_and(|ticks| ticks == identity.start_ticks);
        same.then(|| Process { identity: identity.clone(), pidfd })
    }

    pub(super) fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// What tells this run from every other, as text.
    pub(super) fn run(&self) -> String {
        format!("{}:{}:{}", self.identity.boot_id, self.identity.pid, self.identity.start_ticks)
    }

    pub(super) fn pid(&self) -> u32 {
        self.identity.pid
    }

    /// SIGTERM: coin daemons flush and exit on it.
    pub(super) fn ask_to_stop(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// SIGKILL: it ends where it is, in the middle of a write if need be.
    pub(super) fn kill(&self) -> io::Result<()> {
        self.signal(Signal::KILL)
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            // It has ended already; waiting will say so.
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => Ok(other?),
        }
    }

    /// Another hold on it, for a thread that waits for its exit by [`await_exit`].
    pub(super) fn hold(&self) -> io::Result<OwnedFd> {
        self.pidfd.try_clone()
    }

    /// Waits for its exit, at most `timeout`; the exit status in words once it has ended.
    pub(super) fn wait(&self, timeout: Duration) -> io::Result<Option<String>> {
        let timeout = Timespec::try_from(timeout).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let mut handles = [PollFd::new(&self.pidfd, PollFlags::IN)];
        match poll(&mut handles, Some(&timeout)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(None),
            Ok(_) => Ok(Some(self.reap())),
            Err(error) => Err(error.into()),
        }
    }

    /// Collects the status of an ended child. A process that an earlier keeper started is not our child: its status is gone with it.
    fn reap(&self) -> String {
        match waitid(WaitId::PidFd(self.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
            Ok(Some(status)) => in_words(&status),
            _ => "ended; an earlier keeper started it, so its exit status is unknown".to_owned(),
        }
    }
}

/// Returns when the process has ended; its status is left to [`Process::wait`].
pub(super) fn await_exit(process: &OwnedFd) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(process, PollFlags::IN)], None) {
            Ok(0) | Err(rustix::io::Errno::INTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn in_words(status: &WaitIdStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}

fn open(pid: u32) -> io::Result<OwnedFd> {
    let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let number = number.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    Ok(pidfd_open(number, PidfdFlags::empty())?)
}

/// The processor time that a process has used, in clock ticks: fields 14 and 15 of `/proc/PID/stat`, see proc(5). None when it is gone.
pub(super) fn cpu_ticks(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(|field| field.parse::<u64>().ok());
    times.next()??.checked_add(times.next()??)
}

fn start_ticks(pid: u32) -> io::Result<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    start_ticks_in(&stat).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Field 22. The second field, the program's name, may hold spaces and brackets: count from its last bracket.
fn start_ticks_in(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// The processes that hold a file lock on `inode`, from `/proc/locks` (proc(5)). The device is not compared, since some file
/// systems report another one there: check who it is before believing it.
pub(super) fn lock_holders(inode: u64) -> Vec<u32> {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    holders_in(&locks, inode)
}

fn holders_in(locks: &str, inode: u64) -> Vec<u32> {
    let holder = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().filter(|field| *field != "->").collect();
        let of_inode = fields.get(5)?.rsplit(':').next()?.parse() == Ok(inode);
        if of_inode { fields.get(4)?.parse().ok() } else { None }
    };
    locks.lines().filter_map(holder).collect()
}

/// The arguments that a process was started with; empty when it is gone or not ours to see.
pub(super) fn arguments(pid: u32) -> Vec<String> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn sleeper() -> u32 {
        Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap().id()
    }

    #[test]
    fn a_program_name_with_brackets_does_not_hide_the_start_time() {
        let stat = "77 (a) b (c)) S 1 77 77 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 1 1";
        assert_eq!(start_ticks_in(stat), Some(4711));
        assert_eq!(start_ticks_in("77 (x) S 1"), None);
        assert_eq!(start_ticks_in(""), None);
    }

    #[test]
    fn an_exit_is_seen_and_put_in_words() {
        let child = Process::take(sleeper()).unwrap();
        assert_eq!(child.wait(Duration::ZERO).unwrap(), None);
        child.ask_to_stop().unwrap();
        assert_eq!(child.wait(Duration::from_secs(20)).unwrap().as_deref(), Some("ended by signal 15"));
        child.ask_to_stop().unwrap();
    }

    #[test]
    fn a_reused_number_is_not_the_same_process() {
        let child = Process::take(sleeper()).unwrap();
        let identity = child.identity().clone();
        assert!(Process::find(&identity).is_some());
        let reused = ProcessIdentity { start_ticks: identity.start_ticks + 1, ..identity.clone() };
        assert!(Process::find(&reused).is_none());
        let other_boot = ProcessIdentity { boot_id: "another".to_owned(), ..identity.clone() };
        assert!(Process::find(&other_boot).is_none());
        child.ask_to_stop().unwrap();
        child.wait(Duration::from_secs(20)).unwrap().unwrap();
        assert!(Process::find(&identity).is_none());
    }

    #[test]
    fn lock_holders_are_read_from_the_kernels_table() {
        let locks = "1: POSIX  ADVISORY  WRITE 123 fe:00:77 0 EOF\n1: -> POSIX  ADVISORY  WRITE 124 fe:00:77 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 125 fe:00:78 0 EOF\nnonsense\n";
        assert_eq!(holders_in(locks, 77), [123, 124]);
        assert_eq!(holders_in(locks, 79), [] as [u32; 0]);
    }
}
