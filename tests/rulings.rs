//! What a person can decide about a disputed batch, on real daemons: nothing is marked unpaid that may still be paid, and whatever is
//! decided stands in the ledger under a name.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use std::fs;

use bench::{Bench, payee, script_of};
use bursar::coin::Txid;
use bursar::gate;
use bursar::ledger::{self, Account, Kind};
use bursar::payout::rules::Fate;
use bursar::payout::{self, BatchState, Decided, Decision, DoubtReport, PersonsWord, Resolution, Ruling, State};
use bursar::service::{Answer, Failure, Order};
use bursar::store::StoreError;
use serde_json::{Value, json};
use support::{Fault, FaultProxy, Generation, World};

use Generation::{Knots, Litecoin018, Litecoin021};

/// Regtest need not wait for long.
const SOON: (&str, &str) = ("ledger.final_depth", "3");

fn bench(generation: Generation) -> Bench {
    let mut bench = Bench::new(World::behind(generation, &[SOON, ("ledger.credit_depth", "2")], FaultProxy::start));
    bench.settle();
    bench
}

/// A batch that was not sent, in a wallet that may have forgotten it: nobody can tell.
fn disputed(bench: &mut Bench, fault: Fault) -> payout::Batch {
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", fault);
    bench.flush();
    bench.flush_chain_to_disk();
    fs::write(bursar::keeper::wallet_dir(bench.world.coin()).join("wallet.1.bak"), "").unwrap();
    bench.resolve();
    let batch = payout::batches(&mut bench.store, BatchState::Disputed).unwrap().remove(0);
    assert_eq!(bench.state("a"), State::Disputed);
    batch
}

