//! Stopping: patience, a **confirmed** exit, and a kill only by a person's word.

use std::fs;
use std::time::{Duration, Instant};

use super::{Parent, start};
use crate::config::CoinSettings;
use crate::keeper::files::{self, Record};
use crate::keeper::{KeeperError, ProcessState};

/// How often a stop that takes long is mentioned in the log.
const STOP_PROGRESS: Duration = Duration::from_secs(10);

/// A killed process is gone at once, unless it hangs in the kernel.
const KILL_PATIENCE: Duration = Duration::from_secs(30);

impl Parent {
    /// Asks the daemon to stop and waits for its **confirmed exit**. When it does not run, only makes sure that nobody else works on its
    /// folder. Never kills.
    pub(in crate::keeper) fn stop(&mut self) -> Result<(), KeeperError> {
        self.stop_by(Parent::wait_for_ordered_exit)
    }

    /// The same with the same patience, but what then still runs is killed.
    pub(in crate::keeper) fn stop_or_kill(&mut self) -> Result<(), KeeperError> {
        self.stop_by(|parent| match parent.wait_for_ordered_exit() {
            Err(KeeperError::StillRunning { pid, waited_s, state }) => parent.kill(pid, waited_s, &state),
            other => other,
        })
    }

    fn stop_by(&mut self, end: impl FnOnce(&mut Parent) -> Result<String, KeeperError>) -> Result<(), KeeperError> {
        self.refuse_attached("stop")?;
        let _turn = self.turn_to_act()?;
        if let ProcessState::Running { pid } = self.state() {
            tracing::info!(coin = self.coin.name, pid, "asking the daemon to stop");
            let status = end(self)?;
            tracing::info!(coin = self.coin.name, pid, "the daemon has stopped: {status}");
        }
        self.confirm_stopped()
    }

    /// It does not run, by order: makes sure that nobody else works on its folder, and writes that down.
    pub(in crate::keeper) fn confirm_stopped(&mut self) -> Result<(), KeeperError> {
        // A caller takes our word for a fence: make sure that no daemon works on the folder, whoever started it.
        start::refuse_folder_in_use(&self.coin)?;
        self.process = None;
        self.ended = None;
        self.given_up = None;
        let record = Record::read(&self.coin);
        if record.process.is_none() && record.given_up.is_none() {
            return Ok(());
        }
        // It may have ended by itself, unheard; after this nobody would read its last words.
        match self.suspect_after(&self.last_lines()) {
            Ok(()) | Err(KeeperError::SuspectWallet { .. }) => {}
            Err(error) => return Err(error),
        }
        Record { process: None, given_up: None, ..Record::read(&self.coin) }.write(&self.coin)
    }

    fn wait_for_ordered_exit(&mut self) -> Result<String, KeeperError> {
        let Some(process) = &self.process else { return Ok("it had ended already".to_owned()) };
        let pid = process.pid();
        let proc_path = format!("/proc/{pid}");
        process.ask_to_stop().map_err(files::at(proc_path.as_ref()))?;
        let began = Instant::now();
        let patience = Duration::from_secs(self.coin.daemon.stop_timeout_s);
        loop {
            let before = Written::by(pid, &self.coin);
            let left = patience.saturating_sub(began.elapsed());
            if let Some(status) = process.wait(left.min(STOP_PROGRESS)).map_err(files::at(proc_path.as_ref()))? {
                self.output.forward_last(&self.coin.name);
                return Ok(status);
            }
            let waited_s = began.elapsed().as_secs();
            let progress = Written::by(pid, &self.coin).since(&before);
            if began.elapsed() >= patience {
                return Err(KeeperError::StillRunning { pid, waited_s, state: format!("it was not killed, {progress}") });
            }
            self.output.forward(&self.coin.name);
            tracing::info!(coin = self.coin.name, pid, waited_s, "the daemon is still finishing its work: {progress}");
        }
    }

    /// Kills what did not end in time.
    fn kill(&mut self, pid: u32, waited_s: u64, state: &str) -> Result<String, KeeperError> {
        let Some(process) = &self.process else { return Ok("it had ended already".to_owned()) };
        let proc_path = format!("/proc/{pid}");
        tracing::warn!(coin = self.coin.name, pid, waited_s, "killing the daemon, as ordered; before this {state}");
        process.kill().map_err(files::at(proc_path.as_ref()))?;
        let Some(status) = process.wait(KILL_PATIENCE).map_err(files::at(proc_path.as_ref()))? else {
            let state =
                "it was killed and has not ended: it hangs in the kernel, most often in a disk that does not answer".to_owned();
            return Err(KeeperError::StillRunning { pid, waited_s, state });
        };
        self.output.forward_last(&self.coin.name);
        tracing::warn!(
            coin = self.coin.name,
            pid,
            "the daemon was killed after {waited_s} s: blocks that it had not written yet are read again from its peers, and its wallet may \
             need a repair; the next start tells"
        );
        Ok(status)
    }
}

/// What a daemon has written, as far as the system tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Written {
    /// To disks since its start, in bytes.
    disk: Option<u64>,
    /// Its debug.log, in bytes.
    log: Option<u64>,
}

impl Written {
    fn by(pid: u32, coin: &CoinSettings) -> Written {
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        let log = coin.chain_dir().join("debug.log").metadata();
        Written { disk: write_bytes(&io), log: log.ok().map(|metadata| metadata.len()) }
    }

    /// For a person who has to decide whether to wait on.
    fn since(&self, before: &Written) -> String {
        let wrote = self.disk.zip(before.disk).map(|(now, then)| now.saturating_sub(then));
        let logs = self.log.zip(before.log).is_some_and(|(now, then)| now != then);
        match (wrote, logs) {
            (Some(bytes @ 1..), _) => format!("it still writes ({bytes} bytes in the last seconds): better wait"),
            (_, true) => "it still works (its debug.log has grown in the last seconds): better wait".to_owned(),
            (Some(0), false) => "it wrote nothing in the last seconds".to_owned(),
            (None, false) => "it may be writing".to_owned(),
        }
    }
}

/// The field of that name in `/proc/PID/io`, see proc(5).
fn write_bytes(io: &str) -> Option<u64> {
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_writes_is_told_from_one_that_hangs() {
        let io = "rchar: 1\nwchar: 2\nsyscr: 3\nsyscw: 4\nread_bytes: 5\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n";
        assert_eq!(write_bytes(io), Some(4096));
        assert_eq!(write_bytes(""), None);
        let written = |disk, log| Written { disk, log };
        let since = |now: Written, then: Written| now.since(&then);
        assert!(since(written(Some(9), Some(5)), written(Some(1), Some(5))).contains("still writes (8 bytes"));
        assert!(since(written(Some(9), Some(6)), written(Some(9), Some(5))).contains("debug.log has grown"));
        assert!(since(written(Some(9), Some(5)), written(Some(9), Some(5))).contains("wrote nothing"));
        assert!(since(written(None, None), written(Some(9), Some(5))).contains("may be writing"));
    }
}
