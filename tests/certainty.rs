//! Histories in which something looks settled and is not: what may still be paid is neither sent again nor called unpaid.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use bench::{Bench, JOURNALED, flush_one, payee, script_of};
use bursar::gate::{self, Cause};
use bursar::ledger::Account;
use bursar::payout::rules::Refusal;
use bursar::payout::{PayoutError, State};
use bursar::service::{Answer, Order};
use serde_json::json;
use support::{Fault, FaultProxy, Generation, World};

use Generation::{Knots, Litecoin018, Litecoin021};

/// A daemon that forgets its mempool and gives nothing to the network by itself.
const FORGETFUL: [&str; 2] = ["-walletbroadcast=0", "-persistmempool=0"];

fn restart_forgetful(bench: &mut Bench) {
    bench.flush_chain_to_disk();
    bench.keeper.stop().unwrap();
    bench.keeper.start(&FORGETFUL).unwrap();
}

#[test]
fn a_payment_that_the_store_forgot_and_somebody_abandoned_is_not_made_again() {
    for generation in [Litecoin018, Litecoin021, Knots] {
        let mut bench = Bench::new(World::with(generation, &[JOURNALED]));
        bench.submit("p0", &payee(0), "0.1");
        bench.settle();
        let old = bench.world.dir().join("old.db");
        bench.store.copy_to(&old).unwrap();
        let sent = flush_one(&mut bench).txid.unwrap();
        bench.world.settle();
        let bytes = bench.world.rpc("gettransaction", json!([sent.to_string()]))["hex"].clone();
        bench.replace_store(&old);
        assert!(matches!(bench.try_flush(), Err(PayoutError::Refused(Refusal::StoreWentBack(_)))), "{generation:?}");
        restart_forgetful(&mut bench);
        bench.world.rpc("abandontransaction", json!([sent.to_string()]));
        bench.settle();
        assert!(matches!(bench.try_flush(), Err(PayoutError::Refused(Refusal::Frozen(_)))), "{generation:?}: it may confirm yet");
        // And so it does.
        bench.world.node_rpc("sendrawtransaction", json!([bytes]));
        bench.world.mine(1);
        bench.settle();
        let frozen = bench.store.read(gate::frozen).unwrap();
        let causes: Vec<Cause> = frozen.iter().map(|frozen| frozen.freeze.cause).collect();
        assert_eq!(causes, [Cause::StoreWentBack, Cause::UnknownSpend], "{generation:?}");
        let thaw = Order::AuditThaw { id: frozen[1].id, reason: "restored".to_owned(), who: "ada".to_owned() };
        bench.order(&thaw).unwrap();
        assert_eq!(bench.state("p0"), State::Held);
        assert_eq!(bench.paid_on_chain()[&script_of(0)], [10_000_000], "{generation:?}");
    }
}

#[test]
fn a_payment_that_was_abandoned_before_a_restored_store_first_looked_is_not_made_again() {
    for generation in [Litecoin018, Litecoin021, Knots] {
        let mut bench = Bench::new(World::with(generation, &[JOURNALED]));
        bench.submit("p0", &payee(0), "0.1");
        bench.settle();
        let old = bench.world.dir().join("old.db");
        bench.store.copy_to(&old).unwrap();
        let sent = flush_one(&mut bench).txid.unwrap();
        bench.world.settle();
        restart_forgetful(&mut bench);
        bench.world.rpc("abandontransaction", json!([sent.to_string()]));
        bench.replace_store(&old);
        let refused = bench.try_flush().unwrap_err();
        assert!(matches!(refused, PayoutError::Refused(Refusal::StoreWentBack(_))), "{generation:?}: {refused}");
        let frozen = bench.store.read(gate::frozen).unwrap();
        assert_eq!((frozen.len(), frozen[0].freeze.cause), (1, Cause::StoreWentBack), "{generation:?}: its coins are back");
        let thaw = Order::AuditThaw { id: frozen[0].id, reason: "restored".to_owned(), who: "ada".to_owned() };
        bench.order(&thaw).unwrap();
        assert_eq!(bench.state("p0"), State::Held, "{generation:?}: it may confirm yet");
    }
}

#[test]
fn coins_that_a_person_merged_by_hand_are_explained_as_a_move_within_the_wallet() {
    let mut bench = Bench::new(World::with(Knots, &[JOURNALED]));
    bench.settle();
    let own = bench.world.new_address();
    let merged = bench.world.rpc("sendtoaddress", json!([own, 15]));
    bench.submit("p0", &payee(0), "0.1");
    assert!(matches!(bench.try_flush(), Err(PayoutError::Refused(Refusal::Frozen(_)))));
    let explain = |account| Order::LedgerExplain {
        wallet: None,
        txid: merged.as_str().unwrap().parse().unwrap(),
        account,
        reason: "merged small coins".to_owned(),
        who: "ada".to_owned(),
    };
    assert!(bench.order(&explain(Account::Payout)).is_err(), "nothing left the wallet");
    bench.order(&explain(Account::Internal)).unwrap();
    assert!(bench.order(&explain(Account::Internal)).is_err(), "once");
    bench.settle();
    assert_eq!(bench.store.read(gate::frozen).unwrap(), []);
    flush_one(&mut bench);
    assert!(matches!(bench.order(&Order::LedgerVerify { checkpoints: vec![], key: None }), Ok(Answer::LedgerVerify(_))));
}

