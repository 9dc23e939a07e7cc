//! The parent of a daemon process: it renders, spawns or adopts, waits through warm-up, and stops patiently with a **confirmed** exit.
//!
//! Only a confirmed exit is a fence: after it no copy of an earlier RPC call can still run. The keeper writes down pid, start time and boot
//! id of what it spawned, so that after its own death it finds the same process again and never mistakes another for it.
//!
//! - Every start makes a fresh RPC password, stored before the process exists: a late copy of an earlier call gets HTTP 401.
//! - The end of a keeper never ends the daemon: nothing is killed on drop, and the daemon prints into a file, not into a pipe of ours.
//! - The wallet is named to the daemon only when its file exists, because some daemons put an empty wallet in the place of a missing
//!   one. Started without a name, daemons up to 0.20 make a default wallet (name: empty) of their own; it stays empty and unused.
//! - A daemon of 0.21 or older takes up to 30 s (`rpcservertimeout`) to stop while a client keeps a connection to it open.

mod files;
mod output;
mod process;
mod rules;
mod start;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::config::{CoinSettings, DaemonMode};
use crate::daemon::RpcError;
use files::Record;
pub use files::{wallet_dir, wallet_exists};
use output::Output;
use process::Process;

/// How often a stop that takes long is mentioned in the log.
const STOP_PROGRESS: Duration = Duration::from_secs(10);

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
    /// It runs, and the order was for one that does not.
    #[error("the daemon runs (pid {pid}) {problem}; nothing was done")]
    Runs {
        /// The process.
        pid: u32,
        /// Why that stands in the way, and what to do.
        problem: &'static str,
    },
    /// A daemon that bursar did not start works on our data directory.
    #[error("{} is in use by another daemon{holder}, which bursar did not start: stop that one first. Nothing was done", dir.display())]
    InUse {
        /// The chain's folder.
        dir: PathBuf,
        /// Which process, where the system says.
        holder: String,
    },
    /// The daemon may have replaced a damaged wallet file by a partial one; a plain start would hide that.
    #[error(
        "not started: the last start said '{line}', after which the daemon may have put a partial wallet in place of yours. \
         Copy the whole wallet folder and run `bursar repair plan`"
    )]
    SuspectWallet {
        /// The daemon's words.
        line: String,
    },
    /// It runs but does not answer RPC in time.
    #[error(
        "the daemon (pid {pid}) gave no RPC answer within {waited_s} s: {last}. It was left running; starting it again waits for it again"
    )]
    NotReady {
        /// The process.
        pid: u32,
        /// How long we waited, in seconds.
        waited_s: u64,
        /// The last failure.
        last: RpcError,
    },
    /// It was asked to stop and still runs. It is never killed.
    #[error(
        "the daemon (pid {pid}) still runs {waited_s} s after it was asked to stop; it was not killed: it may be writing. Look at its debug.log"
    )]
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
#[serde(rename_all = "snake_case")]
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
    process: Option<Process>,
    /// How the process ended that nobody asked to end.
    ended: Option<String>,
    output: Output,
}

impl Keeper {
    /// Looks for a daemon that an earlier keeper of this coin left running. Starts nothing.
    pub fn new(coin: &CoinSettings) -> Keeper {
        let output = Output::at(coin.daemon_dir().join("keeper-output.log"));
        let mut keeper = Keeper { coin: coin.clone(), process: None, ended: None, output };
        if keeper.is_kept() {
            keeper.look_for_process();
        }
        keeper
    }

    /// Whether bursar starts and stops this daemon; otherwise it is attached, and somebody else does.
    pub fn is_kept(&self) -> bool {
        self.coin.daemon.mode == DaemonMode::Keep
    }

    /// Writes conf and fresh credentials as the next start would, for a person to look at. A running daemon keeps those that it has: it
    /// would refuse all others, so nothing is written while one runs or is being started.
    pub fn render(&mut self) -> Result<std::path::PathBuf, KeeperError> {
        self.refuse_attached("configure")?;
        let _turn = self.take_turn()?;
        if let ProcessState::Running { pid } = self.state() {
            return Err(KeeperError::Runs { pid, problem: "with the conf that it has; its next start renders anew" });
        }
        start::refuse_folder_in_use(&self.coin)?;
        self.write_conf_and_credentials()?;
        Ok(self.coin.conf_file())
    }

    /// Starts the daemon unless it runs: fresh credentials, conf, process, and waits until RPC answers. `extra` are further arguments such
    /// as `-rescan`; with them, a daemon that runs already is an error. An adopted process keeps the credentials that it has.
    pub fn start(&mut self, extra: &[&str]) -> Result<(), KeeperError> {
        self.refuse_attached("start")?;
        if let ProcessState::Running { pid } = self.state() {
            if !extra.is_empty() {
                return Err(KeeperError::Runs { pid, problem: "already, without these arguments: stop it first" });
            }
            return self.wait_until_ready(false);
        }
        self.spawn(extra)?;
        self.wait_until_ready(true)
    }

