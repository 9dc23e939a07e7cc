//! The repair ladder for a wallet that is damaged or wrong, as operators climb it by hand, but recorded, resumable, and never on the
//! only copy.
//!
//! Its rungs, lowest first: note what is pending; stop the daemon with a confirmed exit; copy the whole wallet folder and verify the
//! copy; search the chain again; broadcast again what the wallet lost; audit. Payouts are frozen from before the first rung until an
//! audit agrees. **Nothing modifies the wallet before the verified copy exists.**
//!
//! Every step is on disk before it is begun and when it is done, and can be repeated, so after a crash [`run`] goes on where it stopped.
//! When the audit still differs, the repair ends, payouts stay frozen, and the report names the next rung.

mod copy;
mod flow;
mod note;
mod records;
mod rescan;
mod rules;

use std::ops::ControlFlow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::audit::{AuditError, Report};
use crate::coin::{Timestamp, Txid};
use crate::daemon::{OptionsUnknown, RpcError};
use crate::keeper::KeeperError;
use crate::store::StoreError;

pub use flow::{history, plan, run, unfinished};
pub use rules::{Plan, PlannedStep, Refusal, Step};

/// Why a repair did not go on. Payouts stay frozen; `run` goes on with the step that failed.
#[derive(Debug, Error)]
pub enum RepairError {
    /// Nothing was begun.
    #[error("repair refused: {0}; nothing was changed")]
    Refused(#[from] Refusal),
    /// The observer asked to stop.
    #[error("repair interrupted at step '{0}'; what was done is recorded, `bursar repair run` goes on from here")]
    Interrupted(Step),
    /// The copy is not the original.
    #[error("{}: the copy differs from the wallet's file; the wallet was not touched. Check the disk, then run the repair again", .0.display())]
    CopyDiffers(PathBuf),
    /// The wallet folder has something in it that is not copied blindly.
    #[error("{}: {problem}; the wallet was not touched", path.display())]
    Uncopied {
        /// Where.
        path: PathBuf,
        /// What it is, and what to do.
        problem: String,
    },
    /// The daemon came up with another wallet.
    #[error("after its restart the daemon has another wallet ({found}, before: {noted}); it was stopped again. The wallet as it was is in {}", copy.display())]
    OtherWallet {
        /// Fingerprint before.
        noted: String,
        /// Fingerprint after.
        found: String,
        /// The verified copy.
        copy: PathBuf,
    },
    /// The daemon does not come up on its wallet.
    #[error(
        "{error}. The wallet as it was is in {}. Put a salvaged file or the last good backup in its place and run the repair again",
        copy.display()
    )]
    NoStart {
        /// Why not.
        error: KeeperError,
        /// The verified copy.
        copy: PathBuf,
    },
    /// The chain is shorter than it was.
    #[error("the chain is at height {height} and was at {noted}: no audit before it is regained; run the repair again then")]
    TipNotRegained {
        /// Height now.
        height: u64,
        /// Height when the repair began.
        noted: u64,
    },
    /// Files.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
    /// The daemon process.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The daemon's options.
    #[error(transparent)]
    Options(#[from] OptionsUnknown),
    /// The wallet.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The audit.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Recorded, nothing done yet.
    Begun,
    /// Done, not yet recorded.
    Effected,
    /// Done and recorded.
    Done,
}

/// Told to the observer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The repair's number.
    pub repair: i64,
    /// Which step.
    pub step: Step,
    /// Where it stands.
    pub moment: Moment,
    /// What was done, for a person; empty when begun.
    pub detail: String,
}

/// Watches a repair; may break it off between two actions (a service that is asked to stop does). It goes on with the next `run`.
pub type Observer<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;

/// A step in the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Which.
    pub step: Step,
    /// When it was begun first.
    pub begun: Timestamp,
    /// When it was done; none: it is to be done (again).
    pub done: Option<Timestamp>,
    /// What was done, for a person.
    pub detail: String,
}

/// A transaction that was pending when the repair began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingRecord {
    /// The transaction.
    pub txid: Txid,
    /// Its signed bytes.
    pub raw_hex: String,
    /// Whether it spends our coins.
    pub own: bool,
    /// What became of it; none: not looked at yet.
    pub fate: Option<String>,
}

/// A repair in the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairRecord {
    /// Its number.
    pub id: i64,
    /// When it was begun.
    pub started: Timestamp,
    /// Its folder: the wallet copy, the pending transactions.
    pub folder: PathBuf,
    /// Fingerprint of the wallet before; none where it did not answer.
    pub fingerprint: Option<String>,
    /// Height of the chain before.
    pub tip_height: Option<u64>,
    /// When it ended; none: it is unfinished.
    pub finished: Option<Timestamp>,
    /// Whether the audit after it agreed; none: it is unfinished.
    pub agrees: Option<bool>,
    /// Its steps so far, in order.
    pub steps: Vec<StepRecord>,
    /// What was pending.
    pub pending: Vec<PendingRecord>,
}

/// A repair that came to its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RepairReport {
    /// The record of it.
    pub repair: RepairRecord,
    /// The audit after it.
    pub audit: Report,
    /// Whether the wallet agrees with the ledger again. When not, payouts stay frozen.
    pub agrees: bool,
    /// What to do next; none when it agrees.
    pub next: Option<String>,
}
