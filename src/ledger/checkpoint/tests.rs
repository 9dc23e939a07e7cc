//! What a chain of hashes alone does not show.

mod folder;

use std::fs;
use std::path::Path;

use super::*;
use crate::ledger::model::{self, ModelWallet};
use crate::ledger::signing::SigningKey;
use crate::ledger::{chronicle, sync};

const NOW: Timestamp = Timestamp(1_700_000_000);

struct Bench {
    wallet: ModelWallet,
    store: Store,
    coin: CoinSettings,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let coin = CoinSettings {
            state_dir: dir.path().to_owned(),
            checkpoints_dir: Some(dir.path().join("elsewhere")),
            ..model::coin()
        };
        fs::create_dir(dir.path().join("elsewhere")).unwrap();
        let store = Store::open(&coin.service_dir()).unwrap();
        crate::ledger::signing::ensure_key(&coin).unwrap();
        Bench { wallet: ModelWallet::new(), store, coin, dir }
    }

    fn deposit(&mut self, units: i64) {
        self.wallet.deposit(units);
        self.wallet.mine(1, false);
        sync(&mut self.store, &self.wallet, &self.coin, NOW).unwrap();
    }

    fn make(&mut self) -> CheckpointFile {
        make(&mut self.store, &self.coin, NOW).unwrap().file
    }

    /// By these alone, whatever lies in the folder.
    fn verify(&mut self, files: &[CheckpointFile]) -> VerifyReport {
        let nowhere = CoinSettings { checkpoints_dir: None, ..self.coin.clone() };
        verify(&mut self.store, &nowhere, files, None).unwrap()
    }

    /// What the folder says: to a comparison, and to a verification that is given no files.
    fn by_folder(&mut self) -> (Exported, Option<String>) {
        let report = verify(&mut self.store, &self.coin, &[], None).unwrap();
        (compare_exported(&mut self.store, &self.coin).unwrap(), report.fault.map(|fault| fault.words).or(report.unread))
    }

    /// Both say that the store is not the one, in these words.
    fn is_contradicted(&mut self, words: &str) {
        let (Exported::Contradicts(found), Some(fault)) = self.by_folder() else { panic!("{:?}", self.by_folder()) };
        assert!(found.contains(words) && fault.contains(words), "{found} | {fault}");
    }

    /// Both say that they could not compare with all, in the words that come back, and what to do about it.
    fn is_unclear(&mut self) -> String {
        let report = verify(&mut self.store, &self.coin, &[], None).unwrap();
        let Exported::Unclear(found) = compare_exported(&mut self.store, &self.coin).unwrap() else { panic!("it is clear") };
        assert_eq!((report.fault, report.next), (None, Some(found.next)));
        assert!(found.words.starts_with(&report.unread.unwrap()), "{}", found.words);
        found.words
    }

    fn exported(&mut self) -> u64 {
        verify(&mut self.store, &self.coin, &[], None).unwrap().exported
    }

    fn words(&mut self, files: &[CheckpointFile]) -> String {
        self.verify(files).fault.expect("a fault").words
    }

    fn refusal(&mut self, file: CheckpointFile, key: Option<&str>) -> String {
        verify(&mut self.store, &self.coin, &[file], key).unwrap_err().to_string()
    }
}

#[test]
fn a_ledger_fits_its_checkpoints_as_it_grows() {
    let mut bench = Bench::new();
    let mut files = vec![bench.make()];
    for units in 1..4 {
        bench.deposit(units);
        files.push(bench.make());
    }
    bench.deposit(9);
    let report = bench.verify(&files);
    assert_eq!((report.fault, report.checkpoints, report.exported), (None, 8, 4), "four in the store, four from elsewhere");
}

#[test]
fn an_exported_checkpoint_is_a_file_and_its_signature() {
    let mut bench = Bench::new();
    bench.deposit(5);
    let report = make(&mut bench.store, &bench.coin, NOW).unwrap();
    let path = report.exported.unwrap();
    assert_eq!(path.file_name().unwrap(), "ltc-checkpoint-000001-20231114T221320Z.json");
    assert_eq!(fs::read_to_string(&path).unwrap(), report.file.content);
    let key: crate::ledger::signing::PublicKey = report.public_key.parse().unwrap();
    let signature = fs::read_to_string(path.with_extension("json.minisig")).unwrap();
    let said = key.check(report.file.content.as_bytes(), &signature).unwrap();
    assert_eq!(said, "ltc checkpoint 1 of 2023-11-14T22:13:20Z, 2 postings");
    assert_eq!(bench.store.read(last_exported).unwrap(), Some(NOW));
    assert!(!report.file.content.contains("wallet"), "balances stay here");
}

