//! Credits: which deposits an exchange may give to its customers, and which of these it has to take back.
//!
//! - A deposit is one output that the ledger posts against `deposit`. It is credited by the first sync that finds its block at
//!   `ledger.credit_depth`, counted by heights; not before.
//! - A credit names its block. If that block leaves the active chain, or the ledger takes the transaction back, the credit is reversed by
//!   the sync that sees it, in the same store transaction. If the same output is deep again, it is credited again, after its reversal.
//! - Events are only ever added, numbered without gaps, and chained by hashes: whoever reads them with a cursor misses none, and is told when
//!   the store went back in time.
//!
//! Of one output, credits less reversals are 0 or 1 at any time. What was summed up when the ledger was opened is not credited, nor is an
//! amount of which the wallet changed its word.

mod canonical;
mod flow;
mod records;
mod rules;
#[cfg(test)]
mod tests;
mod told;
mod verify;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tracing::error;

use crate::coin::{Amount, Timestamp, Txid};
use crate::daemon::Tip;
use crate::store::{StoreError, Tx};

use super::{Head, following};
pub(super) use flow::{Book, Closed};
pub use told::Told;
pub(super) use verify::verify;

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CreditKind {
    /// A deposit is deep enough.
    Credit,
    /// A credit is taken back.
    Reversal,
}

/// Why a credit was taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its block left the active chain; the transaction is in another block, or in none.
    Reorged,
    /// Another transaction in a block spent its coins.
    Conflicted,
    /// The wallet calls the transaction dead.
    Dead,
    /// Its block left the active chain, and the wallet does not know the transaction any more.
    Forgotten,
}

/// A credit, or a reversal of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditEvent {
    /// Its place, from 1 without gaps.
    pub seq: u64,
    /// What it does.
    pub kind: CreditKind,
    /// When a sync saw it.
    pub time: Timestamp,
    /// The wallet that was paid.
    pub wallet: String,
    /// The transaction.
    pub txid: Txid,
    /// Its output.
    pub vout: u32,
    /// To whom, where the wallet says so.
    pub address: Option<String>,
    /// How much.
    pub amount: Amount,
    /// In which block it was credited; of a reversal, that of the credit that it takes back.
    pub block: Tip,
    /// The height at which the ledger stood.
    pub tip_height: u64,
    /// Of a reversal, the credit that it takes back; of a credit, the reversal after which it stands again.
    pub follows: Option<u64>,
    /// Why a credit was taken back.
    pub reason: Option<Reason>,
    /// The ledger's event that posted the deposit.
    pub event: u64,
    /// Hash of the event before, 64 zeros for the first.
    pub previous: String,
    /// SHA-256 over all of the above.
    pub hash: String,
}

impl CreditKind {
    /// Its name, in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            CreditKind::Credit => "credit",
            CreditKind::Reversal => "reversal",
        }
    }
}

impl Reason {
    const ALL: [Reason; 4] = [Reason::Reorged, Reason::Conflicted, Reason::Dead, Reason::Forgotten];

    /// Its name, in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Reorged => "reorged",
            Reason::Conflicted => "conflicted",
            Reason::Dead => "dead",
            Reason::Forgotten => "forgotten",
        }
    }
}

/// An output that a ledger event posted as a deposit turned out to come from another wallet of ours: it is not credited. A credit that was given already
/// stands, because who has read it has acted on it: the log says so.
pub(super) fn withdraw(tx: &Tx<'_>, event: u64, vout: u32) -> Result<(), StoreError> {
    if records::withdraw(tx, event, vout)? {
        error!(event, vout, "what came from another wallet of ours was credited as a deposit before that was known");
    }
    Ok(())
}

/// An output that a ledger event posted, of its amount, is a deposit after all: it waits for its credit, unless it has one.
pub(super) fn await_credit(
    tx: &Tx<'_>,
    wallet: &str,
    txid: &Txid,
    event: u64,
    (vout, amount): (u32, Amount),
) -> Result<(), StoreError> {
    if following::waiting(tx, event)?.iter().any(|waiting| waiting.vout == vout) {
        return Ok(());
    }
    let told = rules::newest(records::of_transaction(tx, wallet, txid)?);
    let follows = match rules::told(told.iter().find(|event| event.vout == vout)) {
        rules::Told::Credited => return Ok(()),
        rules::Told::TakenBack(reversal) => Some(reversal),
        rules::Told::Nothing => None,
    };
    let deposit = rules::Deposit { vout, address: None, amount };
    records::wait(tx, wallet, &records::Waiting { event, txid: *txid, deposit, follows })
}

impl CreditEvent {
    /// Confirmations with which it was credited; none for a reversal.
    pub fn confirmations(&self) -> Option<u64> {
        let depth = (self.tip_height + 1).saturating_sub(self.block.height);
        (self.kind == CreditKind::Credit).then_some(depth)
    }
}

/// A place in the feed of events: after one of them, which is named by number and hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    seq: u64,
    digits: String,
}

/// Why the feed cannot go on from a place.
#[derive(Debug, Error)]
pub enum FeedError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is no place of this store.
    #[error(
        "event {seq} is not the one that was read here before; the newest is {newest}: the store went back in time, or it is another one"
    )]
    GoneBack {
        /// The event after which to go on.
        seq: u64,
        /// The newest event.
        newest: u64,
    },
}

/// How crediting stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditStanding {
    /// Credits so far, those that were taken back included.
    pub credits: u64,
    /// Reversals so far.
    pub reversals: u64,
    /// Reversals after which nothing was credited again.
    pub outstanding: u64,
    /// When a credit was taken back last.
    pub last_reversal: Option<Timestamp>,
    /// Deposits that are posted, and not deep enough to be credited.
    pub waiting: u64,
}

impl CreditStanding {
    /// Deposits that are credited now: one that was taken back and credited again is one, however often.
    pub fn deposits(&self) -> u64 {
        self.credits.saturating_sub(self.reversals)
    }
}

/// At most `limit` events after the one numbered `after` (0: from the first).
pub fn events(tx: &Tx<'_>, after: u64, limit: usize) -> Result<Vec<CreditEvent>, FeedError> {
    let newest = records::newest(tx)?;
    if after > newest {
        return Err(FeedError::GoneBack { seq: after, newest });
    }
    Ok(records::events(tx, after, limit)?)
}

/// At most `limit` events after a cursor; none: from the first.
pub fn page(tx: &Tx<'_>, cursor: Option<&Cursor>, limit: usize) -> Result<Vec<CreditEvent>, FeedError> {
    let Some(cursor) = cursor else { return events(tx, 0, limit) };
    match records::event(tx, cursor.seq)? {
        Some(event) if cursor.fits(&event) => events(tx, cursor.seq, limit),
        _ => Err(FeedError::GoneBack { seq: cursor.seq, newest: records::newest(tx)? }),
    }
}

/// The number of the newest event; 0 before the first.
pub fn newest(tx: &Tx<'_>) -> Result<u64, StoreError> {
    records::newest(tx)
}

/// What was credited of a transaction in a wallet, and taken back, oldest first.
pub fn of_transaction(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Vec<CreditEvent>, StoreError> {
    records::of_transaction(tx, wallet, txid)
}

/// The newest event.
pub(super) fn head(tx: &Tx<'_>) -> Result<Head, StoreError> {
    records::head(tx)
}

/// How crediting stands.
pub fn standing(tx: &Tx<'_>) -> Result<CreditStanding, StoreError> {
    records::standing(tx)
}
