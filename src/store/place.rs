//! Where an open store lies, whether its name still leads to it, and whether another program wrote into it.
//!
//! A file that is removed, moved away or replaced while it is open is written on without an error, and what is written to it is lost when it is closed.
//! One that another file is copied over becomes a mixture of both: SQLite goes on with the pages that it has in memory and in its log.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{LOCK, StoreError, Tx, tie};

/// The files of an open store, as they were when it was opened. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Place(Arc<Files>);

#[derive(Debug)]
struct Files {
    /// The database, its log, and the lock.
    named: Vec<Named>,
    /// The database, open as long as any connection is: whoever closes one descriptor of a file gives up all locks that the process has on it, SQLite's too.
    open: File,
    ours: Mutex<Ours>,
}

/// What this process, which alone may, wrote into the database file.
#[derive(Debug)]
struct Ours {
    /// How the file was after our last write.
    written: Written,
    /// How many of our connections may write into it now.
    writers: usize,
    /// How the file was when the log was tied to it; none: not yet by this process.
    tied: Option<Written>,
}

/// Bytes, and when they were last written (seconds and nanoseconds): what tells of a write to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written {
    bytes: u64,
    at: (i64, i64),
}

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
        // Where that is gone, another process would take a lock of its own.
        named.push(Named::new(&database.with_file_name(LOCK))?);
        let ours = Mutex::new(Ours { written: Written::of(database)?, writers: 0, tied: None });
        let open = File::open(database).map_err(|error| StoreError::Io { path: database.to_owned(), error })?;
        Ok(Place(Arc::new(Files { named, open, ours })))
    }

    /// Fails with [`StoreError::Gone`] where a name does not lead to the open file any more, and with [`StoreError::Overwritten`] where another program
    /// wrote into the database. The latter is left as a word beside it, for whoever opens it next.
    pub fn confirm(&self) -> Result<(), StoreError> {
        self.look().map(drop)
    }

    /// The same, before a commit or a checkpoint of ours, which may write into the database file until this is dropped.
    pub(super) fn write(&self) -> Result<Writing<'_>, StoreError> {
        self.look()?.writers += 1;
        Ok(Writing(&self.0))
    }

    /// In the first commit since the file was written, ties the log to it.
    pub(super) fn tie(&self, tx: &Tx<'_>) -> Result<Tie<'_>, StoreError> {
        let ours = self.look()?;
        let (writers, written, tied) = (ours.writers, ours.written, ours.tied);
        drop(ours);
        // While another of ours writes into it, the next commit will do.
        if writers > 0 || tied == Some(written) {
            return Ok(Tie { files: &self.0, to: None });
        }
        tie::renew(tx, &self.0.open, self.0.database())?;
        Ok(Tie { files: &self.0, to: Some(written) })
    }

    fn look(&self) -> Result<MutexGuard<'_, Ours>, StoreError> {
        let is_there = |named: &&Named| Named::new(&named.file).is_ok_and(|now| now.identity == named.identity);
        if let Some(named) = self.0.named.iter().find(|named| !is_there(named)) {
            return Err(StoreError::Gone(named.file.clone()));
        }
        let ours = self.0.ours();
        let database = self.0.database();
        // While one of ours writes, nobody can tell.
        if ours.writers == 0 && Written::of(database)? != ours.written {
            leave_word(database);
            return Err(StoreError::Overwritten(database.to_owned()));
        }
        Ok(ours)
    }
}

/// That the log was tied to the file, or was already.
pub(super) struct Tie<'p> {
    files: &'p Files,
    to: Option<Written>,
}

impl Tie<'_> {
    /// It is committed.
    pub(super) fn done(self) {
        if let Some(to) = self.to {
            self.files.ours().tied = Some(to);
        }
    }
}

/// Our turn to write into the database file. When it is over, what was written is ours.
pub(super) struct Writing<'p>(&'p Files);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let mut ours = self.0.ours();
        ours.writers -= 1;
        if let Ok(written) = Written::of(self.0.database()) {
            ours.written = written;
        }
    }
}

impl Files {
    fn ours(&self) -> MutexGuard<'_, Ours> {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> &Path {
        &self.named[0].file
    }
}

