//! What persons say of transactions in which two wallets of one daemon have a part, on real daemons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

#[path = "payouts/bench.rs"]
mod bench;
mod support;

use std::time::Duration;

use bench::{Bench, payee};
use bursar::audit::{Report, Verdict};
use bursar::coin::{Timestamp, Txid};
use bursar::ledger::credit;
use bursar::ledger::{self, Account};
use bursar::payout::{Resolution, State};
use bursar::service::{Answer, Failure, Order};
use serde_json::{Value, json};
use support::{Fault, FaultProxy, Generation, World, wait_for};

const PAYING: &str = "bursar";
const FOLLOWED: &str = "deposits";
const DEADLINE: Duration = Duration::from_secs(60);

/// Ten coins of 10 in the paying wallet, and another wallet, that is to be followed.
fn bench_of(generation: Generation) -> Bench {
    let settings = [("wallet.follow", "[\"deposits\"]"), ("ledger.credit_depth", "2")];
    let bench = Bench::new(World::behind(generation, &settings, FaultProxy::start));
    bench.world.node_rpc("createwallet", json!([FOLLOWED]));
    bench
}

/// The same, in step with both wallets.
fn bench(generation: Generation) -> Bench {
    let mut bench = bench_of(generation);
    sync(&mut bench);
    bench
}

/// A call to one of the wallets, past bursar.
fn ask(bench: &Bench, wallet: &str, method: &str, params: Value) -> Value {
    let asked = bench.world.try_rpc(&format!("/wallet/{wallet}"), method, params);
    asked.unwrap_or_else(|refused| panic!("{method}: {refused:?}"))
}

fn txid(value: &Value) -> Txid {
    value.as_str().unwrap().parse().unwrap()
}

fn sync(bench: &mut Bench) {
    bench.order(&Order::LedgerSync).unwrap();
}

fn explain(bench: &mut Bench, wallet: &str, txid: Txid, account: Account) -> Result<Answer, Failure> {
    let (reason, who) = ("ticket 812".to_owned(), "bob".to_owned());
    bench.order(&Order::LedgerExplain { txid, wallet: Some(wallet.to_owned()), account, reason, who })
}

/// What stands in a wallet for payouts, moves to ourselves, deposits, and unexplained.
fn books(bench: &mut Bench, wallet: &str) -> [i64; 4] {
    assert_eq!(bench.store.read(ledger::verify).unwrap().fault, None);
    [Account::Payout, Account::Internal, Account::Deposit, Account::Unexplained]
        .map(|account| bench.store.read(|tx| ledger::balance_of(tx, wallet, account)).unwrap().base_units())
}

fn audits(bench: &mut Bench) -> [Verdict; 2] {
    let Answer::AuditRun { report, followed, .. } = bench.order(&Order::AuditRun { deep: false }).unwrap() else { panic!() };
    let verdict = |report: &Report| report.verdict;
    [verdict(&report), verdict(followed[0].report.as_ref().unwrap())]
}

/// A payment that spends a coin of each wallet, of 10 and of 3: each lists it as its own, and has lost its coin by it. No wallet can tell the fee.
fn pay_together(bench: &Bench) -> Txid {
    let coin = |wallet| {
        let coin = ask(bench, wallet, "listunspent", json!([1]))[0].clone();
        json!({"txid": coin["txid"], "vout": coin["vout"]})
    };
    let (coins, outputs) = (json!([coin(PAYING), coin(FOLLOWED)]), json!({ payee(1): 12.99 }));
    let unsigned = bench.world.node_rpc("createrawtransaction", json!([coins, outputs]));
    let half = ask(bench, PAYING, "signrawtransactionwithwallet", json!([unsigned]))["hex"].clone();
    let whole = ask(bench, FOLLOWED, "signrawtransactionwithwallet", json!([half]));
    assert_eq!(whole["complete"], true, "{whole}");
    txid(&bench.world.node_rpc("sendrawtransaction", json!([whole["hex"]])))
}

