//! What the wallet remembers of journaled batches, and a store of an earlier time that learns by it what it forgot; on real daemons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use std::collections::BTreeSet;

use bench::{Bench, JOURNALED, flush_one, journaled, payee, script_of, submit_some};
use bursar::audit::Verdict;
use bursar::coin::Txid;
use bursar::daemon::Wallet;
use bursar::gate::{self, Cause};
use bursar::payout::rules::Refusal;
use bursar::payout::{self, BatchState, PayoutError, State};
use bursar::service::{Answer, Order};
use serde_json::json;
use support::{Generation, World};

use Generation::Litecoin018;

#[test]
fn a_store_of_an_earlier_time_sends_nothing_until_its_forgotten_payment_is_adopted() {
    for generation in Generation::ALL {
        let mut bench = journaled(generation);
        submit_some(&mut bench, 0..2);
        bench.settle();
        let old = bench.world.dir().join("old.db");
        bench.store.copy_to(&old).unwrap();
        let sent = flush_one(&mut bench);
        bench.world.settle();
        bench.replace_store(&old);
        assert_eq!(bench.count(State::Queued), 2);
        is_adopted(&mut bench, sent.txid.unwrap());
    }
}

/// A store that forgot one batch with two payouts: it sends nothing before a person took up what it forgot, and then nothing of it again.
fn is_adopted(bench: &mut Bench, forgotten: Txid) {
    let mark = marks(bench).remove(0);
    let refused = bench.try_flush().unwrap_err();
    assert!(matches!(&refused, PayoutError::Refused(Refusal::StoreWentBack(marks)) if *marks == [mark.clone()]), "{refused}");
    assert!(bench.try_submit("new", &payee(9), "1").is_err());
    let frozen = bench.store.read(gate::frozen).unwrap();
    let causes: Vec<Cause> = frozen.iter().map(|frozen| frozen.freeze.cause).collect();
    assert_eq!(causes, [Cause::StoreWentBack, Cause::UnknownSpend]);
    assert!(frozen[0].freeze.detail.ends_with(&mark), "{frozen:?}");
    assert_eq!(frozen[1].freeze.txids, [forgotten]);
    for frozen in frozen {
        bench.order(&Order::AuditThaw { id: frozen.id, reason: "restored".to_owned(), who: "ada".to_owned() }).unwrap();
    }
    assert_eq!(bench.count(State::Held), 2, "what it paid is not sent again");
    bench.settle();
    assert_eq!(bench.store.read(gate::frozen).unwrap(), [], "it thaws for good");
    submit_some(bench, 5..6);
    assert_eq!(flush_one(bench).state, BatchState::Sent);
    let sent = payout::batches(&mut bench.store, BatchState::Sent).unwrap().remove(0);
    assert_eq!(sent.seq, 2, "above the one that it forgot");
    bench.world.mine(1);
    let paid = bench.paid_on_chain();
    assert!([0, 1, 5].iter().all(|n| paid[&script_of(*n)] == [10_000_000]));
}

/// What the wallet remembers of journaled batches.
fn marks(bench: &Bench) -> Vec<String> {
    let labels = bench.world.rpc("listlabels", json!([]));
    let labels = labels.as_array().unwrap().iter().map(|label| label.as_str().unwrap().to_owned());
    labels.filter(|label| label.starts_with("bursar:")).collect()
}

#[test]
fn a_store_from_before_its_first_journaled_batch_sees_it_behind_a_change_of_the_method() {
    for generation in Generation::ALL {
        let mut bench = journaled(generation);
        submit_some(&mut bench, 0..2);
        bench.settle();
        let old = bench.world.dir().join("old.db");
        bench.store.copy_to(&old).unwrap();
        let sent = flush_one(&mut bench);
        bench.world.mine(bench.world.coin().final_depth);
        bench.settle();
        bench.replace_store(&old);
        bench.world.edit_settings("method = \"journaled\"", "method = \"sendmany\"");
        is_adopted(&mut bench, sent.txid.unwrap());
    }
}

