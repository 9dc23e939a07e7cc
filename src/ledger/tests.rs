//! Single histories, told one by one.

use super::model::{FINAL_DEPTH, MATURITY, ModelWallet, coin};
use super::*;
use crate::gate::{self, Cause};

const NOW: Timestamp = Timestamp(1_700_000_000);

struct Bench {
    wallet: ModelWallet,
    store: Store,
    _dir: tempfile::TempDir,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    Bench { wallet: ModelWallet::new(), store: Store::open(dir.path()).unwrap(), _dir: dir }
}

impl Bench {
    fn try_sync(&mut self) -> Result<SyncReport, LedgerError> {
        sync(&mut self.store, &self.wallet, &coin(), NOW)
    }

    fn sync(&mut self) -> SyncReport {
        self.try_sync().unwrap()
    }

    fn funded(&mut self) {
        self.wallet.deposit(1000);
        self.wallet.mine(1, false);
        self.sync();
    }

    fn balance(&mut self, account: Account) -> i64 {
        self.store.read(|tx| balance(tx, account)).unwrap().base_units()
    }

    fn state(&mut self, txid: &Txid) -> Option<TxState> {
        self.store.read(|tx| state_of(tx, txid)).unwrap()
    }

    fn claim(&mut self, mark: &str) {
        let left = Claim { mark: mark.to_owned(), order: format!("order of {mark}"), account: Account::Payout };
        self.store.write(|tx| claim(tx, &left)).unwrap();
    }

    fn mark(&self, rest: &str) -> String {
        format!("bursar:{}:{rest}", self.store.id())
    }
}

#[test]
fn a_pending_receipt_is_a_memo_until_it_is_in_a_block() {
    let mut bench = bench();
    let txid = bench.wallet.deposit(50);
    bench.sync();
    assert_eq!((bench.state(&txid), bench.balance(Account::Wallet)), (Some(TxState::Pending), 0));
    bench.wallet.mine(1, false);
    bench.sync();
    assert!(matches!(bench.state(&txid), Some(TxState::Confirmed { height: 1, .. })));
    assert_eq!((bench.balance(Account::Wallet), bench.balance(Account::Deposit)), (50, -50));
}

#[test]
fn a_claimed_payment_is_a_payout_and_a_comment_is_compared_whole() {
    let mut bench = bench();
    bench.funded();
    bench.claim("bursar:a:1");
    bench.wallet.send(&[(100, false)], Some("bursar:a:1"), true).unwrap();
    bench.wallet.send(&[(30, false)], Some("bursar:a:1 "), true).unwrap();
    bench.sync();
    assert_eq!((bench.balance(Account::Payout), bench.balance(Account::Unexplained)), (100, 30));
    assert_eq!((bench.balance(Account::Fee), bench.balance(Account::Wallet)), (14, 856));
}

#[test]
fn a_deposit_that_was_reorged_out_and_double_spent_is_taken_back() {
    let mut bench = bench();
    let txid = bench.wallet.deposit(50);
    bench.wallet.mine(4, false);
    bench.sync();
    bench.wallet.reorg(4, |_| false);
    bench.wallet.double_spend(0);
    let report = bench.sync();
    assert_eq!((report.reversed, &report.uncredited), (1, &vec![txid]));
    assert_eq!((bench.state(&txid), bench.balance(Account::Wallet)), (Some(TxState::Dead), 0));
    assert_eq!(bench.store.read(verify).unwrap().fault, None);
}

#[test]
fn a_reorg_below_the_final_depth_reopens_what_was_final() {
    let mut bench = bench();
    let txid = bench.wallet.deposit(50);
    bench.wallet.mine(FINAL_DEPTH + 6, false);
    bench.sync();
    assert!(bench.store.read(followed).unwrap()[0].is_final);
    bench.wallet.reorg(FINAL_DEPTH as usize + 6, |_| false);
    bench.wallet.double_spend(0);
    assert_eq!(bench.sync().uncredited, [txid]);
    assert_eq!(bench.balance(Account::Wallet), 0);
}

