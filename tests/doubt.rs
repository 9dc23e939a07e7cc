//! The exits of doubt, on real daemons: what settles it before the fence and what does not, and a person's word for a store that went
//! back in time and for a wallet whose keys changed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use bench::{Bench, payee, script_of};
use bursar::coin::{Timestamp, Txid};
use bursar::gate::{self, Cause};
use bursar::ledger::{self, Account};
use bursar::payout::{self, BatchState, Decision, Resolution, Ruling, State, Step};
use bursar::service::{Answer, Failure, Order};
use bursar::store::StoreError;
use serde_json::{Value, json};
use support::{Fault, FaultProxy, Generation, World, wait_for};

use Generation::{Knots, Litecoin018, Litecoin021};

const DEADLINE: Duration = Duration::from_secs(60);

/// What an operator does who thinks that the batch was lost.
fn pay_by_hand(world: &World, comment: &str) -> Txid {
    let txid = world.rpc("sendmany", json!(["", { payee(1): 0.5 }, 1, comment]));
    txid.as_str().unwrap().parse().unwrap()
}

fn comments(world: &World) -> Vec<String> {
    let listed = world.rpc("listtransactions", json!(["*", 100]));
    let comments = listed.as_array().unwrap().iter().filter_map(|entry| entry["comment"].as_str());
    comments.map(str::to_owned).collect()
}

fn resolution(bench: &mut Bench) -> Resolution {
    bench.resolve().batches.remove(0).resolution
}

fn causes(bench: &mut Bench) -> Vec<Cause> {
    bench.store.read::<_, StoreError>(gate::frozen).unwrap().into_iter().map(|frozen| frozen.freeze.cause).collect()
}

fn thaw(bench: &mut Bench) -> Result<Answer, Failure> {
    let id = bench.store.read::<_, StoreError>(gate::frozen).unwrap()[0].id;
    bench.order(&Order::AuditThaw { id, reason: "looked at each".to_owned(), who: "ada".to_owned() })
}

fn rekeyed(bench: &mut Bench) -> Result<Answer, Failure> {
    bench.order(&Order::LedgerRekeyed { wallet: None, reason: "encrypted".to_owned(), who: "ada".to_owned() })
}

#[test]
fn a_payment_by_hand_does_not_settle_a_call_that_still_hangs_in_the_daemon() {
    for generation in [Litecoin021, Knots] {
        let mut bench = Bench::new(World::behind_proxy(generation));
        bench.submit("a", &payee(1), "0.5");
        bench.proxy().once("sendmany", Fault::CopyOnOrder);
        bench.flush();
        let by_hand = pay_by_hand(&bench.world, "");
        // The call runs after the first look and before the fence.
        let runs = |world: &World| {
            world.proxy.as_ref().unwrap().send_copies();
            wait_for(DEADLINE, "the call", || comments(world).iter().any(|comment| comment.starts_with("bursar:")).then_some(()));
        };
        let report = bench.resolve_watched(&|step| matches!(step, Step::Looked(_)), &runs).unwrap();
        let Resolution::Sent { txids } = &report.batches[0].resolution else { panic!("{report:?}") };
        assert!(txids.len() == 1 && !txids.contains(&by_hand), "{generation:?}: {txids:?}");
        assert!(ledger_says(&mut bench, Account::Unexplained) != 0, "the payment by hand is nobody's order");
    }
}

