//! A wrong word is corrected by a new event; what an order paid is nobody's to say.

use tempfile::TempDir;

use super::super::model::{ModelWallet, coin};
use super::super::{
    Account, Claim, Explained, Kind, LedgerError, Posting, balance, claim, claim_txid, credit, entries, explain, sync, verify,
};
use crate::coin::{Timestamp, Txid};
use crate::store::Store;

const NOW: Timestamp = Timestamp(1_700_000_000);
/// The highest fee of a transaction that nobody ordered, as the model's settings have it.
const MOST_FEE: i64 = 10_000_000;

struct Bench {
    wallet: ModelWallet,
    store: Store,
    _dir: TempDir,
}

impl Bench {
    /// A wallet with 1000, of which somebody paid 100 by hand, in a block.
    fn paid_by_hand() -> (Bench, Txid) {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Bench { wallet: ModelWallet::new(), store: Store::open(dir.path()).unwrap(), _dir: dir };
        bench.wallet.deposit(1000);
        bench.wallet.mine(1, false);
        bench.sync();
        let txid = bench.wallet.send(&[(100, false)], None, true).unwrap();
        bench.wallet.mine(1, false);
        bench.sync();
        (bench, txid)
    }

    fn sync(&mut self) {
        sync(&mut self.store, &self.wallet, &coin(), NOW).unwrap();
    }

    fn explain(&mut self, txid: &Txid, account: Account, who: &str) -> Result<Explained, LedgerError> {
        explain(&mut self.store, None, txid, account, "so it was", who, NOW)
    }

    fn balances(&mut self) -> [i64; 4] {
        [Account::Payout, Account::Fee, Account::Internal, Account::Unexplained]
            .map(|account| self.store.read(|tx| balance(tx, account)).unwrap().base_units())
    }

    fn credits(&mut self) -> u64 {
        self.store.read(credit::standing).unwrap().deposits()
    }

    fn words(&mut self) -> Vec<Posting> {
        let entries = self.store.read(|tx| entries(tx, 0, usize::MAX)).unwrap();
        assert_eq!(self.store.read(verify).unwrap().fault, None);
        entries.into_iter().filter(|entry| entry.kind == Kind::Explained).collect()
    }
}

#[test]
fn a_wrong_word_is_corrected_under_the_name_of_who_corrects_and_both_stay() {
    let (mut bench, txid) = Bench::paid_by_hand();
    let first = bench.explain(&txid, Account::Payout, "ada").unwrap();
    let fee = bench.balances()[1];
    let second = bench.explain(&txid, Account::Internal, "bob").unwrap();
    assert_eq!((second.amount.base_units(), bench.balances()), (100, [0, fee, 100, 0]));
    let third = bench.explain(&txid, Account::Fee, "ada").unwrap();
    assert_eq!(bench.balances(), [0, fee + 100, 0, 0]);
    let said: Vec<_> = bench.words().into_iter().map(|word| (word.event, word.reverses, word.note.unwrap())).collect();
    for (event, reverses, note) in
        [(second.event, Some(first.event), "bob: so it was"), (third.event, Some(second.event), "ada: so it was")]
    {
        assert!(said.contains(&(event, reverses, note.to_owned())), "{said:?}");
    }
    let refused = bench.explain(&txid, Account::Fee, "bob");
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "it was said already: {refused:?}");
    let refused = bench.explain(&txid, Account::Mined, "bob");
    assert!(matches!(refused, Err(LedgerError::WrongAccount { .. })), "{refused:?}");
}

#[test]
fn the_corrected_word_holds_through_a_reorg_and_can_be_corrected_after_it() {
    let (mut bench, txid) = Bench::paid_by_hand();
    bench.explain(&txid, Account::Payout, "ada").unwrap();
    bench.explain(&txid, Account::Internal, "ada").unwrap();
    let fee = bench.balances()[1];
    // Its block goes, and another one takes it in.
    bench.wallet.reorg(1, |_| true);
    bench.wallet.abandon(0);
    bench.sync();
    assert_eq!(bench.balances(), [0, 0, 0, 0]);
    bench.wallet.mine_abandoned(&txid);
    bench.sync();
    assert_eq!(bench.balances(), [0, fee, 100, 0], "the last word");
    bench.explain(&txid, Account::Payout, "bob").unwrap();
    assert_eq!(bench.balances(), [100, fee, 0, 0]);
    bench.words();
}

#[test]
fn what_an_order_paid_is_nobodys_to_explain() {
    let (mut bench, txid) = Bench::paid_by_hand();
    bench.explain(&txid, Account::Payout, "ada").unwrap();
    // A batch in doubt turned out to be that payment.
    let order = Claim { mark: "bursar:s:1:b".to_owned(), order: "b".to_owned(), account: Account::Payout };
    bench.store.write(|tx| claim(tx, &order).and_then(|()| claim_txid(tx, "b", &txid))).unwrap();
    let refused = bench.explain(&txid, Account::Internal, "bob");
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");
    let marked = bench.wallet.send(&[(50, false)], Some("bursar:s:1:b"), true).unwrap();
    bench.sync();
    assert!(bench.explain(&marked, Account::Fee, "bob").is_err());
    assert_eq!(bench.balances()[0], 150);
}

