//! Payouts in one batch against single sends, on a real litecoind 0.21, in one run: fees saved, and payouts per second.
//!
//! Batch: `bursar pay import` and `bursar pay flush`, two whole processes, from the file to the broadcast. Single sends: a loop of
//! `sendtoaddress` on the same wallet, to addresses of the same kind, at the same fee rate.

#![allow(clippy::print_stdout, reason = "figures go to stdout")]
#![allow(clippy::float_arithmetic, reason = "ratios for people")]
#![allow(clippy::expect_used, reason = "a bench stops at what it did not expect")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use bursar::coin::Amount;
use serde_json::{Value, json};

use self::support::{Generation, World};

/// Batch sizes.
const SIZES: [usize; 4] = [10, 50, 100, 500];
/// Coins that the wallet starts each round with at least; single sends then need few unconfirmed chains.
const COINS: usize = 60;
/// What each payee gets.
const AMOUNT: &str = "0.01";
/// The published saving of batching that we mean to beat, in percent.
const PUBLISHED_SAVING_PERCENT: f64 = 60.0;

struct Run {
    fee: i64,
    elapsed: Duration,
}

fn main() {
    let world = World::new(Generation::Litecoin021);
    let _keeper = world.start_daemon();
    world.fund(&["8"; COINS]);
    let opened = world.bursar(&["ledger", "sync"]);
    assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
    for size in SIZES {
        let payees: Vec<String> = (0..size).map(|_| world.outside_address()).collect();
        let batch = batched(&world, size, &payees);
        let singles = single_sends(&world, &payees);
        let saved = 100.0 - 100.0 * batch.fee as f64 / singles.fee as f64;
        figure(
            &format!("fee_saved_at_{size}"),
            saved,
            "percent",
            "single sendtoaddress calls at 20 sat/vB",
            Some(PUBLISHED_SAVING_PERCENT),
        );
        let speed = |run: &Run| size as f64 / run.elapsed.as_secs_f64();
        figure(&format!("payouts_per_second_at_{size}"), speed(&batch), "payouts/s", "submission to broadcast", None);
        let ratio = speed(&batch) / speed(&singles);
        figure(&format!("speed_ratio_at_{size}"), ratio, "ratio", "a loop of sendtoaddress calls", None);
    }
}

/// Imports and flushes one file of payouts.
fn batched(world: &World, size: usize, payees: &[String]) -> Run {
    let mut csv = String::from("id,address,amount\n");
    for (index, payee) in payees.iter().enumerate() {
        writeln!(csv, "bench-{size}-{index},{payee},{AMOUNT}").expect("text");
    }
    let file = world.dir().join("payouts.csv");
    fs::write(&file, csv).expect("payouts.csv");
    let before = sends(world);
    let began = Instant::now();
    for verb in [vec!["pay", "import", &file.display().to_string()], vec!["pay", "flush"]] {
        let output = world.bursar(&verb);
        assert!(output.status.success(), "{verb:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let elapsed = began.elapsed();
    finish(world, &before, elapsed, 1)
}

/// One `sendtoaddress` after the other.
fn single_sends(world: &World, payees: &[String]) -> Run {
    let before = sends(world);
    let amount: Value = serde_json::from_str(AMOUNT).expect("a number");
    let began = Instant::now();
    for payee in payees {
        world.rpc("sendtoaddress", json!([payee, amount]));
    }
    let elapsed = began.elapsed();
    finish(world, &before, elapsed, payees.len())
}

/// Adds up the fees of what was sent, and mines it, so that the next run starts with confirmed coins.
fn finish(world: &World, before: &[String], elapsed: Duration, expected: usize) -> Run {
    let sent: Vec<String> = sends(world).into_iter().filter(|txid| !before.contains(txid)).collect();
    assert_eq!(sent.len(), expected, "transactions sent");
    let fee = sent.iter().map(|txid| -units(&world.rpc("gettransaction", json!([txid]))["fee"])).sum();
    world.mine(4);
    Run { fee, elapsed }
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

fn units(value: &Value) -> i64 {
    Amount::parse_reported(&value.to_string(), 8).expect("an amount").base_units()
}

/// One figure a line, for machines.
fn figure(name: &str, value: f64, unit: &str, against: &str, goal: Option<f64>) {
    let met = goal.map(|goal| value >= goal);
    let value = (value * 10.0).round() / 10.0;
    println!("{}", json!({"name": name, "value": value, "unit": unit, "against": against, "goal": goal, "met": met}));
}
