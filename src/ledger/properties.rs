//! Random histories against a wallet in memory: whatever happens, the ledger is the wallet.

mod books;
mod wallets;

use proptest::prelude::*;

use super::credit::{self, CreditEvent};
use super::model::history::{Step, any_step};
use super::model::{FINAL_DEPTH, MATURITY, ModelWallet, coin};
use super::pages;
use super::reading::Since;
use super::{Account, Claim, Followed, Posting, balance, balances, claim, open, records, sync, verify};
use crate::coin::{Amount, Timestamp};
use crate::daemon::Tip;
use crate::store::{Store, StoreError};

const NOW: Timestamp = Timestamp(1_700_000_000);

/// A ledger beside its wallet.
struct Bench {
    wallet: ModelWallet,
    store: Store,
    orders: u32,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut bench = Bench { wallet: ModelWallet::new(), store, orders: 0, dir };
        bench.sync();
        bench
    }

    fn sync(&mut self) -> super::SyncReport {
        sync(&mut self.store, &self.wallet, &coin(), NOW).unwrap()
    }

    /// The process ends, and another one begins.
    fn restart(&mut self) {
        let aside = Store::open(&self.dir.path().join("aside")).unwrap();
        drop(std::mem::replace(&mut self.store, aside));
        self.store = Store::open(self.dir.path()).unwrap();
    }

    fn balance(&mut self, account: Account) -> i64 {
        self.store.read(|tx| balance(tx, account)).unwrap().base_units()
    }

    fn fault(&mut self) -> Option<super::Fault> {
        self.store.read(verify).unwrap().fault
    }

    /// A claim as a batch leaves it, and its mark.
    fn claim(&mut self) -> String {
        self.orders += 1;
        let mark = format!("bursar:{}:{}", self.store.id(), self.orders);
        let left = Claim { mark: mark.clone(), order: format!("batch-{}", self.orders), account: Account::Payout };
        self.store.write(|tx| claim(tx, &left)).unwrap();
        mark
    }

    fn take(&mut self, step: &Step) {
        let mark = step.is_claimed().then(|| self.claim());
        step.happen(&self.wallet, mark.as_deref());
        if matches!(step, Step::Sync) {
            self.sync();
            self.check();
        }
    }

    /// What must hold after every sync.
    fn check(&mut self) {
        assert_eq!(self.balance(Account::Wallet), self.wallet.worth().base_units());
        if self.wallet.is_calm() {
            let trusted = crate::daemon::Wallet::balances(&self.wallet).unwrap().trusted;
            assert_eq!(self.balance(Account::Wallet), trusted.base_units());
        }
        let all = self.store.read(|tx| balances(tx, &coin())).unwrap();
        assert_eq!(Amount::sum(all.iter().map(|account| account.amount)).unwrap(), Amount::ZERO);
        let again = self.sync();
        assert_eq!((again.posted, again.reversed, again.unknown_marks.len()), (0, 0, 0), "a second sync posts nothing");
    }
}

/// Follows a wallet from its beginning.
fn follow(steps: &[Step]) {
    let mut bench = Bench::new();
    for step in steps {
        bench.take(step);
    }
    bench.take(&Step::Sync);
    assert_eq!(bench.fault(), None);
}

/// Follows a wallet with a restart before some steps; the hash over all that was posted.
fn replay(steps: &[Step], restarts: &[bool]) -> String {
    let mut bench = Bench::new();
    for (step, restart) in steps.iter().zip(restarts) {
        if *restart {
            bench.restart();
        }
        bench.take(step);
    }
    bench.take(&Step::Sync);
    let report = bench.store.read(verify).unwrap();
    assert_eq!(report.fault, None);
    report.head
}

/// Adopts a wallet after `before`, and goes on.
fn adopt(before: &[Step], at: Option<u64>, after: &[Step]) {
    let mut bench = Bench::new();
    bench.store = Store::open(bench.dir.path().join("fresh").as_path()).unwrap();
    for step in before.iter().filter(|step| !matches!(step, Step::Sync)) {
        bench.take(step);
    }
    open(&mut bench.store, &bench.wallet, &coin(), at, NOW).unwrap();
    bench.check();
    assert_eq!(bench.balance(Account::Unexplained), 0);
    for step in after {
        bench.take(step);
    }
    bench.take(&Step::Sync);
    assert_eq!(bench.fault(), None);
}

/// What two ledgers have to have in common.
#[derive(Debug, PartialEq)]
struct All {
    postings: Vec<Posting>,
    credits: Vec<CreditEvent>,
    followed: Vec<Followed>,
    cursor: Option<Tip>,
    tip: Option<Tip>,
}

/// A ledger that is brought in step in pages.
struct Paged {
    store: Store,
    page: usize,
    _dir: tempfile::TempDir,
}

