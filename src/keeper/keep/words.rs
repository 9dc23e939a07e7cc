//! What the keeper tells others about itself.

use super::machine::{Place, Why};
use super::{Keep, LastEnd};
use crate::config::CoinSettings;
use crate::daemon::RpcError;
use crate::keeper::protocol::Refusal;
use crate::keeper::{KeeperError, KeeperReport, Phase, ProcessState, trouble};

/// An argument that only the keeper may set.
pub(super) fn reserved(coin: &CoinSettings, argument: &str) -> KeeperError {
    KeeperError::NotStarted {
        program: coin.daemon.program.display().to_string(),
        status: "not tried".to_owned(),
        reason: format!("{argument} is the keeper's to set"),
    }
}

impl Keep<'_> {
    /// How it stands, with the process where there is one.
    pub(super) fn status_text(&self) -> String {
        let text = self.state.text(self.time());
        let Some(process) = self.parent.process() else { return text };
        let waits = matches!(self.state.place, Place::Starting { busy_with: None, .. } | Place::Unresponsive { .. });
        // A port that is not open yet says nothing; what else hinders us should be known.
        let hindered = self.last_error.as_ref().filter(|error| waits && !matches!(error, RpcError::NotConnected { .. }));
        let why = hindered.map(|error| format!("; the last call: {error}")).unwrap_or_default();
        format!("pid {}: {text}{why}", process.pid())
    }

    /// How keeper and daemon are.
    pub(super) fn report(&self) -> KeeperReport {
        let last_lines = self.parent.last_lines();
        let process = match (self.parent.process(), &self.last_end) {
            (Some(process), _) => ProcessState::Running { pid: process.pid() },
            (None, Some(end)) => {
                let given_up = match &self.state.place {
                    Place::GaveUp { reason } => format!("; given up: {reason}"),
                    _ => String::new(),
                };
                let (status, last_lines) = match end {
                    // The reason why it is given up has it already.
                    LastEnd::NotStarted(_) if !given_up.is_empty() => ("not started".to_owned(), vec![]),
                    LastEnd::NotStarted(why) => (format!("not started: {why}"), vec![]),
                    LastEnd::Ended(status) => (status.clone(), last_lines.clone()),
                };
                ProcessState::Exited { status: format!("{status}{given_up}"), last_lines }
            }
            (None, None) => ProcessState::Stopped,
        };
        KeeperReport {
            process,
            phase: self.state.phase(),
            text: self.status_text(),
            run: self.parent.process().map(|process| process.run()),
            unordered_ends: self.state.unordered_ends,
            awaits_start: self.awaits_start && self.state.phase() == Phase::Stopped,
            salvaged: trouble::salvaged_wallet(&last_lines).map(str::to_owned),
            last_lines,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The same words and codes as without a socket between.
    pub(super) fn refusal(&self, why: &Why) -> Refusal {
        let pid = self.parent.process().map_or(0, |process| process.pid());
        let error = match why {
            Why::RunsAlready => KeeperError::Runs { pid, problem: "already, without these arguments: stop it first" },
            Why::StillStopping { waited } => {
                let state = "it was not killed: it may be writing".to_owned();
                KeeperError::StillRunning { pid, waited_s: waited.as_secs(), state }
            }
            Why::NotReady { waited } => {
                KeeperError::NotReady { pid, waited_s: waited.as_secs(), last: self.last_error.clone().unwrap_or_else(not_asked) }
            }
            Why::Ended(end) => self.parent.ended_error(&end.status),
            Why::NotSpawned(end) => {
                return Refusal { code: end.status.clone(), message: end.last_line.clone().unwrap_or_default() };
            }
            Why::StopOrdered => KeeperError::Runs { pid, problem: "no more for long: an order to stop came while it started" },
            Why::Leaving => {
                let message = "the keeper is ending, and stops the daemon before; nothing was done".to_owned();
                return Refusal { code: "keeper_ending".to_owned(), message };
            }
        };
        Refusal { code: error.code().to_owned(), message: error.to_string() }
    }
}

/// Nothing is known of its RPC yet.
fn not_asked() -> RpcError {
    RpcError::NotConnected {
        method: "getblockcount".to_owned(),
        address: "its port".to_owned(),
        reason: "not tried yet".to_owned(),
    }
}
