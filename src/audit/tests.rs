//! Single audits, told one by one.

use super::*;
use crate::ledger::model::{FINAL_DEPTH, ModelWallet, coin};
use crate::ledger::{self, Account};

const NOW: Timestamp = Timestamp(1_700_000_000);

struct Bench {
    wallet: ModelWallet,
    store: Store,
    _dir: tempfile::TempDir,
}

fn bench() -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let mut bench = Bench { wallet: ModelWallet::new(), store: Store::open(dir.path()).unwrap(), _dir: dir };
    bench.wallet.deposit(1000);
    bench.wallet.mine(1, false);
    bench.audit();
    bench
}

impl Bench {
    fn audit(&mut self) -> Report {
        run(&mut self.store, &self.wallet, &coin(), NOW).unwrap()
    }
}

fn named(report: &Report) -> Vec<(Txid, SuspectKind)> {
    report.suspects.iter().map(|suspect| (suspect.txid, suspect.kind)).collect()
}

#[test]
fn a_payment_that_nobody_ordered_freezes_until_it_is_explained() {
    let mut bench = bench();
    let txid = bench.wallet.send(&[(100, false)], None, true).unwrap();
    let report = bench.audit();
    assert_eq!((report.verdict, report.frozen), (Verdict::Unexplained, true));
    assert_eq!(named(&report), [(txid, SuspectKind::Unexplained)]);
    assert_eq!(report.difference, Amount::ZERO);
    ledger::explain(&mut bench.store, None, &txid, Account::Payout, "paid by hand", "ada", NOW).unwrap();
    let report = bench.audit();
    assert_eq!((report.verdict, report.frozen), (Verdict::Agrees, false));
}

#[test]
fn a_word_that_moves_nothing_hides_no_amount_that_the_wallet_changed() {
    let mut bench = bench();
    let deposit = bench.wallet.deposit(50);
    bench.wallet.mine(1, false);
    bench.audit();
    bench.wallet.change_amount(&deposit, 70);
    assert_eq!(named(&bench.audit()), [(deposit, SuspectKind::Changed)]);
    bench.store.write(|tx| ledger::word(tx, &deposit, None, "it never paid", "ada", NOW)).unwrap();
    assert_eq!(named(&bench.audit()), [(deposit, SuspectKind::Changed)]);
}

#[test]
fn a_payment_in_limbo_is_a_warning_with_its_change() {
    let mut bench = bench();
    let txid = bench.wallet.send(&[(100, true)], None, false).unwrap();
    let report = bench.audit();
    assert_eq!((report.verdict, report.frozen), (Verdict::Explained, false));
    assert_eq!(named(&report), [(txid, SuspectKind::Limbo)]);
    assert_eq!((report.difference.base_units(), report.residue.base_units()), (993, 0));
}

#[test]
fn an_explained_audit_thaws_nothing() {
    let mut bench = bench();
    let unordered = bench.wallet.send(&[(100, false)], None, true).unwrap();
    assert!(bench.audit().frozen);
    ledger::explain(&mut bench.store, None, &unordered, Account::Payout, "paid by hand", "ada", NOW).unwrap();
    bench.wallet.mine(1, false);
    let claim = ledger::Claim { mark: "m".to_owned(), order: "o".to_owned(), account: Account::Payout };
    bench.store.write(|tx| ledger::claim(tx, &claim)).unwrap();
    bench.wallet.send(&[(100, true)], Some("m"), false).unwrap();
    for _ in 0..2 {
        let report = bench.audit();
        assert_eq!((report.verdict, report.frozen), (Verdict::Explained, true), "{report:#?}");
    }
}

#[test]
fn coins_of_an_imported_key_are_found_late_and_posted() {
    let mut bench = bench();
    let old = bench.wallet.deposit(50);
    bench.wallet.mine(1, false);
    bench.wallet.lose_this(&old);
    bench.wallet.mine(FINAL_DEPTH + 3, false);
    assert_eq!(bench.audit().verdict, Verdict::Agrees);
    bench.wallet.find_again();
    let report = bench.audit();
    assert_eq!((report.verdict, named(&report)), (Verdict::Explained, vec![(old, SuspectKind::FoundLate)]));
    assert_eq!(bench.audit().verdict, Verdict::Agrees);
}

#[test]
fn a_lost_deposit_that_was_spent_is_named_though_the_sums_agree() {
    let mut bench = bench();
    let deposit = bench.store.read(ledger::followed).unwrap()[0].txid;
    let spend = bench.wallet.send(&[(100, true)], None, true).unwrap();
    bench.wallet.mine(1, false);
    bench.audit();
    bench.wallet.lose_this(&deposit);
    let report = bench.audit();
    assert_eq!((report.verdict, report.difference), (Verdict::Unexplained, Amount::ZERO));
    let mut expected = [(deposit, SuspectKind::Lost), (spend, SuspectKind::Changed)];
    expected.sort_by_key(|(txid, _)| *txid);
    assert_eq!(named(&report), expected);
    assert_eq!(report.residue, Amount::ZERO);
}

