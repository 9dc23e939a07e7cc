//! A store from before days were summed up is brought up to date with its whole history.

use std::path::Path;

use bursar::coin::Day;
use bursar::ledger;
use bursar::store::Store;
use rusqlite::Connection;

use crate::support::Generation;
use crate::{eventful, postings};

/// The schema of a version before.
const SCHEMA: [&str; 8] = [
    include_str!("../../src/store/migrations/0001_store.sql"),
    include_str!("../../src/store/migrations/0001_gate.sql"),
    include_str!("../../src/store/migrations/0001_ledger.sql"),
    include_str!("../../src/store/migrations/0001_payout.sql"),
    include_str!("../../src/store/migrations/0001_audit.sql"),
    include_str!("../../src/store/migrations/0001_backup.sql"),
    include_str!("../../src/store/migrations/0001_repair.sql"),
    include_str!("../../src/store/migrations/0002_sightings.sql"),
];

/// Makes an older store with the ledger of this one.
fn make(file: &Path, from: &Path) {
    let connection = Connection::open(file).unwrap();
    connection.execute_batch(&SCHEMA.concat()).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    connection.execute("ATTACH ?1 AS newer", [from.to_str().unwrap()]).unwrap();
    let wallet = "name, fingerprint, opened_s, opening_height, cursor_block, cursor_height, tip_block, tip_height";
    for (table, columns) in [("store", "one, id"), ("wallets", wallet), ("entries", "*"), ("transactions", "*")] {
        let places = if columns == "*" { String::new() } else { format!("({columns})") };
        // Entries lie in the order in which they were posted, which the chain of hashes has to see.
        connection.execute_batch(&format!("INSERT INTO main.{table} {places} SELECT {columns} FROM newer.{table}")).unwrap();
    }
}

#[test]
fn an_older_ledger_has_the_days_of_its_entries() {
    let world = eventful(Generation::Litecoin018);
    let days: Vec<Day> = postings(&world).iter().map(|posting| Day::of(posting.time)).collect();
    let service = world.coin().service_dir();
    let older = world.dir().join("older");
    std::fs::create_dir(&older).unwrap();
    make(&older.join("bursar.db"), &service.join("bursar.db"));
    let (mut store, mut newer) = (Store::open(&older).unwrap(), Store::open(&service).unwrap());
    assert_eq!(store.read(ledger::verify).unwrap().fault, None);
    let paying = store.read(ledger::synced_tip).unwrap();
    assert!(paying.is_some() && paying == newer.read(ledger::synced_tip).unwrap(), "its one wallet is the one that pays");
    for day in days {
        let book = store.read(|tx| ledger::day(tx, day)).unwrap();
        assert!(!book.movements.is_empty(), "{day}");
        assert_eq!(book, newer.read(|tx| ledger::day(tx, day)).unwrap(), "{day}");
    }
}