#[test]
fn what_was_adopted_by_its_mark_is_nobodys_to_explain_otherwise_though_it_was_explained_before() {
    let (mut bench, _) = Bench::paid_by_hand();
    let forgotten = bench.wallet.send(&[(50, false)], Some("bursar:s:7:b"), true).unwrap();
    bench.sync();
    bench.explain(&forgotten, Account::Payout, "ada").unwrap();
    let order = Claim { mark: "bursar:s:7:b".to_owned(), order: "b".to_owned(), account: Account::Payout };
    bench.store.write(|tx| claim(tx, &order)).unwrap();
    let refused = bench.explain(&forgotten, Account::Internal, "bob");
    assert!(matches!(refused, Err(LedgerError::Refused(_))), "{refused:?}");
    assert_eq!(bench.balances()[0], 50);
}

#[test]
fn what_a_payment_by_hand_paid_to_its_own_wallet_is_no_deposit_after_a_reorg_either() {
    let (mut bench, _) = Bench::paid_by_hand();
    let before = bench.balances();
    let paid = bench.wallet.send(&[(50, false), (30, true)], None, true).unwrap();
    bench.wallet.mine(10, false);
    bench.sync();
    bench.explain(&paid, Account::Payout, "ada").unwrap();
    let explained = bench.balances();
    let credits = bench.credits();
    assert_eq!((explained[0], explained[2]), (50, before[2] + 30));
    bench.wallet.reorg(10, |_| true);
    bench.wallet.abandon(1);
    bench.sync();
    bench.wallet.mine_abandoned(&paid);
    bench.wallet.mine(10, false);
    bench.sync();
    assert_eq!((bench.balances()[0], bench.balances()[2]), (explained[0], explained[2]));
    assert_eq!(bench.credits(), credits);
    bench.explain(&paid, Account::Internal, "bob").unwrap();
    assert_eq!((bench.balances()[0], bench.balances()[2]), (0, explained[2] + 50));
}

#[test]
fn a_move_within_the_wallet_is_no_payment_whatever_was_said_of_it() {
    let (mut bench, _) = Bench::paid_by_hand();
    let moved = bench.wallet.send(&[(70, true)], None, true).unwrap();
    bench.sync();
    let before = bench.balances();
    bench.explain(&moved, Account::Internal, "ada").unwrap();
    assert!(bench.explain(&moved, Account::Payout, "bob").is_err());
    assert_eq!(bench.balances(), before);
}

/// What a payment by hand gave away as its fee is a person's to explain, too, and their word holds through a reorg.
#[test]
fn a_fee_that_was_explained_can_be_corrected_after_a_reorg() {
    let (mut bench, _) = Bench::paid_by_hand();
    bench.wallet.deposit(MOST_FEE + 1000);
    bench.wallet.mine(1, false);
    bench.sync();
    let [before_payout, before_fee, _, before_unexplained] = bench.balances();
    let lavish = bench.wallet.send_at(MOST_FEE + 1, &[(30, true)], None, true).unwrap();
    bench.wallet.mine(1, false);
    bench.sync();
    assert_eq!(bench.balances(), [before_payout, before_fee, 30, before_unexplained + MOST_FEE + 1]);
    let said = bench.explain(&lavish, Account::Payout, "ada").unwrap();
    assert_eq!(said.amount.base_units(), MOST_FEE + 1);
    bench.wallet.reorg(1, |_| true);
    bench.wallet.abandon(0);
    bench.sync();
    assert_eq!(bench.balances()[0], before_payout);
    bench.wallet.mine_abandoned(&lavish);
    bench.sync();
    assert_eq!(bench.balances(), [before_payout + MOST_FEE + 1, before_fee, 30, before_unexplained]);
    bench.explain(&lavish, Account::Fee, "bob").unwrap();
    assert_eq!(bench.balances(), [before_payout, before_fee + MOST_FEE + 1, 30, before_unexplained]);
    bench.words();
}

#[test]
fn an_order_that_takes_a_payment_over_has_its_fee_as_a_fee() {
    let (mut bench, _) = Bench::paid_by_hand();
    bench.wallet.deposit(MOST_FEE + 1000);
    bench.wallet.mine(1, false);
    bench.sync();
    let [before_payout, before_fee, _, before_unexplained] = bench.balances();
    let lavish = bench.wallet.send_at(MOST_FEE + 1, &[(50, false)], None, true).unwrap();
    bench.sync();
    assert_eq!(bench.balances(), [before_payout, before_fee, 0, before_unexplained + MOST_FEE + 51]);
    let order = Claim { mark: "bursar:s:1:b".to_owned(), order: "b".to_owned(), account: Account::Payout };
    bench.store.write(|tx| claim(tx, &order).and_then(|()| claim_txid(tx, "b", &lavish))).unwrap();
    bench.sync();
    assert_eq!(bench.balances(), [before_payout + 50, before_fee + MOST_FEE + 1, 0, before_unexplained]);
}