#[test]
fn what_pays_the_same_in_a_wallet_that_forgot_is_not_taken_for_the_batch_that_it_may_have_lost() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin018));
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropReply);
    bench.flush();
    let listed = bench.world.rpc("listtransactions", json!(["*", 100]));
    let sent = listed.as_array().unwrap().iter().find(|entry| entry["category"] == "send").unwrap()["txid"].clone();
    let bytes = bench.world.rpc("gettransaction", json!([sent]))["hex"].clone();
    let spent = bench.world.node_rpc("decoderawtransaction", json!([bytes]))["vin"].clone();
    bench.flush_chain_to_disk();
    bench.keeper.stop().unwrap();
    fs::remove_file(bench.world.coin().chain_dir().join("mempool.dat")).ok();
    bench.keeper.start(&["-zapwallettxes=1"]).unwrap();
    assert_eq!(comments(&bench.world), [] as [String; 0], "the wallet lost it");
    // A person pays by hand what looks unpaid; the network still has the other.
    bench.world.rpc("lockunspent", json!([false, [{"txid": spent[0]["txid"], "vout": spent[0]["vout"]}]]));
    let by_hand = pay_by_hand(&bench.world, "");
    let Resolution::Disputed { reasons } = resolution(&mut bench) else { panic!("disputed") };
    assert!(reasons[0].starts_with(&by_hand.to_string()), "{reasons:?}");
    assert!(reasons[1..].iter().any(|reason| reason.contains("Zapping")), "{reasons:?}");
    bench.world.node_rpc("sendrawtransaction", json!([bytes]));
    bench.world.mine(1);
    bench.settle();
    assert_eq!(bench.state("a"), State::Disputed);
    assert_eq!(bench.paid_on_chain()[&script_of(1)], [50_000_000; 2], "both were paid, one of them by a person");
}

fn ledger_says(bench: &mut Bench, account: Account) -> i64 {
    bench.store.read(|tx| ledger::balance(tx, account)).unwrap().base_units()
}

#[test]
fn a_second_payment_with_the_mark_of_a_batch_freezes() {
    for generation in [Litecoin018, Knots] {
        let mut bench = Bench::new(World::behind_proxy(generation));
        bench.submit("a", &payee(1), "0.5");
        bench.proxy().once("sendmany", Fault::DropCall);
        bench.flush();
        let batch = payout::batches(&mut bench.store, BatchState::InDoubt).unwrap().remove(0);
        let by_hand = pay_by_hand(&bench.world, "");
        let pid = bench.world.daemon_pid();
        assert_eq!(resolution(&mut bench), Resolution::Sent { txids: vec![by_hand] }, "{generation:?}");
        assert_ne!(bench.world.daemon_pid(), pid, "a find by outputs needs the fence");
        bench.world.mine(1);
        bench.settle();
        assert_eq!((bench.state("a"), causes(&mut bench)), (State::Confirmed, vec![]), "{generation:?}");
        let second = pay_by_hand(&bench.world, &batch.mark);
        for _ in 0..2 {
            bench.settle();
            let frozen = bench.store.read::<_, StoreError>(gate::frozen).unwrap();
            assert_eq!(frozen.len(), 1, "{generation:?}: {frozen:?}");
            assert_eq!((frozen[0].freeze.cause, &frozen[0].freeze.txids[..]), (Cause::Payment, &[by_hand, second][..]));
        }
        bench.submit("b", &payee(2), "0.5");
        assert!(bench.try_flush().unwrap_err().to_string().contains("frozen"));
    }
}

#[test]
fn what_a_store_forgot_is_adopted_by_a_person_and_nobody_is_paid_twice() {
    // A store from before its first sync, and one that followed the wallet already.
    for (generation, followed) in [(Litecoin018, false), (Knots, true)] {
        let mut bench = Bench::new(World::new(generation));
        bench.submit("first", &payee(1), "0.5");
        bench.submit("second", &payee(2), "0.5");
        if followed {
            bench.settle();
        }
        let old = bench.world.dir().join("old.db");
        bench.store.copy_to(&old).unwrap();
        let paid = bench.flush().batches.remove(0).txid.unwrap();
        bench.submit("third", &payee(3), "0.5");
        bench.flush();
        let forgotten = comments(&bench.world);
        bench.world.mine(3);
        bench.replace_store(&old);
        bench.try_flush().unwrap_err();
        assert_eq!(causes(&mut bench), [Cause::StoreWentBack]);
        thaw(&mut bench).unwrap();
        bench.settle();
        assert_eq!(causes(&mut bench), [], "it thaws for good");
        assert_eq!((bench.state("first"), bench.state("second")), (State::Held, State::Held), "they may be paid, and are");
        assert_eq!((ledger_says(&mut bench, Account::Unexplained), ledger_says(&mut bench, Account::Payout)), (0, 150_000_000));
        bench.submit("fourth", &payee(4), "0.5");
        let report = bench.flush();
        assert!(report.batches[0].txid.is_some_and(|txid| txid != paid), "{report:?}");
        let batch = payout::batches(&mut bench.store, BatchState::Sent).unwrap().remove(0);
        assert_eq!(batch.seq, 3, "above the two that it forgot");
        assert!(!forgotten.contains(&batch.mark));
        bench.world.mine(1);
        let chain = bench.paid_on_chain();
        for number in 1..=4 {
            assert_eq!(chain[&script_of(number)], [50_000_000], "payee {number}");
        }
    }
}

