//! Payouts in batches against what users would do instead, on a real litecoind 0.21, in one run: speed, and fees.
//!
//! Speed: `bursar pay import` and `bursar pay flush`, two whole processes beside a running service, from the file to the broadcast, against a loop of
//! `sendtoaddress`; and one flush against one `sendmany` of as many payees by hand, in turns on one wallet, the medians of several. A flush is
//! timed until the daemon has broadcast, and as a whole: until its outputs are compared and the mempool was seen to hold it. The coins were listed
//! before, as the service does with each sync while payouts wait.
//!
//! Fees: one batch against single `sendtoaddress` calls at the same rate to payees of the same kind, from coins of segwit and of legacy addresses.

#![allow(clippy::print_stdout, reason = "figures go to stdout")]
#![allow(clippy::float_arithmetic, reason = "ratios for people")]
#![allow(clippy::expect_used, reason = "a bench stops at what it did not expect")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use bursar::coin::{Amount, Timestamp};
use bursar::daemon::Wallet;
use bursar::keeper::Keeper;
use bursar::payout::{self, Observer, Step};
use bursar::store::Store;
use serde_json::{Value, json};

use self::support::{Generation, Service, World};

/// Payouts of a batch where speed is measured.
const MANY: u32 = 1000;
/// Coins of a wallet that is kept in order, and of one that took customers' deposits.
const WALLETS: [usize; 2] = [60, 2500];
/// Flushes and sends by hand, in turns.
const TURNS: usize = 7;
/// Batch sizes where fees are measured.
const SIZES: [u32; 3] = [10, 50, 100];
/// What each payee gets.
const AMOUNT: &str = "0.01";

/// How much faster than single sends a thousand payouts have to be.
const SPEED_RATIO: f64 = 50.0;
/// How much longer than a send by hand a flush may take.
const BY_HAND_RATIO: f64 = 1.15;
/// The published saving of batching that we mean to beat, in percent.
const PUBLISHED_SAVING_PERCENT: f64 = 60.0;

fn main() {
    for coins in WALLETS {
        against_one_by_hand(coins);
    }
    against_a_loop();
    for kind in ["segwit", "legacy"] {
        fees(kind);
    }
}

/// A wallet with so many coins of this kind, opened in the ledger, whose daemon runs.
fn funded(kind: &str, coins: usize, amount: &str) -> (World, Keeper) {
    let world = World::with(Generation::Litecoin021, &[("payouts.max_outputs", "1000")]);
    let mut keeper = world.keeper();
    let types: &[&str] = if kind == "legacy" { &["-addresstype=legacy", "-changetype=legacy"] } else { &[] };
    keeper.start(types).expect("the daemon starts");
    world.node_rpc("createwallet", json!([world.coin().wallet.name]));
    world.fund(&vec![amount; coins]);
    // What a send by hand pays, so that both pay the same.
    world.rpc("settxfee", json!([number("0.0002")]));
    world.done(&["ledger", "sync"]);
    (world, keeper)
}

/// Addresses that nobody holds the key of, each new.
#[derive(Default)]
struct Payees(u32);

impl Payees {
    fn next(&mut self, count: u32) -> Vec<String> {
        let first = self.0;
        self.0 += count;
        let address = |number: u32| {
            let mut bytes = vec![111];
            bytes.extend([0x77; 16]);
            bytes.extend(number.to_be_bytes());
            bs58::encode(bytes).with_check().into_string()
        };
        (first..self.0).map(address).collect()
    }
}

/// The file that `pay import` takes.
fn write_csv(world: &World, payees: &[String]) -> String {
    let mut csv = String::from("id,address,amount\n");
    for payee in payees {
        writeln!(csv, "to-{payee},{payee},{AMOUNT}").expect("text");
    }
    let file = world.dir().join("payouts.csv");
    fs::write(&file, csv).expect("payouts.csv");
    file.display().to_string()
}

/// Notes when the daemon had answered.
#[derive(Default)]
struct Watch(Option<Instant>);

impl Observer for Watch {
    fn step(&mut self, step: Step) {
        if matches!(step, Step::Answered(_)) {
            self.0 = Some(Instant::now());
        }
    }
}

