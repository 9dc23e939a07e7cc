//! The first sync of a wallet with a long history, killed in the middle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bursar::coin::{Amount, Timestamp};
use bursar::ledger::{self, Account, Followed, Posting};
use bursar::store::{Store, Tx};
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use support::{Generation, World, deposit, wait_for};

/// Deposits: enough for several pages.
const COUNT: u64 = 18_000;
const PER_BLOCK: u64 = 300;
const PATIENCE: Duration = Duration::from_secs(120);

/// How far the cursor is, and whether the ledger stands at a tip.
fn progress(world: &World) -> Option<(Option<u64>, bool)> {
    let file = world.coin().service_dir().join("bursar.db");
    let store = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    store.query_row("SELECT cursor_height, tip_height IS NOT NULL FROM wallets", [], row).ok()
}

/// What the schema of a store says, and in which words.
fn schema(dir: &Path) -> Vec<(String, Option<String>)> {
    let store = Connection::open_with_flags(dir.join("bursar.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = store.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn sync(world: &World) -> Value {
    let output = world.bursar(&["--output", "json", "ledger", "sync"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What two ledgers have in common that were written at other times: everything but times and hashes.
fn told(tx: &Tx<'_>) -> (Vec<Posting>, Vec<Followed>) {
    let mut postings = ledger::entries(tx, 0, usize::MAX).unwrap();
    for posting in &mut postings {
        posting.time = Timestamp(0);
        (posting.previous, posting.hash) = (String::new(), String::new());
    }
    (postings, ledger::followed(tx).unwrap())
}

#[test]
fn a_first_sync_that_is_killed_goes_on_where_it_was_and_ends_as_one_that_was_not() {
    let world = World::new(Generation::Litecoin021);
    let _keeper = world.start_daemon();
    let worth = deposit(&world, COUNT, PER_BLOCK);
    let fresh_dir = world.dir().join("fresh");
    drop(Store::open(&fresh_dir).unwrap());
    let fresh = schema(&fresh_dir);
    let mut reached = None;
    // Killed again and again, each time a page later.
    for _ in 0..2 {
        let mut command = world.bursar_command(&["ledger", "sync"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let (cursor, is_done) = wait_for(PATIENCE, "a page is posted", || {
            progress(&world).filter(|(cursor, _)| *cursor > reached).or_else(|| {
                assert!(child.try_wait().unwrap().is_none(), "it ended before it was killed");
                None
            })
        });
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!is_done, "the tip comes with the last page");
        assert_eq!(schema(&world.coin().service_dir()), fresh, "what adds up and what forbids is there, whenever it is killed");
        reached = cursor;
    }
    let report = sync(&world);
    let mut killed = Store::open(&world.coin().service_dir()).unwrap();
    let mut whole = Store::open(&world.dir().join("whole")).unwrap();
    let unbroken = ledger::sync(&mut whole, &world.wallet(), world.coin(), Timestamp::now()).unwrap();
    assert_eq!(unbroken.posted, COUNT);
    assert!(report["posted"].as_u64().unwrap_or_default() < COUNT, "it went on where it was: {report}");
    let read = |store: &mut Store| store.read::<_, bursar::store::StoreError>(|tx| Ok(told(tx))).unwrap();
    assert_eq!(read(&mut killed), read(&mut whole));
    let balance = killed.read(|tx| ledger::balance(tx, Account::Wallet)).unwrap();
    assert_eq!(balance, Amount::from_base_units(i64::try_from(worth).unwrap()));
    assert!(killed.read(ledger::verify).unwrap().fault.is_none());
}
