//! A database of one's own, for what has to be looked through as a whole before the store is touched: on disk, so that a million rows take no memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::NamedTempFile;
use tracing::warn;

use super::{PATIENCE, Place, Store, StoreError, Tx};

/// KiB of its pages that stay in memory.
const CACHE_KIB: i64 = 2 << 10;
/// KiB of the store's pages that stay in memory while very many rows are taken over. With 8 MiB SQLite computes 22 s on a million rows with random ids,
/// 11 s where ids are numbers, and with these 6 the whole import takes 3 % longer; with 64 the first are 13 s. A service must not grow to a hundred
/// megabytes because a file came once.
const STORE_CACHE_KIB: i64 = 6 << 10;
/// The same while a long reading of a wallet is posted in many transactions: ids are random, so each touches most pages of two indices. 50,000 of them took
/// 5.6 s of processor time with SQLite's own choice, 3.9 s with 16 MiB.
const STORE_ROOM_KIB: i64 = 24 << 10;
/// The same at all other times: SQLite's own choice.
const STORE_IDLE_CACHE_KIB: i64 = 2000;
/// What its file's name begins with.
const PREFIX: &str = "scratch-";

/// The database. Nobody else sees it, nothing in it is ever synced, and its file goes with it.
pub struct Scratch {
    connection: Connection,
    file: NamedTempFile,
}

impl Store {
    /// Makes one beside the store's own file, with these tables.
    pub fn scratch(&self, tables: &str) -> Result<Scratch, StoreError> {
        let dir = self.connection.path().and_then(|file| Path::new(file).parent()).unwrap_or(Path::new("."));
        let io = |error| StoreError::Io { path: dir.to_owned(), error };
        // Made for us alone (0600).
        let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(dir).map_err(io)?;
        let connection = Connection::open(file.path())?;
        connection.pragma_update(None, "journal_mode", "OFF")?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        connection.execute_batch(tables)?;
        // Each row by itself would write its pages at once.
        connection.execute_batch("BEGIN")?;
        Ok(Scratch { connection, file })
    }

    /// Runs `work` in one transaction as [`Store::write`] does, with the tables of `scratch` under that name beside those of the store.
    pub fn write_from<T, E: From<StoreError>>(
        &mut self,
        scratch: Scratch,
        work: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Scratch { connection, file } = scratch;
        connection.execute_batch("COMMIT").map_err(StoreError::from)?;
        drop(connection);
        let name = file.path().to_string_lossy();
        self.connection.execute("ATTACH ?1 AS scratch", [name]).map_err(StoreError::from)?;
        let done = self.set_cache(STORE_CACHE_KIB).map_err(E::from).and_then(|()| self.write(work));
        // Whether it was kept is decided. What fails from here on must not say that it was not.
        if let Err(error) = self.tidy_up(done.is_ok()) {
            warn!(%error, "the store was not tidied up after much was written at once; that costs memory or space, and nothing else");
        }
        done
    }

    /// Runs `work`, which writes very much in many transactions, while more of the store's pages stay in memory.
    pub fn with_room<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&mut Store) -> Result<T, E>) -> Result<T, E> {
        self.set_cache(STORE_ROOM_KIB)?;
        let done = work(self);
        if let Err(error) = self.set_cache(STORE_IDLE_CACHE_KIB) {
            warn!(%error, "the store keeps much memory after much was written; that costs nothing else");
        }
        done
    }

    fn tidy_up(&self, has_grown: bool) -> Result<(), StoreError> {
        self.connection.execute_batch("DETACH scratch")?;
        self.set_cache(STORE_IDLE_CACHE_KIB)?;
        if has_grown {
            // The log is as large as all that was written. The commit has copied it already, while others could write, and there is little left to do. It
            // holds off writers, so it must not wait for readers: where there are some, the log is cut when it begins anew.
            self.wait_at_most(Duration::ZERO)?;
            let writing = self.place.as_ref().map(Place::write).transpose()?;
            let cut = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            drop(writing);
            self.wait_at_most(PATIENCE)?;
            cut?;
        }
        Ok(())
    }

    fn set_cache(&self, kib: i64) -> Result<(), StoreError> {
        self.connection.pragma_update(None, "cache_size", -kib)?;
        Ok(self.connection.execute_batch("PRAGMA shrink_memory")?)
    }
}

impl Scratch {
    /// For the one `records.rs` that knows its tables.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }
}

/// Removes what a killed process left in the store's folder.
pub(super) fn clear(dir: &Path) -> std::io::Result<()> {
    let left: Vec<PathBuf> = fs::read_dir(dir)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    let is_scratch = |path: &&PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    left.iter().filter(is_scratch).try_for_each(fs::remove_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_rows_leaves_no_file_and_what_a_crash_left_goes_with_the_next_opening() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let files =
            || fs::read_dir(dir.path()).unwrap().filter(|file| file.as_ref().unwrap().path().extension().is_none()).count();
        let before = files();
        let scratch = store.scratch("CREATE TABLE a (b TEXT)").unwrap();
        scratch.connection().execute("INSERT INTO a VALUES ('7')", []).unwrap();
        let read = store
            .write_from(scratch, |tx| Ok::<String, StoreError>(tx.query_row("SELECT b FROM scratch.a", [], |row| row.get(0))?));
        assert_eq!((read.unwrap().as_str(), files()), ("7", before));
        fs::write(dir.path().join("scratch-left"), "").unwrap();
        drop(store);
        drop(Store::open(dir.path()).unwrap());
        assert_eq!(files(), before);
    }

    #[test]
    fn a_reader_of_the_store_does_not_keep_it_from_being_written_from_nor_makes_that_fail() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut reader = store.beside().unwrap();
        for _ in 0..2 {
            let scratch = store.scratch("CREATE TABLE a (b TEXT)").unwrap();
            let read = reader.read(|tx| {
                tx.query_row("SELECT id FROM store", [], |row| row.get::<_, String>(0))?;
                store.write_from(scratch, |tx| Ok::<_, StoreError>(tx.execute("UPDATE store SET id = id", [])?))
            });
            assert_eq!(read.unwrap(), 1);
        }
    }
}
