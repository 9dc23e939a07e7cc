//! Whatever happens to the chain: what is deep is credited, once, and what is not is not.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::coin::BlockHash;
use crate::ledger::model::history::{Step, any_step};
use crate::ledger::model::{FINAL_DEPTH, ModelWallet, coin};
use crate::ledger::{Account, Claim, Fault, SyncReport, claim, explain, open, sync, verify as verify_ledger};
use crate::store::Store;

const NOW: Timestamp = Timestamp(1_700_000_000);
/// `ledger.credit_depth` of the model's coin.
const DEPTH: i64 = 2;
const MARK: &str = "bursar:test:";

struct Bench {
    wallet: ModelWallet,
    store: Store,
    orders: u32,
    /// Outputs that were summed up when the ledger was opened.
    summed: BTreeSet<(Txid, u32, i64)>,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        Bench { wallet: ModelWallet::new(), store, orders: 0, summed: BTreeSet::new(), _dir: dir }
    }

    fn sync(&mut self) -> SyncReport {
        sync(&mut self.store, &self.wallet, &coin(), NOW).unwrap()
    }

    fn events(&mut self) -> Vec<CreditEvent> {
        self.store.read(|tx| events(tx, 0, usize::MAX)).unwrap()
    }

    /// What the events told so far, in words: kind, what it follows, reason.
    fn story(&mut self) -> Vec<(&'static str, Option<u64>, Option<&'static str>)> {
        let events = self.events();
        events.iter().map(|event| (event.kind.name(), event.follows, event.reason.map(Reason::name))).collect()
    }

    fn standing(&mut self) -> CreditStanding {
        self.store.read(standing).unwrap()
    }

    fn fault(&mut self) -> Option<Fault> {
        self.store.read(verify_ledger).unwrap().fault
    }

    fn take(&mut self, step: &Step) {
        let mark = step.is_claimed().then(|| {
            self.orders += 1;
            let mark = format!("{MARK}{}", self.orders);
            let left = Claim { mark: mark.clone(), order: mark.clone(), account: Account::Payout };
            self.store.write(|tx| claim(tx, &left)).unwrap();
            mark
        });
        step.happen(&self.wallet, mark.as_deref());
        if matches!(step, Step::Sync) {
            self.check();
        }
    }

    /// Syncs; what must hold after it.
    fn check(&mut self) {
        let told = self.events().len();
        let report = self.sync();
        let events = self.events();
        let credits = |events: &[CreditEvent]| events.iter().filter(|event| event.kind == CreditKind::Credit).count() as u64;
        assert_eq!(report.credited, credits(&events[told..]));
        let mut standing: BTreeMap<(Txid, u32), (i64, &CreditEvent)> = BTreeMap::new();
        for event in &events {
            let (sum, _) = *standing.get(&(event.txid, event.vout)).unwrap_or(&(0, event));
            let sum = if event.kind == CreditKind::Credit { sum + 1 } else { sum - 1 };
            assert!((0..=1).contains(&sum), "{event:?}");
            standing.insert((event.txid, event.vout), (sum, event));
        }
        let credited: BTreeSet<(Txid, u32, i64)> = standing
            .iter()
            .filter(|(_, (sum, _))| *sum == 1)
            .map(|((txid, vout), (_, event))| (*txid, *vout, event.amount.base_units()))
            .collect();
        let deep = self.wallet.deep_receipts(DEPTH, |comment| comment.starts_with(MARK));
        let sure: BTreeSet<_> = deep.difference(&self.summed).copied().collect();
        let missing: Vec<_> = sure.difference(&credited).collect();
        assert!(missing.is_empty(), "deep, and not credited: {missing:?}");
        // A shorter chain takes nothing back while the block stands: credited is what is in a block at all.
        let firm = self.wallet.deep_receipts(1, |comment| comment.starts_with(MARK));
        let loose: Vec<_> = credited.difference(&firm).collect();
        assert!(loose.is_empty(), "credited, and in no block: {loose:?}");
        for event in &events[told..] {
            let depth = event.tip_height + 1 - event.block.height.min(event.tip_height);
            assert!(event.kind == CreditKind::Reversal || depth as i64 >= DEPTH, "credited too early: {event:?}");
            assert_eq!(event.tip_height, report.tip.height);
        }
        let again = self.sync();
        assert_eq!((again.credited, again.uncredited), (0, vec![]), "a second sync tells nothing");
        assert_eq!(self.fault(), None);
        assert_eq!(self.store.read(records::missing).unwrap(), None, "whether or not the sums agree");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn credits_are_what_is_deep(steps in prop::collection::vec(any_step(), 1..60)) {
        let mut bench = Bench::new();
        bench.sync();
        steps.iter().for_each(|step| bench.take(step));
        bench.take(&Step::Sync);
    }

    #[test]
    fn of_an_adopted_wallet_only_what_came_after_the_sum_is_credited(
        before in prop::collection::vec(any_step(), 1..40),
        at in prop::option::of(0..40_u64),
        after in prop::collection::vec(any_step(), 1..25),
    ) {
        let mut bench = Bench::new();
        before.iter().filter(|step| !matches!(step, Step::Sync)).for_each(|step| bench.take(step));
        let tip = crate::daemon::Wallet::tip(&bench.wallet).unwrap().height;
        let cut = at.unwrap_or(tip).min(tip.saturating_sub(FINAL_DEPTH));
        bench.summed = bench.wallet.deep_receipts((tip - cut + 1) as i64, |_| true);
        open(&mut bench.store, &bench.wallet, &coin(), at, NOW).unwrap();
        bench.check();
        after.iter().for_each(|step| bench.take(step));
        bench.take(&Step::Sync);
        let summed: Vec<_> = bench.summed.iter().map(|(txid, vout, _)| (*txid, *vout)).collect();
        prop_assert!(bench.events().iter().all(|event| !summed.contains(&(event.txid, event.vout))));
    }

    #[test]
    fn any_single_changed_removed_or_reordered_event_is_found(
        steps in prop::collection::vec(any_step(), 10..40),
        pick in any::<prop::sample::Index>(),
        damage in 0..records::DAMAGES.len(),
    ) {
        let mut bench = Bench::new();
        bench.take(&Step::Deposit(77));
        bench.take(&Step::Deposit(78));
        bench.take(&Step::Mine { blocks: 2, reward: false });
        bench.take(&Step::Sync);
        steps.iter().for_each(|step| bench.take(step));
        bench.take(&Step::Sync);
        let seq = pick.get(&bench.events()).seq;
        prop_assume!(bench.store.write::<_, StoreError>(|tx| records::tamper(tx, records::DAMAGES[damage], seq)).unwrap());
        prop_assert!(bench.fault().is_some());
    }

    #[test]
    fn any_change_to_what_waits_is_found(
        steps in prop::collection::vec(any_step(), 10..40),
        pick in any::<prop::sample::Index>(),
        damage in prop::sample::select(&records::WAITING_DAMAGES[..]),
    ) {
        let mut bench = Bench::new();
        bench.sync();
        steps.iter().for_each(|step| bench.take(step));
        bench.take(&Step::Deposit(77));
        bench.take(&Step::Mine { blocks: 1, reward: false });
        bench.take(&Step::Sync);
        let (event, _) = *pick.get(&bench.store.read(records::waiting).unwrap());
        prop_assume!(bench.store.write::<_, StoreError>(|tx| records::tamper(tx, damage, event)).unwrap());
        prop_assert!(bench.fault().is_some());
    }
}