/// The sync on the shorter chain takes the cursor back below the deposit, which it does not list any more.
#[test]
fn a_final_deposit_reopens_when_a_shorter_chain_has_taken_the_cursor_below_it() {
    let mut bench = bench();
    bench.wallet.mine(3, false);
    let txid = bench.wallet.deposit(50);
    bench.wallet.mine(FINAL_DEPTH + 1, false);
    bench.sync();
    bench.wallet.invalidate(3, |_| false);
    assert_eq!((bench.sync().reversed, bench.balance(Account::Wallet)), (0, 50));
    bench.wallet.reorg(3, |_| false);
    bench.wallet.double_spend(0);
    assert_eq!(bench.sync().uncredited, [txid]);
    assert_eq!((bench.state(&txid), bench.balance(Account::Wallet)), (Some(TxState::Dead), 0));
}

#[test]
fn mined_coins_are_posted_when_they_mature() {
    let mut bench = bench();
    bench.wallet.mine(1, true);
    bench.sync();
    bench.wallet.mine(MATURITY - 1, false);
    bench.sync();
    assert_eq!(bench.balance(Account::Mined), 0);
    bench.wallet.mine(1, false);
    bench.sync();
    assert_eq!((bench.balance(Account::Mined), bench.balance(Account::Wallet)), (-5000, 5000));
}

#[test]
fn mature_coins_wait_again_while_the_chain_is_too_short_for_them() {
    let mut bench = bench();
    bench.wallet.mine(1, true);
    bench.wallet.mine(MATURITY, false);
    bench.sync();
    assert!(bench.store.read(followed).unwrap()[0].is_final);
    bench.wallet.invalidate(1, |_| false);
    assert_eq!((bench.sync().reversed, bench.balance(Account::Wallet)), (1, 0));
    bench.wallet.mine(1, false);
    assert_eq!((bench.sync().posted, bench.balance(Account::Wallet)), (1, 5000));
}

#[test]
fn a_wallet_that_has_paid_before_must_be_adopted() {
    let mut bench = bench();
    bench.wallet.deposit(1000);
    bench.wallet.mine(9, false);
    bench.wallet.send(&[(100, false)], None, true).unwrap();
    bench.wallet.mine(9, false);
    bench.wallet.send(&[(10, false)], Some("by hand"), true).unwrap();
    assert!(matches!(bench.try_sync(), Err(LedgerError::NotOpened { spends: 2, .. })));
    assert!(bench.store.read(synced_tip).unwrap().is_none());
    open(&mut bench.store, &bench.wallet, &coin(), None, NOW).unwrap();
    assert_eq!((bench.balance(Account::Wallet), bench.balance(Account::Unexplained)), (876, 0));
    assert_eq!((bench.balance(Account::Opening), bench.balance(Account::Fee)), (-883, 7));
    let again = open(&mut bench.store, &bench.wallet, &coin(), None, NOW);
    assert!(matches!(again, Err(LedgerError::AlreadyOpen(_))));
}

#[test]
fn a_first_payment_that_is_claimed_needs_no_adoption() {
    let mut bench = bench();
    bench.wallet.deposit(1000);
    bench.wallet.mine(1, false);
    bench.claim("bursar:a:1");
    bench.wallet.send(&[(100, false)], Some("bursar:a:1"), true).unwrap();
    bench.sync();
    assert_eq!(bench.balance(Account::Payout), 100);
}

#[test]
fn other_keys_freeze_payouts_and_post_nothing() {
    let mut bench = bench();
    bench.funded();
    bench.wallet.deposit(5);
    bench.wallet.mine(1, false);
    bench.wallet.change_keys("other seed");
    assert!(matches!(bench.try_sync(), Err(LedgerError::OtherWallet(_))));
    assert_eq!(bench.balance(Account::Wallet), 1000);
    let frozen = bench.store.read(gate::frozen).unwrap();
    assert_eq!(frozen.iter().map(|freeze| freeze.freeze.cause).collect::<Vec<_>>(), [Cause::Wallet]);
    bench.wallet.change_keys("seed");
    bench.sync();
    assert!(bench.store.read(gate::frozen).unwrap().is_empty(), "the right wallet answers again");
}

#[test]
fn a_mark_of_this_store_without_a_claim_shows_that_the_store_went_back() {
    let mut bench = bench();
    bench.funded();
    let (ours, foreign) = (bench.mark("9:batch"), "bursar:another store:9:batch");
    bench.wallet.send(&[(10, false)], Some(&ours), true).unwrap();
    bench.wallet.send(&[(10, false)], Some(foreign), true).unwrap();
    assert_eq!(bench.sync().unknown_marks, std::slice::from_ref(&ours));
    bench.wallet.mine(20, false);
    assert_eq!(bench.sync().unknown_marks, std::slice::from_ref(&ours), "it does not go by itself");
    bench.claim(&ours);
    assert!(bench.sync().unknown_marks.is_empty());
    assert_eq!((bench.balance(Account::Payout), bench.balance(Account::Unexplained)), (10, 10));
}