fn rule(bench: &mut Bench, batch: &payout::Batch, ruling: Ruling) -> Result<Decided, Failure> {
    let decision = Decision { batch: batch.id.clone(), ruling, who: "ada".to_owned(), reason: "I looked".to_owned() };
    match bench.order(&Order::PayRule { decision, dry_run: false })? {
        Answer::PayRule(decided) => Ok(decided),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(bench: &mut Bench, batch: &payout::Batch, ruling: Ruling, words: &str) {
    let state = bench.state("a");
    let refused = rule(bench, batch, ruling).unwrap_err();
    assert_eq!(refused.code, "not_decided");
    assert!(refused.message.contains(words) && refused.message.contains("nothing was changed"), "{}", refused.message);
    assert_eq!(bench.state("a"), state);
}

fn doubt(bench: &mut Bench) -> DoubtReport {
    match bench.order(&Order::PayDoubt).unwrap() {
        Answer::PayDoubt(report) => report,
        other => panic!("{other:?}"),
    }
}

/// Moves all that the wallet can spend to itself, as the refusal advises.
fn sweep(world: &World) -> Txid {
    let (address, balance) = (world.new_address(), world.rpc("getbalance", json!([])));
    world.rpc("sendtoaddress", json!([address, balance, "", "", true])).as_str().unwrap().parse().unwrap()
}

fn word_in_ledger(bench: &mut Bench) -> Option<ledger::Posting> {
    let entries = bench.store.read(|tx| ledger::entries(tx, 0, usize::MAX)).unwrap();
    let fault = bench.store.read(ledger::verify).unwrap().fault;
    assert_eq!(fault, None);
    entries.into_iter().find(|entry| entry.note.as_deref() == Some("ada: I looked"))
}

#[test]
fn nobody_marks_unpaid_what_may_still_be_paid_and_the_sweep_of_every_coin_is_proof() {
    for generation in Generation::ALL {
        let mut bench = bench(generation);
        let batch = disputed(&mut bench, Fault::DropCall);
        refused(&mut bench, &batch, Ruling::Unpaid, "10 of 10 coins that it could have spent are unspent");
        // One coin is kept back: all is proven but that one.
        let kept = bench.world.rpc("listunspent", json!([]))[0].clone();
        let kept = json!([{"txid": kept["txid"], "vout": kept["vout"]}]);
        bench.world.rpc("lockunspent", json!([false, kept]));
        bench.world.rpc("sendtoaddress", json!([bench.world.new_address(), 90, "", "", true]));
        bench.world.mine(5);
        bench.settle();
        let report = doubt(&mut bench);
        let left: Vec<_> = report.batches[0].coins.iter().filter(|coin| coin.fate == Fate::Unspent).collect();
        let [left] = left[..] else { panic!("{generation:?}: {report:?}") };
        assert_eq!(json!([{"txid": left.outpoint.txid, "vout": left.outpoint.vout}]), kept);
        assert_eq!(left.amount.unwrap().base_units(), 1_000_000_000);
        refused(&mut bench, &batch, Ruling::Unpaid, &left.outpoint.to_string());
        // And that one, too: proof when it is deep enough.
        bench.world.rpc("lockunspent", json!([true, kept]));
        let last = sweep(&bench.world);
        bench.world.mine(2);
        bench.settle();
        refused(&mut bench, &batch, Ruling::Unpaid, "not 3 blocks deep yet");
        bench.world.mine(1);
        let decided = rule(&mut bench, &batch, Ruling::Unpaid).unwrap();
        assert!(
            decided.done && decided.state == BatchState::Ended && decided.txids.contains(&last),
            "{generation:?}: {decided:?}"
        );
        assert_eq!(bench.state("a"), State::Held);
        let word = word_in_ledger(&mut bench).expect("the word stands in the ledger");
        assert_eq!((word.kind, word.amount.base_units()), (Kind::Explained, 0), "{word:?}");
        let history = payout::show(&mut bench.store, &"a".parse().unwrap()).unwrap().history;
        assert!(history.last().unwrap().reason.as_ref().unwrap().starts_with("ada: I looked"), "{history:?}");
        // Released, it is paid, once.
        payout::decide(&mut bench.store, &"a".parse().unwrap(), PersonsWord::Release, "go", bursar::coin::Timestamp::now())
            .unwrap();
        bench.flush();
        bench.world.mine(3);
        bench.settle();
        assert_eq!((bench.state("a"), bench.paid_on_chain()[&script_of(1)].len()), (State::Final, 1), "{generation:?}");
    }
}

#[test]
fn a_sweep_settles_a_dispute_by_itself() {
    for generation in [Litecoin018, Knots] {
        let mut bench = bench(generation);
        disputed(&mut bench, Fault::DropCall);
        sweep(&bench.world);
        for blocks in 0..3 {
            bench.settle();
            assert_eq!(bench.state("a"), State::Disputed, "{generation:?}: {blocks} blocks deep");
            bench.world.mine(1);
        }
        bench.settle();
        assert_eq!(bench.state("a"), State::Held, "{generation:?}");
        assert_eq!(doubt(&mut bench), DoubtReport::default());
    }
}

#[test]
fn a_coin_that_came_before_the_end_of_the_call_has_to_be_swept_too() {
    let mut bench = bench(Litecoin021);
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropCall);
    bench.flush();
    // The call could have run as late as this, and spent it.
    bench.world.fund(&["7"]);
    bench.flush_chain_to_disk();
    fs::write(bursar::keeper::wallet_dir(bench.world.coin()).join("wallet.1.bak"), "").unwrap();
    bench.resolve();
    let batch = payout::batches(&mut bench.store, BatchState::Disputed).unwrap().remove(0);
    refused(&mut bench, &batch, Ruling::Unpaid, "11 of 11 coins");
}

/// A payment of what the batch was to pay, by a person.
fn pay_by_hand(world: &World, amount: &str) -> Txid {
    let amount: Value = serde_json::from_str(amount).unwrap();
    world.rpc("sendmany", json!(["", { payee(1): amount }])).as_str().unwrap().parse().unwrap()
}

#[test]
fn a_person_binds_a_payment_that_pays_exactly_what_was_asked_and_no_other() {
    for generation in [Litecoin018, Knots] {
        let mut bench = bench(generation);
        let older = pay_by_hand(&bench.world, "0.5");
        bench.world.mine(1);
        bench.settle();
        let batch = disputed(&mut bench, Fault::DropCall);
        let (first, second) = (pay_by_hand(&bench.world, "0.5"), pay_by_hand(&bench.world, "0.5"));
        let other = pay_by_hand(&bench.world, "0.4");
        let deposit: Txid = bench.world.pay_in(&bench.world.new_address(), "1").parse().unwrap();
        bench.settle();
        let explain = |bench: &mut Bench, account| {
            let (txid, reason, who) = (first, "ticket 812".to_owned(), "bob".to_owned());
            bench.order(&Order::LedgerExplain { txid, wallet: None, account, reason, who }).unwrap();
        };
        explain(&mut bench, Account::Internal);
        refused(
            &mut bench,
            &batch,
            Ruling::PaidBy(first),
            "was explained as internal: if it paid this batch, correct that first",
        );
        explain(&mut bench, Account::Payout);
        refused(&mut bench, &batch, Ruling::PaidBy(older), "came after the batch");
        refused(&mut bench, &batch, Ruling::PaidBy(other), "does not pay what was asked");
        refused(&mut bench, &batch, Ruling::PaidBy(deposit), "not a payment of this wallet");
        refused(&mut bench, &batch, Ruling::PaidBy(Txid::from_bytes([9; 32])), "does not know");
        bench.world.mine(1);
        bench.settle();
        refused(&mut bench, &batch, Ruling::Unpaid, "pays one of its payees");
        let unexplained =
            |bench: &mut Bench| bench.store.read(|tx| ledger::balance(tx, Account::Unexplained)).unwrap().base_units();
        let before = unexplained(&mut bench);
        let decided = rule(&mut bench, &batch, Ruling::PaidBy(first)).unwrap();
        assert_eq!((decided.state, bench.state("a")), (BatchState::Confirmed, State::Confirmed), "{generation:?}");
        assert_eq!(unexplained(&mut bench), before, "{generation:?}: it was explained before");
        let word = word_in_ledger(&mut bench).expect("the word stands in the ledger");
        assert_eq!((word.kind, word.txid), (Kind::Explained, Some(first)));
        refused(&mut bench, &batch, Ruling::PaidBy(second), "it is confirmed");
        assert_eq!(bench.store.read::<_, StoreError>(gate::frozen).unwrap(), vec![]);
        // The next batch is not touched by what belongs to this one.
        bench.submit("b", &payee(1), "0.5");
        bench.flush();
        bench.world.mine(3);
        bench.settle();
        assert_eq!((bench.state("a"), bench.state("b")), (State::Final, State::Final));
    }
}

#[test]
fn a_wrong_explanation_is_corrected_by_another_and_what_cannot_be_is_refused() {
    for generation in [Litecoin018, Knots] {
        let mut bench = bench(generation);
        let txid = pay_by_hand(&bench.world, "0.4");
        let deposit: Txid = bench.world.pay_in(&bench.world.new_address(), "1").parse().unwrap();
        bench.world.mine(3);
        bench.settle();
        let (world, keeper) = bench.part();
        drop(keeper);
        let explain = |txid: &Txid, account: &str| {
            world.order(&["ledger", "explain", &txid.to_string(), "--as", account, "--reason", "ticket 812"])
        };
        let (refused, code) = explain(&txid, "mined");
        assert_eq!((code, &refused["error"]["code"]), (2, &json!("wrong_account")), "{refused}");
        assert!(refused["error"]["message"].as_str().unwrap().contains("payout, fee, internal or opening"), "{refused}");
        assert_eq!(explain(&deposit, "payout").1, 1, "nothing of a deposit is unexplained");
        for account in ["fee", "internal", "payout"] {
            let (explained, code) = explain(&txid, account);
            assert_eq!(
                (code, &explained["account"], &explained["amount"]),
                (0, &json!(account), &json!(40_000_000)),
                "{explained}"
            );
            assert_eq!(explain(&txid, account).1, 1, "it was said already");
        }
        let balances = world.done(&["ledger", "balance"]);
        let balance = |account: &str| {
            let lines = balances["balances"].as_array().unwrap();
            lines.iter().find(|line| line["account"] == account).map_or(0, |line| line["amount"].as_i64().unwrap())
        };
        assert_eq!((balance("payout"), balance("internal"), balance("unexplained")), (40_000_000, 0, 0), "{balances}");
        assert_eq!(world.done(&["ledger", "verify"])["fault"], Value::Null, "{generation:?}");
        assert_eq!(world.done(&["audit", "run"])["verdict"], "agrees", "{generation:?}");
    }
}

#[test]
fn the_death_of_a_payment_that_a_person_bound_does_not_prove_that_nothing_was_sent() {
    let mut bench = bench(Knots);
    let batch = disputed(&mut bench, Fault::DropCall);
    let bound = pay_by_hand(&bench.world, "0.5");
    let decided = rule(&mut bench, &batch, Ruling::PaidBy(bound)).unwrap();
    assert_eq!(decided.state, BatchState::Disputed, "in no block yet");
    // Its coin is spent otherwise, for a higher fee, at final depth.
    let raw = bench.world.rpc("getrawtransaction", json!([bound, true]));
    let coin = json!([{"txid": raw["vin"][0]["txid"], "vout": raw["vin"][0]["vout"]}]);
    let unsigned = bench.world.rpc("createrawtransaction", json!([coin, { bench.world.new_address(): 9.99 }]));
    let signed = bench.world.rpc("signrawtransactionwithwallet", json!([unsigned]))["hex"].clone();
    bench.world.rpc("sendrawtransaction", json!([signed]));
    bench.world.mine(4);
    for _ in 0..2 {
        bench.settle();
        assert_eq!(bench.state("a"), State::Disputed);
    }
    refused(&mut bench, &batch, Ruling::Unpaid, "9 of 10 coins that it could have spent are unspent");
    sweep(&bench.world);
    bench.world.mine(3);
    bench.settle();
    assert_eq!(bench.state("a"), State::Held);
}

#[test]
fn what_is_in_doubt_is_resolved_before_a_person_rules() {
    let mut bench = bench(Knots);
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropReply);
    bench.flush();
    let batch = payout::batches(&mut bench.store, BatchState::InDoubt).unwrap().remove(0);
    for ruling in [Ruling::Unpaid, Ruling::PaidBy(Txid::from_bytes([9; 32]))] {
        refused(&mut bench, &batch, ruling, "a copy of its call may run yet");
    }
    let report = doubt(&mut bench);
    let batch = &report.batches[0];
    assert!(
        batch.look.contains("its mark is on") && batch.fenced.is_none() && batch.waits_for.contains("the exit of the daemon")
    );
    assert!(bench.in_doubt(), "explaining changes nothing");
    assert!(matches!(bench.resolve().batches[0].resolution, Resolution::Sent { .. }));
    assert_eq!(doubt(&mut bench), DoubtReport::default());
}