#[test]
fn a_deposit_is_credited_at_its_depth_and_not_a_block_earlier() {
    let mut bench = Bench::new();
    let txid = bench.wallet.deposit(50);
    assert_eq!(bench.sync().credited, 0);
    bench.wallet.mine(1, false);
    assert_eq!((bench.sync().credited, bench.standing().waiting), (0, 1));
    bench.wallet.mine(1, false);
    assert_eq!((bench.sync().credited, bench.standing().waiting), (1, 0));
    let credit = &bench.events()[0];
    assert_eq!((credit.txid, credit.amount.base_units(), credit.confirmations()), (txid, 50, Some(2)));
    assert_eq!((credit.block.height, credit.tip_height), (1, 2));
}

#[test]
fn what_is_deep_at_first_sight_is_credited_at_once() {
    let mut bench = Bench::new();
    bench.wallet.deposit(50);
    bench.wallet.mine(9, false);
    assert_eq!(bench.sync().credited, 1);
    assert_eq!(bench.fault(), None);
}

#[test]
fn a_reorg_below_the_depth_takes_the_credit_back_and_another_block_brings_it_again() {
    let mut bench = Bench::new();
    let txid = bench.wallet.deposit(50);
    bench.wallet.mine(3, false);
    bench.sync();
    bench.wallet.reorg(3, |_| false);
    assert_eq!(bench.sync().uncredited, [txid]);
    assert_eq!(bench.story(), [("credit", None, None), ("reversal", Some(1), Some("reorged"))]);
    assert_eq!((bench.standing().outstanding, bench.standing().last_reversal), (1, Some(NOW)));
    bench.wallet.mine(2, false);
    assert_eq!(bench.sync().credited, 1);
    assert_eq!(bench.story()[2], ("credit", Some(2), None));
    assert_eq!((bench.standing().outstanding, bench.fault()), (0, None));
}

