//! What ties the log to its database file.
//!
//! SQLite takes a log for that of whatever database lies beside it: an older copy that is put there after a crash would get the pages of the lost one, and be
//! neither. So each time the log begins anew, the first commit renews the file's `application_id`, four bytes in its header that SQLite leaves to programs, and
//! notes in the log which one the file has until the log is written into it. Whoever opens a store with a log compares.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use rusqlite::Connection;

use super::{StoreError, Tx};

/// Where the header has it: <https://www.sqlite.org/fileformat.html#application_id>.
const OFFSET: u64 = 68;
/// The schema that first notes it.
const SINCE: u32 = 5;

/// What a file says, before its log is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Untied {
    in_file: i64,
    has_log: bool,
}

impl Untied {
    /// Of a database that nobody has open.
    pub(super) fn of(database: &Path) -> Result<Untied, StoreError> {
        let has_log = fs::metadata(database.with_extension("db-wal")).is_ok_and(|facts| facts.len() > 0);
        let open = File::open(database).map_err(|error| StoreError::Io { path: database.to_owned(), error })?;
        Ok(Untied { in_file: in_file(&open, database)?, has_log })
    }

    /// Fails with [`StoreError::OthersLog`] where the log, through which `connection` sees the database, is not the file's.
    pub(super) fn confirm(self, connection: &Connection, database: &Path, version: u32) -> Result<(), StoreError> {
        if !self.has_log || version < SINCE {
            return Ok(());
        }
        let seen = seen(connection)?;
        let noted = connection.query_row("SELECT log_base, log_before FROM store", [], |row| Ok([row.get(0)?, row.get(1)?]))?;
        // Of what a checkpoint that was cut short had written, the header may have been a part.
        let may_be = [Some(seen)].into_iter().chain(noted).flatten().any(|id: i64| id == self.in_file);
        if may_be { Ok(()) } else { Err(StoreError::OthersLog(database.to_owned())) }
    }
}

/// Ties the log to the database, an open file, as it is now, while nobody writes into that: in the first commit since somebody did.
pub(super) fn renew(tx: &Tx<'_>, open: &File, database: &Path) -> Result<(), StoreError> {
    let (base, before) = (in_file(open, database)?, seen(tx)?);
    tx.execute("UPDATE store SET log_base = ?1, log_before = ?2", [base, before])?;
    let new: i32 = tx.query_row("SELECT random() & 0x7fffffff", [], |row| row.get(0))?;
    Ok(tx.pragma_update(None, "application_id", new)?)
}

fn seen(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "application_id", |row| row.get(0))?)
}

