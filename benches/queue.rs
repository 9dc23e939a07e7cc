//! A long queue and a long history, on a real litecoind 0.21, in one run.
//!
//! Queue: a thousand and a million payouts go through a running service, each in a world of its own: imported, listed, and as many batches sent of the one
//! as of the other. Memory is the most that the service ever had resident (`VmHWM`), import included; and the most that it had after the import.
//!
//! History: flushes and syncs on one wallet whose store knows ten thousand final payouts, and a hundred thousand later. A flush is timed without its
//! `sendmany`, in which the daemon looks through its own history; and as a whole.

#![allow(clippy::print_stdout, reason = "figures go to stdout")]
#![allow(clippy::float_arithmetic, reason = "ratios for people")]
#![allow(clippy::expect_used, reason = "a bench stops at what it did not expect")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use bursar::coin::Timestamp;
use bursar::daemon::{RpcWallet, Wallet};
use bursar::payout::{self, Observer, Step};
use bursar::store::Store;
use serde_json::json;

use self::support::{Generation, Service, World};

/// Payouts of a short queue and of a long one.
const QUEUES: [u32; 2] = [1_000, 1_000_000];
/// Payouts of a batch from these: so the short queue fills as many batches as one flush sends.
const PER_BATCH: &str = "80";
/// Final payouts of a short history and of a long one.
const HISTORIES: [u32; 2] = [10_000, 100_000];
/// Payouts of each flush that is timed.
const FLUSHED: u32 = 100;
/// Flushes and syncs that are timed.
const TURNS: usize = 7;
/// Coins of the wallet, of 8 each.
const COINS: usize = 60;
/// What each payee gets.
const AMOUNT: &str = "0.0001";

/// How much more memory the long queue may take than the short one.
const MEMORY_RATIO: f64 = 1.5;
/// How much longer the same may take with the long history than with the short one.
const FLAT: f64 = 1.2;

fn main() {
    let [short, long] = QUEUES.map(queue);
    let ratio = |name: &str, short: f64, long: f64, unit: &str, goal: f64| {
        let against = format!("a queue of {} payouts, {short:.2} {unit}; with {} it is {long:.2}", QUEUES[0], QUEUES[1]);
        figure(name, long / short, "ratio", &against, Some(goal));
    };
    ratio("queue_memory_ratio", short.peak_mib, long.peak_mib, "MiB", MEMORY_RATIO);
    ratio("queue_memory_ratio_after_import", short.later_peak_mib, long.later_peak_mib, "MiB", MEMORY_RATIO);
    ratio("batch_time_ratio", short.batch_s, long.batch_s, "s", FLAT);
    history();
}

/// A wallet of [`COINS`] coins, opened in the ledger.
fn funded(settings: &[(&str, &str)]) -> World {
    let world = World::with(Generation::Litecoin021, settings);
    drop(world.start_daemon());
    world.fund(&["8"; COINS]);
    world.done(&["ledger", "sync"]);
    world
}

/// Payees that nobody holds the key of, from this number on, as the file that `pay import` takes.
fn write_csv(world: &World, first: u32, count: u32) -> String {
    let path = world.dir().join("payouts.csv");
    let mut file = BufWriter::new(File::create(&path).expect("payouts.csv"));
    writeln!(file, "id,address,amount").expect("a line");
    for number in first..first + count {
        let mut bytes = vec![111];
        bytes.extend([0x77; 16]);
        bytes.extend(number.to_be_bytes());
        writeln!(file, "p-{number},{},{AMOUNT}", bs58::encode(bytes).with_check().into_string()).expect("a line");
    }
    file.flush().expect("payouts.csv");
    path.display().to_string()
}

/// What a queue took.
struct Took {
    peak_mib: f64,
    /// After the import.
    later_peak_mib: f64,
    batch_s: f64,
}

/// Takes so many payouts through a service.
fn queue(count: u32) -> Took {
    let world = funded(&[("payouts.max_outputs", PER_BATCH)]);
    let service = Service::start(&world);
    let file = write_csv(&world, 0, count);
    let seconds = |name: &str, what: &str, took: Duration| {
        figure(&format!("{name}_of_{count}"), took.as_secs_f64(), "s", what, None);
    };
    seconds("import", "one file through the service", timed(|| world.done(&["pay", "import", &file])).0);
    let import_peak = peak_mib(service.pid());
    figure(&format!("peak_memory_of_import_of_{count}"), import_peak, "MiB", "the service, VmHWM", None);
    // From here on the kernel counts the peak anew.
    fs::write(format!("/proc/{}/clear_refs", service.pid()), "5").expect("a new peak");
    seconds("list", "the first hundred", timed(|| world.done(&["pay", "list", "--limit", "100"])).0);
    seconds("status", "totals of all states", timed(|| world.done(&["status"])).0);
    let (took, report) = timed(|| world.done(&["pay", "flush"]));
    let batches = report["batches"].as_array().expect("batches").len();
    let (against, batch_s) = (format!("{batches} batches"), took.as_secs_f64() / batches as f64);
    figure(&format!("flush_per_batch_of_{count}"), batch_s, "s", &against, None);
    let megabytes = |path: &Path| fs::metadata(path).map_or(0.0, |file| file.len() as f64 / 1e6);
    figure(&format!("database_of_{count}"), megabytes(&world.coin().service_dir().join("bursar.db")), "MB", "all tables", None);
    let later_peak_mib = peak_mib(service.pid());
    figure(&format!("peak_memory_after_import_of_{count}"), later_peak_mib, "MiB", "the service, VmHWM", None);
    assert!(service.stop().success(), "the service ends well");
    let after = format!("p-{}", count / 2).parse().ok();
    let filter = payout::Filter { after, limit: 100, ..payout::Filter::default() };
    seconds(
        "list_from_the_middle",
        "a hundred more, from the store",
        timed(|| payout::list(&mut open(&world), &filter).expect("a page")).0,
    );
    Took { peak_mib: import_peak.max(later_peak_mib), later_peak_mib, batch_s }
}

