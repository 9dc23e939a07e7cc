//! Payouts in batches against what users would do instead, on a real litecoind 0.21, in one run: speed, and fees.
//!
//! Speed: `bursar pay import` and `bursar pay flush`, two whole processes beside a running service, from the file to the broadcast, against a loop of
//! `sendtoaddress`; and one flush against one `sendmany` of as many payees by hand, in turns on one wallet, the medians of several. A flush is
//! timed until the daemon has broadcast, and as a whole: until its outputs are compared and the mempool was seen to hold it. What the service remembers
//! of the wallet between two flushes is remembered here: the coins were listed before, as it does with each sync while payouts wait, and the marks of
//! the payments before were read.
//!
//! Fees: one batch, by either method, against single `sendtoaddress` calls at the same rate to payees of the same kind, from coins of segwit and of
//! legacy addresses; and a journaled one against the smallest transaction that can pay its outputs: by one coin of the kind that the wallet has, each
//! signature of the shortest usual size, without change, at that rate to the unit.
//!
//! For information: a journaled flush against `sendmany` by hand, and the choice of coins for 3,000 outputs among 10,000 of them.

#![allow(clippy::print_stdout, reason = "figures go to stdout")]
#![allow(clippy::float_arithmetic, reason = "ratios for people")]
#![allow(clippy::expect_used, reason = "a bench stops at what it did not expect")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use bursar::coin::{Amount, FeeRate, OutPoint, Timestamp, Txid};
use bursar::daemon::{RpcWallet, Wallet};
use bursar::keeper::Keeper;
use bursar::payout::rules::{Coin, Need, Shape, Witness, choose, input_size};
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
/// How much of its fee the smallest possible transaction would pay at least.
const LEAST_FEE_RATIO: f64 = 0.985;
/// Coins and outputs of the largest choice that is timed.
const CHOICE: (u64, u64) = (10_000, 3000);
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
    journaled_against_one_by_hand();
    choice_of_coins();
}

/// A wallet with so many coins of this kind, opened in the ledger, whose daemon runs.
fn funded(kind: &str, method: &str, coins: usize, amount: &str) -> (World, Keeper) {
    let settings = [("payouts.max_outputs", "1000"), ("payouts.method", &format!("'{method}'"))];
    let world = World::with(Generation::Litecoin021, &settings);
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
    let (world, _keeper) = funded("segwit", "sendmany", coins, if coins > 500 { "0.1" } else { "8" });
    let (mut payees, wallet) = (Payees::default(), world.wallet());
    let (mut broadcast, mut whole, mut by_hand) = (vec![], vec![], vec![]);
    for _ in 0..TURNS {
        let (all, answered) = timed_flush(&world, &wallet, &payees.next(MANY));
        whole.push(all);
        broadcast.push(answered.expect("an answer"));
        by_hand.push(timed_by_hand(&world, &payees.next(MANY)));
    }
    for (what, times) in [("to_broadcast", broadcast), ("whole", whole)] {
        let name = format!("flush_{what}_ratio_at_{MANY}_from_{coins}_coins");
        by_turns(&name, times, &by_hand, Some(Goal::AtMost(BY_HAND_RATIO)));
    }
}

/// On two daemons: a wallet with reserved coins does not use `sendmany`, and freezes for what was sent by hand.
fn journaled_against_one_by_hand() {
    let (world, _keeper) = funded("segwit", "journaled", WALLETS[0], "8");
    let (other, _other_keeper) = funded("segwit", "sendmany", WALLETS[0], "8");
    let (mut payees, wallet, mut whole, mut by_hand) = (Payees::default(), world.wallet(), vec![], vec![]);
    for _ in 0..TURNS {
        whole.push(timed_flush(&world, &wallet, &payees.next(MANY)).0);
        by_hand.push(timed_by_hand(&other, &payees.next(MANY)));
    }
    by_turns(&format!("journaled_flush_ratio_at_{MANY}_from_{}_coins", WALLETS[0]), whole, &by_hand, None);
}

/// One flush of these payouts, and how long it was until the daemon had answered, where that is one call.
fn timed_flush(world: &World, wallet: &RpcWallet, payees: &[String]) -> (Duration, Option<Duration>) {
    world.done(&["pay", "import", &write_csv(world, payees)]);
    let (mut store, mut watch, coin) =
        (Store::open(&world.coin().service_dir()).expect("the store"), Watch::default(), world.coin());
    // The service lists them with each sync while payouts wait.
    wallet.coins().expect("the coins");
    let began = Instant::now();
    let report = payout::flush(
        &mut store,
        wallet,
        coin,
        &payout::LocalHost { coin },
        &mut watch,
        payout::Occasion::Person,
        Timestamp::now(),
    );
    let whole = began.elapsed();
    let report = report.expect("a flush");
    assert_eq!((report.batches.len(), report.queued), (1, 0), "{report:?}");
    drop(store);
    world.mine(4);
    world.done(&["ledger", "sync"]);
    (whole, watch.0.map(|answered| answered.duration_since(began)))
}

/// One `sendmany` to these payees.
fn timed_by_hand(world: &World, payees: &[String]) -> Duration {
    let outputs = Value::Object(payees.iter().map(|payee| (payee.clone(), number(AMOUNT))).collect());
    let began = Instant::now();
    world.rpc("sendmany", json!(["", outputs, 1, "by hand"]));
    let took = began.elapsed();
    world.mine(4);
    world.done(&["ledger", "sync"]);
    took
}