#[test]
fn a_store_that_went_back_takes_no_payment_by_hand_for_a_batch_in_doubt() {
    for generation in [Litecoin018, Knots] {
        let mut bench = Bench::new(World::behind_proxy(generation));
        bench.submit("a", &payee(1), "0.5");
        bench.proxy().once("sendmany", Fault::DropCall);
        bench.flush();
        let old = bench.world.dir().join("old.db");
        bench.store.copy_to(&old).unwrap();
        assert_eq!(resolution(&mut bench), Resolution::NotSent { times: 1 }, "{generation:?}");
        assert!(bench.flush().batches[0].txid.is_some());
        bench.replace_store(&old);
        // Whoever reads in the old store that it is in doubt may not know that it was paid since.
        pay_by_hand(&bench.world, "");
        let outcome = resolution(&mut bench);
        let Resolution::Disputed { reasons } = &outcome else { panic!("{generation:?}: {outcome:?}") };
        assert!(reasons.iter().any(|reason| reason.contains("went back in time")), "{generation:?}: {reasons:?}");
    }
}

#[test]
fn doubt_about_a_wallet_whose_keys_changed_ends_and_a_person_lets_the_ledger_follow_it() {
    for generation in [Litecoin018, Knots] {
        for (fault, paid) in [(Fault::DropCall, false), (Fault::DropReply, true)] {
            let mut bench = Bench::new(World::behind_proxy(generation));
            bench.settle();
            bench.submit("a", &payee(1), "0.5");
            bench.proxy().once("sendmany", fault);
            bench.flush();
            bench.flush_chain_to_disk();
            bench.world.rpc("encryptwallet", json!(["only for a test"]));
            let outcome = resolution(&mut bench);
            let as_it_was =
                if paid { matches!(outcome, Resolution::Sent { .. }) } else { matches!(outcome, Resolution::Disputed { .. }) };
            assert!(as_it_was, "{generation:?}: {outcome:?}");
            let refused = bench.order(&Order::LedgerSync).unwrap_err();
            assert_eq!(refused.code, "other_wallet", "{refused:?}");
            assert_eq!(causes(&mut bench), [Cause::Wallet]);
            let Answer::LedgerRekeyed(word) = rekeyed(&mut bench).unwrap() else { panic!() };
            assert!(word.old != word.new && word.transactions > 0, "{word:?}");
            assert_eq!(causes(&mut bench), []);
            bench.order(&Order::LedgerSync).unwrap();
            assert!(rekeyed(&mut bench).unwrap_err().message.contains("has the keys that the ledger knows"));
        }
    }
}

#[test]
fn an_empty_wallet_of_the_same_name_is_not_the_followed_one_whatever_a_person_says() {
    let mut bench = Bench::new(World::new(Litecoin021));
    bench.settle();
    bench.flush_chain_to_disk();
    bench.keeper.stop().unwrap();
    let dir = bursar::keeper::wallet_dir(bench.world.coin());
    fs::rename(&dir, dir.with_extension("away")).unwrap();
    bench.restart();
    bench.world.try_rpc("/", "createwallet", json!(["bursar"])).ok();
    assert_eq!(bench.order(&Order::LedgerSync).unwrap_err().code, "other_wallet");
    let refused = rekeyed(&mut bench).unwrap_err();
    assert!(refused.message.contains("does not list transaction"), "{refused:?}");
    assert_eq!(causes(&mut bench), [Cause::Wallet]);
}

