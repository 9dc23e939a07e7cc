//! Damage to the file itself.

use std::fs;
use std::path::Path;

use crate::coin::{Day, Timestamp};
use crate::ledger::model::{ModelWallet, coin};
use crate::ledger::{Posting, chronicle, day_fault, entries, sync, unexplained, verify};
use crate::store::{Store, StoreError};

/// Bytes that are flipped, spread over the file.
const FLIPS: usize = 150;

/// A store with some history, closed: its file.
fn store_file(dir: &Path) -> Vec<u8> {
    let (wallet, mut store) = (ModelWallet::new(), Store::open(dir).unwrap());
    for units in 1..40 {
        wallet.deposit(1000 + units);
        wallet.send(&[(units, false)], None, true);
        wallet.mine(1, false);
        sync(&mut store, &wallet, &coin(), Timestamp(1_700_000_000)).unwrap();
    }
    drop(store);
    fs::read(dir.join("bursar.db")).unwrap()
}

/// All postings of a store with this file, if it is said to be whole.
fn if_whole(dir: &Path, file: &[u8]) -> Option<Vec<Posting>> {
    for left in ["bursar.db-wal", "bursar.db-shm"] {
        let _ = fs::remove_file(dir.join(left));
    }
    fs::write(dir.join("bursar.db"), file).unwrap();
    let mut store = Store::open(dir).ok()?;
    let whole = store.read(verify).is_ok_and(|report| report.fault.is_none());
    whole.then(|| store.read::<_, StoreError>(|tx| entries(tx, 0, usize::MAX)).unwrap())
}

#[test]
fn a_flipped_byte_shows_or_changed_nothing_of_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let file = store_file(dir.path());
    let sound = if_whole(dir.path(), &file).expect("nothing is wrong with it yet");
    assert!(sound.len() > 100);
    let mut shown = 0;
    for flip in 0..FLIPS {
        let mut damaged = file.clone();
        // Behind the first page, which has the schema's version: a newer one is refused before anything is read.
        damaged[4096 + (flip * 7919 * 13) % (file.len() - 4096)] ^= 1 << (flip % 8);
        match if_whole(dir.path(), &damaged) {
            Some(postings) => assert_eq!(postings, sound, "flip {flip}"),
            None => shown += 1,
        }
    }
    assert!(shown > 0, "some of {FLIPS} hit the ledger");
}

#[test]
fn a_posting_before_the_first_that_hides_a_spend_is_named_and_no_day_is_stated_with_it() {
    const NOW: Timestamp = Timestamp(1_700_000_000);
    let dir = tempfile::tempdir().unwrap();
    let (wallet, mut store) = (ModelWallet::new(), Store::open(dir.path()).unwrap());
    wallet.deposit(1000);
    wallet.mine(1, false);
    sync(&mut store, &wallet, &coin(), NOW).unwrap();
    wallet.send(&[(400, false)], None, true);
    sync(&mut store, &wallet, &coin(), NOW).unwrap();
    assert_eq!(store.read(|tx| unexplained(tx, "w")).unwrap().len(), 1);
    store.write(|tx| chronicle::tamper(tx, super::records::HIDES_A_SPEND)).unwrap();
    assert_eq!(store.read(|tx| unexplained(tx, "w")).unwrap(), [], "the sums of a transaction's postings do not show it");
    for fault in [store.read(verify).unwrap().fault, store.read(|tx| day_fault(tx, Day::of(NOW))).unwrap()] {
        let words = fault.expect("a fault").words;
        assert!(words.contains("table entries has a row of the number -1, and the first is 1"), "{words}");
    }
}

#[test]
fn a_file_that_was_cut_shows() {
    let dir = tempfile::tempdir().unwrap();
    let file = store_file(dir.path());
    for tenths in 1..10 {
        assert_eq!(if_whole(dir.path(), &file[..file.len() / 10 * tenths]), None, "{tenths} tenths of it");
    }
}
