//! What the webhook's receiver is told: every step of every payout, every credit of a deposit and every reversal of one, each in their order, at least once.
//!
//! The outbox is the history itself, which is written in the transaction that makes the step and is never changed, and the ledger's credits. All that is kept
//! beside them is how far the receiver has acknowledged each. That moves only after an answer of 2xx, so an answer that is lost means that the same events are sent again; their ids tell.
//!
//! Telling begins with the first opening of the store that has a webhook in its settings: what was before is not told. A webhook that is taken out of the
//! settings and comes back goes on where it was.

mod records;
/// What is sent, how it is signed, and how long a failure is waited out: pure.
pub mod rules;

use serde::{Deserialize, Serialize};

use super::batch::BatchId;
use super::records::damaged;
use super::request::PayoutId;
use super::rules::State;
use crate::coin::{Amount, Timestamp, Txid};
use crate::ledger::credit::{self, CreditEvent};
use crate::store::{Store, StoreError};

/// Events of one delivery at most: some tens of kilobytes.
const PAGE: usize = 100;

/// One step of one payout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number in this store: they rise, and have no gaps but what a restored store forgot.
    pub n: i64,
    /// When.
    pub at: Timestamp,
    /// The payout's number in this store.
    pub seq: i64,
    /// The caller's own id of it.
    pub payout: PayoutId,
    /// To whom.
    pub address: String,
    /// How much.
    pub amount: Amount,
    /// From which state; none for the submission.
    pub from: Option<State>,
    /// To which.
    pub to: State,
    /// Why.
    pub reason: Option<String>,
    /// The batch that it belonged to, before or after.
    pub batch: Option<BatchId>,
    /// The transactions of that batch, as they are known now: any one of them pays it.
    pub txids: Vec<Txid>,
}

/// What the next delivery tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Steps of payouts.
    pub events: Vec<Event>,
    /// Credits and their reversals.
    pub credits: Vec<CreditEvent>,
}

impl Delivery {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.credits.is_empty()
    }

    /// How many events it tells.
    pub fn len(&self) -> usize {
        self.events.len() + self.credits.len()
    }
}

/// How telling goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Events that were not acknowledged yet.
    pub waiting: u64,
    /// When the oldest of them was made.
    pub oldest: Option<Timestamp>,
    /// When something was acknowledged last.
    pub delivered: Option<Timestamp>,
    /// Since when deliveries fail; none: the last one did not.
    pub failing_since: Option<Timestamp>,
    /// Why.
    pub last_error: Option<String>,
}

/// From now on every step is told. Changes nothing where that began before.
pub fn begin(store: &mut Store) -> Result<(), StoreError> {
    let begun = store.read(|tx| Ok::<_, StoreError>(records::delivered(tx)?.is_some()))?;
    if begun { Ok(()) } else { store.write(|tx| records::begin(tx, credit::newest(tx)?)) }
}

/// The oldest events that were not acknowledged.
pub fn waiting(store: &mut Store) -> Result<Delivery, StoreError> {
    store.read(|tx| match records::delivered(tx)? {
        Some((steps, credits)) => {
            let credits = credit::events(tx, credits, PAGE).map_err(|error| damaged(error.to_string()))?;
            Ok(Delivery { events: records::after(tx, steps, PAGE)?, credits })
        }
        None => Ok(Delivery::default()),
    })
}

/// The receiver has everything of this delivery.
pub fn acknowledge(store: &mut Store, delivery: &Delivery, now: Timestamp) -> Result<(), StoreError> {
    let step = delivery.events.last().map(|event| event.n);
    let credit = delivery.credits.last().map(|event| event.seq);
    store.write(|tx| records::acknowledge(tx, step, credit, now))
}

/// A delivery failed.
pub fn note_failure(store: &mut Store, problem: &str, now: Timestamp) -> Result<(), StoreError> {
    store.write(|tx| records::note_failure(tx, problem, now))
}

/// How telling goes; none where it never began.
pub fn progress(store: &mut Store) -> Result<Option<Progress>, StoreError> {
    store.read(records::progress)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payout::records::add_payout;
    use crate::payout::request::{Checked, Priority};

    fn add(store: &mut Store, id: &str) {
        let request = Checked {
            id: id.parse().unwrap(),
            address: "b".to_owned(),
            amount: Amount::from_base_units(7),
            priority: Priority::Normal,
        };
        store.write(|tx| add_payout(tx, &request, State::Queued, false, Timestamp(5))).unwrap();
    }

    #[test]
    fn what_comes_after_the_beginning_is_told_until_it_is_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        add(&mut store, "before");
        assert_eq!((waiting(&mut store).unwrap(), progress(&mut store).unwrap()), (Delivery::default(), None));
        begin(&mut store).unwrap();
        add(&mut store, "a");
        add(&mut store, "b");
        begin(&mut store).unwrap();
        let told = |store: &mut Store| -> Vec<String> {
            waiting(store).unwrap().events.iter().map(|event| event.payout.to_string()).collect()
        };
        assert_eq!(told(&mut store), ["a", "b"]);
        note_failure(&mut store, "HTTP 500", Timestamp(8)).unwrap();
        note_failure(&mut store, "HTTP 502", Timestamp(9)).unwrap();
        let found = progress(&mut store).unwrap().unwrap();
        assert_eq!((found.waiting, found.oldest, found.failing_since), (2, Some(Timestamp(5)), Some(Timestamp(8))));
        assert_eq!(found.last_error.as_deref(), Some("HTTP 502"));
        let mut first = waiting(&mut store).unwrap();
        first.events.truncate(1);
        acknowledge(&mut store, &first, Timestamp(10)).unwrap();
        assert_eq!(told(&mut store), ["b"]);
        let found = progress(&mut store).unwrap().unwrap();
        assert_eq!((found.delivered, found.failing_since, found.last_error), (Some(Timestamp(10)), None, None));
    }
}