#[test]
fn a_word_about_a_payment_of_two_wallets_explains_it_in_the_one_that_it_is_said_of() {
    for generation in Generation::ALL {
        let mut bench = bench(generation);
        let address = ask(&bench, FOLLOWED, "getnewaddress", json!([]));
        bench.world.pay_in(address.as_str().unwrap(), "3");
        bench.world.mine(1);
        sync(&mut bench);
        let (before, received) = (books(&mut bench, PAYING), books(&mut bench, FOLLOWED));
        let paid = pay_together(&bench);
        bench.world.mine(1);
        sync(&mut bench);
        let with = |[payout, internal, deposit, unexplained]: [i64; 4], lost: i64, word: Account| match word {
            Account::Payout => [payout + lost, internal, deposit, unexplained],
            Account::Internal => [payout, internal + lost, deposit, unexplained],
            _ => [payout, internal, deposit, unexplained + lost],
        };
        let paying = |word| with(before, 1_000_000_000, word);
        let followed = |word| with(received, 300_000_000, word);
        assert_eq!(books(&mut bench, PAYING), paying(Account::Unexplained), "{generation:?}");
        assert_eq!(audits(&mut bench), [Verdict::Unexplained; 2], "{generation:?}");

        explain(&mut bench, PAYING, paid, Account::Payout).unwrap();
        sync(&mut bench);
        assert_eq!(books(&mut bench, PAYING), paying(Account::Payout), "{generation:?}");
        let there = books(&mut bench, FOLLOWED);
        assert_eq!(there, followed(Account::Unexplained), "{generation:?}: nobody said what it was there");
        assert_eq!(audits(&mut bench), [Verdict::Agrees, Verdict::Unexplained], "{generation:?}");

        explain(&mut bench, FOLLOWED, paid, Account::Payout).unwrap();
        explain(&mut bench, FOLLOWED, paid, Account::Internal).unwrap();
        let said = |bench: &mut Bench| (books(bench, PAYING), books(bench, FOLLOWED));
        let expected = (paying(Account::Payout), followed(Account::Internal));
        assert_eq!(said(&mut bench), expected, "{generation:?}");
        assert_eq!(audits(&mut bench), [Verdict::Agrees; 2], "{generation:?}");

        // Each word holds through a reorg, in its own wallet.
        let tip = bench.world.node_rpc("getbestblockhash", json!([]));
        bench.world.node_rpc("invalidateblock", json!([tip]));
        sync(&mut bench);
        bench.world.mine_to_other_address(2);
        sync(&mut bench);
        assert_eq!(said(&mut bench), expected, "{generation:?}");
        explain(&mut bench, PAYING, paid, Account::Internal).unwrap();
        assert_eq!(books(&mut bench, PAYING), paying(Account::Internal), "{generation:?}");
    }
}

/// A wallet that is adopted has its payments from before bursar; that says nothing of the other wallet that they spent from.
#[test]
fn the_adoption_of_a_wallet_explains_nothing_in_another_one() {
    for generation in [Generation::Litecoin018, Generation::Knots] {
        let mut bench = bench_of(generation);
        let address = ask(&bench, FOLLOWED, "getnewaddress", json!([]));
        bench.world.pay_in(address.as_str().unwrap(), "3");
        bench.world.mine(1);
        bench.settle();
        let paid = pay_together(&bench);
        bench.world.mine(1);
        sync(&mut bench);
        let unexplained = books(&mut bench, PAYING);
        assert_eq!(unexplained[3], 1_000_000_000, "{generation:?}");
        bench.order(&Order::LedgerOpen { at: None, wallet: Some(FOLLOWED.to_owned()) }).unwrap();
        sync(&mut bench);
        assert_eq!(books(&mut bench, PAYING), unexplained, "{generation:?}");
        assert_eq!(books(&mut bench, FOLLOWED)[3], 0, "{generation:?}");
        assert_eq!(audits(&mut bench), [Verdict::Unexplained, Verdict::Agrees], "{generation:?}");
        explain(&mut bench, PAYING, paid, Account::Payout).unwrap();
        assert_eq!(audits(&mut bench), [Verdict::Agrees; 2], "{generation:?}");
    }
}

