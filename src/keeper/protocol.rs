//! What is said on the socket of `bursar keep`: one JSON line asks, and lines answer until one says how it ended.
//!
//! An old keeper outlives an upgrade, so the protocol has a version of its own, and a keeper says which it speaks when it refuses another. Within
//! a version, fields are only added.

use serde::{Deserialize, Serialize};

use super::{KeeperError, Phase, ProcessState};

/// The version of what is said here.
pub(super) const VERSION: u32 = 1;

/// A call is at most this long, in bytes: an order and a few arguments.
pub(super) const MAX_CALL_BYTES: u64 = 64 << 10;

/// A line of an answer is at most this long, in bytes.
pub(super) const MAX_LINE_BYTES: u64 = 1 << 20;

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Call {
    /// [`VERSION`] of the caller.
    pub(super) protocol: u32,
    /// What to do.
    pub(super) order: KeeperOrder,
}

/// What a keeper can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KeeperOrder {
    /// Says how things are.
    Status,
    /// Starts the daemon unless it runs, and waits until it answers.
    Start {
        /// Further arguments, for this start only.
        extra: Vec<String>,
    },
    /// Stops the daemon and waits for its confirmed exit.
    Stop {
        /// Kill it when its patience is over.
        kill: bool,
        /// It is to be started again by whoever gives this order, once it has done what needs a daemon that does not run.
        #[serde(default)]
        for_restart: bool,
    },
    /// Allows starts again after a suspect wallet.
    TrustWallet,
}

/// One line of the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// What it waits for; more lines follow.
    Progress(String),
    /// Carried out; the last line.
    Done(Box<KeeperReport>),
    /// Not carried out; the last line.
    Failed(Refusal),
}

/// Why a keeper did not carry out an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// The word for it, as in [`KeeperError::code`](super::KeeperError::code).
    pub(super) code: String,
    /// What was wrong, and what to do.
    pub(super) message: String,
}

impl Reply {
    /// An error as it crosses the socket.
    pub(super) fn failed(error: &KeeperError) -> Reply {
        Reply::Failed(Refusal { code: error.code().to_owned(), message: error.to_string() })
    }
}

/// How a keeper and its daemon are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperReport {
    /// The daemon's process.
    pub process: ProcessState,
    /// What the keeper is about.
    pub phase: Phase,
    /// The same in words for a person, with the next step where one is needed.
    pub text: String,
    /// What tells this run of the daemon from every other; none while it does not run.
    pub run: Option<String>,
    /// Ends that nobody ordered, since the keeper began.
    pub unordered_ends: u64,
    /// It was stopped by somebody who meant to start it again, and did not yet.
    #[serde(default)]
    pub awaits_start: bool,
    /// The last lines that the daemon printed.
    pub last_lines: Vec<String>,
    /// The daemon's line that says that it salvaged its wallet.
    pub salvaged: Option<String>,
    /// The version of the keeper's program.
    pub version: String,
}

impl KeeperReport {
    /// That the keeper is older than this program, and what to do: it outlives an upgrade. None where it is not.
    pub fn outdated(&self) -> Option<String> {
        let ours = env!("CARGO_PKG_VERSION");
        is_older(&self.version, ours).then(|| {
            format!("the keeper is still version {}, this is {ours}: restart the keeper when its daemon may stop", self.version)
        })
    }
}

fn is_older(one: &str, other: &str) -> bool {
    let numbers = |version: &str| version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect::<Vec<u64>>();
    numbers(one) < numbers(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers_and_an_unreadable_one_is_the_oldest() {
        for (one, other) in [("0.9.0", "0.10.0"), ("0.9", "0.9.1"), ("", "0.1.0"), ("0.1.0-rc1", "0.1.1")] {
            assert!(is_older(one, other) && !is_older(other, one), "{one} {other}");
        }
        assert!(!is_older("0.1.0", "0.1.0"));
    }
}
