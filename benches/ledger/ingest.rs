//! The first sync of a wallet of 50,000 transactions on a real daemon, as a whole process, beside the daemon's own listing of it and plain inserts of the
//! same rows; and what a sync costs us by itself while the history grows ten-fold.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use bursar::coin::Timestamp;
use bursar::ledger;
use bursar::store::Store;
use rusqlite::{Connection, params};
use serde_json::{Value, json};

use super::support::deposit;
use super::verify::resident_mib;
use super::{Generation, Goal, MOST_MIB, World, figure};

/// Deposits of the history, and of the tenth of it that comes first.
const COUNT: u64 = 50_000;
const TENTH: u64 = COUNT / 10;
const PER_BLOCK: u64 = 300;
/// How much longer than the daemon's own listing a first sync may take.
const LISTING_RATIO: f64 = 1.25;
/// How many rows a second, against plain inserts.
const INSERTS_RATIO: f64 = 0.5;
/// How much more a sync may cost us with ten times the history.
const GROWTH_RATIO: f64 = 1.25;
/// Runs of which the best counts: what else the machine does only makes them slower.
const TURNS: usize = 3;
/// Incremental syncs, whose costs are added up.
const SYNCS: u32 = 100;
/// How often the memory is looked at.
const LOOK_EACH: Duration = Duration::from_millis(2);

pub(super) fn measure() {
    let world = World::new(Generation::Litecoin021);
    let keeper = world.start_daemon();
    deposit(&world, TENTH, PER_BLOCK);
    world.mine(world.coin().final_depth + 1);
    let young = incremental(&world);
    deposit(&world, COUNT - TENTH, PER_BLOCK);
    world.mine(world.coin().final_depth + 1);
    let old = incremental(&world);
    let micros = |cost: Duration| cost.as_micros();
    let against = format!(
        "{TENTH} transactions; processor time of the syncing thread, the daemon's aside: {} µs then, {} µs with {COUNT}, the mean of {SYNCS}",
        micros(young),
        micros(old)
    );
    let ratio = old.as_secs_f64() / young.as_secs_f64();
    figure("ledger_incremental_sync_growth", ratio, "ratio", &against, Goal::AtMost(GROWTH_RATIO));
    first(&world);
    drop(keeper);
}

/// What a sync that finds nothing new costs its thread. This one and the first one have a thread, and so a heap, of their own each: a service that was started
/// since has neither read nor made the history.
fn incremental(world: &World) -> Duration {
    let (dir, wallet) = (tempfile::tempdir_in(world.dir()).expect("a folder"), world.wallet());
    let sync = |store: &mut Store| _ = ledger::sync(store, &wallet, world.coin(), Timestamp::now()).expect("a sync");
    let open = || Store::open(dir.path()).expect("a store");
    let measured = || {
        let mut store = open();
        sync(&mut store);
        let before = processor_time();
        (0..SYNCS).for_each(|_| sync(&mut store));
        (processor_time() - before) / SYNCS
    };
    let after_the_first = || {
        sync(&mut open());
        alone(measured)
    };
    alone(after_the_first)
}

fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(work).join().expect("a thread that ends"))
}

/// Of this thread.
fn processor_time() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("the thread's times");
    Duration::from_nanos(text.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds"))
}

fn first(world: &World) {
    let (mut listing, mut sync, mut peak_mib, mut bytes) = (Duration::MAX, Duration::MAX, 0.0_f64, 0);
    for _ in 0..TURNS {
        let began = Instant::now();
        bytes = list(world);
        listing = listing.min(began.elapsed());
        let (took, mib) = run(world);
        sync = sync.min(took);
        peak_mib = peak_mib.max(mib);
    }
    let ms = |time: Duration| time.as_millis();
    let against = format!(
        "the daemon's listsinceblock of {COUNT} transactions, {} MB read and thrown away in {} ms; `bursar ledger sync` as a whole process {} ms, the best of {TURNS} each",
        bytes / 1_000_000,
        ms(listing),
        ms(sync)
    );
    let ratio = sync.as_secs_f64() / listing.as_secs_f64();
    figure("ledger_first_sync_ratio_to_listing", ratio, "ratio", &against, Goal::AtMost(LISTING_RATIO));
    figure("ledger_first_sync_peak_memory", peak_mib, "MiB", "the whole process, VmHWM", Goal::AtMost(MOST_MIB));
    let (rows, plain) = insert_plainly(world);
    let own = sync.saturating_sub(listing);
    let against = format!(
        "plain inserts of the {rows} entries into one table, in one synced transaction, {} ms; the first sync less the listing {} ms",
        ms(plain),
        ms(own)
    );
    let ratio = plain.as_secs_f64() / own.as_secs_f64();
    figure("ledger_ingest_ratio_to_plain_inserts", ratio, "ratio", &against, Goal::AtLeast(INSERTS_RATIO));
}