/// The median of the ratios of each turn by itself: other work of the machine comes and goes.
fn by_turns(name: &str, times: Vec<Duration>, by_hand: &[Duration], goal: Option<Goal>) {
    let mut ratios: Vec<f64> = times.iter().zip(by_hand).map(|(took, hand)| took.as_secs_f64() / hand.as_secs_f64()).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    let (took, by_hand) = (median(times), median(by_hand.to_vec()));
    let against = format!("one sendmany of {MANY} payees by hand, {} ms; the flush {} ms", by_hand.as_millis(), took.as_millis());
    figure(name, ratios[ratios.len() / 2], "ratio", &against, goal);
}

fn against_a_loop() {
    let (world, _keeper) = funded("segwit", "sendmany", WALLETS[0], "8");
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
    let (world, _keeper) = funded(kind, "sendmany", WALLETS[0], "8");
    let (journaled, _journaled_keeper) = funded(kind, "journaled", WALLETS[0], "8");
    let mut payees = Payees::default();
    for size in SIZES {
        let batch = fee_of_batch(&world, &payees.next(size));
        let by_journal = fee_of_batch(&journaled, &payees.next(size));
        let singles = fee_of(&world, size as usize, || _ = single_sends(&world, &payees.next(size)));
        let against = format!("{size} sendtoaddress calls at 20 sat/vB from {kind} coins, {singles} units");
        for (name, fee) in [("fee_saved", batch), ("journaled_fee_saved", by_journal)] {
            let saved = 100.0 - 100.0 * fee as f64 / singles as f64;
            let goal = Goal::AtLeast(PUBLISHED_SAVING_PERCENT);
            figure(&format!("{name}_at_{size}_{kind}"), saved, "percent", &against, Some(goal));
        }
        let least = least_fee(kind, u64::from(size));
        let against = format!("{by_journal} units paid; {least} by one {kind} coin without change at the same rate");
        let goal = (size == 100).then_some(Goal::AtLeast(LEAST_FEE_RATIO));
        figure(&format!("journaled_least_fee_ratio_at_{size}_{kind}"), least as f64 / by_journal as f64, "ratio", &against, goal);
    }
}

fn fee_of_batch(world: &World, payees: &[String]) -> i64 {
    world.done(&["pay", "import", &write_csv(world, payees)]);
    fee_of(world, 1, || _ = world.done(&["pay", "flush"]))
}

/// What the smallest transaction with so many outputs to a public key's hash pays at 20 units per virtual byte: counted byte by byte, by nothing of
/// ours.
fn least_fee(kind: &str, outputs: u64) -> i64 {
    let outputs = outputs * (8 + 1 + 25);
    // Version, lock time, both counts (up to 252), outpoint, sequence number.
    let frame = 4 + 4 + 1 + 1 + 36 + 4;
    // A signature of 71 bytes and a compressed key, with their lengths; in a witness after marker, flag and count.
    let unlocking = 1 + 71 + 1 + 33;
    let weight = match kind {
        "segwit" => 4 * (frame + outputs + 1) + 2 + 1 + unlocking,
        _ => 4 * (frame + outputs + 1 + unlocking),
    };
    20 * i64::try_from(weight.div_ceil(4)).expect("a size")
}

/// The longest of several choices: hardly any two coins alike, needs that many of them can fill, and rates high and low.
fn choice_of_coins() {
    let (coins, outputs) = CHOICE;
    let kinds = ["0014".to_owned() + &"00".repeat(20), "76a914".to_owned() + &"00".repeat(20) + "88ac"];
    let coin = |number: u64| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        let script_hex = kinds[usize::from(number.is_multiple_of(3))].clone();
        let size = input_size(&script_hex, Witness::Discounted).expect("a size");
        let amount = Amount::from_base_units(i64::try_from(number * 7919 % 9_999_991 + 10_000).expect("an amount"));
        Coin { outpoint: OutPoint { txid: Txid::from_bytes(bytes), vout: 0 }, amount, script_hex, size, ancestors: 0 }
    };
    let offered: Vec<Coin> = (0..coins).map(coin).collect();
    let mut longest = Duration::ZERO;
    for (total, rate) in [(1_000_003, 10_000), (2_000_000_011, 10_000), (2_000_000_011, 200_000), (9_000_000_017, 20_000)] {
        let need = Need {
            total: Amount::from_base_units(total),
            shape: (0..outputs).fold(Shape::new(0, Witness::Discounted), |shape, _| shape.with_output(25)),
            rate: FeeRate::from_per_kvb(rate),
            least_fee: Amount::ZERO,
            lasting_rate: FeeRate::from_per_kvb(10_000),
            least_change: Amount::from_base_units(100_000),
            max_vbytes: 1_000_000,
            max_fee: None,
        };
        let began = Instant::now();
        choose(&offered, &need).expect("a choice");
        longest = longest.max(began.elapsed());
    }
    let name = format!("choice_for_{outputs}_outputs_among_{coins}_coins");
    figure(&name, longest.as_secs_f64() * 1000.0, "ms", "the longest of four needs", None);
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
    let value = (value * 10_000.0).round() / 10_000.0;
    println!("{}", json!({"name": name, "value": value, "unit": unit, "against": against, "goal": goal, "met": met}));
}
