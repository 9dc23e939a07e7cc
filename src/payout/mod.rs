//! Payouts: many requests, few transactions, each paid exactly once, whatever crashes.
//!
//! - A payout has the caller's own id. The same id with the same content is the same payout; with other content it is refused.
//! - `flush` stores the intent, synced, before the one call that pays, and records what came of it. Nothing here calls `sendmany`
//!   twice for one batch: a batch whose outcome is unknown is **in doubt**, and its wallet sends nothing until `resolve` knows.
//! - `resolve` looks for the payment by its mark, makes the daemon's process exit if it is not found, looks again, and takes it as
//!   not sent only if the wallet cannot have forgotten it. Everything else is **disputed**, and stays so until proof turns up.
//! - `settle` follows each transaction until it is final: broadcasts the same bytes again when the mempool lacks them, compares the
//!   outputs with what was asked, and reopens what a reorg undoes.
//! - A store that went back in time sends nothing until a person has adopted the payments that it forgot.
//! - Only what is certainly not sent (queued, held) can be held, released or cancelled by a person.
//!
//! What happens to a payout is in `rules::next`; which refusals of a daemon are certain, in `rules::classify`.

mod adopt;
mod batch;
mod continuity;
mod decide;
mod doubt;
mod dust;
mod error;
mod flow;
mod funds;
mod gather;
mod host;
mod import;
mod intake;
mod journaled;
mod life;
mod look;
mod observe;
mod pricing;
mod queue;
mod records;
mod report;
mod request;
mod resolve;
/// The decisions, pure.
pub mod rules;
mod settle;
mod spoken;
mod standing;
mod sweep;
mod verify;
/// What the webhook's receiver is told.
pub mod webhook;
mod wishes;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::coin::{Amount, Timestamp, Txid};
use crate::ledger::{self, TxState};
use crate::store::{Store, StoreError, Tx};

pub use adopt::adopt;
pub use batch::{Batch, BatchId, BatchState, Member};
pub use decide::{Decided, Decision, Ruling, rule};
pub use doubt::{CoinInDoubt, DoubtReport, Explanation, explain};
pub use error::{BadAddress, BadAmount, PayoutError, RowProblem};
pub use flow::{flush, preview};
pub use host::{Fence, Host, KeptHost, LocalHost};
pub use import::{Format, ImportOrder, ImportReport, import};
pub use intake::{Taken, submit, submit_many};
pub use journaled::{BumpOrder, BumpReport, bump};
pub use observe::{Observer, Step};
pub use queue::{Depth, depths, due};
pub use report::{BatchReport, FlushReport, RejectedPayout};
pub use request::{Payout, PayoutId, PersonsWord, Priority, Request, Submitted};
pub use resolve::{Connect, Resolution, ResolveReport, ResolvedBatch, resolve};
pub use rules::{Occasion, Plan, State};
pub use settle::{SettleReport, SettledBatch, settle};
pub use spoken::may_explain;
pub use standing::{BatchDetail, Standing, show_batch, standing};
pub use wishes::{Wish, decide, fulfil, would_fulfil};

/// Which payouts to list, in order of submission. Whatever is none does not matter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Only in this state.
    pub state: Option<State>,
    /// Only of this batch: those that it pays, or may.
    pub batch: Option<BatchId>,
    /// Only to this address, as the caller spelled it.
    pub address: Option<String>,
    /// Only of this priority.
    pub priority: Option<Priority>,
    /// Only those submitted at this time or later.
    pub submitted_from: Option<Timestamp>,
    /// Only those submitted before this time.
    pub submitted_before: Option<Timestamp>,
    /// Only those submitted after this one: the last of the page before.
    pub after: Option<PayoutId>,
    /// How many at most.
    pub limit: usize,
}

/// One step in the life of a payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryLine {
    /// When.
    pub at: Timestamp,
    /// From which state; none for the submission.
    pub from: Option<State>,
    /// To which.
    pub to: State,
    /// Why.
    pub reason: Option<String>,
    /// The batch that it belonged to, before or after.
    pub batch: Option<BatchId>,
}

/// Everything that is known about one payout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// The payout.
    pub payout: Payout,
    /// Every step.
    pub history: Vec<HistoryLine>,
    /// The batch that pays it, or may.
    pub batch: Option<Batch>,
    /// That batch's transactions.
    pub transactions: Vec<Member>,
    /// Blocks that hold the one that pays, its own included, when the ledger was last in step; none while it is in none.
    pub confirmations: Option<u64>,
    /// What it waits for; none: it has come to its end.
    pub waits_for: Option<String>,
}

/// Lists payouts.
pub fn list(store: &mut Store, filter: &Filter) -> Result<Vec<Payout>, PayoutError> {
    store.read(|tx| {
        if let Some(after) = &filter.after {
            records::payout(tx, after)?.ok_or_else(|| PayoutError::Unknown(after.clone()))?;
        }
        Ok(records::list(tx, filter)?)
    })
}

/// Shows one payout with its history.
pub fn show(store: &mut Store, id: &PayoutId) -> Result<Detail, PayoutError> {
    store.read(|tx| {
        let payout = records::payout(tx, id)?.ok_or_else(|| PayoutError::Unknown(id.clone()))?;
        let history = records::history(tx, payout.seq)?;
        let batch = payout.batch.as_ref().map(|batch| records::batch(tx, batch)).transpose()?;
        let transactions = payout.batch.as_ref().map(|batch| records::txids(tx, batch)).transpose()?.unwrap_or_default();
        let mut confirmations = None;
        for member in &transactions {
            confirmations = confirmations.max(confirmations_of(tx, &member.txid)?);
        }
        let waits_for = rules::waits_for(payout.state).map(str::to_owned);
        Ok(Detail { payout, history, batch, transactions, confirmations, waits_for })
    })
}

fn confirmations_of(tx: &Tx<'_>, txid: &Txid) -> Result<Option<u64>, StoreError> {
    let (Some(TxState::Confirmed { height, .. }), Some(tip)) = (ledger::state_of(tx, txid)?, ledger::synced_tip(tx)?) else {
        return Ok(None);
    };
    Ok(Some((tip.height + 1).saturating_sub(height)))
}

/// How many payouts there are in each state, and their sum.
pub fn totals(store: &mut Store) -> Result<BTreeMap<State, (u64, Amount)>, StoreError> {
    store.read(records::totals)
}

/// Batches in one state, in order.
pub fn batches(store: &mut Store, state: BatchState) -> Result<Vec<Batch>, StoreError> {
    store.read(|tx| records::batches_in(tx, state))
}