#[test]
fn the_wallet_remembers_the_last_batch_by_one_address_that_is_no_change() {
    for generation in Generation::ALL {
        let mut bench = journaled(generation);
        let before = bench.world.wallet().received_addresses().unwrap();
        let mut addresses = BTreeSet::new();
        for number in 0..3 {
            submit_some(&mut bench, number..number + 1);
            let batch = flush_one(&mut bench);
            let marks = marks(&bench);
            assert!(marks.len() == 1 && marks[0].ends_with(&format!(":{}", batch.id)), "{generation:?}: {marks:?}");
            let labelled = bench.world.rpc("getaddressesbylabel", json!([marks[0]]));
            addresses.extend(labelled.as_object().unwrap().keys().cloned());
            let known = bench.world.rpc("gettransaction", json!([batch.txid.unwrap().to_string()]));
            let outputs = bench.world.node_rpc("decoderawtransaction", json!([known["hex"]]))["vout"].to_string();
            assert!(addresses.iter().all(|address| !outputs.contains(address.as_str())), "{outputs}");
        }
        assert_eq!(addresses.len(), 1, "{generation:?}: one address serves all batches");
        assert_eq!(bench.world.wallet().received_addresses().unwrap(), before + 1);
        bench.world.mine(bench.world.coin().final_depth);
        bench.settle();
        let Answer::AuditRun { report: audit, .. } = bench.order(&Order::AuditRun { deep: false }).unwrap() else {
            panic!("an audit")
        };
        assert_eq!(audit.verdict, Verdict::Agrees, "{generation:?}");
    }
}

#[test]
fn a_daemon_with_accounts_remembers_each_batch_by_an_account_of_its_own() {
    let changes = [("wallet.name", "\"\""), JOURNALED];
    let mut bench = Bench::new(World::behind(Litecoin018, &changes, support::getinfo_standin));
    submit_some(&mut bench, 0..2);
    bench.settle();
    let old = bench.world.dir().join("old.db");
    bench.store.copy_to(&old).unwrap();
    let sent = flush_one(&mut bench);
    assert_eq!(marks(&bench).len(), 1);
    bench.replace_store(&old);
    bench.world.edit_settings("method = \"journaled\"", "method = \"sendmany\"");
    bench.world.settle();
    is_adopted(&mut bench, sent.txid.unwrap());
    bench.world.edit_settings("method = \"sendmany\"", "method = \"journaled\"");
    submit_some(&mut bench, 6..7);
    flush_one(&mut bench);
    assert_eq!(marks(&bench).len(), 2);
}

/// A label on an address of somebody else, as whoever may call `setlabel` writes it.
fn label(bench: &Bench, rest: &str) {
    let label = format!("bursar:{}:{rest}", bench.store.id());
    bench.world.rpc("setlabel", json!([payee(99), label]));
}

#[test]
fn a_label_that_only_begins_like_a_mark_freezes_nothing() {
    for generation in Generation::ALL {
        let mut bench = journaled(generation);
        let batch = "0a".repeat(16);
        for rest in [String::new(), "7".to_owned(), format!("7:{batch} (old)"), format!("7\n8:{batch}"), format!("x y:7:{batch}")]
        {
            label(&bench, &rest);
            bench.settle();
            assert_eq!(bench.store.read(gate::frozen).unwrap(), [], "{rest:?}");
        }
        submit_some(&mut bench, 0..1);
        assert_eq!(flush_one(&mut bench).state, BatchState::Sent);
    }
}

#[test]
fn a_mark_that_somebody_else_wrote_is_adopted_and_batches_go_on_whatever_its_number() {
    let mut bench = journaled(Litecoin018);
    for (number, seq) in (0..).zip([999, i64::MAX as u64 - 1, u64::MAX]) {
        label(&bench, &format!("{seq}:{}", "0b".repeat(16)));
        assert!(matches!(bench.try_flush(), Err(PayoutError::Refused(Refusal::StoreWentBack(_)))));
        for frozen in bench.store.read(gate::frozen).unwrap() {
            bench.order(&Order::AuditThaw { id: frozen.id, reason: "forged".to_owned(), who: "ada".to_owned() }).unwrap();
        }
        for number in [2 * number, 2 * number + 1] {
            submit_some(&mut bench, number..number + 1);
            assert_eq!(flush_one(&mut bench).state, BatchState::Sent, "after {seq}");
        }
    }
    let newest = payout::batches(&mut bench.store, BatchState::Sent).unwrap().iter().map(|batch| batch.seq).max();
    assert_eq!(newest, Some(1005), "above the highest number that a store can have come to");
}
