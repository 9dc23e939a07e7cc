//! The ledger against real daemons.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod support;

use std::time::Duration;

use bursar::coin::{Amount, Timestamp, Txid};
use bursar::daemon::{RpcWallet, Wallet};
use bursar::gate::{self, Cause};
use bursar::keeper::Keeper;
use bursar::ledger::{self, Account, Claim, LedgerError, SyncReport, TxState};
use bursar::store::Store;
use serde_json::{Value, json};
use support::{Generation, World, wait_for};

const COIN: i64 = 100_000_000;

struct Bench {
    world: World,
    wallet: RpcWallet,
    store: Store,
    _keeper: Keeper,
}

impl Bench {
    fn new(generation: Generation) -> Bench {
        let world = World::new(generation);
        let (keeper, wallet, store) = world.start_ledger();
        world.rpc("settxfee", json!([0.0002]));
        Bench { world, wallet, store, _keeper: keeper }
    }

    fn try_sync(&mut self) -> Result<SyncReport, LedgerError> {
        ledger::sync(&mut self.store, &self.wallet, self.world.coin(), Timestamp::now())
    }

    fn sync(&mut self) -> SyncReport {
        self.try_sync().unwrap()
    }

    fn balance(&mut self, account: Account) -> i64 {
        self.store.read(|tx| ledger::balance(tx, account)).unwrap().base_units()
    }

    fn state(&mut self, txid: &Txid) -> Option<TxState> {
        self.store.read(|tx| ledger::state_of(tx, txid)).unwrap()
    }

    fn is_final(&mut self, txid: &Txid) -> bool {
        self.store.read(ledger::followed).unwrap().iter().any(|followed| followed.txid == *txid && followed.is_final)
    }

    /// The ledger's wallet account must be what the wallet says.
    fn assert_in_step(&mut self, after: &str) {
        let trusted = self.wallet.balances().unwrap().trusted;
        assert_eq!(Amount::from_base_units(self.balance(Account::Wallet)), trusted, "{:?} {after}", self.world.generation);
        let again = self.sync();
        assert_eq!((again.posted, again.reversed), (0, 0), "{:?} {after}: a second sync posts nothing", self.world.generation);
        assert_eq!(self.store.read(ledger::verify).unwrap().fault, None);
    }

    /// A stranger pays our wallet; waits until the wallet has it.
    fn pay_in(&self, amount: &str) -> Txid {
        let txid = self.world.pay_in(&self.world.new_address(), amount).parse().unwrap();
        wait_for(Duration::from_secs(20), "the wallet notices the payment", || self.wallet.transaction(&txid).unwrap());
        txid
    }

    fn send(&self, amounts: &[(&str, &str)], comment: &str) -> Txid {
        let outputs: serde_json::Map<String, Value> =
            amounts.iter().map(|(address, amount)| ((*address).to_owned(), serde_json::from_str(amount).unwrap())).collect();
        let txid = self.world.rpc("sendmany", json!(["", outputs, 1, comment]));
        txid.as_str().unwrap().parse().unwrap()
    }

    fn claim(&mut self, mark: &str) {
        let left = Claim { mark: mark.to_owned(), order: format!("order of {mark}"), account: Account::Payout };
        self.store.write(|tx| ledger::claim(tx, &left)).unwrap();
    }
}

#[test]
fn deposits_payouts_fees_and_payments_to_ourselves_are_told_apart() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        bench.world.fund(&["5", "2"]);
        let pending = bench.pay_in("1.5");
        bench.sync();
        assert_eq!((bench.state(&pending), bench.balance(Account::Deposit)), (Some(TxState::Pending), -7 * COIN));
        bench.assert_in_step("a pending receipt");

        let (outside, own) = (bench.world.outside_address(), bench.world.new_address());
        bench.claim("bursar:test:1");
        let batch = bench.send(&[(&outside, "0.5"), (support::BURN_ADDRESS, "0.25"), (&own, "0.125")], "bursar:test:1");
        bench.sync();
        assert_eq!(bench.state(&batch), Some(TxState::Mempool));
        assert_eq!(bench.balance(Account::Payout), 87_500_000);
        assert_eq!(bench.balance(Account::Deposit), -712_500_000, "a receipt with our own mark is a deposit");
        bench.assert_in_step("an unconfirmed batch");

        bench.world.mine(1);
        bench.sync();
        assert!(matches!(bench.state(&batch), Some(TxState::Confirmed { .. })));
        assert!(matches!(bench.state(&pending), Some(TxState::Confirmed { .. })));
        bench.assert_in_step("a confirmed batch");

        let to_self = bench.send(&[(&bench.world.new_address(), "1")], "");
        bench.sync();
        assert_eq!(bench.state(&to_self), Some(TxState::Mempool));
        assert_eq!((bench.balance(Account::Internal), bench.balance(Account::Unexplained)), (COIN, 0));
        bench.assert_in_step("a payment to ourselves");
        bench.world.mine(5);
        bench.sync();
        bench.assert_in_step("all is final");
    }
}