#[test]
fn a_payment_from_the_change_of_a_batch_that_a_deep_reorg_undid_is_not_called_unpaid() {
    let mut bench = Bench::new(World::with(Knots, &[JOURNALED]));
    // Of all coins, so that the next one spends the change.
    bench.submit("first", &payee(0), "95");
    let first = flush_one(&mut bench);
    bench.world.settle();
    let bump = Order::PayBump { batch: first.id.clone(), fee_rate_per_vb: Some(60), dry_run: false };
    let Ok(Answer::PayBump(bumped)) = bench.order(&bump) else { panic!("a bump") };
    let tip = bench.world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
    bench.world.mine(bench.world.coin().final_depth);
    bench.settle();
    assert_eq!(bench.state("first"), State::Final);
    bench.submit("second", &payee(1), "1");
    let second = flush_one(&mut bench);
    bench.world.settle();
    // The chain loses the blocks, and the daemon its mempool.
    let undone = bench.world.node_rpc("getblockhash", json!([tip + 1]));
    bench.world.node_rpc("invalidateblock", json!([undone]));
    restart_forgetful(&mut bench);
    bench.settle();
    assert_eq!(bench.state("second"), State::Sent, "it pays as soon as the first is in a block again");
    assert_eq!(bench.state("first"), State::Sent);
    // To somebody else: the same block as before would still be invalid. The second is not to be in a block as low as the lost ones.
    for _ in 0..3 {
        bench.settle();
        bench.world.node_rpc("generatetoaddress", json!([bench.world.coin().final_depth, payee(99)]));
    }
    bench.settle();
    let paid = bench.paid_on_chain();
    assert_eq!((&paid[&script_of(0)][..], &paid[&script_of(1)][..]), (&[9_500_000_000][..], &[100_000_000][..]));
    assert_eq!((bench.state("first"), bench.state("second")), (State::Final, State::Final), "{bumped:?} {second:?}");
}

#[test]
fn a_payment_by_a_deposit_that_can_never_be_in_a_block_again_is_held_for_a_person() {
    let mut bench = Bench::new(World::with(Knots, &[JOURNALED]));
    let deposit = bench.world.new_address();
    let deposited = bench.world.pay_in(&deposit, "200");
    bench.world.mine(1);
    bench.submit("p0", &payee(0), "150");
    flush_one(&mut bench);
    let tip = bench.world.node_rpc("getbestblockhash", json!([]));
    bench.world.node_rpc("invalidateblock", json!([tip]));
    // The stranger takes his coin for another payment, and that one comes into the chain.
    bench.world.outside_rpc("bumpfee", json!([deposited]));
    bench.settle();
    assert_eq!(bench.state("p0"), State::Sent);
    let depth = bench.world.coin().final_depth;
    bench.world.node_rpc("generatetoaddress", json!([depth - 1, payee(99)]));
    bench.world.settle();
    bench.settle();
    assert_eq!(bench.state("p0"), State::Sent, "another reorg may bring it back");
    bench.world.node_rpc("generatetoaddress", json!([1, payee(99)]));
    bench.world.settle();
    bench.settle();
    assert_eq!(bench.state("p0"), State::Held);
    assert!(!bench.paid_on_chain().contains_key(&script_of(0)));
}

#[test]
fn a_replacement_that_comes_to_nothing_locks_no_coin() {
    let mut bench = Bench::new(World::behind(Knots, &[JOURNALED], FaultProxy::start));
    bench.submit("p0", &payee(0), "9.9996");
    let batch = flush_one(&mut bench);
    bench.world.settle();
    let locked = bench.world.rpc("listlockunspent", json!([]));
    let bump = Order::PayBump { batch: batch.id.clone(), fee_rate_per_vb: Some(300), dry_run: false };
    for method in ["finalizepsbt", "testmempoolaccept"] {
        bench.proxy().once(method, Fault::Refuse(-1, "not now".to_owned()));
        bench.order(&bump).unwrap_err();
        assert_eq!(bench.world.rpc("listlockunspent", json!([])), locked, "{method}");
    }
    assert!(matches!(bench.order(&bump), Ok(Answer::PayBump(report)) if report.spend.inputs.len() == 2));
}