/// A customer of ours is paid at an address in the followed wallet: by hand, while the batch that was to do it was in doubt.
#[test]
fn what_looked_like_a_transfer_and_paid_a_batch_is_a_payout_there_and_a_credited_deposit_here() {
    for (generation, explained) in [(Generation::Litecoin018, false), (Generation::Knots, false), (Generation::Knots, true)] {
        let mut bench = bench(generation);
        let customer = ask(&bench, FOLLOWED, "getnewaddress", json!([])).as_str().unwrap().to_owned();
        bench.submit("a", &customer, "0.5");
        bench.proxy().once("sendmany", Fault::DropCall);
        bench.flush();
        let then = Timestamp::now();
        wait_for(DEADLINE, "the next second", || (Timestamp::now() > then).then_some(()));
        let by_hand = txid(&bench.world.rpc("sendmany", json!(["", { customer.as_str(): 0.5 }])));
        bench.world.mine(1);
        let paying = bench.world.wallet();
        let followed = paying.beside(FOLLOWED);
        for wallet in [&paying, &followed] {
            ledger::sync(&mut bench.store, wallet, bench.world.coin(), Timestamp::now()).unwrap();
        }
        assert_eq!(books(&mut bench, PAYING)[1], 50_000_000, "{generation:?}: a move to ourselves, by all that is known");
        assert_eq!(books(&mut bench, FOLLOWED), [0, -50_000_000, 0, 0], "{generation:?}");
        if explained {
            // No account is left that a person could name; the freeze of an unordered payment would be lifted by it.
            let refused = explain(&mut bench, PAYING, by_hand, Account::Internal).unwrap_err();
            assert_eq!(refused.code, "in_doubt", "{refused:?}");
            ledger::explain(&mut bench.store, Some(PAYING), &by_hand, Account::Internal, "r", "bob", Timestamp::now()).unwrap();
            let Resolution::Disputed { reasons } = bench.resolve().batches.remove(0).resolution else { panic!("disputed") };
            assert!(reasons[0].contains("if it paid this batch, `bursar pay resolve --batch"), "{reasons:?}");
            bind(&mut bench, by_hand);
        } else {
            let resolved = bench.resolve().batches.remove(0).resolution;
            assert_eq!(resolved, Resolution::Sent { txids: vec![by_hand] }, "{generation:?}");
        }
        bench.world.mine(2);
        sync(&mut bench);
        assert!([State::Confirmed, State::Final].contains(&bench.state("a")), "{generation:?}");
        let books_of_both = (books(&mut bench, PAYING), books(&mut bench, FOLLOWED));
        assert_eq!(
            (books_of_both.0[..2].to_vec(), books_of_both.1),
            (vec![50_000_000, 0], [0, 0, -50_000_000, 0]),
            "{generation:?}"
        );
        let credits = bench.store.read(|tx| credit::of_transaction(tx, FOLLOWED, &by_hand)).unwrap();
        assert_eq!(credits.len(), 1, "{generation:?}: {credits:?}");
        assert_eq!(credits[0].address.as_deref(), Some(customer.as_str()), "{generation:?}");
        assert_eq!(audits(&mut bench), [Verdict::Agrees; 2], "{generation:?}");

        // The reorg takes both sides back, and they do not meet as a transfer again.
        let block = bench.world.rpc("gettransaction", json!([by_hand]))["blockhash"].clone();
        bench.world.node_rpc("invalidateblock", json!([block]));
        sync(&mut bench);
        bench.world.mine_to_other_address(5);
        sync(&mut bench);
        assert_eq!((books(&mut bench, PAYING), books(&mut bench, FOLLOWED)), books_of_both, "{generation:?}");
    }
}

/// A person rules that the transaction paid the disputed batch.
fn bind(bench: &mut Bench, txid: Txid) {
    use bursar::payout::{self, BatchState, Decision, Ruling};
    let batch = payout::batches(&mut bench.store, BatchState::Disputed).unwrap().remove(0).id;
    let decision = Decision { batch, ruling: Ruling::PaidBy(txid), who: "ada".to_owned(), reason: "looked".to_owned() };
    bench.order(&Order::PayRule { decision, dry_run: false }).unwrap();
}