/// Reads the daemon's whole answer as it comes, and nothing else. Returns how long it is.
fn list(world: &World) -> usize {
    let (address, path) =
        (SocketAddr::from((Ipv4Addr::LOCALHOST, world.coin().daemon.rpc_port)), format!("/wallet/{}", world.coin().wallet.name));
    let body = json!({"id": 1, "method": "listsinceblock", "params": ["", 1, true, false]}).to_string();
    let authorization = base64::engine::general_purpose::STANDARD.encode(world.credentials());
    let mut stream = TcpStream::connect(address).expect("the daemon");
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {authorization}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let (mut piece, mut length) = (vec![0; 64 * 1024], 0);
    loop {
        match stream.read(&mut piece).expect("an answer") {
            0 => return length,
            count => length += count,
        }
    }
}

/// The first sync of a new store; how long it took, and the most memory that it had.
fn run(world: &World) -> (Duration, f64) {
    let dir = world.coin().service_dir();
    // With its key, without which nothing tells that there was one.
    for name in ["bursar.db", "bursar.db-wal", "bursar.db-shm", "signing.key"] {
        _ = fs::remove_file(dir.join(name));
    }
    let began = Instant::now();
    let mut command = world.bursar_command(&["--output", "json", "ledger", "sync"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("bursar");
    let mut peak_mib = 0.0_f64;
    while child.try_wait().expect("its state").is_none() {
        peak_mib = peak_mib.max(resident_mib(child.id()).unwrap_or_default());
        thread::sleep(LOOK_EACH);
    }
    let took = began.elapsed();
    let output = child.wait_with_output().expect("its words");
    let said: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(said["posted"], COUNT, "{said}");
    (took, peak_mib)
}

/// Inserts what the ledger holds, as it stands there. Returns how many rows that are, and how long it took.
fn insert_plainly(world: &World) -> (usize, Duration) {
    let mut store = Store::open(&world.coin().service_dir()).expect("the store");
    let rows = store.read(|tx| ledger::entries(tx, 0, usize::MAX)).expect("its entries");
    let mut plain = Connection::open(world.dir().join("plain.db")).expect("a file");
    plain.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").expect("the same way");
    plain
        .execute_batch(
            "CREATE TABLE entries (seq INTEGER PRIMARY KEY, event INTEGER, time_s INTEGER, wallet TEXT, account TEXT, txid TEXT,
             vout INTEGER, category TEXT, block TEXT, height INTEGER, amount INTEGER, kind TEXT, previous TEXT, hash TEXT)",
        )
        .expect("a table");
    let texts: Vec<_> = rows
        .iter()
        .map(|row| {
            let (txid, block) = (row.txid.map(|txid| txid.to_string()), row.block.map(|block| block.hash.to_string()));
            (row, txid, block)
        })
        .collect();
    let began = Instant::now();
    let tx = plain.transaction().expect("a transaction");
    {
        let mut insert =
            tx.prepare("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)").expect("SQL");
        for (row, txid, block) in &texts {
            let (account, kind) = (row.account.name(), "posting");
            let (height, amount) = (row.block.map(|block| block.height), row.amount.base_units());
            let values = params![
                row.seq,
                row.event,
                row.time.0,
                row.wallet,
                account,
                txid,
                row.vout,
                row.category,
                block,
                height,
                amount,
                kind,
                row.previous,
                row.hash
            ];
            insert.execute(values).expect("a row");
        }
    }
    tx.commit().expect("all of it");
    (rows.len(), began.elapsed())
}