#[test]
fn a_receipt_with_a_mark_means_nothing() {
    let mut bench = bench();
    bench.funded();
    let mark = bench.mark("1:batch");
    bench.claim(&mark);
    bench.wallet.send(&[(100, true)], Some(&mark), true).unwrap();
    assert!(bench.sync().unknown_marks.is_empty());
    assert_eq!((bench.balance(Account::Payout), bench.balance(Account::Deposit)), (100, -1100));
}

#[test]
fn a_claim_by_txid_explains_a_payment_whose_mark_is_gone() {
    let mut bench = bench();
    bench.funded();
    bench.claim("bursar:a:1");
    let txid = bench.wallet.send(&[(100, false)], None, true).unwrap();
    bench.sync();
    assert_eq!(bench.balance(Account::Unexplained), 100);
    bench.store.write(|tx| claim_txid(tx, "order of bursar:a:1", &txid)).unwrap();
    bench.sync();
    assert_eq!((bench.balance(Account::Unexplained), bench.balance(Account::Payout)), (0, 100));
    assert_eq!(bench.sync().posted, 0);
}

#[test]
fn a_payment_that_a_person_explained_can_be_bound_to_the_batch_that_made_it_and_to_no_other() {
    let mut bench = bench();
    bench.funded();
    bench.claim("bursar:a:1");
    bench.claim("bursar:a:2");
    let sent: Vec<Txid> = (0..3).map(|_| bench.wallet.send(&[(100, false)], None, true).unwrap()).collect();
    bench.sync();
    explain(&mut bench.store, None, &sent[0], Account::Payout, "a batch in doubt", "ada", NOW).unwrap();
    explain(&mut bench.store, None, &sent[1], Account::Internal, "to the cold wallet", "ada", NOW).unwrap();
    let mut bind = |order: &str, txid| bench.store.write(|tx| give(tx, order, txid, NOW));
    assert_eq!(bind("order of bursar:a:1", &sent[0]).unwrap(), None);
    assert_eq!(bind("order of bursar:a:1", &sent[1]).unwrap(), Some(Account::Internal), "no payout, it was said");
    assert_eq!(bind("order of bursar:a:1", &sent[2]).unwrap(), None);
    assert!(bind("order of bursar:a:2", &sent[2]).is_err(), "it is another batch's");
    bench.sync();
    assert_eq!((bench.balance(Account::Payout), bench.balance(Account::Internal)), (300, 0));
}

#[test]
fn final_transactions_are_read_in_pieces_without_missing_one() {
    let mut bench = bench();
    for units in 1..=7 {
        bench.wallet.deposit(units);
        bench.wallet.mine(u64::from(units % 3 == 0), false);
    }
    bench.wallet.mine(FINAL_DEPTH + 1, false);
    bench.sync();
    let mut read = |after, limit| {
        let read = bench.store.read(|tx| records::final_above(tx, "w", 0, after, limit)).unwrap();
        let place = |followed: Followed| match followed.state {
            TxState::Confirmed { height, .. } => (height, followed.txid),
            other => panic!("{other:?}"),
        };
        read.into_iter().map(place).collect::<Vec<_>>()
    };
    let all = read(None, 100);
    let (mut after, mut pieces) = (None, Vec::new());
    while let Some(last) = read(after, 1).pop() {
        pieces.push(last);
        after = Some(last);
    }
    assert_eq!((pieces.len(), &pieces), (7, &all));
    assert!(all.is_sorted_by(|one, next| one.0 >= next.0), "the newest block first");
}

#[test]
fn the_same_claim_twice_is_one_and_another_order_may_not_take_the_mark() {
    let mut bench = bench();
    bench.claim("m");
    bench.claim("m");
    let other = Claim { mark: "m".to_owned(), order: "other".to_owned(), account: Account::Payout };
    assert!(bench.store.write(|tx| claim(tx, &other)).is_err());
}

