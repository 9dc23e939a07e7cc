//! A person's word for payments that this store forgot: it went back in time, and its wallet paid meanwhile.

use super::batch;
use super::rules::{Event, State};
use super::{Filter, life, records};
use crate::coin::Timestamp;
use crate::gate::{Cause, Freeze};
use crate::ledger::{self, Account, Claim};
use crate::store::{StoreError, Tx};

/// No store counts its batches so far: somebody else wrote a mark with a higher number. Numbers that went on above such a one would end.
const HIGHEST_SEQ: u64 = 1 << 62;

/// What a freeze by a store that went back names: the words of its detail that are marks of this store.
fn marks_in<'a>(detail: &'a str, store_id: &str) -> Vec<&'a str> {
    let ours = batch::mark_prefix(store_id);
    let words = detail.split([' ', ',']).filter(|word| word.starts_with(&ours));
    words.collect()
}

/// Takes the payments that such a freeze names as known: they are payouts of batches that this store forgot, and its own numbers go on
/// above theirs. Call it in the transaction that lifts the freeze; a freeze for another cause is left alone.
///
/// What is queued may be what they paid: it is held, and a person releases each payout that is certainly unpaid. Returns how many.
pub fn adopt(tx: &Tx<'_>, freeze: &Freeze, store_id: &str, now: Timestamp) -> Result<usize, StoreError> {
    if !matches!(freeze.cause, Cause::StoreWentBack | Cause::UnknownSpend) {
        return Ok(0);
    }
    for txid in &freeze.txids {
        // A person may have bound it to a batch meanwhile, or a sync, as another form of one.
        if ledger::is_claimed(tx, txid)? {
            continue;
        }
        let order = format!("bursar:adopted:{txid}");
        ledger::claim(tx, &Claim { mark: order.clone(), order: order.clone(), account: Account::Payout })?;
        ledger::claim_txid(tx, &order, txid)?;
    }
    for mark in marks_in(&freeze.detail, store_id) {
        let (seq, batch) = batch::read_mark(mark, store_id).unzip();
        let order = batch.map_or_else(|| mark.to_owned(), |batch| batch.to_string());
        let seq = seq.filter(|seq| *seq < HIGHEST_SEQ);
        ledger::claim_seen(tx, &Claim { mark: mark.to_owned(), order, account: Account::Payout }, now)?;
        records::add_adopted(tx, mark, seq, now)?;
    }
    let queued = records::list(tx, &Filter { state: Some(State::Queued), limit: usize::MAX, ..Filter::default() })?;
    for payout in &queued {
        let reason = "it was queued when the store went back in time, and may be paid already: release it only if it is not";
        life::advance(tx, payout, Event::Hold, Some(reason), now)?;
    }
    Ok(queued.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::Txid;
    use crate::store::Store;

    #[test]
    fn what_a_batch_has_by_now_stays_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let [bound, stray] = [1, 2].map(|number| Txid::from_bytes([number; 32]));
        let detail = "the wallet made two which no batch of this store ordered".to_owned();
        let freeze = Freeze { cause: Cause::UnknownSpend, detail, txids: vec![bound, stray], amount: None, wallet: None };
        let claim = Claim { mark: "a mark".to_owned(), order: "a batch".to_owned(), account: Account::Payout };
        let thaw = store.write::<_, StoreError>(|tx| {
            ledger::claim(tx, &claim)?;
            ledger::claim_txid(tx, "a batch", &bound)?;
            adopt(tx, &freeze, "me", Timestamp(1))?;
            Ok([ledger::is_claimed(tx, &bound)?, ledger::is_claimed(tx, &stray)?])
        });
        assert_eq!(thaw.unwrap(), [true, true]);
    }

    #[test]
    fn marks_are_found_in_the_words_of_the_freeze() {
        let batch = "0a".repeat(16);
        let (one, two) = (format!("bursar:me:7:{batch}"), "bursar:me:junk".to_owned());
        let detail = format!("it does not know: {one}, bursar:other:9:{batch}, {two}");
        assert_eq!(marks_in(&detail, "me"), [&one, &two]);
    }
}