impl Written {
    fn of(file: &Path) -> Result<Written, StoreError> {
        let facts = fs::metadata(file).map_err(|error| StoreError::Io { path: file.to_owned(), error })?;
        Ok(Written { bytes: facts.len(), at: (facts.mtime(), facts.mtime_nsec()) })
    }
}

/// Fails with [`StoreError::Overwritten`] where a process that had it open found it so.
pub(super) fn refuse_overwritten(database: &Path) -> Result<(), StoreError> {
    if word_beside(database).exists() { Err(StoreError::Overwritten(database.to_owned())) } else { Ok(()) }
}

fn word_beside(database: &Path) -> PathBuf {
    database.with_extension("db-overwritten")
}

/// Where it cannot be left, this process refuses all the same.
fn leave_word(database: &Path) {
    let file = word_beside(database);
    let written = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&file);
    let written =
        written.and_then(|mut file| file.write_all(b"Another program wrote into bursar.db while bursar had it open.\n"));
    match written {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            tracing::error!(%error, file = %file.display(), "the next start will not know that the store was overwritten");
        }
        _ => {}
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
    use super::super::Store;
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
    fn where_the_lock_was_removed_only_one_of_two_processes_writes() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Store::open(dir.path()).unwrap();
        let lock = dir.path().join("lock");
        fs::remove_file(&lock).unwrap();
        let mut second = Store::open(dir.path()).unwrap();
        assert!(matches!(first.write(rename), Err(StoreError::Gone(gone)) if gone == lock));
        second.write(rename).unwrap();
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

    /// As `cp` does.
    fn copy_over(from: &Path, to: &Path) {
        fs::write(to, fs::read(from).unwrap()).unwrap();
    }

    #[test]
    fn what_another_program_copied_over_an_open_store_is_refused_by_all_who_have_it_open_and_by_whoever_opens_it_next() {
        let dir = tempfile::tempdir().unwrap();
        let (file, older) = (dir.path().join("bursar.db"), dir.path().join("older"));
        let mut store = Store::open(dir.path()).unwrap();
        store.copy_to(&older).unwrap();
        let mut beside = store.beside().unwrap();
        for _ in 0..3 {
            store.write(rename).unwrap();
            beside.write(rename).unwrap();
        }
        copy_over(&older, &file);
        let is_refused = |store: &mut Store| matches!(store.write(rename), Err(StoreError::Overwritten(of)) if of == file);
        assert!(is_refused(&mut store) && is_refused(&mut beside) && is_refused(&mut store));
        assert!(matches!(store.beside(), Err(StoreError::Overwritten(_))));
        drop((store, beside));
        assert_eq!(fs::read(&file).unwrap(), fs::read(&older).unwrap(), "the log was not written into it");
        assert!(dir.path().join("bursar.db-wal").metadata().unwrap().len() > 0, "and is kept");
        for _ in 0..2 {
            assert!(matches!(Store::open_existing(dir.path()), Err(StoreError::Overwritten(of)) if of == file));
        }
        // The way out.
        for name in ["bursar.db-wal", "bursar.db-shm", "bursar.db-overwritten"] {
            fs::rename(dir.path().join(name), dir.path().join("aside")).unwrap();
        }
        Store::open_existing(dir.path()).unwrap().write(rename).unwrap();
    }

    #[test]
    fn what_our_own_connections_write_into_the_file_at_the_same_time_raises_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let before = fs::metadata(dir.path().join("bursar.db")).unwrap().modified().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let mut beside = store.beside().unwrap();
                scope.spawn(move || {
                    for round in 0..60 {
                        let grow = |tx: &Tx<'_>| {
                            tx.execute_batch("CREATE TABLE IF NOT EXISTS many (it)")?;
                            Ok::<_, StoreError>(tx.execute("INSERT INTO many VALUES (randomblob(200000))", [])?)
                        };
                        assert_eq!(beside.write(grow).unwrap(), 1, "round {round}");
                    }
                });
            }
        });
        assert_ne!(fs::metadata(dir.path().join("bursar.db")).unwrap().modified().unwrap(), before, "the log went into it");
    }
}