#[test]
fn an_explanation_holds_through_a_reorg() {
    let mut bench = bench();
    bench.funded();
    let txid = bench.wallet.send(&[(100, false)], None, true).unwrap();
    bench.wallet.mine(1, false);
    bench.sync();
    let moved = explain(&mut bench.store, None, &txid, Account::Payout, "paid by hand", "ada", NOW).unwrap();
    assert_eq!(moved.amount.base_units(), 100);
    assert_eq!((bench.balance(Account::Unexplained), bench.balance(Account::Payout)), (0, 100));
    let again = explain(&mut bench.store, None, &txid, Account::Payout, "paid by hand", "ada", NOW);
    assert!(matches!(again, Err(LedgerError::Refused(_))));
    bench.wallet.reorg(1, |_| true);
    bench.wallet.abandon(0);
    bench.sync();
    assert_eq!((bench.balance(Account::Payout), bench.balance(Account::Wallet)), (0, 1000));
    assert_eq!(bench.store.read(verify).unwrap().fault, None);
}

#[test]
fn an_explanation_needs_an_account_that_says_where_money_went() {
    let mut bench = bench();
    bench.funded();
    let txid = bench.wallet.send(&[(100, false)], None, true).unwrap();
    bench.sync();
    for account in [Account::Wallet, Account::Unexplained, Account::Mined, Account::Staked, Account::Deposit] {
        let refused = explain(&mut bench.store, None, &txid, account, "r", "w", NOW);
        assert!(matches!(refused, Err(LedgerError::WrongAccount { .. })), "{account:?}: {refused:?}");
    }
    assert_eq!(bench.balance(Account::Unexplained), 100);
}

#[test]
fn a_lost_transaction_stays_posted_and_other_amounts_are_not_followed() {
    let mut bench = bench();
    let deposit = bench.wallet.deposit(1000);
    bench.wallet.mine(1, false);
    let spend = bench.wallet.send(&[(100, false)], None, true).unwrap();
    open(&mut bench.store, &bench.wallet, &coin(), None, NOW).unwrap();
    bench.wallet.lose_this(&deposit);
    let report = bench.sync();
    assert_eq!((report.posted, report.reversed, bench.balance(Account::Wallet)), (0, 0, 893));
    let spent = bench.store.read(followed).unwrap().into_iter().find(|followed| followed.txid == spend).unwrap();
    assert_eq!(spent.net.base_units(), -107);
    bench.wallet.mine(2, false);
    bench.sync();
    let changed = bench.store.read(followed).unwrap().into_iter().find(|followed| followed.txid == spend).unwrap();
    assert_eq!((changed.net.base_units(), changed.seen_net.base_units()), (-107, 893), "the change looks like a receipt");
    bench.wallet.find_again();
    bench.sync();
    let restored = bench.store.read(followed).unwrap().into_iter().find(|followed| followed.txid == spend).unwrap();
    assert_eq!(restored.seen_net, restored.net);
    assert_eq!(bench.balance(Account::Wallet), 893);
}

#[test]
fn a_chain_that_moves_during_a_reading_is_read_again() {
    let mut bench = bench();
    bench.wallet.deposit(50);
    bench.wallet.make_restless(3);
    bench.sync();
    bench.wallet.make_restless(100);
    assert!(matches!(bench.try_sync(), Err(LedgerError::Restless(_))));
}

#[test]
fn entries_cannot_be_changed_or_deleted() {
    let mut bench = bench();
    bench.funded();
    for delete in [false, true] {
        let done = bench.store.write(|tx| records::meddle(tx, delete));
        assert!(done.unwrap_err().to_string().contains("ledger entries are never"));
    }
}

#[test]
fn a_payment_from_before_bursar_stays_one_through_a_reorg_below_the_opening() {
    let mut bench = bench();
    bench.wallet.deposit(1000);
    bench.wallet.mine(1, false);
    let txid = bench.wallet.send(&[(100, false)], None, true).unwrap();
    bench.wallet.mine(FINAL_DEPTH + 2, false);
    open(&mut bench.store, &bench.wallet, &coin(), None, NOW).unwrap();
    assert_eq!(bench.balance(Account::Opening), -893);
    bench.wallet.reorg(FINAL_DEPTH as usize + 3, |_| false);
    bench.sync();
    assert_eq!(bench.state(&txid), Some(TxState::Mempool));
    bench.wallet.mine(1, false);
    bench.sync();
    assert_eq!((bench.balance(Account::Wallet), bench.balance(Account::Unexplained)), (893, 0));
    assert_eq!(bench.balance(Account::Deposit), -1000, "what comes back after the opening is posted by itself");
    bench.wallet.reorg(1, |_| false);
    bench.sync();
    assert_eq!((bench.balance(Account::Wallet), bench.balance(Account::Deposit)), (-107, 0));
    assert_eq!(bench.store.read(verify).unwrap().fault, None);
}