#[test]
fn locked_coins_are_no_difference() {
    let mut bench = bench();
    bench.wallet.lock(0);
    let report = bench.audit();
    assert_eq!(report.verdict, Verdict::Agrees);
    assert_eq!((report.wallet.unspent.base_units(), report.wallet.locked.base_units()), (0, 1000));
}

#[test]
fn every_audit_is_recorded_and_cannot_be_changed() {
    let mut bench = bench();
    let report = bench.audit();
    assert_eq!(bench.store.read(|tx| last(tx, None)).unwrap(), Some(report));
    assert_eq!(bench.store.read(|tx| history(tx, 9)).unwrap().len(), 2);
    for delete in [false, true] {
        assert!(bench.store.write(|tx| records::meddle(tx, delete)).is_err());
    }
}

#[test]
fn audits_are_routine_until_a_day_is_over_or_something_differs() {
    let mut bench = bench();
    let depth = |bench: &mut Bench, now| run(&mut bench.store, &bench.wallet, &coin(), Timestamp(now)).unwrap().depth;
    assert_eq!(depth(&mut bench, NOW.0 + 600), Depth::Routine);
    bench.wallet.deposit(5);
    bench.wallet.mine(FINAL_DEPTH + 2, true);
    assert_eq!(depth(&mut bench, NOW.0 + 1200), Depth::Routine, "new transactions are on both sides");
    assert_eq!(depth(&mut bench, NOW.0 + 24 * 3600), Depth::Deep, "once a day");
    assert_eq!(depth(&mut bench, NOW.0 + 25 * 3600), Depth::Routine);
    assert_eq!(run_deep(&mut bench.store, &bench.wallet, &coin(), NOW).unwrap().depth, Depth::Deep, "because it is asked for");
    bench.wallet.send(&[(100, true)], None, false).unwrap();
    let report = bench.audit();
    assert_eq!(
        (report.verdict, report.depth),
        (Verdict::Explained, Depth::Routine),
        "what waits for the mempool needs no whole listing"
    );
    bench.wallet.rebroadcast();
    bench.wallet.mine(1, false);
    bench.wallet.send(&[(100, false)], None, true).unwrap();
    for _ in 0..2 {
        let report = bench.audit();
        assert_eq!(
            (report.verdict, report.depth),
            (Verdict::Unexplained, Depth::Deep),
            "what is wrong is never said by a routine one"
        );
    }
}

#[test]
fn a_lost_transaction_shows_by_the_wallets_own_count_though_every_sum_agrees() {
    let mut bench = bench();
    let deposit = bench.store.read(ledger::followed).unwrap()[0].txid;
    let claim = ledger::Claim { mark: "m".to_owned(), order: "o".to_owned(), account: Account::Payout };
    bench.store.write(|tx| ledger::claim(tx, &claim)).unwrap();
    bench.wallet.send(&[(993, false)], Some("m"), true).unwrap();
    bench.wallet.mine(FINAL_DEPTH + 3, false);
    assert_eq!(bench.audit().depth, Depth::Routine);
    bench.wallet.lose_this(&deposit);
    let report = bench.audit();
    assert_eq!((report.verdict, report.depth, report.difference), (Verdict::Unexplained, Depth::Deep, Amount::ZERO));
    assert!(named(&report).contains(&(deposit, SuspectKind::Lost)), "{report:#?}");
    assert_eq!(bench.store.read(|tx| last(tx, None)).unwrap(), Some(report), "it is kept as it was told");
    let frozen = bench.store.read(crate::gate::frozen).unwrap();
    assert!(frozen[0].freeze.detail.starts_with("ledger and wallet hold the same amount, but"), "{frozen:?}");
}

#[test]
fn a_difference_freezes_though_the_daemon_cannot_say_which_coins_it_is() {
    let mut bench = bench();
    let claim = ledger::Claim { mark: "m".to_owned(), order: "o".to_owned(), account: Account::Payout };
    bench.store.write(|tx| ledger::claim(tx, &claim)).unwrap();
    bench.wallet.send(&[(100, false)], Some("m"), true).unwrap();
    let deposit = bench.wallet.deposit(50);
    bench.wallet.mine(1, false);
    assert_eq!(bench.audit().verdict, Verdict::Agrees);
    bench.wallet.lose_this(&deposit);
    bench.wallet.fall_mute();
    let report = bench.audit();
    assert_eq!((report.verdict, report.frozen, named(&report)), (Verdict::Unexplained, true, vec![(deposit, SuspectKind::Lost)]));
    let note = report.coins.unwrap().note.unwrap();
    assert!(note.starts_with("the coins were not compared: "), "{note}");
}

