//! The queue as a whole: how much waits, since when, and whether it is to be sent before the schedule's next time.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::batch::BatchState;
use super::gather::PAYOUTS_PER_BATCH;
use super::request::Priority;
use super::rules::{self, Due, Waiting};
use super::{State, records};
use crate::coin::{Amount, Timestamp};
use crate::config::{CoinSettings, FlushSettings};
use crate::gate;
use crate::store::{Store, StoreError, Tx};

/// What of one priority is queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Depth {
    /// How many payouts.
    pub count: u64,
    /// When the oldest of them was submitted.
    pub oldest: Timestamp,
}

/// What is queued of each priority; those without any are left out.
pub fn depths(store: &mut Store) -> Result<BTreeMap<Priority, Depth>, StoreError> {
    store.read(|tx| {
        let mut depths = BTreeMap::new();
        // Few are of another priority than normal, and all are counted already.
        let all = records::totals(tx)?.get(&State::Queued).map_or(0, |(count, _)| *count);
        let count = |priority| records::queued_from(tx, (priority, 0));
        let (high, low) = (count(Priority::High)?, count(Priority::Low)?);
        let normal = all.saturating_sub(high).saturating_sub(low);
        for (priority, count) in [(Priority::High, high), (Priority::Normal, normal), (Priority::Low, low)] {
            if let Some(oldest) = records::oldest_queued(tx, priority)? {
                depths.insert(priority, Depth { count, oldest });
            }
        }
        Ok(depths)
    })
}

/// Why a flush is due now, and the newest payout of priority high: what calls again for one that was tried in vain. None while nothing
/// may be sent. Costs next to nothing, so that it can be asked every second.
pub fn due(store: &mut Store, coin: &CoinSettings, now: Timestamp) -> Result<Option<(Due, Option<i64>)>, StoreError> {
    let (flush, fee) = (&coin.payouts.flush, &coin.payouts.fee);
    store.read(|tx| {
        let urgent = records::newest_queued(tx, Priority::High)?;
        let waiting = Waiting { urgent: urgent.is_some(), ..waiting(tx, flush)? };
        let Some(due) = rules::due(&waiting, flush, fee, now) else { return Ok(None) };
        let unresolved = [BatchState::Sending, BatchState::InDoubt].map(|state| records::batches_in(tx, state));
        let mut is_open = gate::frozen(tx)?.is_empty();
        for batches in unresolved {
            is_open &= batches?.is_empty();
        }
        Ok(is_open.then_some((due, urgent)))
    })
}

/// Reads no further than the triggers ask, and never more than a batch can hold.
fn waiting(tx: &Tx<'_>, flush: &FlushSettings) -> Result<Waiting, StoreError> {
    let most = PAYOUTS_PER_BATCH as u64;
    let limit = match (flush.at_amount, flush.at_count) {
        (Some(_), _) => most,
        (None, Some(count)) => count.min(most),
        (None, None) => 0,
    };
    let mut waiting = Waiting {
        oldest: records::oldest_queued(tx, Priority::Normal)?,
        oldest_patient: records::oldest_queued(tx, Priority::Low)?,
        ..Waiting::default()
    };
    records::each_queued_amount(tx, Priority::Normal, limit, |amount| {
        waiting.count += 1;
        waiting.amount = waiting.amount.checked_add(amount).unwrap_or(Amount::from_base_units(i64::MAX));
        let is_enough = flush.at_count.is_some_and(|count| waiting.count >= count)
            || flush.at_amount.is_some_and(|amount| waiting.amount >= amount);
        !is_enough
    })?;
    waiting.fills_a_batch = waiting.count >= most;
    Ok(waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PayoutSettings;
    use crate::payout::request::{Checked, Payout};

    fn add(store: &mut Store, id: &str, amount: i64, priority: Priority, at: i64) {
        let checked =
            Checked { id: id.parse().unwrap(), address: "a".to_owned(), amount: Amount::from_base_units(amount), priority };
        let added = store.write(|tx| records::add_payout(tx, &checked, State::Queued, false, Timestamp(at)));
        let _: Payout = added.unwrap();
    }

    #[test]
    fn triggers_see_what_is_queued_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let flush =
            FlushSettings { at_count: Some(3), at_amount: Some(Amount::from_base_units(100)), ..FlushSettings::default() };
        let seen = |store: &mut Store| store.read(|tx| waiting(tx, &flush)).unwrap();
        assert_eq!(seen(&mut store), Waiting::default());
        add(&mut store, "low", 1000, Priority::Low, 5);
        add(&mut store, "high", 1000, Priority::High, 6);
        add(&mut store, "one", 40, Priority::Normal, 7);
        add(&mut store, "two", 59, Priority::Normal, 8);
        let two = seen(&mut store);
        assert_eq!((two.count, two.amount, two.oldest), (2, Amount::from_base_units(99), Some(Timestamp(7))));
        assert_eq!((two.oldest_patient, two.fills_a_batch), (Some(Timestamp(5)), false));
        add(&mut store, "three", i64::MAX, Priority::Normal, 9);
        add(&mut store, "four", i64::MAX, Priority::Normal, 9);
        assert_eq!(seen(&mut store).count, 3, "it stops where it knows enough");
        let depths = depths(&mut store).unwrap();
        assert_eq!(depths[&Priority::Normal], Depth { count: 4, oldest: Timestamp(7) });
        assert_eq!(depths[&Priority::High], Depth { count: 1, oldest: Timestamp(6) });
        assert_eq!(PayoutSettings::default().flush.at_count, None, "by default the schedule alone sends");
    }
}
