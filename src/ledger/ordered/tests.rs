//! What turns out to be an order's own stands as that, whatever was said of it, through reorgs too.

use tempfile::TempDir;

use super::super::model::{FINAL_DEPTH, ModelWallet, coin};
use super::super::{
    Account, Claim, Kind, LedgerError, balance, claim, claim_seen, credit, entries, explain, give, records, sync, unordered,
    verify,
};
use crate::coin::{Timestamp, Txid};
use crate::store::{Store, StoreError, Tx};

const NOW: Timestamp = Timestamp(1_700_000_000);
/// What the model takes for a payment.
const FEE: i64 = 7;
const MARK: &str = "bursar:s:7:b";

struct Bench {
    wallet: ModelWallet,
    store: Store,
    _dir: TempDir,
}

impl Bench {
    /// A wallet with 1000.
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Bench { wallet: ModelWallet::new(), store: Store::open(dir.path()).unwrap(), _dir: dir };
        bench.wallet.deposit(1000);
        bench.wallet.mine(2, false);
        bench.sync();
        bench
    }

    fn sync(&mut self) {
        sync(&mut self.store, &self.wallet, &coin(), NOW).unwrap();
    }

    fn pay(&mut self, payments: &[(i64, bool)], mark: Option<&str>) -> Txid {
        let txid = self.wallet.send(payments, mark, true).unwrap();
        self.wallet.mine(1, false);
        self.sync();
        txid
    }

    fn explain(&mut self, txid: &Txid, account: Account) -> Result<(), LedgerError> {
        explain(&mut self.store, None, txid, account, "so it was", "ada", NOW).map(drop)
    }

    fn give(&mut self, txid: &Txid) -> Option<Account> {
        let order = Claim { mark: MARK.to_owned(), order: "b".to_owned(), account: Account::Payout };
        let given = self.store.write::<_, StoreError>(|tx| {
            claim(tx, &order)?;
            give(tx, "b", txid, NOW)
        });
        given.unwrap()
    }

    /// Paid out, explained as a fee (besides the one that the payment took), moved to ourselves, of unknown purpose; and how many deposits are credited.
    #[track_caller]
    fn assert_books(&mut self, [payout, fee, internal, unexplained]: [i64; 4], credits: u64) {
        let books = [Account::Payout, Account::Fee, Account::Internal, Account::Unexplained]
            .map(|account| self.store.read(|tx| balance(tx, account)).unwrap().base_units());
        assert_eq!(books, [payout, fee + FEE, internal, unexplained]);
        assert_eq!(self.store.read(credit::standing).unwrap().deposits(), credits);
        assert_eq!(self.store.read(verify).unwrap().fault, None);
    }

    /// Its block goes, and another one takes it in.
    fn reorg(&mut self, txid: &Txid) {
        self.wallet.reorg(1, |_| true);
        self.wallet.abandon(0);
        self.sync();
        self.wallet.mine_abandoned(txid);
        self.wallet.mine(1, false);
        self.sync();
    }
}

#[test]
fn a_persons_word_yields_to_the_order_by_a_new_event_and_both_stay() {
    for account in [Account::Fee, Account::Internal, Account::Opening] {
        let mut bench = Bench::new();
        let paid = bench.pay(&[(100, false)], None);
        bench.explain(&paid, account).unwrap();
        assert_eq!(bench.give(&paid), Some(account));
        bench.assert_books([100, 0, 0, 0], 1);
        let entries = bench.store.read(|tx| entries(tx, 0, usize::MAX)).unwrap();
        let last = entries.last().unwrap();
        assert_eq!((last.kind, last.note.as_deref()), (Kind::Claimed, Some("it is what order b paid")));
        assert!(entries.iter().any(|entry| entry.note.as_deref() == Some("ada: so it was")), "what was said stays");
        let refused = bench.explain(&paid, Account::Fee).unwrap_err().to_string();
        assert!(refused.contains("belongs to order b (payout)"), "{refused}");
        assert_eq!(bench.give(&paid), None, "it is given already");
        bench.reorg(&paid);
        bench.assert_books([100, 0, 0, 0], 1);
    }
}

#[test]
fn a_word_that_was_corrected_yields_from_where_it_stands() {
    let mut bench = Bench::new();
    let paid = bench.pay(&[(100, false)], None);
    for account in [Account::Fee, Account::Payout, Account::Internal, Account::Fee] {
        bench.explain(&paid, account).unwrap();
    }
    bench.reorg(&paid);
    bench.assert_books([0, 100, 0, 0], 1);
    assert_eq!(bench.give(&paid), Some(Account::Fee));
    bench.assert_books([100, 0, 0, 0], 1);
}