/// As a wallet without a seed answers: nothing tells it from another of its name.
fn seedless(upstream: SocketAddr) -> FaultProxy {
    FaultProxy::start_rewriting(
        upstream,
        Box::new(|call, upstream| {
            if call.method != "getwalletinfo" {
                return None;
            }
            let (status, body) = upstream.forward(call, None, None).ok()?;
            let mut reply: Value = serde_json::from_str(&body).ok()?;
            reply["result"].as_object_mut()?.remove("hdseedid");
            Some((status, reply.to_string()))
        }),
    )
}

#[test]
fn a_payment_that_was_buried_while_an_empty_wallet_of_the_same_name_answered_is_confirmed() {
    let mut bench = Bench::new(World::behind(Litecoin021, &[], seedless));
    bench.settle();
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropReply);
    bench.flush();
    bench.world.mine(1);
    bench.flush_chain_to_disk();
    bench.keeper.stop().unwrap();
    let dir = bursar::keeper::wallet_dir(bench.world.coin());
    let away = dir.with_extension("away");
    fs::rename(&dir, &away).unwrap();
    bench.restart();
    bench.world.try_rpc("/", "createwallet", json!(["bursar"])).ok();
    bench.world.mine(2 * bench.world.coin().final_depth);
    // In the wrong wallet: the payment is now far below where the ledger reads from.
    bench.settle();
    bench.flush_chain_to_disk();
    bench.keeper.stop().unwrap();
    fs::remove_dir_all(&dir).unwrap();
    fs::rename(&away, &dir).unwrap();
    bench.restart();
    let found = resolution(&mut bench);
    assert!(matches!(found, Resolution::Sent { .. }), "{found:?}");
    bench.settle();
    assert_eq!(bench.state("a"), State::Final);
    assert_eq!(bench.paid_on_chain()[&script_of(1)], [50_000_000]);
}

#[test]
fn an_attached_daemon_in_doubt_is_synced_all_the_same() {
    let mut bench = Bench::new(World::behind_proxy(Litecoin018));
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropCall);
    bench.flush();
    bench.world.mine(1);
    let height = bench.world.node_rpc("getblockcount", json!([]));
    let attach = |coin: &mut bursar::config::CoinSettings| {
        coin.daemon.rpc_credentials_file = Some(coin.credentials_file(bursar::config::RpcRole::Admin));
        coin.daemon.mode = bursar::config::DaemonMode::Attach;
    };
    attach(bench.world.settings.coins.get_mut("coin").unwrap());
    let synced = bench.order(&Order::LedgerSync).unwrap();
    let Answer::LedgerSync { report, .. } = synced else { panic!("{synced:?}") };
    assert_eq!(Value::from(report.tip.height), height);
    assert!(bench.in_doubt());
    // The daemon is this world's to stop.
    bench.world.settings.coins.get_mut("coin").unwrap().daemon.mode = bursar::config::DaemonMode::Keep;
}

/// What a person says of a payment by hand, under a name.
fn explain(bench: &mut Bench, txid: Txid, account: Account) -> Result<Answer, Failure> {
    let (reason, who) = ("ticket 812".to_owned(), "bob".to_owned());
    bench.order(&Order::LedgerExplain { txid, wallet: None, account, reason, who })
}

/// What the ledger knew in the second of the batch is taken to be older than it.
fn a_second_later() {
    let then = Timestamp::now();
    wait_for(DEADLINE, "the next second", || (Timestamp::now() > then).then_some(()));
}

/// A payment by hand of what a batch was to pay, while that is in doubt.
fn paid_by_hand(bench: &mut Bench) -> (payout::Batch, Txid) {
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropCall);
    bench.flush();
    a_second_later();
    let by_hand = pay_by_hand(&bench.world, "");
    bench.settle();
    (payout::batches(&mut bench.store, BatchState::InDoubt).unwrap().remove(0), by_hand)
}

fn books(bench: &mut Bench) -> [i64; 3] {
    assert_eq!(bench.store.read(ledger::verify).unwrap().fault, None);
    [Account::Payout, Account::Internal, Account::Unexplained].map(|account| ledger_says(bench, account))
}

