//! Three audits, a freeze that was thawed, a checkpoint; and damage to each.

use super::*;
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::gate::{self, Cause, Freeze};
use crate::ledger::checkpoint::{self, CheckpointFile};
use crate::ledger::model;
use crate::store::Store;

const NOW: Timestamp = Timestamp(1_700_000_000);
const DAY_S: i64 = 86_400;

struct Bench {
    store: Store,
    coin: CoinSettings,
    _dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let coin = CoinSettings { state_dir: dir.path().to_owned(), ..model::coin() };
        let store = Store::open(&coin.service_dir()).unwrap();
        crate::ledger::signing::ensure_key(&coin).unwrap();
        let mut bench = Bench { store, coin, _dir: dir };
        bench.audited(0);
        let freeze = Freeze { cause: Cause::Audit, detail: "it's \"so\"".to_owned(), txids: vec![], amount: None, wallet: None };
        let freeze = |tx: &Tx<'_>| gate::freeze(tx, &freeze, NOW);
        bench.store.write(freeze).unwrap();
        bench.checkpoint();
        bench.audited(1);
        bench.store.write(|tx| gate::override_by(tx, 1, "root", "ticket 9", NOW)).unwrap();
        bench.audited(2);
        bench
    }

    fn audited(&mut self, day: i64) {
        self.store.write(|tx| records::audited(tx, NOW.0 + day * DAY_S, r#"{"audit": 1}"#)).unwrap();
    }

    fn checkpoint(&mut self) -> CheckpointFile {
        checkpoint::make(&mut self.store, &self.coin, NOW).unwrap().file
    }

    fn fault(&mut self) -> Option<String> {
        self.store.read(crate::ledger::verify).unwrap().fault.map(|fault| fault.words)
    }

    fn fault_of_audits(&mut self, first: i64, last: Option<i64>) -> Option<String> {
        self.store.read(|tx| audits_fault(tx, first, last)).unwrap()
    }
}

#[test]
fn what_was_written_down_fits_what_is_there() {
    let mut bench = Bench::new();
    let report = bench.store.read(crate::ledger::verify).unwrap();
    assert_eq!((report.fault, report.chronicle), (None, 6), "three audits, a freeze, its thaw, a checkpoint");
    assert_eq!(bench.fault_of_audits(0, None), None);
}

#[test]
fn every_row_that_was_changed_deleted_or_added_past_bursar_is_named() {
    for (change, words) in records::DAMAGE {
        let mut bench = Bench::new();
        bench.store.write(|tx| records::tamper(tx, change)).unwrap();
        let found = bench.fault().unwrap_or_else(|| panic!("{change}: it fits"));
        assert!(found.contains(words), "{change}: {found}");
    }
}

#[test]
fn damage_to_the_audits_of_a_day_shows_by_these_alone() {
    for (change, words) in records::DAMAGE {
        let about_the_second = change.contains("id = 2");
        let mut bench = Bench::new();
        bench.store.write(|tx| records::tamper(tx, change)).unwrap();
        let found = bench.fault_of_audits(2, Some(2));
        assert_eq!(found.is_some(), about_the_second, "{change}: {found:?}");
        assert!(found.is_none_or(|found| found.contains(words)), "{change}");
    }
}

#[test]
fn a_cut_off_chronicle_is_whole_by_itself_and_shows_by_a_checkpoint_from_elsewhere() {
    let mut bench = Bench::new();
    let file = bench.checkpoint();
    bench.store.write(|tx| records::cut_off_behind(tx, 3)).unwrap();
    assert_eq!(bench.fault(), None);
    let words = checkpoint::verify(&mut bench.store, &bench.coin, &[file], None).unwrap().fault.unwrap().words;
    assert!(words.contains("saw 6 rows of the chronicle, and they end with 3: their end was cut off before row 4"), "{words}");
}

#[test]
fn a_chronicle_that_was_written_anew_shows_at_the_first_row_that_a_checkpoint_saw_otherwise() {
    let mut bench = Bench::new();
    let file = bench.checkpoint();
    bench.store.write(|tx| records::cut_off_behind(tx, 3)).unwrap();
    for day in 5..9 {
        bench.audited(day);
    }
    assert_eq!(bench.fault(), None);
    let words = checkpoint::verify(&mut bench.store, &bench.coin, &[file], None).unwrap().fault.unwrap().words;
    assert!(words.contains("row 6 of the chronicle: checkpoint 2 of") && words.contains("saw another row here"), "{words}");
}

#[test]
fn a_trigger_that_is_away_is_named_when_nothing_else_is_wrong() {
    let mut bench = Bench::new();
    bench.store.write(records::without_a_trigger).unwrap();
    let words = bench.fault().unwrap();
    assert!(words.contains("trigger 'audits_never_change' of the store is missing"), "{words}");
}
