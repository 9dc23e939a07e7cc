//! A store of the version before batches knew their method is carried over as it stands, and its queue goes on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use std::fs;
use std::path::Path;

use bench::{Bench, payee, script_of};
use bursar::coin::{Amount, FeeRate, Timestamp};
use bursar::config::Method;
use bursar::ledger::{self, Account};
use bursar::payout::{self, BatchState, Filter, Priority, State};
use bursar::store::Store;
use rusqlite::Connection;
use support::{Generation, World};

/// The schema of that version.
const SCHEMA: [&str; 8] = [
    include_str!("../src/store/migrations/0001_store.sql"),
    include_str!("../src/store/migrations/0001_gate.sql"),
    include_str!("../src/store/migrations/0001_ledger.sql"),
    include_str!("../src/store/migrations/0001_payout.sql"),
    include_str!("../src/store/migrations/0001_audit.sql"),
    include_str!("../src/store/migrations/0001_backup.sql"),
    include_str!("../src/store/migrations/0001_repair.sql"),
    include_str!("../src/store/migrations/0002_sightings.sql"),
];

fn older(file: &Path, rows: &str) {
    let connection = Connection::open(file).unwrap();
    connection.execute_batch(&SCHEMA.concat()).unwrap();
    connection.execute_batch(rows).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
}

#[test]
fn a_payout_of_every_state_is_carried_over_as_it_stands() {
    let dir = tempfile::tempdir().unwrap();
    older(&dir.path().join("bursar.db"), include_str!("older_store/every_state.sql"));
    // Twice: what was carried over is not carried over again.
    for _ in 0..2 {
        let mut store = Store::open(dir.path()).unwrap();
        store.check_integrity().unwrap();
        assert_eq!(store.read(ledger::verify).unwrap().fault, None);
        let all = payout::list(&mut store, &Filter { limit: 100, ..Filter::default() }).unwrap();
        let names: Vec<&str> = all.iter().map(|payout| payout.id.as_str()).collect();
        assert_eq!(
            names,
            ["sending", "in_doubt", "sent", "confirmed", "final", "disputed", "queued", "held", "cancelled", "rejected"]
        );
        let mut totals = payout::totals(&mut store).unwrap();
        for payout in &all {
            assert_eq!((payout.state.name(), payout.priority), (payout.id.as_str(), Priority::Normal));
            assert_eq!(totals.remove(&payout.state), Some((1, payout.amount)));
            let shown = payout::show(&mut store, &payout.id).unwrap();
            assert_eq!((&shown.payout, shown.history.len()), (payout, 1));
            let Some(batch) = shown.batch else { continue };
            let seq = batch.seq;
            assert_eq!((batch.method, batch.tip.height), (Method::Sendmany, 100 + seq));
            assert_eq!(batch.fee_rate, Some(FeeRate::from_per_vb(10 * seq)), "rates are kept per thousand bytes now");
            assert_eq!(shown.transactions.len(), usize::from((3..=5).contains(&seq)));
            let in_state = payout::batches(&mut store, batch.state).unwrap();
            assert_eq!(in_state, [batch]);
        }
        assert_eq!(totals.len(), 0);
        assert_eq!(payout::batches(&mut store, BatchState::Ended).unwrap()[0].fee_rate, None);
        let early = Filter { submitted_before: Some(Timestamp(502)), limit: 100, ..Filter::default() };
        let early = payout::list(&mut store, &early).unwrap();
        assert_eq!(early.iter().map(|payout| payout.id.as_str()).collect::<Vec<_>>(), ["sending", "rejected"]);
        let queued = payout::depths(&mut store).unwrap();
        assert_eq!((queued.len(), queued[&Priority::Normal].count), (1, 1));
    }
}