#[test]
fn the_timer_restarts_a_daemon_once_for_a_batch_that_stays_in_doubt() {
    let mut bench = bench(Litecoin021);
    bench.submit("a", &payee(1), "0.5");
    bench.proxy().once("sendmany", Fault::DropCall);
    bench.flush();
    // Below the height of the batch nothing can be told.
    let tip = bench.world.node_rpc("getbestblockhash", json!([]));
    bench.flush_chain_to_disk();
    bench.world.node_rpc("invalidateblock", json!([tip]));
    let first = bench.world.daemon_pid();
    bench.order(&Order::LedgerSync).ok();
    let fenced = bench.world.daemon_pid();
    assert!(fenced.is_some() && fenced != first, "only its exit ends the doubt about the call");
    for _ in 0..3 {
        bench.order(&Order::LedgerSync).ok();
        assert_eq!((bench.world.daemon_pid(), bench.in_doubt()), (fenced, true));
    }
    let report = doubt(&mut bench);
    assert!(report.batches[0].fenced.is_some() && report.batches[0].waits_for.contains("regained"), "{report:?}");
    bench.world.node_rpc("reconsiderblock", json!([tip]));
    bench.resolve();
    assert_eq!(bench.state("a"), State::Queued);
}

#[test]
fn payouts_that_were_proven_unsent_three_times_are_shown() {
    let mut bench = bench(Litecoin018);
    bench.submit("a", &payee(1), "0.5");
    for _ in 0..3 {
        bench.proxy().once("sendmany", Fault::DropCall);
        bench.flush();
        bench.flush_chain_to_disk();
        bench.resolve();
    }
    assert_eq!(bench.state("a"), State::Held);
    assert_eq!(doubt(&mut bench).held, ["a".parse().unwrap()]);
}

