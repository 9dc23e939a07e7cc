//! What is missing, damaged, misnamed or signed by others in the folder of exported checkpoints.

use std::path::PathBuf;

use super::*;
use crate::ledger::signing::{ensure_key, key_file};

impl Bench {
    /// A checkpoint at its own time, and where it lies.
    fn export(&mut self, later: i64) -> PathBuf {
        make(&mut self.store, &self.coin, Timestamp(NOW.0 + later)).unwrap().exported.unwrap()
    }

    fn three() -> (Bench, [PathBuf; 3]) {
        let mut bench = Bench::new();
        let files = [1, 2, 3].map(|later| {
            bench.deposit(later);
            bench.export(later)
        });
        (bench, files)
    }

    fn lose_the_key(&self) -> String {
        let old = SigningKey::of(&self.coin).unwrap().public().to_string();
        fs::remove_file(key_file(&self.coin)).unwrap();
        old
    }
}

fn signature_of(file: &Path) -> PathBuf {
    file.with_extension("json.minisig")
}

#[test]
fn a_folder_that_is_away_or_empty_or_lacks_the_newest_is_told() {
    let (mut bench, files) = Bench::three();
    let (elsewhere, away) = (bench.dir.path().join("elsewhere"), bench.dir.path().join("away"));
    fs::rename(&elsewhere, &away).unwrap();
    let missing = "checkpoint 3 was exported and is not there: ";
    for _ in 0..2 {
        let words = bench.is_unclear();
        assert!(words.starts_with(missing) && words.ends_with("(is its disk mounted?)"), "{words}");
        assert_eq!(bench.exported(), 0);
        let _ = fs::create_dir(&elsewhere);
    }
    fs::remove_dir(&elsewhere).unwrap();
    fs::rename(&away, &elsewhere).unwrap();
    assert_eq!((bench.by_folder().1, bench.exported()), (None, 1));
    fs::remove_file(&files[2]).unwrap();
    let words = bench.is_unclear();
    assert!(words.starts_with(missing) && words.contains("; the store fits checkpoint 2 of"), "{words}");
    assert_eq!(bench.exported(), 1);
    let next = bench.export(4);
    assert_eq!(bench.by_folder().1, None, "{}", next.display());
}

#[test]
fn behind_one_that_cannot_be_read_the_next_older_one_is_compared() {
    let damages: [fn(&Path); 4] = [
        |file| fs::remove_file(signature_of(file)).unwrap(),
        |file| fs::write(file, "").unwrap(),
        |file| fs::write(file, fs::read_to_string(file).unwrap().replace("\"postings\": 6", "\"postings\": 5")).unwrap(),
        |file| fs::write(signature_of(file), "x").unwrap(),
    ];
    for damage in damages {
        let (mut bench, files) = Bench::three();
        damage(&files[2]);
        let words = bench.is_unclear();
        assert!(words.contains(files[2].to_str().unwrap()) && words.contains("; the store fits checkpoint 2 of"), "{words}");
        assert_eq!(bench.exported(), 1);
        bench.store.write::<_, StoreError>(|tx| records::cut_off_from(tx, 3)).unwrap();
        assert!(matches!(bench.by_folder(), (Exported::Contradicts(_), Some(_))));
    }
}

#[test]
fn a_key_that_was_lost_is_told_as_long_as_what_it_signed_lies_there() {
    let (mut bench, files) = Bench::three();
    let old = bench.lose_the_key();
    let words = bench.is_unclear();
    assert!(words.contains("there is no key") && !key_file(&bench.coin).exists(), "{words}");
    assert!(make(&mut bench.store, &bench.coin, NOW).is_err());
    assert!(ensure_key(&bench.coin).unwrap());
    let words = bench.is_unclear();
    assert!(words.contains("its signature is not that of key") && words.contains("(and 2 more like it)"), "{words}");
    for later in 4..7 {
        bench.export(later);
        let words = bench.is_unclear();
        assert!(words.contains(files[0].to_str().unwrap()) && words.contains("was signed by another key than"), "{words}");
        assert_eq!(bench.exported(), 1);
    }
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    let theirs = CheckpointFile { name: "3".to_owned(), content: read(&files[2]), signature: read(&signature_of(&files[2])) };
    assert_eq!(verify(&mut bench.store, &bench.coin, &[theirs], Some(&old)).unwrap().fault, None);
    files.iter().for_each(|file| fs::remove_file(file).unwrap());
    assert_eq!(bench.by_folder().1, None);
}

#[test]
fn what_is_signed_tells_and_not_the_name() {
    let (mut bench, files) = Bench::three();
    let named_higher = files[0].with_file_name("ltc-checkpoint-000009-20261121T000300Z.json");
    for (from, to) in [(&files[0], &named_higher), (&files[1], &files[2])] {
        fs::copy(from, to).unwrap();
        fs::copy(signature_of(from), signature_of(to)).unwrap();
        let words = bench.is_unclear();
        assert!(words.contains(to.to_str().unwrap()) && words.contains("has another name than what is signed in it"), "{words}");
        assert_eq!(bench.exported(), 1);
        if to == &named_higher {
            assert!(words.contains("; the store fits checkpoint 3 of"), "{words}");
            fs::remove_file(to).unwrap();
        }
    }
}
