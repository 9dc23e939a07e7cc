//! Random histories: an audit of a sound wallet is never unexplained, and what a wallet loses is named.

mod wallets;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Report, SuspectKind, Verdict, run, run_deep};
use crate::coin::{Timestamp, Txid};
use crate::daemon::Wallet;
use crate::gate;
use crate::ledger::model::history::{Step, step};
use crate::ledger::model::{ModelWallet, coin};
use crate::ledger::{self, Account, Claim};
use crate::store::Store;

const NOW: Timestamp = Timestamp(1_700_000_000);

struct Bench {
    wallet: ModelWallet,
    store: Store,
    orders: u32,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        Bench { wallet: ModelWallet::new(), store, orders: 0, _dir: dir }
    }

    /// Every payment is claimed: an unordered one is unexplained by right.
    fn take(&mut self, step: &Step) {
        self.orders += 1;
        let mark = format!("bursar:{}:{}", self.store.id(), self.orders);
        let left = Claim { mark: mark.clone(), order: format!("batch-{}", self.orders), account: Account::Payout };
        self.store.write(|tx| ledger::claim(tx, &left)).unwrap();
        step.happen(&self.wallet, Some(&mark));
        if matches!(step, Step::Sync) {
            ledger::sync(&mut self.store, &self.wallet, &coin(), NOW).unwrap();
        }
    }

    fn audit(&mut self) -> Report {
        run(&mut self.store, &self.wallet, &coin(), NOW).unwrap()
    }

    /// Whether payouts are frozen by what an audit found. A reorg below the final depth freezes by itself.
    fn is_frozen_by_audit(&mut self) -> bool {
        self.store.read(|tx| gate::awaits_audit(tx, None)).unwrap()
    }
}

fn named(report: &Report, kind: SuspectKind) -> BTreeSet<Txid> {
    report.suspects.iter().filter(|suspect| suspect.kind == kind).map(|suspect| suspect.txid).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sound_wallet_is_never_unexplained(steps in prop::collection::vec(step(), 1..60), lock in 0..9_usize) {
        let mut bench = Bench::new();
        for step in &steps {
            bench.take(step);
        }
        bench.wallet.lock(lock);
        let report = bench.audit();
        prop_assert!(report.verdict != Verdict::Unexplained, "{report:#?}");
        prop_assert!(!bench.is_frozen_by_audit());
        prop_assert!(bench.wallet.is_calm() == (report.verdict == Verdict::Agrees), "{report:#?}");
    }

    #[test]
    fn a_routine_audit_says_what_a_deep_one_says(
        steps in prop::collection::vec(step(), 1..60),
        every in 1..9_usize,
        lost in prop::option::weighted(0.3, any::<usize>()),
    ) {
        let mut bench = Bench::new();
        bench.take(&Step::Deposit(500));
        bench.take(&Step::Mine { blocks: 1, reward: true });
        for (number, step) in steps.iter().enumerate() {
            bench.take(step);
            if number % every == 0 {
                prop_assert!(bench.audit().verdict != Verdict::Unexplained);
            }
        }
        if let Some(pick) = lost {
            bench.wallet.lose(pick);
        }
        let routine = bench.audit();
        let deep = run_deep(&mut bench.store, &bench.wallet, &coin(), NOW).unwrap();
        if routine.verdict == Verdict::Explained && deep.verdict == Verdict::Agrees {
            prop_assert!(routine.suspects.iter().all(|suspect| suspect.kind == SuspectKind::FoundLate), "{routine:#?}");
        } else {
            prop_assert_eq!(routine.verdict, deep.verdict, "{:#?} {:#?}", &routine, &deep);
            prop_assert_eq!(routine.difference, deep.difference);
            prop_assert_eq!(&routine.suspects, &deep.suspects);
        }
    }

    #[test]
    fn what_the_wallet_loses_is_named_and_only_that(
        steps in prop::collection::vec(step(), 5..50),
        pick in any::<usize>(),
        blocks_after in 0..12_u64,
    ) {
        let mut bench = Bench::new();
        bench.take(&Step::Deposit(500));
        bench.take(&Step::Mine { blocks: 1, reward: true });
        steps.iter().for_each(|step| bench.take(step));
        let before = bench.audit();
        let Some(lost) = bench.wallet.lose(pick) else { return Ok(()) };
        bench.wallet.mine(blocks_after, false);
        let report = bench.audit();
        prop_assert_eq!(report.verdict, Verdict::Unexplained, "{:#?}", report);
        prop_assert!(report.frozen);
        // A payment without change, all of whose coins came from the lost one, has nothing left that the wallet could show.
        let shows_nothing = |txid: &Txid| bench.wallet.transaction(txid).unwrap().is_none_or(|found| found.entries.is_empty());
        let named = named(&report, SuspectKind::Lost);
        prop_assert!(named.contains(&lost) && named.iter().all(shows_nothing), "{:#?}", report);
        if !report.suspects.iter().any(|suspect| matches!(suspect.kind, SuspectKind::Limbo | SuspectKind::Untrusted)) {
            prop_assert_eq!(report.residue.base_units(), 0, "{:#?}", report);
        }
        bench.wallet.rescan(0).unwrap();
        let after = bench.audit();
        prop_assert!(after.verdict != Verdict::Unexplained, "before {before:#?} lost {report:#?} after {after:#?}");
        prop_assert_eq!(bench.is_frozen_by_audit(), after.verdict != Verdict::Agrees, "what is merely explained thaws nothing");
    }
}
