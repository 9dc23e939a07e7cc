//! Wallets that avoid reuse (`avoid_reuse`): coins on addresses that were spent from before are money like any other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use bursar::coin::Amount;
use bursar::daemon::Wallet;
use bursar::keeper::Keeper;
use serde_json::{Value, json};
use support::{Generation, World};

/// Daemons that can avoid reuse: 0.19 and later.
const GENERATIONS: [Generation; 2] = [Generation::Litecoin021, Generation::Knots];

/// A wallet that avoids reuse, with one coin of change, and an address that was spent from.
fn spent_from(generation: Generation, method: &str) -> (World, Keeper, String) {
    let world = World::with(generation, &[("payouts.method", method)]);
    let keeper = world.start_daemon();
    world.rpc("setwalletflag", json!(["avoid_reuse", true]));
    let address = world.new_address();
    world.pay_in(&address, "1");
    world.mine(3);
    world.done(&["ledger", "sync"]);
    pay(&world, "first", "0.5");
    world.mine(3);
    world.done(&["ledger", "sync"]);
    (world, keeper, address)
}

fn pay(world: &World, id: &str, amount: &str) {
    world.done(&["pay", "submit", "--id", id, "--address", &world.outside_address(), "--amount", amount]);
    let flushed = world.done(&["pay", "flush"]);
    assert_eq!(flushed["batches"][0]["state"], "sent", "{:?} {id}: {flushed:#}", world.generation);
}

fn assert_agrees(world: &World, when: &str) -> Value {
    world.done(&["ledger", "sync"]);
    let (audit, code) = world.order(&["audit", "run"]);
    let found = (&audit["verdict"], &audit["difference"], &audit["frozen"], code);
    assert_eq!(found, (&json!("agrees"), &json!(0), &json!(false), 0), "{:?} {when}: {audit:#}", world.generation);
    audit
}

#[test]
fn deposits_to_an_address_that_was_spent_from_alarm_nobody_and_are_paid_out() {
    for generation in GENERATIONS {
        for method in ["\"sendmany\"", "\"journaled\""] {
            let (world, _keeper, address) = spent_from(generation, method);
            assert_agrees(&world, "no coin on a used address");
            let coin = |amount: &str| Amount::parse_payment(amount, 8).unwrap();

            world.pay_in(&address, "0.7");
            world.settle();
            let pending = assert_agrees(&world, "a small coin on its way to a used address");
            assert_eq!(pending["wallet"]["pending"], coin("0.7").base_units(), "{generation:?}: {pending:#}");
            world.mine(1);
            assert_agrees(&world, "it is in a block");
            world.pay_in(&address, "2");
            world.settle();
            assert_agrees(&world, "one of each");
            let balances = world.wallet().balances().unwrap();
            assert_eq!(balances.pending, Some(coin("2")), "{generation:?}: {balances:?}");
            assert!(balances.trusted > coin("1.1"), "{generation:?}: {balances:?}");

            // The fresh coins alone would not do.
            pay(&world, "second", "1.1");
            assert_agrees(&world, "it was spent");
            world.mine(3);
            assert_agrees(&world, "all is final");
            pay(&world, "third", "2.05");
            world.mine(3);
            assert_agrees(&world, "the other was spent too");
            assert_eq!(world.done(&["status"])["frozen"], json!([]), "{generation:?}");
        }
    }
}

#[test]
fn what_is_locked_or_in_limbo_on_a_used_address_is_accounted_for() {
    for generation in GENERATIONS {
        let (world, mut keeper, address) = spent_from(generation, "\"sendmany\"");
        world.pay_in(&address, "0.7");
        world.mine(3);
        let coins = world.rpc("listunspent", json!([0]));
        let reused = coins.as_array().unwrap().iter().find(|coin| coin["reused"] == json!(true)).unwrap();
        let coin = json!([{"txid": reused["txid"], "vout": reused["vout"]}]);
        world.rpc("lockunspent", json!([false, coin]));
        assert_agrees(&world, "it is locked");
        world.rpc("lockunspent", json!([true, coin]));

        // A daemon that does not broadcast: the wallet knows the payment, the mempool does not.
        keeper.stop().unwrap();
        keeper.start(&["-walletbroadcast=0"]).unwrap();
        let outside = world.outside_address();
        world.done(&["pay", "submit", "--id", "limbo", "--address", &outside, "--amount", "1.1"]);
        world.done(&["pay", "flush"]);
        world.done(&["ledger", "sync"]);
        let (audit, _) = world.order(&["audit", "run"]);
        assert_ne!(audit["verdict"], "unexplained", "{generation:?}: {audit:#}");
        assert_eq!(audit["frozen"], json!(false), "{generation:?}: {audit:#}");
    }
}