impl Paged {
    fn new(page: usize) -> Paged {
        let dir = tempfile::tempdir().unwrap();
        Paged { store: Store::open(dir.path()).unwrap(), page, _dir: dir }
    }

    fn claim(&mut self, mark: &str) {
        let left = Claim { mark: mark.to_owned(), order: format!("order of {mark}"), account: Account::Payout };
        self.store.write(|tx| claim(tx, &left)).unwrap();
    }

    /// Breaks off after so many answers, and goes on.
    fn sync(&mut self, wallet: &ModelWallet, since: Since, answers: u32) {
        wallet.break_off_after(answers);
        while pages::sync(&mut self.store, wallet, &coin(), since, self.page, NOW).is_err() {}
        wallet.break_off_after(u32::MAX);
    }

    /// Postings and credits with their hashes, where all transactions stand, and where the ledger does.
    fn all(&mut self) -> All {
        let all = self.store.read::<_, StoreError>(|tx| {
            let (wallet, credits) = (super::wallets::paying(tx)?.unwrap(), credit::events(tx, 0, usize::MAX).unwrap());
            let (postings, followed) = (super::entries(tx, 0, usize::MAX)?, super::followed(tx)?);
            Ok(All { postings, credits, followed, cursor: wallet.cursor, tip: wallet.tip })
        });
        all.unwrap()
    }
}

fn mine(blocks: u64) -> Step {
    Step::Mine { blocks, reward: false }
}

fn reorg(depth: usize) -> Step {
    Step::Reorg { depth, drop: 1 }
}

/// It has just become final, so its block stands above the cursor.
#[test]
fn a_reorg_as_deep_as_the_final_depth_reopens_the_last_final_deposit() {
    follow(&[Step::Deposit(1), mine(FINAL_DEPTH), Step::Sync, reorg(FINAL_DEPTH as usize), Step::DoubleSpend(0)]);
}

