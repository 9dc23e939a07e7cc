//! A wallet that lived before bursar came is adopted through the command line, and the audit agrees from the first day.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::fs;

use bursar::coin::Amount;
use serde_json::{Value, json};
use support::{Generation, World};

#[test]
fn a_wallet_with_a_history_is_adopted_on_every_daemon() {
    for generation in Generation::ALL {
        adopt_at_any_height(&World::new(generation));
    }
}

#[test]
fn a_wallet_with_a_history_is_adopted_on_the_stand_in_for_0_13() {
    adopt_at_any_height(&World::getinfo_standin());
}

fn adopt_at_any_height(world: &World) {
    let _keeper = world.start_daemon();
    let middle = live(world);
    let tip = world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
    for at in [None, Some(middle), Some(0), Some(tip), Some(tip + 1000)] {
        refuses_before(world);
        adopt(world, at);
        forget_bursar(world);
    }
    adopt(world, Some(middle));
    pay(world);
}

/// Mined coins, deposits, payments, a payment to ourselves; some of it not mature or not confirmed yet. Returns a height in the midst of it.
fn live(world: &World) -> u64 {
    world.rpc("settxfee", json!([coins("0.0002")]));
    world.mine_to_wallet(3);
    world.fund(&["5", "2.5", "1.25"]);
    send(world, &world.outside_address(), "1.1");
    world.mine(2);
    let middle = world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
    send(world, &world.outside_address(), "0.7");
    send(world, &world.new_address(), "0.4");
    world.mine_to_wallet(1);
    world.mine(4);
    world.pay_in(&world.new_address(), "0.3");
    world.mine(1);
    send(world, &world.outside_address(), "0.2");
    world.pay_in(&world.new_address(), "0.6");
    middle
}

fn send(world: &World, address: &str, amount: &str) {
    world.rpc("sendtoaddress", json!([address, coins(amount)]));
    world.settle();
}

fn coins(amount: &str) -> Value {
    serde_json::from_str(amount).unwrap()
}

/// A sync would take old payments for theft: it refuses, says what to do, and changes nothing.
fn refuses_before(world: &World) {
    let (refusal, code) = world.order(&["ledger", "sync"]);
    assert_eq!((code, &refusal["error"]["code"]), (1, &json!("ledger_not_open")), "{refusal}");
    assert!(refusal["error"]["next"].as_str().unwrap().contains("bursar ledger open"), "{refusal}");
    let entries = world.done(&["ledger", "entries"]);
    assert_eq!(entries["entries"], json!([]));
    let (unknown, code) = world.order(&["audit", "run"]);
    assert_eq!((code, &unknown["error"]["code"]), (3, &json!("ledger_not_open")), "no verdict: {unknown}");
}

fn adopt(world: &World, at: Option<u64>) {
    let at = at.map(|height| height.to_string());
    let mut verb = vec!["ledger", "open"];
    verb.extend(at.iter().flat_map(|height| ["--at", height]));
    world.done(&verb);
    agrees(world);
    world.done(&["ledger", "verify"]);
    let (refusal, code) = world.order(&["ledger", "open"]);
    assert_eq!(code, 1, "it is adopted once: {refusal}");
    world.done(&["ledger", "sync"]);
    agrees(world);
}

fn agrees(world: &World) {
    let report = world.done(&["audit", "run"]);
    let balance = world.rpc("getbalance", json!([])).to_string();
    let balance = Amount::parse_reported(&balance, 8).unwrap().base_units();
    assert_eq!(report["ledger"]["balance"], balance, "{report}");
    assert_eq!((&report["verdict"], &report["suspects"]), (&json!("agrees"), &json!([])), "{report}");
}

/// As if bursar had never been here: only its credentials stay.
fn forget_bursar(world: &World) {
    for entry in fs::read_dir(world.coin().service_dir()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("bursar.db") || name == "signing.key" {
            fs::remove_file(path).unwrap();
        }
    }
}

/// After the adoption everything goes on as usual.
fn pay(world: &World) {
    world.mine(1);
    world.done(&["ledger", "sync"]);
    world.done(&["pay", "submit", "--id", "first", "--address", &world.outside_address(), "--amount", "0.5"]);
    let report = world.done(&["pay", "flush"]);
    assert_eq!(report["batches"][0]["state"], "sent", "{report}");
    agrees(world);
    world.mine(world.coin().final_depth);
    world.done(&["ledger", "sync"]);
    assert_eq!(world.done(&["pay", "show", "first"])["payout"]["state"], "final");
    agrees(world);
}
