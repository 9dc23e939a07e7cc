//! The audit against real daemons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;

use bursar::audit::{self, AuditError, Report, SuspectKind, Verdict};
use bursar::coin::{Amount, Timestamp, Txid};
use bursar::daemon::{RpcWallet, Wallet};
use bursar::keeper::Keeper;
use bursar::ledger::{self, Account, Claim, LedgerError};
use bursar::store::Store;
use serde_json::{Value, json};
use support::{BURN_ADDRESS, Generation, World};

struct Bench {
    world: World,
    wallet: RpcWallet,
    store: Store,
    keeper: Keeper,
}

impl Bench {
    fn new(world: World) -> Bench {
        let keeper = world.start_daemon();
        let wallet = world.wallet();
        let store = Store::open(&world.dir().join("ledger")).unwrap();
        world.rpc("settxfee", json!([0.0002]));
        Bench { world, wallet, store, keeper }
    }

    fn restart(&mut self, args: &[&str]) {
        self.keeper.stop().unwrap();
        self.keeper.start(args).unwrap();
        self.world.rpc("settxfee", json!([0.0002]));
    }

    fn try_audit(&mut self) -> Result<Report, AuditError> {
        audit::run(&mut self.store, &self.wallet, self.world.coin(), Timestamp::now())
    }

    fn audit(&mut self) -> Report {
        self.try_audit().unwrap()
    }

    fn assert_agrees(&mut self, when: &str) {
        let report = self.audit();
        assert_eq!((report.verdict, report.frozen), (Verdict::Agrees, false), "{:?} {when}: {report:#?}", self.world.generation);
    }

    fn sendmany(&self, outputs: &[(&str, &str)], comment: &str) -> Txid {
        let outputs: serde_json::Map<String, Value> =
            outputs.iter().map(|(address, amount)| ((*address).to_owned(), serde_json::from_str(amount).unwrap())).collect();
        self.world.rpc("sendmany", json!(["", outputs, 1, comment])).as_str().unwrap().parse().unwrap()
    }

    fn claimed_batch(&mut self, mark: &str, outputs: &[(&str, &str)]) -> Txid {
        let left = Claim { mark: mark.to_owned(), order: mark.to_owned(), account: Account::Payout };
        self.store.write(|tx| ledger::claim(tx, &left)).unwrap();
        self.sendmany(outputs, mark)
    }

    fn balance(&mut self, account: Account) -> i64 {
        self.store.read(|tx| ledger::balance(tx, account)).unwrap().base_units()
    }

    /// What the wallet can spend, by its list of coins.
    fn unspent(&self) -> Amount {
        Amount::sum(self.wallet.unspent().unwrap().into_iter().map(|coin| coin.amount)).unwrap()
    }
}

fn named(report: &Report, kind: SuspectKind) -> BTreeSet<Txid> {
    report.suspects.iter().filter(|suspect| suspect.kind == kind).map(|suspect| suspect.txid).collect()
}

#[test]
fn an_adopted_wallet_agrees_on_day_one() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::new(generation));
        bench.world.mine_to_wallet(2);
        bench.world.fund(&["5", "3"]);
        let outside = bench.world.outside_address();
        bench.sendmany(&[(&outside, "1"), (&bench.world.new_address(), "0.5")], "from before");
        bench.world.mine(6);
        bench.sendmany(&[(&outside, "0.25")], "");
        bench.world.mine(1);
        bench.sendmany(&[(&outside, "0.125")], "not confirmed yet");
        assert!(matches!(bench.try_audit(), Err(AuditError::Ledger(LedgerError::NotOpened { spends: 3, .. }))));
        ledger::open(&mut bench.store, &bench.wallet, bench.world.coin(), None, Timestamp::now()).unwrap();
        bench.assert_agrees("on day one");
        assert_eq!(bench.balance(Account::Unexplained), 0);
        let trusted = bench.wallet.balances().unwrap().trusted;
        assert_eq!(Amount::from_base_units(bench.balance(Account::Wallet)), trusted);
        bench.claimed_batch("m", &[(&outside, "0.0625")]);
        bench.world.mine(9);
        bench.assert_agrees("after the first batch");
        assert_eq!(bench.balance(Account::Payout), 6_250_000);
    }
}