#[test]
fn a_cut_off_end_is_whole_by_itself_and_shows_by_a_checkpoint_from_elsewhere() {
    let mut bench = Bench::new();
    bench.deposit(5);
    let early = bench.make();
    bench.deposit(6);
    let late = bench.make();
    bench.store.write::<_, StoreError>(|tx| records::cut_off_from(tx, 3)).unwrap();
    assert_eq!(bench.verify(&[]).fault, None);
    assert_eq!(bench.verify(std::slice::from_ref(&early)).fault, None);
    let report = bench.verify(&[early, late]);
    assert_eq!(report.exported, 0);
    assert!(report.next.unwrap().contains("keep a copy of `bursar.db`"));
    let fault = report.fault.unwrap();
    assert!(fault.words.contains("saw 4 postings, and the ledger ends with 2"), "{}", fault.words);
    assert_eq!(fault.seq, Some(3));
}

#[test]
fn an_older_ledger_copied_in_shows() {
    let mut bench = Bench::new();
    bench.deposit(5);
    let older = bench.dir.path().join("older.db");
    bench.store.copy_to(&older).unwrap();
    bench.deposit(6);
    let late = bench.make();
    put_in_place(&mut bench, &older);
    assert_eq!(bench.verify(&[]).fault, None);
    assert!(bench.words(&[late]).contains("an older ledger was copied into its place"));
}

/// One deposit that is posted and waits, and a copy of the store as it is then; afterwards two more blocks, and it is credited.
fn credited_after_a_copy(bench: &mut Bench) -> std::path::PathBuf {
    bench.deposit(5);
    let older = bench.dir.path().join("older.db");
    bench.store.copy_to(&older).unwrap();
    bench.wallet.mine(2, false);
    assert_eq!(sync(&mut bench.store, &bench.wallet, &bench.coin, NOW).unwrap().credited, 1);
    older
}

#[test]
fn credits_whose_end_was_cut_off_are_whole_by_themselves_and_show_by_a_checkpoint_from_elsewhere() {
    let mut bench = Bench::new();
    bench.deposit(5);
    bench.deposit(6);
    let early = bench.make();
    bench.deposit(7);
    let late = bench.make();
    assert_eq!(bench.verify(&[early.clone(), late.clone()]).credits, 2);
    bench.store.write::<_, StoreError>(|tx| records::cut_off_credits_from(tx, 2)).unwrap();
    assert_eq!(bench.verify(&[]).fault, None);
    assert_eq!(bench.verify(std::slice::from_ref(&early)).fault, None);
    let words = bench.words(&[early, late]);
    let cut = "saw 2 credit events, and they end with 1: their end was cut off before event 2";
    assert!(words.contains("checkpoint 2 of") && words.contains(cut), "{words}");
}

#[test]
fn older_credits_copied_in_show_though_no_posting_is_missing() {
    let mut bench = Bench::new();
    let older = credited_after_a_copy(&mut bench);
    let late = bench.make();
    put_in_place(&mut bench, &older);
    assert_eq!(bench.verify(&[]).fault, None);
    assert!(bench.words(&[late]).contains("saw 1 credit events, and they end with 0"));
}

#[test]
fn credits_that_were_written_anew_show_at_the_first_event_that_a_checkpoint_saw_otherwise() {
    let mut bench = Bench::new();
    let older = credited_after_a_copy(&mut bench);
    let late = bench.make();
    put_in_place(&mut bench, &older);
    let early = make(&mut bench.store, &bench.coin, Timestamp(NOW.0 - 1)).unwrap().file;
    // The same credit, told at another time.
    sync(&mut bench.store, &bench.wallet, &bench.coin, Timestamp(NOW.0 + 1)).unwrap();
    assert_eq!(bench.verify(std::slice::from_ref(&early)).fault, None);
    let words = bench.words(&[late, early]);
    assert!(words.contains("credit event 1: checkpoint 1 of") && words.contains("saw another event here"), "{words}");
    assert!(words.contains(", and after checkpoint 1 of"), "{words}");
}

