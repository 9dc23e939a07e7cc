//! Very many postings in one transaction of the store: what triggers add up with each row is added up once, at the end, from the rows themselves.
//!
//! Half of what a posting costs is its triggers. Those that forbid to change and to delete stay in force all the time, and so do all CHECKs. The others are made
//! anew by the schema's own text in the same transaction: whether it is committed, fails or is killed, they are there before anybody else can write.

mod records;

use crate::ledger::LedgerError;
use crate::store::Tx;

/// Runs `work`, which posts very much and follows so many transactions more of this wallet, with the sums added up at its end. What it does must ask for no
/// sum, nor for a head.
pub(super) fn at_the_end<T>(
    tx: &Tx<'_>,
    wallet: &str,
    followed: u64,
    work: impl FnOnce() -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    let triggers = records::suspend(tx)?;
    let done = work()?;
    records::add_up(tx, wallet, followed)?;
    records::restore(tx, &triggers)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::Timestamp;
    use crate::ledger::model::{ModelWallet, coin};
    use crate::ledger::reading::Since;
    use crate::ledger::records::meddle;
    use crate::ledger::{entries, pages, verify};
    use crate::store::Store;

    const NOW: Timestamp = Timestamp(1_700_000_000);

    fn schema(store: &mut Store) -> Vec<(String, Option<String>)> {
        store.read(records::schema).unwrap()
    }

    #[test]
    fn a_turnover_beyond_64_bits_is_refused_by_name_with_the_next_step_and_leaves_what_was_there() {
        const MUCH: i64 = 5_000_000_000_000_000_000;
        for page in [1, 1000] {
            let dir = tempfile::tempdir().unwrap();
            let (wallet, mut store) = (ModelWallet::new(), Store::open(dir.path()).unwrap());
            let turn_over = |store: &mut Store, now| {
                wallet.deposit(MUCH);
                wallet.mine(2, false);
                let done = pages::sync(store, &wallet, &coin(), Since::Cursor, page, now);
                wallet.send(&[(MUCH - 7, false)], None, true);
                wallet.mine(2, false);
                done
            };
            turn_over(&mut store, NOW).unwrap();
            let everything = |store: &mut Store| (store.read(|tx| entries(tx, 0, usize::MAX)).unwrap(), schema(store));
            // Those of one day, and of several.
            for now in [NOW, Timestamp(NOW.0 + 86_400)] {
                let before = everything(&mut store);
                let refused = turn_over(&mut store, now).expect_err("the account of deposits is full");
                let cause = matches!(refused, LedgerError::Store(crate::store::StoreError::TooLarge(_)));
                assert!(cause && refused.to_string().contains("does not fit 64 bits"), "{refused:?}");
                let (kept, after) = (before.0.len(), everything(&mut store));
                assert_eq!((&after.0[..kept], &after.1), (&before.0[..], &before.1));
                assert_eq!(store.read(verify).unwrap().fault, None);
            }
        }
    }

    #[test]
    fn after_a_page_and_after_one_that_failed_in_the_middle_all_triggers_are_there_by_the_schemas_own_words() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let fresh = schema(&mut store);
        let wallet = ModelWallet::new();
        for round in 0..3 {
            for units in 1..9 {
                wallet.deposit(units);
                wallet.mine(1, true);
            }
            let failed = store.write(|tx| {
                at_the_end(tx, "bursar", 0, || {
                    assert_ne!(records::schema(tx)?, fresh, "they are suspended");
                    // In the middle of a page, too, no posting is changed or deleted.
                    assert!(round == 0 || [false, true].into_iter().all(|delete| meddle(tx, delete).is_err()));
                    Err::<(), _>(LedgerError::Restless(0))
                })
            });
            assert!(matches!(failed, Err(LedgerError::Restless(0))));
            assert_eq!(schema(&mut store), fresh);
            pages::sync(&mut store, &wallet, &coin(), Since::Cursor, 2, NOW).unwrap();
            assert_eq!(schema(&mut store), fresh);
            let [counted, followed] = store.read(records::counts).unwrap();
            assert!(counted == followed && followed > 0, "{counted} counted of {followed}");
            let report = store.read(verify).unwrap();
            assert!(report.fault.is_none() && report.postings > 0, "{report:?}");
        }
    }
}
