//! What looks like proof and is none, on real daemons: a payment that only resembles a batch, a chain that only lost its blocks, a
//! conflict that paid some of the payees, a payment that the wallet forgot.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use bench::{Bench, payee, script_of};
use bursar::audit;
use bursar::coin::Timestamp;
use bursar::daemon::Wallet;
use bursar::gate::{self, Cause, Freeze};
use bursar::ledger::{self, Account, LedgerError};
use bursar::payout::{self, BatchState, Resolution, State};
use bursar::store::StoreError;
use serde_json::json;
use support::{Fault, Generation, World};

use Generation::{Knots, Litecoin018, Litecoin021};

#[test]
fn an_older_payment_by_hand_is_not_taken_for_a_batch_in_doubt() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin021));
    bench.settle();
    bench.world.rpc("sendmany", json!(["", { payee(1): 0.5 }]));
    bench.world.mine(1);
    bench.settle();
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropCall);
    bench.flush();
    let resolved = bench.resolve();
    assert!(matches!(resolved.batches[0].resolution, Resolution::Disputed { .. }), "{resolved:?}");
    bench.world.mine(3);
    bench.settle();
    bench.settle();
    assert_eq!(bench.state("a"), State::Disputed, "the payment by hand was for something else");
    assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
}

#[test]
fn a_chain_that_lost_its_blocks_takes_nothing_back_and_thaws_nothing() {
    for generation in [Litecoin018, Knots] {
        let mut bench = Bench::new(World::new(generation));
        bench.settle();
        let before = bench.store.read(|tx| ledger::balance(tx, Account::Wallet)).unwrap();
        let cause = Freeze { cause: Cause::Repair, detail: "repair".to_owned(), txids: vec![], amount: None, wallet: None };
        bench.store.write(|tx| gate::freeze(tx, &cause, Timestamp::now())).unwrap();
        bench.world.kill_daemon();
        bench.restart();
        let wallet = bench.world.wallet();
        let synced = ledger::sync(&mut bench.store, &wallet, bench.world.coin(), Timestamp::now());
        let audited = audit::run(&mut bench.store, &wallet, bench.world.coin(), Timestamp::now());
        let after = bench.store.read(|tx| ledger::balance(tx, Account::Wallet)).unwrap();
        let frozen = bench.store.read::<_, StoreError>(gate::frozen).unwrap();
        assert!(matches!(synced, Err(LedgerError::LostBlocks { .. })), "{synced:?}");
        assert!(audited.is_err(), "{audited:?}");
        assert_eq!((before, frozen.len()), (after, 1), "{generation:?}");
    }
}

#[test]
fn what_was_paid_in_part_is_not_certainly_unpaid() {
    let mut bench = Bench::new(World::new(Knots));
    bench.submit("a", &payee(1), "0.5");
    bench.submit("b", &payee(2), "0.5");
    let txid = bench.flush().batches[0].txid.unwrap();
    let raw = bench.world.node_rpc("getrawtransaction", json!([txid.to_string(), true]));
    let input = &raw["vin"][0];
    let back = bench.world.new_address();
    let rival = bench.world.node_rpc(
        "createrawtransaction",
        json!([[{"txid": input["txid"], "vout": input["vout"], "sequence": 1}], {payee(1): 0.5, back: 9.4}]),
    );
    let signed = bench.world.rpc("signrawtransactionwithwallet", json!([rival]));
    // The mempool takes replacements, and this one pays `a`, not `b`.
    bench.world.node_rpc("sendrawtransaction", json!([signed["hex"], 0]));
    bench.world.mine(1);
    bench.settle();
    bench.world.mine(5);
    bench.settle();
    bench.settle();
    assert_eq!(bench.paid_on_chain()[&script_of(1)], vec![50_000_000]);
    assert_eq!((bench.state("a"), bench.state("b")), (State::Disputed, State::Disputed));
}

#[test]
fn a_payment_of_a_batch_that_the_wallet_forgot_freezes_and_stops_no_sync() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::new(generation));
        bench.submit("a", &payee(1), "0.5");
        bench.flush();
        // A late copy of the call, which the ledger sees before the wallet forgets it: nobody can show any more what it spends.
        let mark = payout::batches(&mut bench.store, BatchState::Sent).unwrap().remove(0).mark;
        let late = bench.world.rpc("sendmany", json!(["", { payee(1): 0.5 }, 1, mark]));
        bench.world.settle();
        let wallet = bench.world.wallet();
        ledger::sync(&mut bench.store, &wallet, bench.world.coin(), Timestamp::now()).unwrap();
        bench.world.rpc("removeprunedfunds", json!([late]));
        assert!(wallet.transaction(&late.as_str().unwrap().parse().unwrap()).unwrap().is_none(), "{generation:?}");
        for _ in 0..2 {
            bench.settle();
            let frozen = bench.store.read::<_, StoreError>(gate::frozen).unwrap();
            assert!(frozen.iter().any(|frozen| frozen.freeze.cause == Cause::Payment), "{generation:?}: {frozen:?}");
        }
        bench.world.mine(6);
        bench.settle();
        assert_eq!(bench.state("a"), State::Final, "{generation:?}: what is known is followed all the same");
    }
}

#[test]
fn a_comment_that_was_read_before_counts_until_the_daemon_is_started_again() {
    let mut bench = Bench::new(World::new(Litecoin018));
    bench.submit("a", &payee(1), "0.5");
    bench.flush();
    bench.world.mine(1);
    bench.flush_chain_to_disk();
    let wallet = bench.world.wallet();
    let entries = wallet.list_since(None).unwrap();
    let marked = entries.into_iter().find_map(|entry| Some((entry.txid, entry.comment?))).unwrap();
    let carrying = |comment: &str| wallet.carrying(&[(marked.0, comment.to_owned())]).unwrap();
    for _ in 0..2 {
        assert_eq!(carrying(&marked.1), [marked.0]);
        assert_eq!(carrying("bursar:another"), []);
    }
    bench.keeper.stop().unwrap();
    bench.keeper.start(&["-zapwallettxes=2"]).unwrap();
    assert_eq!(carrying(&marked.1), []);
    assert!(wallet.transaction(&marked.0).unwrap().is_some(), "it knows the payment all the same");
}