#[test]
fn a_credit_moves_to_another_block_by_a_reversal_and_a_new_credit_in_one_sync() {
    let mut bench = Bench::new();
    bench.wallet.deposit(50);
    bench.wallet.mine(3, false);
    bench.sync();
    bench.wallet.invalidate(3, |_| false);
    bench.wallet.mine(5, false);
    let report = bench.sync();
    assert_eq!((report.posted, report.reversed, report.credited, report.uncredited.len()), (0, 0, 1, 1));
    assert_eq!(bench.story()[1..], [("reversal", Some(1), Some("reorged")), ("credit", Some(2), None)]);
    let blocks: BTreeSet<BlockHash> = bench.events().iter().map(|event| event.block.hash).collect();
    assert_eq!((blocks.len(), bench.fault()), (2, None));
}

#[test]
fn a_final_deposit_that_is_double_spent_after_all_is_taken_back() {
    let mut bench = Bench::new();
    bench.wallet.deposit(50);
    bench.wallet.mine(FINAL_DEPTH + 6, false);
    bench.sync();
    bench.wallet.reorg(FINAL_DEPTH as usize + 6, |_| false);
    bench.wallet.double_spend(0);
    bench.sync();
    assert_eq!(bench.story()[1..], [("reversal", Some(1), Some("conflicted"))]);
}

#[test]
fn the_address_of_a_deposit_that_waits_is_the_wallets_whatever_somebody_wrote_into_the_store() {
    let mut bench = Bench::new();
    bench.wallet.deposit(50);
    bench.wallet.mine(1, false);
    bench.sync();
    let right = bench.store.read(records::waiting_addresses).unwrap();
    assert!(right.len() == 1 && right[0].is_some(), "{right:?}");
    let change = |bench: &mut Bench, change| {
        assert!(bench.store.write::<_, StoreError>(|tx| records::tamper(tx, change, 0)).unwrap());
        assert_ne!(bench.store.read(records::waiting_addresses).unwrap(), right);
    };
    for written in records::OTHER_ADDRESSES {
        change(&mut bench, written);
        bench.sync();
        assert_eq!(bench.store.read(records::waiting_addresses).unwrap(), right);
    }
    change(&mut bench, records::OTHER_ADDRESSES[0]);
    bench.wallet.mine(1, false);
    assert_eq!(bench.sync().credited, 1);
    assert_eq!((&bench.events()[0].address, bench.fault()), (&right[0], None));
}

