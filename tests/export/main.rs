//! What the ledger exports, read by the programs that it is for, after a real daemon's deposits, payouts, fees, reorgs and rulings.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "../support/mod.rs"]
mod support;

mod books;
mod older;
mod statement;
mod stream;
mod wallets;

use std::process::{Command, Output};

use bursar::ledger::Posting;
use serde_json::{Value, json};

use support::{BURN_ADDRESS, Generation, World};

/// What somebody may write who knows what journals, shells and spreadsheets make of it.
const NASTY: &str = "ticket 812,  see \"the; book\" [2020-01-01] [=2021/02/03] date:1999-01-01 :a:b: key:: 1+1 | ; * ! = @ {5} % £ für 'x' \\ $(y)";

/// A world whose ledger has every kind of event.
fn eventful(generation: Generation) -> World {
    let world = World::new(generation);
    drop(world.start_daemon());
    world.fund(&["5", "2", "0.00012345"]);
    world.rpc("settxfee", json!([0.0002]));
    world.done(&["ledger", "sync"]);

    for (id, amount) in [("a", "0.5"), ("b", "0.00100001")] {
        world.done(&["pay", "submit", "--id", id, "--address", BURN_ADDRESS, "--amount", amount]);
    }
    world.done(&["pay", "flush"]);
    world.done(&["ledger", "sync"]);
    world.mine(1);

    // By hand: to others, and to ourselves.
    let number: Value = serde_json::from_str("0.25").unwrap();
    let by_hand = world.rpc("sendtoaddress", json!([BURN_ADDRESS, number]));
    world.rpc("sendtoaddress", json!([world.new_address(), number]));
    world.done(&["ledger", "sync"]);
    // The first word was wrong.
    world.done(&["ledger", "explain", by_hand.as_str().unwrap(), "--as", "internal", "--reason", "ticket 811"]);
    world.done(&["ledger", "explain", by_hand.as_str().unwrap(), "--as", "fee", "--reason", NASTY]);

    // A deposit whose block goes and comes back.
    world.pay_in(&world.new_address(), "1.5");
    world.mine(1);
    world.done(&["ledger", "sync"]);
    let tip = world.node_rpc("getbestblockhash", json!([]));
    world.node_rpc("invalidateblock", json!([tip]));
    world.done(&["ledger", "sync"]);
    // The same block again would be the one that is invalid.
    world.node_rpc("generatetoaddress", json!([2, world.outside_address()]));
    world.settle();
    world.done(&["ledger", "sync"]);
    let kinds: Vec<Value> = postings(&world).iter().map(|posting| json!(posting.kind)).collect();
    for kind in ["posting", "explained", "reversal"] {
        assert!(kinds.contains(&json!(kind)), "{generation:?}: {kind}");
    }
    world
}

/// Runs `ledger export`; its text.
fn export(world: &World, format: &str, more: &[&str]) -> String {
    let output = world.bursar(&[&["ledger", "export", "--format", format], more].concat());
    assert!(output.status.success(), "{}", words(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn postings(world: &World) -> Vec<Posting> {
    export(world, "jsonl", &[]).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a program on a journal, as a cron job would: without a locale.
fn read_by(program: &str, journal: &str, args: &[&str]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), journal).unwrap();
    let output = Command::new(program).env("LC_ALL", "C").arg("-f").arg(file.path()).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}: scripts/test brings it"));
    assert!(output.status.success() && output.stderr.is_empty(), "{program} {args:?} says: {}\n{journal}", words(&output));
    String::from_utf8(output.stdout).unwrap()
}