#[test]
fn the_verb_explains_asks_and_refuses() {
    let mut bench = bench(Litecoin018);
    let batch = disputed(&mut bench, Fault::DropCall).id.to_string();
    let (world, keeper) = bench.part();
    drop(keeper);
    let said = |args: &[&str]| {
        let output = world.bursar(args);
        (output.status.code().unwrap(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, explained) = said(&["pay", "resolve", "--dry-run"]);
    assert_eq!(code, 3, "{explained}");
    for words in
        [&batch, "tip then", "no copy of the call can run any more", "wallet.1.bak", "10 of 10 coins", "--unpaid --reason"]
    {
        assert!(explained.contains(words), "'{words}' is not in {explained}");
    }
    let ruling = ["pay", "resolve", "--batch", &batch, "--unpaid"];
    assert_eq!(said(&ruling).0, 2, "without a reason");
    assert_eq!(said(&["pay", "resolve", "--batch", &batch, "--reason", "r"]).0, 2, "without a ruling");
    let with_reason = [&ruling[..], &["--reason", "it is lost"]].concat();
    let (code, asked) = said(&with_reason);
    assert!(code == 2 && asked.contains("--yes"), "{code} {asked}");
    for last in ["--dry-run", "--yes"] {
        let (code, refused) = said(&[&with_reason[..], &[last]].concat());
        assert!(code == 1 && refused.contains("sendtoaddress"), "{code} {refused}");
    }
    sweep(&world);
    world.mine(3);
    let (code, would) = said(&[&with_reason[..], &["--dry-run"]].concat());
    assert!(code == 0 && would.contains("dry run"), "{code} {would}");
    let (code, done) = said(&[&with_reason[..], &["--yes"]].concat());
    assert!(code == 0 && done.contains("is ended"), "{code} {done}");
    let (code, nothing) = said(&["pay", "resolve", "--dry-run"]);
    assert!(code == 0 && nothing.contains("no batch is in doubt or disputed"), "{code} {nothing}");
}