#[test]
fn a_checkpoint_from_before_credits_were_covered_still_holds_for_the_postings() {
    let mut bench = Bench::new();
    bench.deposit(5);
    bench.deposit(6);
    let file = bench.make();
    let mut statement: serde_json::Value = serde_json::from_str(&file.content).unwrap();
    let credits = statement.as_object_mut().unwrap().remove("credits").expect("this one covers them");
    assert_eq!(credits["seq"], 1);
    let content = serde_json::to_string_pretty(&statement).unwrap() + "\n";
    let signature = SigningKey::of(&bench.coin).unwrap().sign(content.as_bytes(), "before").unwrap();
    let before = CheckpointFile { content, signature, ..file };
    bench.store.write::<_, StoreError>(records::forget_credits).unwrap();
    assert_eq!(bench.store.read(records::all).unwrap()[0].credits, None);
    let report = bench.verify(std::slice::from_ref(&before));
    assert_eq!((report.fault, report.checkpoints), (None, 2));
    bench.store.write::<_, StoreError>(|tx| records::cut_off_from(tx, 3)).unwrap();
    assert!(bench.words(&[before]).contains("saw 4 postings"));
}

fn put_in_place(bench: &mut Bench, copy: &Path) {
    let service = bench.coin.service_dir();
    bench.store = Store::open(&bench.dir.path().join("aside")).unwrap();
    for left in ["bursar.db-wal", "bursar.db-shm"] {
        let _ = fs::remove_file(service.join(left));
    }
    fs::copy(copy, service.join("bursar.db")).unwrap();
    bench.store = Store::open(&service).unwrap();
}

#[test]
fn a_ledger_that_was_written_anew_shows() {
    let (mut bench, mut other) = (Bench::new(), Bench::new());
    bench.deposit(5);
    let file = bench.make();
    other.deposit(8);
    let against = |store: &mut Store| {
        let report = verify(store, &bench.coin, std::slice::from_ref(&file), None).unwrap();
        report.fault.expect("a fault").words
    };
    assert!(against(&mut other.store).contains("another ledger was put in the place of this one"));
    let id = bench.store.id().to_owned();
    other.store.write::<_, StoreError>(|tx| records::rename_store(tx, &id)).unwrap();
    other.store = other.store.beside().unwrap();
    drop(other.store);
    let mut renamed = Store::open(&other.coin.service_dir()).unwrap();
    assert_eq!(renamed.read(crate::ledger::verify).unwrap().fault, None);
    assert!(against(&mut renamed).contains("saw another posting here: the ledger was rewritten here or before"));
}

#[test]
fn of_a_ledger_that_was_rewritten_from_somewhere_on_it_is_said_how_far_it_still_fits() {
    let mut bench = Bench::new();
    bench.deposit(5);
    let early = bench.make();
    let older = bench.dir.path().join("older.db");
    bench.store.copy_to(&older).unwrap();
    bench.deposit(6);
    let late = bench.make();
    put_in_place(&mut bench, &older);
    // The same money, written at another time.
    sync(&mut bench.store, &bench.wallet, &bench.coin, Timestamp(NOW.0 + 1)).unwrap();
    assert_eq!(bench.verify(std::slice::from_ref(&early)).fault, None);
    let words = bench.words(&[late, early]);
    assert!(words.contains("checkpoint 2 of") && words.contains("and after checkpoint 1 of"), "{words}");
}

#[test]
fn a_file_that_was_changed_or_signed_by_others_is_refused() {
    let mut bench = Bench::new();
    bench.deposit(5);
    let file = bench.make();
    let changed = CheckpointFile { content: file.content.replace("\"postings\": 2", "\"postings\": 1"), ..file.clone() };
    assert_ne!(changed, file);
    assert!(bench.refusal(changed, None).contains("signature"));
    let mut other = Bench::new();
    let theirs = other.make();
    assert!(bench.refusal(theirs.clone(), None).contains("--key"));
    let their_key = make(&mut other.store, &other.coin, NOW).unwrap().public_key;
    let report = verify(&mut bench.store, &bench.coin, &[theirs], Some(&their_key)).unwrap();
    assert!(report.fault.unwrap().words.contains("the file belongs to another coin"));
    assert!(bench.refusal(file, Some("nonsense")).contains("not a public key"));
}

#[test]
fn what_cannot_be_exported_is_said_and_was_made() {
    let mut bench = Bench::new();
    fs::remove_dir_all(bench.dir.path().join("elsewhere")).unwrap();
    let words = make(&mut bench.store, &bench.coin, NOW).unwrap_err().to_string();
    assert!(words.contains("is its disk mounted?"), "{words}");
    assert_eq!(bench.by_folder(), (Exported::Nothing, None), "none was exported");
    assert_eq!(bench.store.read(records::all).unwrap().len(), 1);
    assert_eq!(bench.store.read(last_exported).unwrap(), None);
    bench.coin.checkpoints_dir = None;
    assert_eq!(make(&mut bench.store, &bench.coin, NOW).unwrap().exported, None);
}

