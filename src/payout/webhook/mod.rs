//! What the webhook's receiver is told: every step of every payout, in their order, at least once.
//!
//! The outbox is the history itself, which is written in the transaction that makes the step and is never changed. All that is kept beside it is how far the
//! receiver has acknowledged. That moves only after an answer of 2xx, so an answer that is lost means that the same events are sent again; their ids tell.
//!
//! Telling begins with the first opening of the store that has a webhook in its settings: what was before is not told. A webhook that is taken out of the
//! settings and comes back goes on where it was.

mod records;
/// What is sent, how it is signed, and how long a failure is waited out: pure.
pub mod rules;

use serde::{Deserialize, Serialize};

use super::batch::BatchId;
use super::request::PayoutId;
use super::rules::State;
use crate::coin::{Amount, Timestamp, Txid};
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

/// How telling goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Steps that were not acknowledged yet.
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
    if store.read(|tx| Ok::<_, StoreError>(records::delivered(tx)?.is_some()))? { Ok(()) } else { store.write(records::begin) }
}

/// The oldest events that were not acknowledged.
pub fn waiting(store: &mut Store) -> Result<Vec<Event>, StoreError> {
    store.read(|tx| match records::delivered(tx)? {
        Some(delivered) => records::after(tx, delivered, PAGE),
        None => Ok(Vec::new()),
    })
}

/// The receiver has everything up to this number.
pub fn acknowledge(store: &mut Store, n: i64, now: Timestamp) -> Result<(), StoreError> {
    store.write(|tx| records::acknowledge(tx, n, now))
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
        assert_eq!((waiting(&mut store).unwrap(), progress(&mut store).unwrap()), (vec![], None));
        begin(&mut store).unwrap();
        add(&mut store, "a");
        add(&mut store, "b");
        begin(&mut store).unwrap();
        let told =
            |store: &mut Store| -> Vec<String> { waiting(store).unwrap().iter().map(|event| event.payout.to_string()).collect() };
        assert_eq!(told(&mut store), ["a", "b"]);
        note_failure(&mut store, "HTTP 500", Timestamp(8)).unwrap();
        note_failure(&mut store, "HTTP 502", Timestamp(9)).unwrap();
        let found = progress(&mut store).unwrap().unwrap();
        assert_eq!((found.waiting, found.oldest, found.failing_since), (2, Some(Timestamp(5)), Some(Timestamp(8))));
        assert_eq!(found.last_error.as_deref(), Some("HTTP 502"));
        let first = waiting(&mut store).unwrap()[0].n;
        acknowledge(&mut store, first, Timestamp(10)).unwrap();
        assert_eq!(told(&mut store), ["b"]);
        let found = progress(&mut store).unwrap().unwrap();
        assert_eq!((found.delivered, found.failing_since, found.last_error), (Some(Timestamp(10)), None, None));
    }
}