#[test]
fn a_shorter_chain_in_which_its_block_stands_changes_nothing() {
    let mut bench = Bench::new();
    bench.wallet.deposit(50);
    bench.wallet.mine(4, false);
    bench.sync();
    bench.wallet.invalidate(3, |_| false);
    bench.sync();
    bench.wallet.mine(5, false);
    bench.sync();
    assert_eq!(bench.story(), [("credit", None, None)]);
}

#[test]
fn a_batch_that_pays_a_customers_deposit_address_is_a_deposit_and_a_move_of_our_own_is_none() {
    let mut bench = Bench::new();
    bench.take(&Step::Deposit(1000));
    bench.take(&Step::Mine { blocks: 2, reward: false });
    bench.take(&Step::Sync);
    bench.take(&Step::Send { units: 30, more: 5, own: true, claimed: true, broadcast: true });
    bench.take(&Step::Send { units: 40, more: 5, own: true, claimed: false, broadcast: true });
    bench.take(&Step::Mine { blocks: 2, reward: false });
    bench.take(&Step::Sync);
    let amounts: Vec<i64> = bench.events().iter().map(|event| event.amount.base_units()).collect();
    assert_eq!(amounts, [1000, 30]);
}

#[test]
fn a_deposit_whose_block_is_gone_and_that_the_wallet_forgot_is_taken_back_and_not_credited_by_growing_blocks() {
    let mut bench = Bench::new();
    let txid = bench.wallet.deposit(50);
    bench.wallet.mine(3, false);
    bench.sync();
    bench.wallet.invalidate(3, |_| false);
    bench.wallet.lose_this(&txid);
    for _ in 0..6 {
        bench.wallet.mine_empty();
    }
    assert_eq!(bench.sync().uncredited, [txid]);
    assert_eq!((bench.sync().credited, bench.standing().waiting), (0, 1));
    assert_eq!(bench.story()[1..], [("reversal", Some(1), Some("forgotten"))]);
    bench.wallet.find_again();
    bench.wallet.mine(2, false);
    assert_eq!(bench.sync().credited, 1);
    assert_eq!((bench.story()[2], bench.fault()), (("credit", Some(2), None), None));
}

#[test]
fn an_amount_of_which_the_wallet_changed_its_word_is_not_credited_whoever_explains_it() {
    let mut bench = Bench::new();
    let txid = bench.wallet.deposit(50);
    bench.wallet.mine(1, false);
    bench.sync();
    bench.wallet.change_amount(&txid, 40);
    bench.wallet.mine(3, false);
    assert_eq!(bench.sync().credited, 0);
    explain(&mut bench.store, None, &txid, Account::Deposit, "as the explorer says", "ada", NOW).unwrap();
    bench.wallet.mine(3, false);
    assert_eq!((bench.sync().credited, bench.standing().waiting, bench.fault()), (0, 1, None));
}

#[test]
fn a_deposit_that_neither_waits_nor_is_credited_is_named_also_beside_moves_of_our_own() {
    let mut bench = Bench::new();
    bench.take(&Step::Deposit(1000));
    bench.take(&Step::Mine { blocks: 2, reward: false });
    bench.take(&Step::Sync);
    bench.take(&Step::Send { units: 40, more: 5, own: true, claimed: false, broadcast: true });
    let txid = bench.wallet.deposit(70);
    bench.take(&Step::Mine { blocks: 1, reward: false });
    bench.take(&Step::Sync);
    assert_eq!(bench.fault(), None);
    bench.store.write::<_, StoreError>(|tx| records::tamper(tx, records::WAITING_DAMAGES[1], 0)).unwrap();
    let words = bench.fault().expect("a fault").words;
    assert!(words.contains(&txid.to_string()) && words.contains("neither waits to be credited nor is credited"), "{words}");
    bench.wallet.mine(FINAL_DEPTH, false);
    bench.sync();
    assert!(bench.fault().is_some(), "nor is it forgotten when it is final");
}