#[test]
fn checkpoints_are_never_changed_or_deleted() {
    let mut bench = Bench::new();
    bench.make();
    for change in records::CHANGES {
        let done = bench.store.write::<_, StoreError>(|tx| records::meddle(tx, change));
        assert!(done.unwrap_err().to_string().contains("checkpoints are never"), "{change}");
    }
}

#[test]
fn the_newest_checkpoint_in_its_folder_is_what_a_store_that_grew_fits() {
    let mut bench = Bench::new();
    assert_eq!(bench.by_folder(), (Exported::Nothing, None));
    for units in 1..4 {
        bench.deposit(units);
        bench.make();
        bench.deposit(units);
        let (Exported::Fits(newest), None) = bench.by_folder() else { panic!("{:?}", bench.by_folder()) };
        assert!(newest.starts_with(&format!("checkpoint {units} of")), "{newest}");
    }
    let report = verify(&mut bench.store, &bench.coin, &[], None).unwrap();
    assert_eq!((report.checkpoints, report.exported), (4, 1), "three of its own, and the newest that was exported");
}

#[test]
fn an_older_store_in_the_place_of_the_newer_one_shows_by_the_folder_however_many_checkpoints_it_makes() {
    let mut bench = Bench::new();
    bench.deposit(5);
    bench.make();
    let older = bench.dir.path().join("older.db");
    bench.store.copy_to(&older).unwrap();
    bench.make();
    put_in_place(&mut bench, &older);
    for later in 1..4 {
        bench.is_contradicted("checkpoint 2 of 2023-11-14T22:13:20Z");
        bench.is_contradicted("does not know it: this is an older state");
        make(&mut bench.store, &bench.coin, Timestamp(NOW.0 + later)).unwrap();
    }
}

#[test]
fn another_store_in_the_place_of_the_one_that_made_the_checkpoints_shows_by_the_folder() {
    let mut bench = Bench::new();
    bench.make();
    let fresh = bench.dir.path().join("fresh.db");
    Store::open(&bench.dir.path().join("fresh")).unwrap().copy_to(&fresh).unwrap();
    put_in_place(&mut bench, &fresh);
    bench.is_contradicted("another ledger was put in the place of that one");
}

#[test]
fn a_row_that_the_newest_checkpoint_saw_otherwise_shows_at_a_glance() {
    for (change, words) in records::SEEN_OTHERWISE {
        let mut bench = Bench::new();
        bench.deposit(5);
        bench.wallet.mine(2, false);
        sync(&mut bench.store, &bench.wallet, &bench.coin, NOW).unwrap();
        bench.make();
        bench.make();
        bench.store.write(|tx| chronicle::tamper(tx, change)).unwrap();
        let (Exported::Contradicts(found), Some(_)) = bench.by_folder() else { panic!("{change}: {:?}", bench.by_folder()) };
        assert!(found.starts_with("checkpoint 2 of") && found.contains(words), "{change}: {found}");
    }
}

#[test]
fn what_others_leave_in_the_folder_neither_hides_a_newer_checkpoint_nor_accuses_the_store() {
    let mut bench = Bench::new();
    bench.deposit(5);
    let file = bench.make();
    let elsewhere = bench.dir.path().join("elsewhere");
    for name in
        ["other-checkpoint-000009-20261121T000300Z.json", "ltc-checkpoint-x-20261121T000300Z.json", "ltc-checkpoint-000009.json"]
    {
        fs::write(elsewhere.join(name), "{}").unwrap();
    }
    fs::create_dir(elsewhere.join("ltc-checkpoint-000008-20261121T000300Z.json")).unwrap();
    assert!(matches!(bench.by_folder(), (Exported::Fits(_), None)));
    let junk = elsewhere.join("ltc-checkpoint-000009-20261121T000300Z.json");
    fs::write(&junk, &file.content).unwrap();
    fs::write(junk.with_extension("json.minisig"), &Bench::new().make().signature).unwrap();
    let words = bench.is_unclear();
    assert!(words.contains("ltc-checkpoint-000009") && words.contains("its signature is not that of key"), "{words}");
    let older = bench.dir.path().join("older.db");
    bench.store.copy_to(&older).unwrap();
    bench.make();
    put_in_place(&mut bench, &older);
    bench.is_contradicted("does not know it");
}