#[test]
fn what_an_older_store_found_is_written_down_at_the_upgrade_and_a_change_after_it_shows() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("bursar.db");
    let rows = "INSERT INTO freezes (cause, detail, since_s) VALUES ('audit', 'it''s so', 5);
                INSERT INTO audits (time_s, verdict, tip_height, difference, report) VALUES (6, 'agrees', 7, 0, '{}'), (7, 'agrees', 8, 0, '{}');";
    older(&file, rows);
    let verified = || Store::open(dir.path()).unwrap().read(ledger::verify).unwrap();
    // Twice: what was written down is not written down again.
    for _ in 0..2 {
        let report = verified();
        assert_eq!((report.fault, report.chronicle), (None, 3));
    }
    let connection = Connection::open(&file).unwrap();
    let trigger: String =
        connection.query_row("SELECT sql FROM sqlite_schema WHERE name = 'audits_never_change'", [], |row| row.get(0)).unwrap();
    let change = "DROP TRIGGER audits_never_change; UPDATE audits SET difference = 1 WHERE id = 2;";
    connection.execute_batch(&format!("{change} {trigger}")).unwrap();
    drop(connection);
    let words = verified().fault.unwrap().words;
    assert!(words.starts_with("audit 2 is not what was written down of it"), "{words}");
}

#[test]
fn what_a_person_said_in_an_older_store_holds_in_the_wallet_that_it_was_said_of() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "INSERT INTO store VALUES (1, 'abababababababababababababababab');
                INSERT INTO wallets (name, opened_s, opening_height) VALUES ('w', 1, 0);
                INSERT INTO transactions (txid, wallet, state, net, seen_net, own, final)
                VALUES (printf('%064x', 1), 'w', 'dead', -5, -5, 1, 1), (printf('%064x', 2), 'w', 'dead', -6, -6, 1, 1);
                INSERT INTO claims VALUES ('bursar:explained:1:7', 'bursar:explained:1:7', 'fee'), ('a mark', 'a batch', 'payout');
                INSERT INTO claim_txids VALUES (printf('%064x', 1), 'bursar:explained:1:7'), (printf('%064x', 2), 'a batch');";
    older(&dir.path().join("bursar.db"), rows);
    let mut store = Store::open(dir.path()).unwrap();
    let mut claim = |wallet: &str, number: u8| {
        let txid = format!("{number:064x}").parse().unwrap();
        store.read(|tx| ledger::following::claim_of(tx, wallet, &txid, None)).unwrap()
    };
    let word = claim("w", 1).unwrap();
    assert!(word.is_persons_word() && word.account == Account::Fee, "{word:?}");
    assert_eq!(claim("another", 1), None);
    assert_eq!(claim("w", 2).map(|claim| claim.order).as_deref(), Some("a batch"));
    assert_eq!(store.read(ledger::verify).unwrap().fault, None);
}

#[test]
fn an_older_queue_goes_on_and_pays_each_payee_once() {
    let mut bench = Bench::new(World::new(Generation::Litecoin021));
    let old = bench.world.dir().join("old.db");
    let mut rows = include_str!("older_store/queued.sql").to_owned();
    for (at, name) in (1..).zip([":one", ":two", ":three"]) {
        rows = rows.replace(name, &format!("'{}'", payee(at)));
    }
    older(&old, &rows);
    bench.replace_store(&old);
    fs::remove_file(old).unwrap();
    assert!(!bench.try_submit("one", &payee(1), "0.1").unwrap().new, "it is the payout that was there");
    assert!(bench.try_submit("one", &payee(2), "0.1").is_err());
    let report = bench.flush();
    assert_eq!((report.batches.len(), report.batches[0].payouts, report.queued), (1, 2, 0), "{report:?}");
    let sent = payout::batches(&mut bench.store, BatchState::Sent).unwrap();
    assert_eq!(sent[0].seq, 42, "numbers go on");
    bench.world.mine(bench.world.coin().final_depth);
    bench.settle();
    assert_eq!((bench.count(State::Final), bench.state("three")), (2, State::Held));
    let paid = bench.paid_on_chain();
    assert_eq!((&paid[&script_of(1)][..], &paid[&script_of(2)][..]), (&[10_000_000][..], &[20_000_000][..]));
    assert_eq!(payout::totals(&mut bench.store).unwrap()[&State::Final].1, Amount::from_base_units(30_000_000));
}