fn against_one_by_hand(coins: usize) {
    let (world, _keeper) = funded("segwit", coins, if coins > 500 { "0.1" } else { "8" });
    let (mut payees, wallet) = (Payees::default(), world.wallet());
    let (mut broadcast, mut whole, mut by_hand) = (vec![], vec![], vec![]);
    for _ in 0..TURNS {
        world.done(&["pay", "import", &write_csv(&world, &payees.next(MANY))]);
        let (mut store, mut watch, coin) =
            (Store::open(&world.coin().service_dir()).expect("the store"), Watch::default(), world.coin());
        // The service lists them with each sync while payouts wait.
        wallet.coins().expect("the coins");
        let began = Instant::now();
        let report = payout::flush(&mut store, &wallet, coin, &payout::LocalHost { coin }, &mut watch, Timestamp::now());
        whole.push(began.elapsed());
        broadcast.push(watch.0.expect("an answer").duration_since(began));
        let report = report.expect("a flush");
        assert_eq!((report.batches.len(), report.queued), (1, 0), "{report:?}");
        drop(store);
        world.mine(4);
        world.done(&["ledger", "sync"]);
        let outputs = Value::Object(payees.next(MANY).into_iter().map(|payee| (payee, number(AMOUNT))).collect());
        let began = Instant::now();
        world.rpc("sendmany", json!(["", outputs, 1, "by hand"]));
        by_hand.push(began.elapsed());
        world.mine(4);
        world.done(&["ledger", "sync"]);
    }
    for (what, times) in [("to_broadcast", broadcast), ("whole", whole)] {
        // Of each turn by itself: other work of the machine comes and goes.
        let mut ratios: Vec<f64> =
            times.iter().zip(&by_hand).map(|(took, hand)| took.as_secs_f64() / hand.as_secs_f64()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let (took, by_hand) = (median(times), median(by_hand.clone()));
        let name = format!("flush_{what}_ratio_at_{MANY}_from_{coins}_coins");
        let against =
            format!("one sendmany of {MANY} payees by hand, {} ms; the flush {} ms", by_hand.as_millis(), took.as_millis());
        figure(&name, ratios[ratios.len() / 2], "ratio", &against, Some(Goal::AtMost(BY_HAND_RATIO)));
    }
}

fn against_a_loop() {
    let (world, _keeper) = funded("segwit", WALLETS[0], "8");
    let (service, mut payees) = (Service::start(&world), Payees::default());
    let mut batches = Vec::new();
    for _ in 0..3 {
        batches.push(from_file_to_broadcast(&world, &payees.next(MANY)));
        world.mine(4);
        world.done(&["ledger", "sync"]);
    }
    let (batch, alone) = (median(batches), single_sends(&world, &payees.next(MANY)));
    let per_second = |took: Duration| f64::from(MANY) / took.as_secs_f64();
    let (fast, slow) = (per_second(batch), per_second(alone));
    let against = format!("a loop of {MANY} sendtoaddress calls, {slow:.0} payouts/s");
    figure(&format!("payouts_per_second_at_{MANY}"), fast, "payouts/s", &against, None);
    figure(&format!("speed_ratio_at_{MANY}"), fast / slow, "ratio", &against, Some(Goal::AtLeast(SPEED_RATIO)));
    assert!(service.stop().success(), "the service ends well");
}

/// One file of payouts through a running service.
fn from_file_to_broadcast(world: &World, payees: &[String]) -> Duration {
    let file = write_csv(world, payees);
    let began = Instant::now();
    world.done(&["pay", "import", &file]);
    let report = world.done(&["pay", "flush"]);
    let took = began.elapsed();
    assert_eq!(report["queued"], 0, "{report}");
    took
}

/// One `sendtoaddress` after the other.
fn single_sends(world: &World, payees: &[String]) -> Duration {
    let began = Instant::now();
    for payee in payees {
        world.rpc("sendtoaddress", json!([payee, number(AMOUNT)]));
    }
    began.elapsed()
}

fn fees(kind: &str) {
    let (world, _keeper) = funded(kind, WALLETS[0], "8");
    let mut payees = Payees::default();
    for size in SIZES {
        world.done(&["pay", "import", &write_csv(&world, &payees.next(size))]);
        let batch = fee_of(&world, 1, || _ = world.done(&["pay", "flush"]));
        let singles = fee_of(&world, size as usize, || _ = single_sends(&world, &payees.next(size)));
        let saved = 100.0 - 100.0 * batch as f64 / singles as f64;
        let against = format!("{size} sendtoaddress calls at 20 sat/vB from {kind} coins");
        figure(&format!("fee_saved_at_{size}_{kind}"), saved, "percent", &against, Some(Goal::AtLeast(PUBLISHED_SAVING_PERCENT)));
    }
}

/// What these sends pay in fees, in base units; mines them, so that the next begin with confirmed coins.
fn fee_of(world: &World, expected: usize, send: impl FnOnce()) -> i64 {
    let before = sends(world);
    send();
    let sent: Vec<String> = sends(world).into_iter().filter(|txid| !before.contains(txid)).collect();
    assert_eq!(sent.len(), expected, "transactions sent");
    let fee = |txid: &String| -units(&world.rpc("gettransaction", json!([txid]))["fee"]);
    let fees = sent.iter().map(fee).sum();
    world.mine(4);
    world.done(&["ledger", "sync"]);
    fees
}

/// Transactions that the wallet has sent.
fn sends(world: &World) -> Vec<String> {
    let listing = world.rpc("listsinceblock", json!([]));
    let entries = listing["transactions"].as_array().expect("entries");
    let sends = entries.iter().filter(|entry| entry["category"] == "send");
    let mut txids: Vec<String> = sends.map(|entry| entry["txid"].as_str().expect("txid").to_owned()).collect();
    txids.sort();
    txids.dedup();
    txids
}

fn number(text: &str) -> Value {
    serde_json::from_str(text).expect("a number")
}

fn units(value: &Value) -> i64 {
    Amount::parse_reported(&value.to_string(), 8).expect("an amount").base_units()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// What a figure has to reach.
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

/// One figure a line, for machines.
fn figure(name: &str, value: f64, unit: &str, against: &str, goal: Option<Goal>) {
    let (goal, met) = match goal {
        None => (None, None),
        Some(Goal::AtLeast(goal)) => (Some(goal), Some(value >= goal)),
        Some(Goal::AtMost(goal)) => (Some(goal), Some(value <= goal)),
    };
    let value = (value * 100.0).round() / 100.0;
    println!("{}", json!({"name": name, "value": value, "unit": unit, "against": against, "goal": goal, "met": met}));
}