#[test]
fn what_may_have_paid_a_batch_in_doubt_is_explained_as_a_payout_or_not_at_all() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::behind_proxy(generation));
        let (batch, by_hand) = paid_by_hand(&mut bench);
        for account in [Account::Internal, Account::Fee, Account::Opening] {
            let refused = explain(&mut bench, by_hand, account).unwrap_err();
            assert!(refused.code == "in_doubt" && refused.message.contains(batch.id.as_str()), "{generation:?}: {refused:?}");
            assert!(refused.next.unwrap().starts_with("`bursar pay resolve` finds out"));
        }
        assert_eq!(books(&mut bench), [0, 0, 50_000_000], "{generation:?}");
        let other = bench.world.rpc("sendmany", json!(["", { payee(1): 0.4 }])).as_str().unwrap().parse().unwrap();
        bench.settle();
        explain(&mut bench, other, Account::Internal).unwrap();
        explain(&mut bench, by_hand, Account::Payout).unwrap();
        assert_eq!(resolution(&mut bench), Resolution::Sent { txids: vec![by_hand] }, "{generation:?}");
        let refused = explain(&mut bench, by_hand, Account::Internal).unwrap_err();
        assert!(refused.message.contains(&format!("belongs to order {} (payout)", batch.id)), "{generation:?}: {refused:?}");
        bench.world.mine(1);
        bench.settle();
        assert_eq!((bench.state("a"), books(&mut bench)), (State::Confirmed, [50_000_000, 40_000_000, 0]), "{generation:?}");
    }
}

/// A person said what it was while the daemon could not be asked whether it paid the batch.
#[test]
fn what_pays_the_same_and_was_explained_otherwise_is_disputed_until_the_word_is_taken_back() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::behind_proxy(generation));
        let (batch, by_hand) = paid_by_hand(&mut bench);
        ledger::explain(&mut bench.store, None, &by_hand, Account::Internal, "cold", "bob", Timestamp::now()).unwrap();
        let Resolution::Disputed { reasons } = resolution(&mut bench) else { panic!("{generation:?}") };
        let ruling = format!("`bursar pay resolve --batch {} --paid-by {by_hand} --reason …`", batch.id);
        for words in ["was explained as internal", &format!("`bursar ledger explain {by_hand} --as payout --reason …`"), &ruling]
        {
            assert!(reasons[0].contains(words), "{generation:?}: '{words}' is not in {reasons:?}");
        }
        bench.order(&Order::LedgerSync).unwrap();
        assert_eq!((bench.state("a"), books(&mut bench)), (State::Disputed, [0, 50_000_000, 0]), "{generation:?}");
        let decision = Decision {
            batch: batch.id.clone(),
            ruling: Ruling::PaidBy(by_hand),
            who: "ada".to_owned(),
            reason: "looked".to_owned(),
        };
        let rule = Order::PayRule { decision, dry_run: false };
        assert!(bench.order(&rule).unwrap_err().message.contains("correct that first"), "{generation:?}");
        explain(&mut bench, by_hand, Account::Payout).unwrap();
        bench.order(&rule).unwrap();
        bench.world.mine(1);
        bench.settle();
        assert_eq!((bench.state("a"), books(&mut bench)), (State::Confirmed, [50_000_000, 0, 0]), "{generation:?}");
        assert_eq!(bench.paid_on_chain()[&script_of(1)], [50_000_000], "{generation:?}");
    }
}

/// A store that went back: a person explains what it forgot, and then adopts it as what it is.
#[test]
fn a_wrong_word_about_what_a_store_forgot_yields_to_its_mark() {
    for generation in [Litecoin018, Knots] {
        let mut bench = Bench::new(World::new(generation));
        bench.submit("a", &payee(1), "0.5");
        bench.settle();
        let old = bench.world.dir().join("old.db");
        bench.store.copy_to(&old).unwrap();
        let paid = bench.flush().batches.remove(0).txid.unwrap();
        bench.replace_store(&old);
        bench.try_flush().unwrap_err();
        explain(&mut bench, paid, Account::Internal).unwrap();
        assert_eq!(books(&mut bench), [0, 50_000_000, 0], "{generation:?}");
        thaw(&mut bench).unwrap();
        assert_eq!(books(&mut bench), [50_000_000, 0, 0], "{generation:?}");
        assert!(explain(&mut bench, paid, Account::Internal).unwrap_err().message.contains("(payout)"), "{generation:?}");
    }
}