    /// Asks the daemon to stop and waits for its **confirmed exit**. When it does not run, only makes sure that nobody else works on its
    /// folder. Never kills.
    pub fn stop(&mut self) -> Result<(), KeeperError> {
        self.refuse_attached("stop")?;
        if let ProcessState::Running { pid } = self.state() {
            tracing::info!(coin = self.coin.name, pid, "asking the daemon to stop");
            let status = self.wait_for_ordered_exit()?;
            tracing::info!(coin = self.coin.name, pid, "the daemon has stopped: {status}");
        }
        // A caller takes our word for a fence: make sure that no daemon works on the folder, whoever started it.
        start::refuse_folder_in_use(&self.coin)?;
        self.process = None;
        self.ended = None;
        let record = Record::read(&self.coin);
        if record.process.is_none() {
            return Ok(());
        }
        // It may have ended by itself, unheard; after this nobody would read its last words.
        match self.suspect_after(&self.output.last_lines()) {
            Ok(()) | Err(KeeperError::SuspectWallet { .. }) => {}
            Err(error) => return Err(error),
        }
        Record { process: None, ..Record::read(&self.coin) }.write(&self.coin)
    }

    /// What the process does now.
    pub fn state(&mut self) -> ProcessState {
        if !self.is_kept() {
            return ProcessState::Attached;
        }
        self.output.forward(&self.coin.name);
        if self.process.is_none() || self.has_ended() {
            // Another keeper of this coin may have started it meanwhile.
            self.look_for_process();
        }
        match (&self.process, &self.ended) {
            (Some(process), _) => ProcessState::Running { pid: process.pid() },
            (None, Some(status)) => ProcessState::Exited { status: status.clone(), last_lines: self.output.last_lines() },
            (None, None) => ProcessState::Stopped,
        }
    }

    /// The last lines that the daemon printed since its start; its debug.log says more.
    pub fn last_lines(&self) -> Vec<String> {
        self.output.last_lines()
    }

    /// The daemon's line that says that it runs with what it could save of a damaged wallet (0.18 and older do that at a plain start);
    /// it names the `.bak` that holds the damaged one.
    pub fn salvaged(&self) -> Option<String> {
        let lines = if self.is_kept() { self.output.last_lines() } else { vec![] };
        rules::salvaged_wallet(&lines).map(str::to_owned)
    }

    /// Allows starts again after [`KeeperError::SuspectWallet`]: the wallet folder was copied, and the file repaired or restored.
    pub fn trust_wallet(&mut self) -> Result<(), KeeperError> {
        self.refuse_attached("start")?;
        let running = matches!(self.state(), ProcessState::Running { .. });
        let record = Record::read(&self.coin);
        // The last words of a process that ended are settled with this.
        let trusted = Record { process: record.process.clone().filter(|_| running), suspect_wallet: None };
        if trusted == record { Ok(()) } else { trusted.write(&self.coin) }
    }

    fn refuse_attached(&self, order: &'static str) -> Result<(), KeeperError> {
        if self.is_kept() { Ok(()) } else { Err(KeeperError::Attached(order)) }
    }

    fn not_started(&self, status: &str, reason: String) -> KeeperError {
        let program = self.coin.daemon.program.display().to_string();
        KeeperError::NotStarted { program, status: status.to_owned(), reason }
    }

    /// Takes hold of the process that the record names, or else of the one that holds our data directory and has our arguments: a
    /// keeper can die between the start and the record.
    fn look_for_process(&mut self) {
        let recorded = Record::read(&self.coin).process;
        let alive = recorded.as_ref().and_then(Process::find).filter(|process| matches!(process.wait(Duration::ZERO), Ok(None)));
        self.process = alive.or_else(|| start::unrecorded_process(&self.coin));
        match (&self.process, recorded) {
            (Some(process), _) => {
                tracing::info!(
                    coin = self.coin.name,
                    pid = process.pid(),
                    "found the daemon running, as an earlier keeper left it"
                );
                self.ended = None;
            }
            (None, Some(identity)) if self.ended.is_none() => {
                let rebooted = identity.boot_id != boot_id();
                let status = if rebooted { "the host was restarted" } else { "unknown: it ended while no keeper watched" };
                self.ended = Some(status.to_owned());
            }
            (None, _) => {}
        }
    }

    /// Notices an exit that nobody ordered.
    fn has_ended(&mut self) -> bool {
        let Some(process) = &self.process else { return true };
        let Ok(Some(status)) = process.wait(Duration::ZERO) else { return false };
        self.output.forward(&self.coin.name);
        tracing::error!(coin = self.coin.name, pid = process.pid(), "the daemon ended unasked: {status}");
        self.ended = Some(status);
        self.process = None;
        true
    }

    fn wait_for_ordered_exit(&mut self) -> Result<String, KeeperError> {
        let Some(process) = &self.process else { return Ok("it had ended already".to_owned()) };
        let pid = process.pid();
        let proc_path = format!("/proc/{pid}");
        process.ask_to_stop().map_err(files::at(proc_path.as_ref()))?;
        let began = Instant::now();
        let patience = Duration::from_secs(self.coin.daemon.stop_timeout_s);
        loop {
            let left = patience.saturating_sub(began.elapsed());
            if let Some(status) = process.wait(left.min(STOP_PROGRESS)).map_err(files::at(proc_path.as_ref()))? {
                self.output.forward(&self.coin.name);
                return Ok(status);
            }
            let waited_s = began.elapsed().as_secs();
            if began.elapsed() >= patience {
                return Err(KeeperError::StillRunning { pid, waited_s });
            }
            self.output.forward(&self.coin.name);
            tracing::info!(coin = self.coin.name, pid, waited_s, "the daemon is still finishing its work");
        }
    }
}

/// The id of this boot of the host: pids and locks mean nothing across boots.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|text| text.trim().to_owned()).unwrap_or_default()
}
