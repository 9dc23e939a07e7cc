//! What a flush did, and why the rest waits.

use serde::{Deserialize, Serialize};

use super::batch::{BatchId, BatchState};
use super::error::PayoutError;
use super::request::PayoutId;
use super::rules::{Refusal, WaitsFor};
use crate::coin::{Amount, FeeRate, Txid};

/// A payout that a flush rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RejectedPayout {
    /// Which.
    pub id: PayoutId,
    /// Why.
    pub reason: String,
}

/// A batch that a flush gave to the daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchReport {
    /// Which.
    pub id: BatchId,
    /// Where it stands.
    pub state: BatchState,
    /// Its transaction, if the daemon named one.
    pub txid: Option<Txid>,
    /// Payouts in it.
    pub payouts: usize,
    /// Outputs in it.
    pub outputs: usize,
    /// Their sum, without the fee.
    pub total: Amount,
    /// The fee, above zero, once the wallet has told it.
    pub fee: Option<Amount>,
    /// Virtual size of the transaction, once it was fetched; none of one that spends out of an extension block (MWEB), whose fee goes by more than that.
    pub vsize: Option<u64>,
    /// The fee rate that was planned.
    #[serde(default)]
    pub planned_rate: FeeRate,
    /// How much less than single sends it was planned to cost, in percent; none for a part of a batch that was refused.
    #[serde(default)]
    pub saving_percent: Option<u8>,
    /// What a person should know.
    pub note: Option<String>,
}

/// What a flush did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlushReport {
    /// Batches given to the daemon, those that it refused included.
    pub batches: Vec<BatchReport>,
    /// Payouts rejected alone.
    pub rejected: Vec<RejectedPayout>,
    /// Why the rest waits, if there is a rest.
    pub waiting: Option<String>,
    /// What it waits for.
    #[serde(default)]
    pub waits_for: Option<WaitsFor>,
    /// Payouts of priority low that wait for a cheaper moment.
    #[serde(default)]
    pub patient: u64,
    /// The wallet is locked: that is why the rest waits.
    pub locked: bool,
    /// Payouts still queued.
    pub queued: u64,
    /// Some of them could go now: other work had its turn first.
    #[serde(default)]
    pub follows: bool,
}

impl BatchReport {
    /// What it really paid; none while the wallet has not told its fee.
    pub fn paid_rate(&self) -> Option<FeeRate> {
        let (fee, vsize) = (u64::try_from(self.fee?.base_units()).ok()?, self.vsize?);
        Some(FeeRate::from_per_kvb(fee.checked_mul(1000)? / vsize.max(1)))
    }
}

impl BatchReport {
    pub(super) fn add_note(&mut self, note: String) {
        self.note = Some(self.note.take().map_or(note.clone(), |before| format!("{before}; {note}")));
    }
}

impl FlushReport {
    /// The report of a flush that rightly sends nothing; none where a person has to look.
    pub fn of_waiting(refusal: &Refusal) -> Option<FlushReport> {
        let waits_for = match refusal {
            Refusal::NothingQueued => return Some(FlushReport::default()),
            Refusal::Patient { count, .. } => return Some(FlushReport { patient: *count, ..FlushReport::default() }),
            refusal => refusal.waits_for()?,
        };
        Some(FlushReport { waiting: Some(refusal.to_string()), waits_for: Some(waits_for), ..FlushReport::default() })
    }

    /// No further batch is planned. A failure is one only where nothing was sent before it.
    pub(super) fn end(&mut self, error: PayoutError) -> Result<(), PayoutError> {
        let found = match &error {
            PayoutError::Refused(refusal) => FlushReport::of_waiting(refusal),
            _ => None,
        };
        match found {
            Some(found) => {
                (self.waiting, self.waits_for, self.patient) = (found.waiting, found.waits_for, found.patient);
                Ok(())
            }
            None if self.batches.is_empty() => Err(error),
            None => {
                self.wait(WaitsFor::Daemon, error.to_string());
                Ok(())
            }
        }
    }

    pub(super) fn wait(&mut self, waits_for: WaitsFor, reason: String) {
        (self.waits_for, self.waiting) = (Some(waits_for), Some(reason));
    }
}
