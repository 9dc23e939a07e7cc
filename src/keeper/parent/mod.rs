//! The parent of the daemon process, in this process.

mod pieces;
mod start;
mod stop;

use std::fs::File;
use std::time::Duration;

use super::files::Record;
use super::output::Output;
use super::process::Process;
use super::{KeeperError, KeeperReport, Phase, ProcessState, boot_id, trouble};
use crate::config::{CoinSettings, DaemonMode};
pub(super) use start::first_call;

/// Why further arguments come too late.
const RUNS_ALREADY: &str = "already, without these arguments: stop it first";

/// What 0.18 leaves unsaid: it ends in silence when not all could be salvaged, with a whole, a partial or no new wallet file in place.
const SILENT_SALVAGE: &str = "it printed nothing; its -salvagewallet: salvage failed, or was not complete";

/// The parent of one coin's daemon process.
#[derive(Debug)]
pub(super) struct Parent {
    coin: CoinSettings,
    process: Option<Process>,
    /// How the process ended that nobody asked to end.
    ended: Option<String>,
    /// Why it is not started again by itself.
    given_up: Option<String>,
    /// Ends that nobody asked for, since this keeper began.
    unordered_ends: u64,
    output: Output,
    /// Whether the process was started to salvage its wallet, and has not answered yet.
    salvages: bool,
    /// Whether the RPC passwords are ours to make; a keeper that runs apart must not even see them.
    makes_access: bool,
    /// The turn to start and stop, held for life by `bursar keep`; none: it is taken for each.
    turn: Option<File>,
}

impl Parent {
    /// Looks for a daemon that an earlier keeper of this coin left running. Starts nothing.
    pub(super) fn new(coin: &CoinSettings) -> Parent {
        let output = Output::at(coin.daemon_dir().join("keeper-output.log"), coin.chain_dir().join("debug.log"));
        let mut parent = Parent {
            coin: coin.clone(),
            process: None,
            ended: None,
            given_up: None,
            unordered_ends: 0,
            output,
            salvages: false,
            makes_access: true,
            turn: None,
        };
        if parent.is_kept() {
            parent.look_for_process();
        }
        parent
    }

    /// Whether bursar starts and stops this daemon; otherwise it is attached, and somebody else does.
    pub(super) fn is_kept(&self) -> bool {
        self.coin.daemon.mode == DaemonMode::Keep
    }

    /// Starts the daemon unless it runs: conf, process, and waits until RPC answers. `extra` are further arguments such
    /// as `-rescan`; with them, a daemon that runs already is an error.
    pub(super) fn start(&mut self, extra: &[&str]) -> Result<(), KeeperError> {
        self.refuse_attached("start")?;
        if let ProcessState::Running { pid } = self.state() {
            if !extra.is_empty() {
                return Err(KeeperError::Runs { pid, problem: RUNS_ALREADY });
            }
            return self.wait_until_ready(false);
        }
        self.spawn(extra)?;
        self.wait_until_ready(true)
    }

    /// Remembers that the daemon is not started again by itself, and why; until a start or stop by order.
    pub(super) fn give_up(&mut self, reason: &str) {
        self.given_up = Some(reason.to_owned());
    }

    /// What the process does now.
    pub(super) fn state(&mut self) -> ProcessState {
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
            (None, Some(status)) => {
                let status = match &self.given_up {
                    Some(reason) => format!("{status}; given up: {reason}"),
                    None => status.clone(),
                };
                ProcessState::Exited { status, last_lines: self.last_lines() }
            }
            (None, None) => ProcessState::Stopped,
        }
    }

    /// How things are, as a `bursar keep` would tell.
    pub(super) fn report(&mut self) -> KeeperReport {
        let process = self.state();
        let (phase, text) = match &process {
            ProcessState::Attached => (Phase::Attached, "somebody else runs it".to_owned()),
            ProcessState::Running { pid } => (Phase::Ready, format!("runs (pid {pid})")),
            ProcessState::Exited { status, .. } => {
                (if self.given_up.is_some() { Phase::GaveUp } else { Phase::Waiting }, format!("ended: {status}"))
            }
            ProcessState::Stopped | ProcessState::NoKeeper(_) => (Phase::Stopped, "does not run".to_owned()),
        };
        let last_lines = if self.is_kept() { self.last_lines() } else { vec![] };
        KeeperReport {
            process,
            phase,
            text,
            run: self.process.as_ref().map(Process::run),
            unordered_ends: self.unordered_ends,
            awaits_start: false,
            salvaged: trouble::salvaged_wallet(&last_lines).map(str::to_owned),
            last_lines,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Allows starts again after [`KeeperError::SuspectWallet`]: the wallet folder was copied, and the file repaired or restored.
    pub(super) fn trust_wallet(&mut self) -> Result<(), KeeperError> {
        self.refuse_attached("start")?;
        let running = matches!(self.state(), ProcessState::Running { .. });
        let record = Record::read(&self.coin);
        // The last words of a process that ended are settled with this.
        let trusted = Record {
            process: record.process.clone().filter(|_| running),
            suspect_wallet: None,
            is_lost: false,
            ..record.clone()
        };
        if trusted == record { Ok(()) } else { trusted.write(&self.coin) }
    }

    fn refuse_attached(&self, order: &'static str) -> Result<(), KeeperError> {
        if self.is_kept() { Ok(()) } else { Err(KeeperError::Attached(order)) }
    }

    /// The last lines that the process printed. One that ended in silence over a salvage is given words, which [`trouble`] knows.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let printed = self.output.last_lines();
        if printed.is_empty() && self.salvages && self.process.is_none() { vec![SILENT_SALVAGE.to_owned()] } else { printed }
    }

    fn not_started(&self, status: &str, reason: String) -> KeeperError {
        let program = self.coin.daemon.program.display().to_string();
        KeeperError::NotStarted { program, status: status.to_owned(), reason }
    }

    /// Takes hold of the process that the record names, or else of the one that holds our data directory and has our arguments: a
    /// keeper can die between the start and the record.
    fn look_for_process(&mut self) {
        let record = Record::read(&self.coin);
        let (alive, recorded) = (record.running(), record.process);
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
        self.output.forward_last(&self.coin.name);
        tracing::error!(coin = self.coin.name, pid = process.pid(), "the daemon ended unasked: {status}");
        self.unordered_ends += 1;
        self.ended = Some(status);
        self.process = None;
        true
    }
}
