//! Transfers of which a person said something before or between the readings of both wallets; each was found by random histories (`properties`).

use crate::coin::{Timestamp, Txid};
use crate::config::{CoinSettings, WalletSettings};
use crate::ledger::model::{self, ModelWallet, Owner};
use crate::ledger::{Account, balance_of, credit, explain, sync, verify};
use crate::store::Store;

const NOW: Timestamp = Timestamp(1_700_000_000);
const HELD: i64 = 1000;

struct Bench {
    paying: ModelWallet,
    followed: ModelWallet,
    coin: CoinSettings,
    store: Store,
    _dir: tempfile::TempDir,
}

impl Bench {
    /// The paying wallet has coins, and pays so much to the followed one and to a stranger, by hand.
    fn paid(to_followed: i64, to_stranger: i64) -> (Bench, Txid) {
        let dir = tempfile::tempdir().unwrap();
        let (store, paying) = (Store::open(dir.path()).unwrap(), ModelWallet::new());
        let plain = model::coin();
        let wallet = WalletSettings { follow: vec!["b".to_owned()], ..plain.wallet.clone() };
        let followed = paying.add_beside("b");
        let mut bench = Bench { paying, followed, coin: CoinSettings { wallet, ..plain }, store, _dir: dir };
        bench.paying.deposit(HELD);
        bench.paying.mine(1, false);
        bench.sync_both();
        let payments = [(to_followed, Owner::Wallet(1)), (to_stranger, Owner::Stranger)];
        let txid = bench.paying.pay(&payments, None, true).unwrap();
        bench.sync_paying();
        (bench, txid)
    }

    fn sync_paying(&mut self) {
        sync(&mut self.store, &self.paying, &self.coin, NOW).unwrap();
    }

    fn sync_followed(&mut self) {
        sync(&mut self.store, &self.followed, &self.coin, NOW).unwrap();
    }

    fn sync_both(&mut self) {
        self.sync_paying();
        self.sync_followed();
    }

    fn explain(&mut self, txid: &Txid, account: Account) {
        explain(&mut self.store, None, txid, account, "so it was", "ada", NOW).unwrap();
        assert_eq!(self.store.read(verify).unwrap().fault, None);
    }

    /// Neither wallet has it any more, and then it is in a block after all.
    fn take_back_and_mine_again(&mut self, txid: &Txid, depth: usize) {
        self.paying.reorg(depth, |_| true);
        self.paying.abandon(0);
        self.sync_both();
        assert_eq!(self.balances("w", [Account::Payout, Account::Internal, Account::Unexplained]), [0, 0, 0]);
        assert_eq!(self.balances("b", [Account::Deposit, Account::Internal, Account::Wallet]), [0, 0, 0]);
        self.paying.mine_abandoned(txid);
        self.paying.mine(2, false);
    }

    fn balances(&mut self, wallet: &str, accounts: [Account; 3]) -> [i64; 3] {
        accounts.map(|account| self.store.read(|tx| balance_of(tx, wallet, account)).unwrap().base_units())
    }

    /// What the paying wallet paid out, moved and does not know; what the followed one was paid as deposit and moved; and how many of its deposits are
    /// credited.
    fn books(&mut self) -> ([i64; 3], [i64; 2], usize) {
        let [deposit, internal, _] = self.balances("b", [Account::Deposit, Account::Internal, Account::Wallet]);
        let paid = self.balances("w", [Account::Payout, Account::Internal, Account::Unexplained]);
        assert_eq!(self.store.read(verify).unwrap().fault, None);
        let credits = self.store.read(|tx| credit::events(tx, 0, usize::MAX)).unwrap();
        (paid, [deposit, internal], credits.iter().filter(|event| event.wallet == "b").count())
    }
}

#[test]
fn what_was_said_to_be_a_payout_and_then_internal_is_internal_on_both_sides_and_not_credited() {
    let (mut bench, txid) = Bench::paid(100, 50);
    bench.explain(&txid, Account::Payout);
    bench.paying.mine(1, false);
    bench.sync_both();
    assert_eq!(bench.books(), ([150, 0, 0], [-100, 0], 0), "a customer's address, as far as anybody has said");
    bench.explain(&txid, Account::Internal);
    assert_eq!(bench.books(), ([0, 150, 0], [0, -100], 0));
    bench.paying.mine(5, false);
    bench.sync_both();
    assert_eq!(bench.books(), ([0, 150, 0], [0, -100], 0));
}

#[test]
fn what_was_said_to_be_internal_is_so_on_both_sides_after_both_were_taken_back() {
    for payer_first in [true, false] {
        let (mut bench, txid) = Bench::paid(100, 50);
        bench.explain(&txid, Account::Internal);
        bench.paying.mine(1, false);
        bench.sync_both();
        assert_eq!(bench.books(), ([0, 150, 0], [0, -100], 0));
        bench.take_back_and_mine_again(&txid, 1);
        if payer_first {
            bench.sync_paying();
        }
        bench.sync_followed();
        bench.sync_paying();
        let credited = usize::from(!payer_first);
        assert_eq!(bench.books(), ([0, 150, 0], [0, -100], credited), "credited only where its payer was not known");
    }
}