#[test]
fn a_reorg_takes_back_a_double_spent_deposit_and_keeps_our_payment() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        bench.world.fund(&["5"]);
        bench.sync();
        let fork = bench.world.height();
        // Final (depth 3) before the reorg takes it back.
        let deposit = bench.pay_in("1");
        let outside = bench.world.outside_address();
        bench.claim("m");
        let batch = bench.send(&[(&outside, "2")], "m");
        bench.world.mine(4);
        bench.sync();
        assert_eq!(bench.balance(Account::Deposit), -6 * COIN);
        bench.assert_in_step("confirmed");

        // The stranger spends the same coin to himself in a block of the other branch.
        let rival = bench.world.rival_of(&deposit);
        bench.world.invalidate_from(fork + 1);
        bench.sync();
        assert_eq!(bench.balance(Account::Deposit), -5 * COIN, "{generation:?}: back in the mempool it is a memo");
        assert_eq!(bench.state(&batch), Some(TxState::Mempool));
        let payout = bench.world.rpc("gettransaction", json!([batch]))["hex"].clone();
        bench.world.mine_elsewhere(&[rival, payout], 6);
        let report = bench.sync();
        assert!(matches!(bench.state(&batch), Some(TxState::Confirmed { .. })), "{generation:?}");
        assert_eq!(bench.state(&deposit), Some(TxState::Dead), "{generation:?} {report:?}");
        assert_eq!((bench.balance(Account::Deposit), bench.balance(Account::Payout)), (-5 * COIN, 2 * COIN));
        bench.assert_in_step("after the reorg");
    }
}

/// No sync sees it in the mempool, and at the next one it is in no listing.
#[test]
fn a_final_deposit_that_is_reorged_out_and_double_spent_between_two_syncs_is_taken_back() {
    for (generation, deeper) in Generation::ALL.into_iter().flat_map(|generation| [(generation, 0), (generation, 2)]) {
        let mut bench = Bench::new(generation);
        bench.world.fund(&["5"]);
        let fork = bench.world.height();
        let deposit = bench.pay_in("1");
        let depth = bench.world.coin().final_depth + deeper;
        bench.world.mine(depth);
        bench.sync();
        assert!(bench.is_final(&deposit), "{generation:?} at {depth} confirmations");

        let rival = bench.world.rival_of(&deposit);
        bench.world.invalidate_from(fork + 1);
        assert!(bench.wallet.in_mempool(&deposit).unwrap(), "{generation:?}: it is back, and not mined");
        bench.world.mine_elsewhere(&[rival], depth + 1);

        let report = bench.sync();
        assert_eq!((report.reversed, report.uncredited), (1, vec![deposit]), "{generation:?}, {depth} blocks");
        let frozen = bench.store.read(gate::frozen).unwrap();
        assert_eq!((frozen.len(), frozen[0].freeze.cause, &frozen[0].freeze.txids), (1, Cause::DeepReorg, &vec![deposit]));
        assert_eq!((bench.state(&deposit), bench.balance(Account::Deposit)), (Some(TxState::Dead), -5 * COIN));
        bench.assert_in_step("after a deep reorg");
    }
}

/// Power fails, and the daemon forgets the blocks that it had only in memory; its peers bring them back a little later.
#[test]
fn a_daemon_that_fell_behind_in_a_crash_is_no_reorg() {
    for generation in Generation::ALL {
        let mut bench = Bench::new(generation);
        bench.world.fund(&["5"]);
        bench.sync();
        let (height, blocks) = (bench.world.height(), bench.world.blocks());
        bench.world.kill_daemon();
        bench.world.keeper().start(&[]).unwrap();
        let mut wallet = bench.world.wallet();
        wallet.ensure_loaded().unwrap();
        assert!(wallet.tip().unwrap().height < height, "{generation:?}: the crash took blocks");
        if let Ok(report) = ledger::sync(&mut bench.store, &wallet, bench.world.coin(), Timestamp::now()) {
            assert_eq!((report.reversed, report.uncredited), (0, vec![]), "{generation:?}: nothing was taken back");
        }
        for block in blocks {
            bench.world.node_rpc("submitblock", json!([block]));
        }
        bench.world.settle();
        let report = ledger::sync(&mut bench.store, &wallet, bench.world.coin(), Timestamp::now()).unwrap();
        assert_eq!((report.tip.height, report.posted, report.reversed), (height, 0, 0), "{generation:?}");
    }
}