#[test]
fn mined_coins_agree_while_they_mature_and_after() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::new(generation));
        bench.world.mine_to_wallet(2);
        bench.assert_agrees("immature");
        assert_eq!(bench.balance(Account::Mined), 0);
        bench.world.mine(99);
        bench.assert_agrees("one of two is mature");
        let one = bench.balance(Account::Mined);
        assert!(one < 0);
        bench.world.mine(1);
        bench.assert_agrees("mature");
        assert_eq!(bench.balance(Account::Mined), 2 * one);
        let orphaned = bench.world.node_rpc("getblockhash", json!([1]));
        bench.world.node_rpc("invalidateblock", json!([orphaned]));
        bench.world.mine(3);
        bench.assert_agrees("the blocks were orphaned");
        assert_eq!((bench.balance(Account::Mined), bench.balance(Account::Wallet)), (0, 0));
    }
}

#[test]
fn a_payment_by_hand_freezes_until_a_person_explains_it() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::new(generation));
        bench.world.fund(&["5"]);
        bench.assert_agrees("funded");
        let txid = bench.sendmany(&[(BURN_ADDRESS, "1")], "by hand");
        let report = bench.audit();
        assert_eq!((report.verdict, report.frozen), (Verdict::Unexplained, true));
        assert_eq!(named(&report, SuspectKind::Unexplained), BTreeSet::from([txid]));
        bench.world.mine(4);
        assert!(bench.audit().frozen);
        ledger::explain(&mut bench.store, None, &txid, Account::Payout, "refund of ticket 7", "ada", Timestamp::now()).unwrap();
        bench.assert_agrees("explained");
    }
}

#[test]
fn pending_locked_and_limbo_are_not_alarming() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::new(generation));
        bench.world.fund(&["5"]);
        bench.world.pay_in(&bench.world.new_address(), "2");
        bench.assert_agrees("a pending receipt");
        let coin = bench.wallet.unspent().unwrap().into_iter().find(|coin| coin.confirmations > 0).unwrap().outpoint;
        bench.world.rpc("lockunspent", json!([false, [{"txid": coin.txid, "vout": coin.vout}]]));
        bench.assert_agrees("a locked coin");
        bench.world.rpc("lockunspent", json!([true]));

        // A daemon that does not broadcast: the wallet answers with a txid, and the mempool does not have it.
        bench.restart(&["-walletbroadcast=0"]);
        let first = bench.claimed_batch("first", &[(BURN_ADDRESS, "1")]);
        let report = bench.audit();
        assert_eq!((report.verdict, report.frozen), (Verdict::Explained, false), "{report:#?}");
        assert_eq!(named(&report, SuspectKind::Limbo), BTreeSet::from([first]));
        assert_eq!((report.difference > Amount::ZERO, report.residue), (true, Amount::ZERO), "{report:#?}");

        // An abandoned payment is none, and its coin is paid out again.
        bench.world.rpc("abandontransaction", json!([first]));
        bench.assert_agrees("abandoned");
        let second = bench.claimed_batch("second", &[(BURN_ADDRESS, "2"), (&bench.world.new_address(), "1")]);
        assert_eq!(named(&bench.audit(), SuspectKind::Limbo), BTreeSet::from([second]));
        bench.restart(&[]);
        bench.wallet.broadcast(&bench.wallet.transaction(&second).unwrap().unwrap().raw_hex).unwrap();
        bench.assert_agrees("broadcast");
        bench.world.mine(4);
        bench.assert_agrees("final");
        assert_eq!(bench.balance(Account::Payout), 300_000_000);
    }
}

