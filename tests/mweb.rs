//! Coins in Litecoin's extension block (MWEB): payouts out of it, moves into it, and what strangers pay in there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use bench::{Bench, flush_one, payee, script_of};
use bursar::audit::{self, Verdict};
use bursar::coin::Timestamp;
use bursar::ledger::{self, SyncReport};
use bursar::payout::{BatchState, State};
use serde_json::json;
use support::{Generation, World};

/// The last block before the extension block on the test chain. The daemon cannot make the next one unless somebody pays into it.
const LAST_WITHOUT: u64 = 431;
/// A start after which the mempool holds nothing, and with which the wallet gives nothing to it.
const FORGETFUL: &[&str] = &["-persistmempool=0", "-walletbroadcast=0"];

/// A wallet whose only coins are in the extension block: the one that was moved there, of so many whole coins, and the change.
fn moved_in(amount: u32) -> Bench {
    let bench = before_it();
    move_in(&bench, amount);
    bench.world.mine(1);
    assert!(bench.world.rpc("listunspent", json!([])).as_array().unwrap().iter().all(|coin| coin.get("vout").is_none()));
    bench
}

/// The next block can be the first one with an extension block.
fn before_it() -> Bench {
    let mut bench = Bench::new(World::new(Generation::Litecoin021));
    let height = bench.world.node_rpc("getblockcount", json!([])).as_u64().unwrap();
    bench.world.mine(LAST_WITHOUT - height);
    bench.settle();
    bench
}

/// A person moves coins into the extension block; the transaction's id.
fn move_in(bench: &Bench, amount: u32) -> String {
    let address = bench.world.rpc("getnewaddress", json!(["", "mweb"]));
    let txid = bench.world.rpc("sendtoaddress", json!([address, amount, "", "", false])).as_str().unwrap().to_owned();
    bench.world.settle();
    txid
}

fn assert_agrees(bench: &mut Bench, when: &str) {
    let wallet = bench.world.wallet();
    let report = audit::run(&mut bench.store, &wallet, bench.world.coin(), Timestamp::now()).unwrap();
    assert_eq!((report.verdict, report.frozen), (Verdict::Agrees, false), "{when}: {report:#?}");
}

fn sync(bench: &mut Bench) -> SyncReport {
    let wallet = bench.world.wallet();
    ledger::sync(&mut bench.store, &wallet, bench.world.coin(), Timestamp::now()).unwrap()
}

#[test]
fn a_payout_out_of_the_extension_block_is_confirmed_and_final() {
    let mut bench = moved_in(91);
    bench.submit("p1", &payee(1), "5");
    let batch = flush_one(&mut bench);
    assert_eq!((batch.state, &batch.note, batch.vsize), (BatchState::Sent, &None, None), "{batch:?}");
    assert!(batch.fee.unwrap().base_units() > 0);
    let report = bench.settle();
    assert!(report.missing.is_empty() && report.rebroadcast.is_empty(), "{report:?}");
    bench.world.mine(1);
    assert_eq!(bench.settle().settled.len(), 1);
    assert_eq!(bench.state("p1"), State::Confirmed);
    // With a coin of the chain and one of the extension block together.
    bench.world.fund(&["3"]);
    bench.settle();
    assert_eq!(bench.state("p1"), State::Final);
    bench.submit("p2", &payee(2), "93");
    assert_eq!(flush_one(&mut bench).note, None);
    bench.world.mine(bench.world.coin().final_depth);
    bench.settle();
    assert_eq!(bench.state("p2"), State::Final);
    let paid = bench.paid_on_chain();
    assert_eq!((&paid[&script_of(1)], &paid[&script_of(2)]), (&vec![500_000_000], &vec![9_300_000_000]));
}

#[test]
fn a_payout_out_of_the_extension_block_that_was_lost_is_given_again_and_follows_a_reorg() {
    let mut bench = moved_in(91);
    bench.submit("p1", &payee(1), "5");
    let txid = flush_one(&mut bench).txid.unwrap();
    bench.keeper.stop().unwrap();
    bench.keeper.start(FORGETFUL).unwrap();
    assert_eq!(bench.settle().rebroadcast, [txid]);
    bench.world.mine(1);
    bench.settle();
    assert_eq!(bench.state("p1"), State::Confirmed);
    let tip = bench.world.node_rpc("getbestblockhash", json!([]));
    bench.world.node_rpc("invalidateblock", json!([tip]));
    bench.world.settle();
    bench.settle();
    assert_eq!(bench.state("p1"), State::Sent);
    bench.world.mine_to_other_address(bench.world.coin().final_depth);
    bench.settle();
    assert_eq!(bench.state("p1"), State::Final);
    assert_eq!(bench.paid_on_chain()[&script_of(1)], [500_000_000]);
}

#[test]
fn a_payout_whose_coins_of_the_extension_block_were_spent_otherwise_is_certainly_unpaid() {
    let mut bench = moved_in(91);
    bench.submit("p1", &payee(1), "5");
    let txid = flush_one(&mut bench).txid.unwrap();
    bench.keeper.stop().unwrap();
    bench.keeper.start(FORGETFUL).unwrap();
    bench.world.rpc("abandontransaction", json!([txid]));
    // A person pays somebody else, with all that there is.
    let rival = bench.world.rpc("sendtoaddress", json!([payee(2), 99]));
    let raw = bench.world.rpc("gettransaction", json!([rival]))["hex"].clone();
    bench.world.node_rpc("sendrawtransaction", json!([raw]));
    bench.world.mine(bench.world.coin().final_depth - 1);
    bench.settle();
    assert_eq!(bench.state("p1"), State::Disputed, "not deep enough to prove anything");
    bench.world.mine(1);
    bench.settle();
    assert_eq!(bench.state("p1"), State::Held);
    assert_eq!(bench.paid_on_chain().get(&script_of(1)), None);
}

#[test]
fn the_extension_block_pays_one_payee_at_a_time_and_a_batch_of_several_waits_for_other_coins() {
    let mut bench = moved_in(91);
    bench.submit("p1", &payee(1), "5");
    bench.submit("p2", &payee(2), "6");
    let report = bench.flush();
    assert!(report.waiting.as_ref().is_some_and(|why| why.contains("Insufficient funds")), "{report:?}");
    assert_eq!(bench.count(State::Queued), 2);
    bench.world.fund(&["12"]);
    assert_eq!(flush_one(&mut bench).payouts, 2);
}

#[test]
fn moves_into_the_extension_block_and_deposits_in_there_agree_and_freeze_nothing() {
    let mut bench = before_it();
    move_in(&bench, 91);
    assert_agrees(&mut bench, "unconfirmed");
    bench.world.mine(1);
    assert_agrees(&mut bench, "moved");
    let address = bench.world.rpc("getnewaddress", json!(["", "mweb"]));
    bench.world.pay_in(address.as_str().unwrap(), "2");
    assert_agrees(&mut bench, "a stranger's, unconfirmed");
    let paid = bench.world.height() + 1;
    bench.world.mine(1);
    assert_agrees(&mut bench, "a stranger's");
    bench.world.invalidate_from(paid);
    let report = sync(&mut bench);
    assert!(report.uncredited.is_empty(), "it was never credited: {report:?}");
    bench.world.mine_to_other_address(7);
    assert_eq!(sync(&mut bench).credited, 0);
    assert_agrees(&mut bench, "after a reorg");
}