#[test]
fn a_word_that_agrees_with_the_order_is_no_word_any_more() {
    let mut bench = Bench::new();
    let paid = bench.pay(&[(100, false)], None);
    bench.explain(&paid, Account::Payout).unwrap();
    assert_eq!(bench.give(&paid), None);
    bench.assert_books([100, 0, 0, 0], 1);
    assert!(bench.explain(&paid, Account::Internal).is_err());
}

#[test]
fn what_an_order_paid_to_its_own_wallet_is_a_payout_and_a_deposit_that_is_credited() {
    for explained in [None, Some(Account::Payout), Some(Account::Fee)] {
        // Young, and too deep for a sync to ask for it again.
        for blocks in [0, FINAL_DEPTH + 2] {
            let mut bench = Bench::new();
            let paid = bench.pay(&[(50, false), (30, true)], None);
            bench.wallet.mine(blocks, false);
            bench.sync();
            if let Some(account) = explained {
                bench.explain(&paid, account).unwrap();
            }
            assert_eq!(bench.give(&paid), explained.filter(|account| *account == Account::Fee));
            bench.wallet.mine(1, false);
            bench.sync();
            bench.assert_books([80, 0, 0, 0], 2);
            assert_eq!(bench.store.read(unordered).unwrap(), []);
            bench.sync();
            bench.assert_books([80, 0, 0, 0], 2);
        }
        let mut bench = Bench::new();
        let paid = bench.pay(&[(50, false), (30, true)], None);
        bench.give(&paid);
        bench.reorg(&paid);
        bench.assert_books([80, 0, 0, 0], 2);
    }
}

#[test]
fn a_mark_that_is_known_late_corrects_what_was_said_of_its_payment() {
    let mut bench = Bench::new();
    let forgotten = bench.pay(&[(50, false), (30, true)], Some(MARK));
    bench.explain(&forgotten, Account::Fee).unwrap();
    bench.assert_books([0, 50, 30, 0], 1);
    let order = Claim { mark: MARK.to_owned(), order: "b".to_owned(), account: Account::Payout };
    for _ in 0..2 {
        bench.store.write(|tx| claim_seen(tx, &order, NOW)).unwrap();
        bench.wallet.mine(1, false);
        bench.sync();
        bench.assert_books([80, 0, 0, 0], 2);
    }
    assert!(bench.explain(&forgotten, Account::Fee).is_err());
}

/// The wallet tells another amount: a person's word about the difference is none about what the order paid.
#[test]
fn a_changed_amount_of_an_ordered_payment_is_explained_and_the_payment_stays_the_orders() {
    let mut bench = Bench::new();
    let order = Claim { mark: MARK.to_owned(), order: "b".to_owned(), account: Account::Payout };
    bench.store.write(|tx| claim(tx, &order)).unwrap();
    let paid = bench.pay(&[(100, false)], Some(MARK));
    bench.wallet.change_amount(&paid, 110);
    bench.sync();
    bench.explain(&paid, Account::Fee).unwrap();
    assert_eq!(bench.give(&paid), None);
    let payout = bench.store.read(|tx| balance(tx, Account::Payout)).unwrap().base_units();
    assert_eq!(payout, 100);
    assert_eq!(bench.store.read(verify).unwrap().fault, None);
}

#[test]
fn what_is_from_before_bursar_is_so_in_the_wallet_that_was_adopted_or_in_both() {
    let mut bench = Bench::new();
    let opening = Claim { mark: "bursar:opening:s".to_owned(), order: "bursar:opening:s".to_owned(), account: Account::Opening };
    let order = Claim { mark: MARK.to_owned(), order: "b".to_owned(), account: Account::Payout };
    let txid = Txid::from_bytes([9; 32]);
    let of = |tx: &Tx<'_>| {
        let claim = |wallet| Ok::<_, StoreError>(records::claim_of(tx, wallet, &txid, None)?.map(|claim| claim.account));
        Ok::<_, StoreError>([claim("a")?, claim("b")?])
    };
    let said = bench.store.write(|tx| {
        claim(tx, &opening)?;
        claim(tx, &order)?;
        records::insert_claim_txid(tx, &opening.order, &txid, Some("a"))?;
        let first = of(tx)?;
        records::insert_claim_txid(tx, &opening.order, &txid, Some("b"))?;
        let both = of(tx)?;
        records::insert_claim_txid(tx, &order.order, &txid, None)?;
        Ok::<_, StoreError>([first, both, of(tx)?])
    });
    let (opening, payout) = (Some(Account::Opening), Some(Account::Payout));
    assert_eq!(said.unwrap(), [[opening, None], [opening; 2], [payout; 2]]);
}