#[test]
fn a_reorg_as_deep_as_the_final_depth_reopens_the_last_final_deposit_of_an_adopted_wallet() {
    let before = [Step::Deposit(1), mine(3), Step::MineEmpty];
    adopt(&before, None, &[Step::MineEmpty, Step::Sync, reorg(FINAL_DEPTH as usize), Step::DoubleSpend(0)]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_pages_of_any_size_and_broken_off_anywhere_the_ledger_is_the_same(
        steps in prop::collection::vec(any_step(), 1..60),
        page in 1..6_usize,
        answers in 0..60_u32,
        everything in any::<bool>(),
    ) {
        let wallet = ModelWallet::new();
        let mut ledgers = [(usize::MAX, u32::MAX), (page, u32::MAX), (page, answers), (usize::MAX, answers)]
            .map(|(page, answers)| (Paged::new(page), answers));
        for (number, step) in steps.iter().chain([&Step::Sync]).enumerate() {
            let mark = step.is_claimed().then(|| format!("bursar:pages:{number}"));
            ledgers.iter_mut().for_each(|(ledger, _)| mark.iter().for_each(|mark| ledger.claim(mark)));
            step.happen(&wallet, mark.as_deref());
            // A wallet that pays without a claim has to be opened: here it begins with nothing.
            let is_first = number == 0;
            if is_first || matches!(step, Step::Sync) {
                let since = if everything { Since::Beginning } else { Since::Cursor };
                ledgers.iter_mut().for_each(|(ledger, answers)| ledger.sync(&wallet, since, *answers));
            }
        }
        let [whole, rest @ ..] = &mut ledgers;
        for (ledger, _) in rest {
            prop_assert_eq!(ledger.all(), whole.0.all());
            prop_assert!(ledger.store.read(verify).unwrap().fault.is_none());
        }
    }

    #[test]
    fn a_first_sync_of_an_old_wallet_goes_on_where_it_broke_off(
        deposits in prop::collection::vec((1..1000_i64, 0..3_u64, any::<bool>(), any::<bool>()), 1..40),
        page in 1..6_usize,
        answers in 0..60_u32,
    ) {
        let wallet = ModelWallet::new();
        for (units, blocks, reward, lost) in deposits {
            wallet.deposit(units);
            if lost {
                wallet.double_spend(0);
            }
            wallet.mine(blocks, reward);
        }
        let (mut whole, mut broken) = (Paged::new(usize::MAX), Paged::new(page));
        whole.sync(&wallet, Since::Cursor, u32::MAX);
        broken.sync(&wallet, Since::Cursor, answers);
        prop_assert_eq!(broken.all(), whole.all());
        wallet.mine(FINAL_DEPTH + MATURITY, false);
        whole.sync(&wallet, Since::Cursor, u32::MAX);
        broken.sync(&wallet, Since::Cursor, answers);
        prop_assert_eq!(broken.all(), whole.all());
    }

    #[test]
    fn a_sync_that_broke_off_and_a_chain_that_went_on_leave_nothing_wrong(
        steps in prop::collection::vec((any_step(), 0..60_u32, 0..3_u32), 1..60),
        page in 1..4_usize,
        everything in any::<bool>(),
    ) {
        let wallet = ModelWallet::new();
        let mut ledger = Paged::new(page);
        let since = if everything { Since::Beginning } else { Since::Cursor };
        ledger.sync(&wallet, since, u32::MAX);
        let mut marks = std::collections::BTreeSet::new();
        for (number, (step, answers, restless)) in steps.iter().enumerate() {
            let mark = step.is_claimed().then(|| format!("bursar:broken:{number}"));
            mark.iter().for_each(|mark| ledger.claim(mark));
            step.happen(&wallet, mark.as_deref());
            marks.extend(mark);
            if matches!(step, Step::Sync) {
                wallet.make_restless(*restless);
                wallet.break_off_after(*answers);
                // What is posted of it stays; the next one may find another chain.
                let _ = pages::sync(&mut ledger.store, &wallet, &coin(), since, page, NOW);
                wallet.make_restless(0);
                wallet.break_off_after(u32::MAX);
            }
        }
        ledger.sync(&wallet, Since::Cursor, u32::MAX);
        prop_assert!(ledger.store.read(verify).unwrap().fault.is_none());
        let held = ledger.store.read(|tx| balance(tx, Account::Wallet)).unwrap();
        prop_assert_eq!(held, wallet.worth());
        let mut standing = std::collections::BTreeSet::new();
        for event in ledger.all().credits {
            let output = (event.txid, event.vout, event.amount.base_units());
            let changed = match event.kind {
                credit::CreditKind::Credit => standing.insert(output),
                credit::CreditKind::Reversal => standing.remove(&output),
            };
            prop_assert!(changed, "{:?}", event);
        }
        let receipts = |depth| wallet.deep_receipts(depth, |comment| marks.contains(comment));
        prop_assert!(receipts(2).is_subset(&standing), "deep, and not credited: {:?}", receipts(2).difference(&standing));
        prop_assert!(standing.is_subset(&receipts(1)), "credited, and in no block: {:?}", standing.difference(&receipts(1)));
    }

    #[test]
    fn whatever_happens_the_ledger_is_the_wallet(steps in prop::collection::vec(any_step(), 1..60)) {
        follow(&steps);
    }

    #[test]
    fn a_replay_with_restarts_anywhere_comes_to_the_same_hash(
        steps in prop::collection::vec((any_step(), prop::bool::weighted(0.2)), 1..40),
    ) {
        let (steps, restarts): (Vec<Step>, Vec<bool>) = steps.into_iter().unzip();
        let never = vec![false; steps.len()];
        prop_assert_eq!(replay(&steps, &restarts), replay(&steps, &never));
    }

    #[test]
    fn an_adopted_wallet_goes_on_as_if_it_had_been_followed(
        before in prop::collection::vec(any_step(), 1..40),
        at in prop::option::of(0..40_u64),
        after in prop::collection::vec(any_step(), 1..25),
    ) {
        adopt(&before, at, &after);
    }

    #[test]
    fn any_single_changed_removed_or_reordered_row_is_found(
        steps in prop::collection::vec(any_step(), 10..40),
        pick in any::<prop::sample::Index>(),
        damage in 0..records::DAMAGES.len(),
    ) {
        let mut bench = Bench::new();
        bench.take(&Step::Deposit(77));
        bench.take(&Step::Mine { blocks: 1, reward: true });
        steps.iter().for_each(|step| bench.take(step));
        bench.take(&Step::Sync);
        let rows = bench.store.read(|tx| super::entries(tx, 0, usize::MAX)).unwrap();
        prop_assume!(!rows.is_empty());
        let seq = pick.get(&rows).seq;
        prop_assume!(bench.store.write::<_, StoreError>(|tx| records::tamper(tx, damage, seq)).unwrap());
        let Some(fault) = bench.fault() else { return Err(TestCaseError::fail(records::DAMAGES[damage])) };
        let named = match damage {
            0 => fault.words.contains(&format!(" {seq} ")),
            12 => fault.seq == Some(seq.max(2) - 1),
            3 | 5 | 6 | 9 | 10 | 11 | 15..=25 => fault.seq == Some(seq),
            26 => fault.words.contains(&format!("table entries has a row of the number -{seq}, ")),
            27 => fault.words.contains("refers to an event that is not there"),
            _ => true,
        };
        prop_assert!(named, "the first bad row is named: {} of {seq}: {fault:?}", records::DAMAGES[damage]);
    }
}
