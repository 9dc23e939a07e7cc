//! Where an open store lies, and whether its name still leads to it.
//!
//! A file that is removed, moved away or replaced while it is open is written on without an error, and what is written to it is lost when it is closed.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::StoreError;

/// The files of an open store, as they were when it was opened. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Place(Arc<[Named]>);

/// A name, and the file that it led to: device and inode.
#[derive(Debug)]
struct Named {
    file: PathBuf,
    identity: (u64, u64),
}

impl Place {
    /// Of a database that is open, with its log.
    pub(super) fn of(database: &Path) -> Result<Place, StoreError> {
        let mut named = vec![Named::new(database)?];
        match Named::new(&database.with_extension("db-wal")) {
            Ok(log) => named.push(log),
            Err(StoreError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Place(named.into()))
    }

    /// Fails with [`StoreError::Gone`] where a name does not lead to the open file any more.
    pub fn confirm(&self) -> Result<(), StoreError> {
        let is_there = |named: &&Named| Named::new(&named.file).is_ok_and(|now| now.identity == named.identity);
        match self.0.iter().find(|named| !is_there(named)) {
            None => Ok(()),
            Some(named) => Err(StoreError::Gone(named.file.clone())),
        }
    }
}

/// The same; a store in memory, which has no place, cannot go.
pub(super) fn confirm(place: Option<&Place>) -> Result<(), StoreError> {
    place.map_or(Ok(()), Place::confirm)
}

impl Named {
    fn new(file: &Path) -> Result<Named, StoreError> {
        let facts = fs::metadata(file).map_err(|error| StoreError::Io { path: file.to_owned(), error })?;
        Ok(Named { file: file.to_owned(), identity: (facts.dev(), facts.ino()) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Store, Tx};
    use super::*;

    fn rename(tx: &Tx<'_>) -> Result<usize, StoreError> {
        Ok(tx.execute("UPDATE store SET id = id", [])?)
    }

    #[test]
    fn nothing_is_written_while_the_database_or_its_log_is_away_or_replaced_and_all_goes_on_once_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut beside = store.beside().unwrap();
        for name in ["bursar.db", "bursar.db-wal"] {
            let (file, aside) = (dir.path().join(name), dir.path().join("aside"));
            fs::rename(&file, &aside).unwrap();
            for replaced in [false, true] {
                if replaced {
                    fs::copy(&aside, &file).unwrap();
                }
                let refused = |store: &mut Store| matches!(store.write(rename), Err(StoreError::Gone(gone)) if gone == file);
                assert!(refused(&mut store) && refused(&mut beside), "{name}, replaced: {replaced}");
                assert!(matches!(store.beside(), Err(StoreError::Gone(_))));
                assert_eq!(file.exists(), replaced, "no other one is made");
            }
            fs::rename(&aside, &file).unwrap();
            store.write(rename).unwrap();
            beside.write(rename).unwrap();
        }
    }

    #[test]
    fn what_is_written_while_the_file_goes_is_not_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let (file, aside) = (dir.path().join("bursar.db"), dir.path().join("aside"));
        let written = store.write(|tx| {
            fs::rename(&file, &aside).unwrap();
            Ok::<_, StoreError>(tx.execute("UPDATE store SET id = hex(randomblob(16))", [])?)
        });
        assert!(matches!(written, Err(StoreError::Gone(_))), "{written:?}");
        fs::rename(&aside, &file).unwrap();
        let kept: Result<String, StoreError> = store.read(|tx| Ok(tx.query_row("SELECT id FROM store", [], |row| row.get(0))?));
        assert_eq!(kept.unwrap(), store.id(), "and it was not kept");
        let (from, to) = (file.clone(), aside.clone());
        store.watch_commits(move |commit| {
            if commit == super::super::Commit::Done {
                fs::rename(&from, &to).unwrap();
            }
        });
        assert!(matches!(store.write(rename), Err(StoreError::Gone(_))), "nor what was committed as it went");
    }
}