/// A fee bump copies the comment, so two transactions carry one mark. On 0.18 and 0.21 the mempool refuses the bump, and the wallet
/// says nothing of it.
#[test]
fn a_fee_bump_is_counted_once_whichever_transaction_wins() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(World::new(generation));
        bench.world.fund(&["5"]);
        bench.audit();
        let left = Claim { mark: "m".to_owned(), order: "m".to_owned(), account: Account::Payout };
        bench.store.write(|tx| ledger::claim(tx, &left)).unwrap();
        let first = bench.world.rpc("sendmany", json!(["", {BURN_ADDRESS: 1}, 1, "m", [], true]));
        bench.assert_agrees("before the bump");
        let path = format!("/wallet/{}", bench.world.coin().wallet.name);
        bench.world.try_rpc(&path, "bumpfee", json!([first])).unwrap();
        let report = bench.audit();
        assert!(!report.frozen && report.residue == Amount::ZERO, "{generation:?} {report:#?}");
        bench.world.mine(4);
        bench.assert_agrees("one of them is final");
        assert_eq!(bench.balance(Account::Payout), 100_000_000, "{generation:?}");
    }
}

/// A wallet with one transaction of every kind; returns them by name.
fn with_history(bench: &mut Bench) -> Vec<(&'static str, Txid)> {
    let world = &bench.world;
    let first = |entries: Value| entries[0]["txid"].as_str().unwrap().parse().unwrap();
    world.mine_to_wallet(1);
    let mature = first(world.rpc("listtransactions", json!(["*", 1])));
    world.fund(&["7"]);
    let spent_later = first(world.rpc("listtransactions", json!(["*", 1])));
    bench.audit();
    let outside = bench.world.outside_address();
    let coin = bench.wallet.unspent().unwrap().into_iter().find(|coin| coin.outpoint.txid == mature);
    assert!(coin.is_some(), "mature by now");
    let batch = bench.claimed_batch("batch", &[(&outside, "6.5"), (BURN_ADDRESS, "0.25")]);
    bench.world.mine(1);
    let deposit = bench.world.pay_in(&bench.world.new_address(), "1.25").parse().unwrap();
    bench.world.mine(4);
    bench.world.mine_to_wallet(1);
    let immature = first(bench.world.rpc("listtransactions", json!(["*", 1])));
    vec![
        ("mature coinbase", mature),
        ("a deposit that was spent later", spent_later),
        ("a batch", batch),
        ("a deposit", deposit),
        ("immature coinbase", immature),
    ]
}

fn lost_transactions_are_named(world: World) {
    let mut bench = Bench::new(world);
    let history = with_history(&mut bench);
    bench.assert_agrees("before");
    let before = bench.unspent();
    for (what, lost) in history {
        bench.world.rpc("removeprunedfunds", json!([lost]));
        let report = bench.audit();
        let context = format!("{:?}, lost {what} {lost}: {report:#?}", bench.world.generation);
        assert_eq!((report.verdict, report.frozen), (Verdict::Unexplained, true), "{context}");
        assert_eq!(named(&report, SuspectKind::Lost), BTreeSet::from([lost]), "{context}");
        assert!(report.suspects.iter().all(|suspect| suspect.txid == lost || suspect.kind == SuspectKind::Changed), "{context}");
        assert_eq!(report.residue, Amount::ZERO, "{context}");
        assert_eq!(report.wallet.unspent, bench.unspent(), "{context}");
        // A restart does not bring it back, only a rescan does.
        bench.world.mine(1);
        assert!(bench.audit().frozen, "{what}");
        // Past the stand-in, which hides this call; tests/repair.rs takes the way by -rescan.
        bench.world.rpc("rescanblockchain", json!([0]));
        bench.assert_agrees(&format!("{what} was found again"));
        assert_eq!(bench.unspent(), before, "{what}");
    }
    assert_eq!(bench.store.read(ledger::verify).unwrap().fault, None);
}

#[test]
fn a_lost_transaction_is_named_on_litecoin_0_18() {
    lost_transactions_are_named(World::new(Generation::Litecoin018));
}

#[test]
fn a_lost_transaction_is_named_on_litecoin_0_21() {
    lost_transactions_are_named(World::new(Generation::Litecoin021));
}

#[test]
fn a_lost_transaction_is_named_on_knots() {
    lost_transactions_are_named(World::new(Generation::Knots));
}

#[test]
fn a_lost_transaction_is_named_on_the_stand_in_for_getinfo() {
    lost_transactions_are_named(World::getinfo_standin());
}
