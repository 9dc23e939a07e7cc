//! How the queue stands, and one batch: for programs that look often. None of it costs more with the years.

use std::collections::BTreeMap;

use super::batch::{Batch, BatchId, BatchState, Member};
use super::error::PayoutError;
use super::request::Payout;
use super::rules::State;
use super::{Filter, records};
use crate::coin::Amount;
use crate::gate::{self, InForce};
use crate::store::{Store, StoreError};

/// How the queue stands.
#[derive(Clone, Debug)]
pub struct Standing {
    /// How many payouts there are in each state, and their sum.
    pub totals: BTreeMap<State, (u64, Amount)>,
    /// The queued payout that was submitted first.
    pub oldest_queued: Option<Payout>,
    /// Why payouts are frozen; empty when they are not.
    pub frozen: Vec<InForce>,
    /// Batches that may have been sent: nothing new is, until it is known.
    pub unresolved: Vec<BatchId>,
}

impl Standing {
    /// What keeps back all that is queued, whatever a flush would find: a word for programs, and a sentence. None where nothing is queued.
    pub fn hindrance(&self) -> Option<(&'static str, String)> {
        self.oldest_queued.as_ref()?;
        match (self.frozen.first(), self.unresolved.first()) {
            (Some(frozen), _) => Some(("frozen", format!("payouts are frozen: {}", frozen.freeze.detail))),
            (None, Some(batch)) => Some(("in_doubt", format!("it has to be found out whether batch {batch} was sent"))),
            (None, None) => None,
        }
    }
}

/// A batch, what it was to pay, and its transactions.
#[derive(Clone, Debug)]
pub struct BatchDetail {
    /// The batch.
    pub batch: Batch,
    /// Outputs that it was to have, change left out.
    pub outputs: usize,
    /// Their sum.
    pub total: Amount,
    /// Its transactions; at most one of them can confirm.
    pub transactions: Vec<Member>,
}

/// How the queue stands now.
pub fn standing(store: &mut Store) -> Result<Standing, StoreError> {
    store.read(|tx| {
        let oldest = Filter { state: Some(State::Queued), limit: 1, ..Filter::default() };
        let mut unresolved = Vec::new();
        for state in [BatchState::Sending, BatchState::InDoubt] {
            unresolved.extend(records::batches_in(tx, state)?.into_iter().map(|batch| batch.id));
        }
        Ok(Standing {
            totals: records::totals(tx)?,
            oldest_queued: records::list(tx, &oldest)?.pop(),
            frozen: gate::frozen(tx)?,
            unresolved,
        })
    })
}

/// Shows one batch.
pub fn show_batch(store: &mut Store, id: &BatchId) -> Result<BatchDetail, PayoutError> {
    store.read(|tx| {
        let batch = records::known_batch(tx, id)?.ok_or_else(|| PayoutError::UnknownBatch(id.clone()))?;
        let outputs = records::outputs(tx, id)?;
        let total = Amount::sum(outputs.iter().map(|output| output.amount)).map_err(records::damaged)?;
        Ok(BatchDetail { batch, outputs: outputs.len(), total, transactions: records::txids(tx, id)? })
    })
}