/// A file that is shorter than its header has none yet.
fn in_file(open: &File, database: &Path) -> Result<i64, StoreError> {
    let mut bytes = [0; 4];
    let read = open.read_at(&mut bytes, OFFSET).map_err(|error| StoreError::Io { path: database.to_owned(), error })?;
    Ok(if read == bytes.len() { i64::from(i32::from_be_bytes(bytes)) } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    fn grow(store: &mut Store, rows: u32) {
        let insert = |tx: &Tx<'_>| {
            tx.execute_batch("CREATE TABLE IF NOT EXISTS many (it)")?;
            for _ in 0..rows {
                tx.execute("INSERT INTO many VALUES (hex(randomblob(1000)))", [])?;
            }
            Ok::<_, StoreError>(())
        };
        store.write(insert).unwrap();
    }

    /// Writes the log into the database, and begins it anew.
    fn empty_log(store: &Store) {
        checkpoint(store, "RESTART");
    }

    fn checkpoint(store: &Store, how: &str) {
        let _writing = store.place().unwrap().write().unwrap();
        store.connection.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(())).unwrap();
    }

    /// What a crash leaves, with the database of `of` and the log of `dir`, opened: how many rows it has.
    fn crashed(of: &Path, dir: &Path) -> Result<u32, StoreError> {
        let left = tempfile::tempdir().unwrap();
        let file = left.path().join("bursar.db");
        fs::copy(of, &file).unwrap();
        fs::copy(dir.join("bursar.db-wal"), left.path().join("bursar.db-wal")).unwrap();
        let before = fs::read(&file).unwrap();
        let opened = Store::open_existing(left.path());
        if opened.is_err() {
            assert!(fs::read(&file).unwrap() == before && left.path().join("bursar.db-wal").exists(), "all is left as it was");
        }
        opened?.read(|tx| Ok(tx.query_row("SELECT count(*) FROM many", [], |row| row.get(0))?))
    }

    #[test]
    fn an_older_copy_beside_the_log_of_a_killed_process_is_refused_and_the_right_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (file, older, newer, archive) =
            (dir.path().join("bursar.db"), dir.path().join("older"), dir.path().join("newer"), dir.path().join("archive"));
        let mut store = Store::open(dir.path()).unwrap();
        grow(&mut store, 200);
        empty_log(&store);
        fs::copy(&file, &older).unwrap();
        grow(&mut store, 300);
        empty_log(&store);
        fs::copy(&file, &newer).unwrap();
        grow(&mut store, 1);
        store.copy_to(&archive).unwrap();
        grow(&mut store, 1);
        assert!(matches!(crashed(&older, dir.path()), Err(StoreError::OthersLog(_))));
        assert_eq!(crashed(&newer, dir.path()).unwrap(), 502);
        assert_eq!(crashed(&archive, dir.path()).unwrap(), 502, "the log has all that was written since");
        // A crash in the middle of a checkpoint: the file may have any part of it.
        let log = fs::read(dir.path().join("bursar.db-wal")).unwrap();
        empty_log(&store);
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("bursar.db-wal"), log).unwrap();
        assert_eq!(crashed(&file, elsewhere.path()).unwrap(), 502);
    }

    #[test]
    fn whatever_a_crash_leaves_after_any_commit_of_any_connection_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("bursar.db");
        let mut store = Store::open(dir.path()).unwrap();
        let (mut beside, mut reader) = (store.beside().unwrap(), store.beside().unwrap());
        grow(&mut store, 1);
        let mut rows = 1;
        for round in 0..60_u32 {
            let count = |tx: &Tx<'_>| Ok::<u32, StoreError>(tx.query_row("SELECT count(*) FROM many", [], |row| row.get(0))?);
            let write = |store: &mut Store, rows: &mut u32| {
                grow(store, 1 + round % 7);
                *rows += 1 + round % 7;
            };
            write(&mut store, &mut rows);
            // A reader keeps a checkpoint from writing all.
            reader
                .read(|tx| {
                    let seen = count(tx)?;
                    write(&mut beside, &mut rows);
                    if round % 3 == 0 {
                        checkpoint(&store, "PASSIVE");
                    }
                    assert!(seen < rows);
                    Ok::<_, StoreError>(())
                })
                .unwrap();
            if round % 5 == 0 {
                empty_log(&store);
            }
            if fs::metadata(dir.path().join("bursar.db-wal")).unwrap().len() > 0 {
                assert_eq!(crashed(&file, dir.path()).unwrap(), rows, "round {round}");
            }
        }
    }

    #[test]
    fn looking_at_the_file_gives_up_no_lock_on_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut beside = store.beside().unwrap();
        grow(&mut store, 1);
        empty_log(&store);
        grow(&mut beside, 1);
        let Ok(locks) = fs::read_to_string("/proc/locks") else { return };
        let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(dir.path().join("bursar.db")).unwrap());
        let (process, file) = (format!(" {} ", std::process::id()), format!(":{inode} "));
        let is_held = |line: &str| line.contains("POSIX") && line.contains(&process) && line.contains(&file);
        assert!(locks.lines().any(is_held), "another program that closes it would take itself for the last one:\n{locks}");
    }
}