fn peak_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
    line.trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1024.0
}

/// Notes how long the call took.
#[derive(Default)]
struct Watch {
    calling: Option<Instant>,
    call: Duration,
}

impl Observer for Watch {
    fn step(&mut self, step: Step) {
        match step {
            Step::Calling(_) => self.calling = Some(Instant::now()),
            Step::Answered(_) => self.call += self.calling.take().map_or(Duration::ZERO, |calling| calling.elapsed()),
            _ => {}
        }
    }
}

/// Medians of one length of history.
struct Times {
    flush: Duration,
    own: Duration,
    sync: Duration,
}

fn history() {
    let world = funded(&[]);
    let wallet = world.wallet();
    let mut paid = 0;
    let [short, long] = HISTORIES.map(|payouts| {
        pay(&world, &wallet, &mut paid, payouts);
        times(&world, &wallet, &mut paid)
    });
    let ratio = |name: &str, short: Duration, long: Duration, goal: Option<f64>| {
        let against = format!(
            "{} final payouts, {} ms; with {} it takes {} ms",
            HISTORIES[0],
            short.as_millis(),
            HISTORIES[1],
            long.as_millis()
        );
        figure(name, long.as_secs_f64() / short.as_secs_f64(), "ratio", &against, goal);
    };
    ratio("flush_own_time_with_tenfold_history", short.own, long.own, Some(FLAT));
    ratio("flush_with_tenfold_history", short.flush, long.flush, None);
    ratio("sync_with_tenfold_history", short.sync, long.sync, None);
}

fn open(world: &World) -> Store {
    Store::open(&world.coin().service_dir()).expect("the store")
}

/// One flush and how long its calls took.
fn flush(store: &mut Store, wallet: &RpcWallet, world: &World) -> (Duration, Duration, payout::FlushReport) {
    let (mut watch, coin) = (Watch::default(), world.coin());
    let host = payout::LocalHost { coin };
    let (took, report) =
        timed(|| payout::flush(store, wallet, coin, &host, &mut watch, payout::Occasion::Person, Timestamp::now()));
    (took, watch.call, report.expect("a flush"))
}

/// Pays until so many are final.
fn pay(world: &World, wallet: &RpcWallet, paid: &mut u32, payouts: u32) {
    world.done(&["pay", "import", &write_csv(world, *paid, payouts - *paid)]);
    *paid = payouts;
    let mut store = open(world);
    loop {
        let report = flush(&mut store, wallet, world).2;
        world.mine(4);
        payout::settle(&mut store, wallet, world.coin(), Timestamp::now()).expect("settled");
        if report.queued == 0 {
            return;
        }
    }
}

fn times(world: &World, wallet: &RpcWallet, paid: &mut u32) -> Times {
    let (mut flushes, mut own, mut syncs) = (vec![], vec![], vec![]);
    for _ in 0..TURNS {
        world.done(&["pay", "import", &write_csv(world, *paid, FLUSHED)]);
        *paid += FLUSHED;
        let mut store = open(world);
        wallet.coins().expect("the coins");
        let (took, call, report) = flush(&mut store, wallet, world);
        assert_eq!((report.batches.len(), report.queued), (1, 0), "{report:?}");
        flushes.push(took);
        own.push(took.saturating_sub(call));
        world.mine(4);
        let settle = |store: &mut Store| payout::settle(store, wallet, world.coin(), Timestamp::now()).expect("settled");
        settle(&mut store);
        syncs.push(timed(|| settle(&mut store)).0);
    }
    Times { flush: median(flushes), own: median(own), sync: median(syncs) }
}

fn timed<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let began = Instant::now();
    let value = work();
    (began.elapsed(), value)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// One figure a line, for machines; goals here are upper bounds.
fn figure(name: &str, value: f64, unit: &str, against: &str, goal: Option<f64>) {
    let met = goal.map(|goal| value <= goal);
    let value = (value * 100.0).round() / 100.0;
    println!("{}", json!({"name": name, "value": value, "unit": unit, "against": against, "goal": goal, "met": met}));
}