#[test]
fn a_difference_that_is_another_in_each_reading_freezes_all_the_same() {
    let mut bench = bench();
    bench.wallet.drift();
    let report = bench.audit();
    assert_eq!((report.verdict, report.frozen, named(&report)), (Verdict::Unexplained, true, vec![]));
    assert!(report.residue.base_units() > 1, "{report:#?}");
}

impl Bench {
    /// A person lifts every freeze.
    fn thaw(&mut self) {
        for frozen in self.store.read(gate::frozen).unwrap() {
            self.store.write(|tx| gate::override_by(tx, frozen.id, "ada", "known", NOW)).unwrap();
        }
    }

    /// Deposits that are posted, and of which these are lost then.
    fn with_lost<const LOST: usize>(amounts: [i64; LOST]) -> (Bench, [Txid; LOST]) {
        let mut bench = bench();
        let deposits = amounts.map(|units| {
            let deposit = bench.wallet.deposit(units);
            bench.wallet.mine(1, false);
            deposit
        });
        assert_eq!(bench.audit().verdict, Verdict::Agrees);
        deposits.iter().for_each(|deposit| bench.wallet.lose_this(deposit));
        (bench, deposits)
    }

    fn lose_only(&mut self, lost: &[Txid]) -> Report {
        self.wallet.find_again();
        lost.iter().for_each(|txid| self.wallet.lose_this(txid));
        self.audit()
    }
}

#[test]
fn what_is_left_of_an_overruled_finding_does_not_freeze_again_and_anything_more_does() {
    let (mut bench, [b, c]) = Bench::with_lost([50, 70]);
    assert!(bench.audit().frozen);
    bench.thaw();
    let report = bench.audit();
    assert_eq!((report.verdict, report.frozen, report.difference.base_units()), (Verdict::Unexplained, false, 120));
    let report = bench.lose_only(&[b]);
    assert_eq!((report.verdict, report.frozen, named(&report)), (Verdict::Unexplained, false, vec![(b, SuspectKind::Lost)]));
    assert!(!bench.audit().frozen, "the word stands");
    assert!(bench.lose_only(&[b, c]).frozen, "the other one was well meanwhile");
    bench.thaw();
    assert!(!bench.lose_only(&[c]).frozen);
    assert!(bench.lose_only(&[b]).frozen, "the word stands for what was left alone");
    assert_eq!(bench.lose_only(&[]).verdict, Verdict::Agrees);
    assert!(bench.lose_only(&[b]).frozen, "agreement ended it");
}

#[test]
fn what_a_person_did_not_see_is_no_part_of_it() {
    let (mut bench, [b, c]) = Bench::with_lost([50, 70]);
    bench.audit();
    bench.thaw();
    bench.wallet.find_again();
    bench.wallet.change_amount(&b, 49);
    let report = bench.audit();
    assert_eq!(named(&report), [(b, SuspectKind::Changed)]);
    assert!(report.frozen, "it is wrong in another way");
    bench.thaw();
    bench.wallet.change_amount(&b, 48);
    assert!(bench.audit().frozen, "by another amount");
    bench.thaw();
    bench.wallet.drift();
    let report = bench.lose_only(&[c]);
    assert!(report.frozen, "{report:#?}");
}

#[test]
fn nothing_of_which_no_transaction_accounts_is_part_of_anything() {
    let (mut bench, _) = Bench::with_lost([50, 70]);
    let whole = bench.audit();
    let mut part = whole.clone();
    part.suspects.truncate(1);
    assert!(rules::is_part(&part, &whole));
    assert!(!rules::is_part(&whole, &part));
    let remark = Report { remarks: vec!["the wallet contradicts itself".to_owned()], ..part.clone() };
    assert!(!rules::is_part(&remark, &whole));
    assert!(rules::is_part(&part, &Report { remarks: remark.remarks.clone(), ..whole.clone() }));
    let unaccounted = |report: &Report| Report { residue: Amount::from_base_units(1), ..report.clone() };
    assert!(!rules::is_part(&unaccounted(&part), &whole) && !rules::is_part(&part, &unaccounted(&whole)));
    assert!(!rules::is_part(&unaccounted(&part), &unaccounted(&whole)));
    part.suspects.clear();
    assert!(!rules::is_part(&part, &whole), "without a transaction the sums alone would be overruled");
}
