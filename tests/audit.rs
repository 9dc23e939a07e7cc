//! The audit against real daemons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use bursar::audit::{self, AuditError, Report, Verdict};
use bursar::coin::{Amount, Timestamp, Txid};
use bursar::daemon::{RpcWallet, Wallet};
use bursar::gate::{self, Cause};
use bursar::keeper::Keeper;
use bursar::ledger::{self, Account, Claim, LedgerError};
use bursar::store::Store;
use serde_json::{Value, json};
use support::{BURN_ADDRESS, Generation, World};

struct Bench {
    world: World,
    wallet: RpcWallet,
    store: Store,
    _keeper: Keeper,
}

impl Bench {
    fn new(world: World) -> Bench {
        let (keeper, wallet, store) = world.start_ledger();
        world.rpc("settxfee", json!([0.0002]));
        Bench { world, wallet, store, _keeper: keeper }
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
        let report = bench.audit();
        assert_eq!((report.verdict, report.frozen), (Verdict::Agrees, true), "the final blocks were orphaned: {report:#?}");
        let frozen = bench.store.read(gate::frozen).unwrap();
        assert!(matches!(frozen.as_slice(), [only] if only.freeze.cause == Cause::DeepReorg), "{frozen:#?}");
        assert_eq!((bench.balance(Account::Mined), bench.balance(Account::Wallet)), (0, 0));
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