#[test]
fn an_own_payment_that_the_wallet_forgot_before_it_was_mined_is_in_limbo() {
    let mut bench = bench();
    bench.funded();
    bench.claim("m");
    let txid = bench.wallet.send(&[(100, false)], Some("m"), true).unwrap();
    bench.sync();
    bench.wallet.lose_this(&txid);
    assert!(bench.sync().limbo.is_empty(), "the mempool has it");
    bench.wallet.evict_this(&txid);
    assert_eq!(bench.sync().limbo, [txid]);
    assert_eq!(bench.balance(Account::Payout), 100);
}

#[test]
fn a_summed_deposit_that_was_explained_and_lost_its_block_is_taken_back_as_it_stood() {
    let mut bench = bench();
    let txid = bench.wallet.deposit(50);
    bench.wallet.mine(FINAL_DEPTH + 3, false);
    open(&mut bench.store, &bench.wallet, &coin(), None, NOW).unwrap();
    bench.wallet.change_amount(&txid, 40);
    sync_everything(&mut bench.store, &bench.wallet, &coin(), NOW).unwrap();
    explain(&mut bench.store, None, &txid, Account::Deposit, "as the explorer says", "ada", NOW).unwrap();
    assert_eq!(bench.balance(Account::Wallet), 40);
    bench.wallet.reorg(FINAL_DEPTH as usize + 3, |_| false);
    bench.wallet.double_spend(0);
    bench.sync();
    assert_eq!((bench.balance(Account::Wallet), bench.balance(Account::Opening), bench.balance(Account::Deposit)), (0, 0, 0));
}

#[test]
fn settings_that_exchange_the_roles_of_wallets_freeze_until_they_are_put_right() {
    let mut bench = bench();
    bench.funded();
    let mut exchanged = coin();
    (exchanged.wallet.name, exchanged.wallet.follow) = ("cold".to_owned(), vec!["w".to_owned()]);
    let refused = sync(&mut bench.store, &bench.wallet, &exchanged, NOW);
    assert!(matches!(refused, Err(LedgerError::OtherWallet(_))), "{refused:?}");
    assert_eq!(bench.store.read(gate::frozen).unwrap().len(), 1);
    bench.sync();
    assert_eq!(bench.store.read(gate::frozen).unwrap(), []);
}

/// SQLite's own limit of pages stands for a disk that is full: it answers the same.
#[test]
fn a_disk_that_is_full_in_mid_commit_leaves_what_was_there_and_the_next_sync_goes_on() {
    let mut bench = bench();
    bench.wallet.deposit(5);
    bench.wallet.mine(1, false);
    bench.sync();
    let before = bench.store.read(|tx| entries(tx, 0, usize::MAX)).unwrap();
    let limit = |store: &mut Store, more: i64| {
        store.read::<_, StoreError>(|tx| {
            let pages: i64 = tx.query_row("PRAGMA page_count", [], |row| row.get(0))?;
            Ok(tx.query_row(&format!("PRAGMA max_page_count = {}", pages + more), [], |_| Ok(()))?)
        })
    };
    for units in 1..300 {
        bench.wallet.deposit(units);
    }
    bench.wallet.mine(1, false);
    for more in [0, 1, 5, 20] {
        limit(&mut bench.store, more).unwrap();
        let error = sync(&mut bench.store, &bench.wallet, &coin(), NOW).unwrap_err();
        assert!(error.to_string().contains("full"), "{error}");
        assert_eq!(bench.store.read(|tx| entries(tx, 0, usize::MAX)).unwrap(), before, "{more} more pages");
        assert_eq!(bench.store.read(verify).unwrap().fault, None);
    }
    limit(&mut bench.store, 1 << 20).unwrap();
    assert_eq!(bench.sync().posted, 299);
    assert_eq!(bench.store.read(verify).unwrap().fault, None);
}