#[test]
fn what_a_person_said_of_the_rest_of_a_payment_makes_no_payout_of_the_transfer_after_both_were_taken_back() {
    let (mut bench, txid) = Bench::paid(100, 50);
    bench.paying.mine(1, false);
    bench.sync_both();
    bench.explain(&txid, Account::Payout);
    assert_eq!(bench.books(), ([50, 100, 0], [0, -100], 0));
    bench.take_back_and_mine_again(&txid, 1);
    bench.sync_both();
    assert_eq!(bench.books(), ([50, 100, 0], [0, -100], 0));
}

#[test]
fn what_a_person_said_of_a_transfer_before_its_other_side_was_known_stays_a_payout() {
    let (mut bench, txid) = Bench::paid(100, 50);
    bench.explain(&txid, Account::Payout);
    bench.paying.mine(2, false);
    bench.sync_both();
    assert_eq!(bench.books(), ([150, 0, 0], [-100, 0], 1));
    bench.take_back_and_mine_again(&txid, 2);
    bench.sync_both();
    let (paid, received, _) = bench.books();
    assert_eq!((paid, received), ([150, 0, 0], [-100, 0]));
}

#[test]
fn a_transfer_that_was_credited_before_its_payer_was_read_is_not_credited_again_in_another_block() {
    let (mut bench, _) = Bench::paid(100, 50);
    let again = bench.paying.pay(&[(80, Owner::Wallet(1))], None, true).unwrap();
    bench.paying.mine(2, false);
    bench.sync_followed();
    bench.sync_paying();
    let events = |bench: &mut Bench| {
        let all = bench.store.read(|tx| credit::events(tx, 0, usize::MAX)).unwrap().into_iter();
        all.filter(|event| event.txid == again).map(|event| event.kind).collect::<Vec<_>>()
    };
    assert_eq!(events(&mut bench), [credit::CreditKind::Credit]);
    bench.paying.invalidate(2, |_| false);
    bench.paying.mine(5, false);
    bench.sync_both();
    assert_eq!(events(&mut bench), [credit::CreditKind::Credit, credit::CreditKind::Reversal]);
    assert_eq!(bench.balances("b", [Account::Deposit, Account::Internal, Account::Wallet]), [0, -180, 180]);
}

#[test]
fn a_payer_that_comes_back_meets_what_stands_as_a_transfer_on_the_other_side() {
    let (mut bench, txid) = Bench::paid(100, 50);
    bench.paying.mine(1, false);
    bench.sync_both();
    assert_eq!(bench.books(), ([0, 100, 50], [0, -100], 0));
    bench.paying.reorg(1, |_| true);
    bench.paying.abandon(0);
    bench.sync_paying();
    bench.paying.mine_abandoned(&txid);
    bench.sync_paying();
    assert_eq!(bench.books(), ([0, 100, 50], [0, -100], 0));
    bench.sync_followed();
    assert_eq!(bench.books(), ([0, 100, 50], [0, -100], 0));
}

/// Each wallet takes the other one's coins for a stranger's; together they lost the fee, and no more.
#[test]
fn what_two_wallets_spent_together_leaves_the_fee_when_a_person_says_that_it_was_internal() {
    let (mut bench, _) = Bench::paid(100, 0);
    bench.paying.mine(1, false);
    bench.sync_both();
    let accounts = [Account::Fee, Account::Unexplained, Account::Internal];
    let stands = |bench: &mut Bench, wallet: &str| {
        accounts.map(|account| bench.store.read(|tx| balance_of(tx, wallet, account)).unwrap().base_units())
    };
    let before = [stands(&mut bench, "w"), stands(&mut bench, "b")];
    let together = bench.paying.gather(&bench.followed, 7);
    bench.paying.mine(1, false);
    bench.sync_both();
    let [ours, theirs] = [stands(&mut bench, "w"), stands(&mut bench, "b")];
    assert_eq!([ours[0], theirs[0]], [before[0][0], before[1][0]], "no fee below zero");
    assert_eq!([ours[1] - before[0][1], theirs[1] - before[1][1]], [7 - 100, 100], "what each gained and lost");
    for wallet in ["w", "b"] {
        explain(&mut bench.store, Some(wallet), &together, Account::Internal, "so it was", "ada", NOW).unwrap();
    }
    assert_eq!(bench.store.read(verify).unwrap().fault, None);
    let [ours, theirs] = [stands(&mut bench, "w"), stands(&mut bench, "b")];
    assert_eq!([ours[0], ours[1], theirs[0], theirs[1]], [before[0][0], before[0][1], before[1][0], before[1][1]]);
}