#[test]
fn of_an_older_store_nothing_is_asked_about_what_was_final_even_if_its_block_goes() {
    let mut bench = Bench::new();
    bench.wallet.deposit(50);
    bench.wallet.mine(1, false);
    bench.sync();
    bench.store.write(records::upgraded_now).unwrap();
    assert_eq!(bench.fault(), None);
    bench.wallet.invalidate(1, |_| false);
    bench.wallet.mine(3, false);
    let report = bench.sync();
    assert_eq!((report.reversed, report.credited, bench.fault()), (0, 0, None));
    bench.take(&Step::Deposit(60));
    bench.take(&Step::Mine { blocks: 1, reward: false });
    bench.sync();
    bench.store.write::<_, StoreError>(|tx| records::tamper(tx, records::WAITING_DAMAGES[1], 0)).unwrap();
    assert!(bench.fault().is_some(), "what came since is");
}

#[test]
fn a_cursor_leads_on_and_one_of_a_store_that_went_back_is_refused() {
    let mut bench = Bench::new();
    for units in 1..=5 {
        bench.wallet.deposit(units);
    }
    bench.wallet.mine(2, false);
    bench.sync();
    let all = bench.events();
    let page = |bench: &mut Bench, cursor: Option<&Cursor>| bench.store.read(|tx| super::page(tx, cursor, 2));
    assert_eq!(page(&mut bench, None).unwrap(), all[..2]);
    let cursor: Cursor = Cursor::after(&all[1]).to_string().parse().unwrap();
    assert_eq!(page(&mut bench, Some(&cursor)).unwrap(), all[2..4]);
    assert_eq!(page(&mut bench, Some(&Cursor::after(&all[4]))).unwrap(), []);
    for wrong in
        [Cursor { seq: 6, ..cursor.clone() }, Cursor { seq: u64::MAX, ..cursor.clone() }, Cursor { seq: 3, ..cursor.clone() }]
    {
        assert!(matches!(page(&mut bench, Some(&wrong)), Err(FeedError::GoneBack { newest: 5, .. })), "{wrong}");
    }
    assert!(bench.store.read(|tx| events(tx, 6, 1)).is_err());
    for text in [
        "",
        "2",
        "2-",
        "-2-0123456789abcdef",
        "02-0123456789abcdef",
        "2-0123456789ABCDEF",
        "2-0123456789abcde",
        "0-0123456789abcdef",
    ] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

#[test]
fn events_are_never_changed_and_never_go() {
    let mut bench = Bench::new();
    bench.wallet.deposit(50);
    bench.wallet.mine(2, false);
    bench.sync();
    for delete in [false, true] {
        let done = bench.store.write::<_, StoreError>(|tx| records::meddle(tx, delete));
        assert!(done.unwrap_err().to_string().contains("credit events are never"));
    }
}

#[test]
fn of_an_older_store_the_deposits_that_can_still_change_are_credited() {
    let mut bench = Bench::new();
    bench.take(&Step::Deposit(1000));
    bench.take(&Step::Mine { blocks: 9, reward: false });
    bench.take(&Step::Sync);
    bench.take(&Step::Deposit(70));
    bench.take(&Step::Mine { blocks: 1, reward: false });
    bench.take(&Step::Send { units: 30, more: 5, own: true, claimed: true, broadcast: true });
    bench.take(&Step::Send { units: 40, more: 5, own: true, claimed: false, broadcast: true });
    bench.take(&Step::Sync);
    let [before, after] = bench.store.write(records::carry_over).unwrap();
    assert_eq!((after.len(), &after), (2, &before));
    bench.take(&Step::Mine { blocks: 2, reward: false });
    bench.take(&Step::Sync);
}
