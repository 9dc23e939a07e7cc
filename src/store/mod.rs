//! One SQLite file per coin: opened by exactly one process at a time, migrated, written in immediate transactions with full sync.
//!
//! Only `records.rs` files hold SQL; they get a [`Tx`] and nothing else. A store has an id of its own, made when it is created,
//! which stands in every mark, so that a wallet can tell which store paid.

mod error;
mod functions;
mod place;
mod schema;
mod scratch;
mod tie;
mod watch;

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::backup::StepResult;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use rustix::fs::{FlockOperation, OFlags};

pub use error::StoreError;
pub use place::Place;
pub(crate) use schema::fault as schema_fault;
pub use scratch::Scratch;
pub use watch::Commit;
use watch::Watch;

/// A transaction of the store.
pub type Tx<'a> = rusqlite::Transaction<'a>;

/// Schema changes in order; each runs once, in the transaction that bumps `user_version`.
const MIGRATIONS: &[&str] = &[
    concat!(
        include_str!("migrations/0001_store.sql"),
        include_str!("migrations/0001_gate.sql"),
        include_str!("migrations/0001_ledger.sql"),
        include_str!("migrations/0001_payout.sql"),
        include_str!("migrations/0001_audit.sql"),
        include_str!("migrations/0001_backup.sql"),
        include_str!("migrations/0001_repair.sql"),
    ),
    include_str!("migrations/0002_sightings.sql"),
    concat!(
        include_str!("migrations/0003_batches.sql"),
        include_str!("migrations/0003_journaled.sql"),
        include_str!("migrations/0003_queue.sql"),
        include_str!("migrations/0003_unlock.sql"),
        include_str!("migrations/0003_webhook.sql"),
        include_str!("migrations/0003_listing.sql"),
    ),
    concat!(include_str!("migrations/0004_checkpoints.sql"), include_str!("migrations/0004_days.sql")),
    concat!(
        include_str!("migrations/0005_following.sql"),
        include_str!("migrations/0005_wallets.sql"),
        include_str!("migrations/0005_credits.sql"),
        include_str!("migrations/0005_checkpoints.sql"),
        include_str!("migrations/0005_chronicle.sql"),
        include_str!("migrations/0005_tie.sql"),
        include_str!("migrations/0005_words.sql"),
        include_str!("migrations/0005_synced.sql"),
    ),
];

/// The database, in the folder of the store.
const FILE: &str = "bursar.db";

/// Held by the one process that has the store open.
const LOCK: &str = "lock";

/// How long a connection waits while another one writes. The longest write takes over a payout file: a million rows are half a minute on a busy host
/// with a slow disk. Whoever has somebody waiting sets less ([`Store::wait_at_most`]).
const PATIENCE: Duration = Duration::from_secs(60);

/// A lock that was given back is held for a moment longer by a process that this one, or the one that had it, is just starting: until its `exec`.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// How often it is tried again.
const LOCK_INTERVAL: Duration = Duration::from_millis(20);

/// Bytes of the log that stay on disk after a write that needed more, once the log begins anew.
const LOG_BYTES_KEPT: u32 = 16 << 20;

/// Prepared statements that a connection keeps: all that one flush or one group of submissions runs again and again.
const STATEMENTS_KEPT: usize = 64;

/// The open store of one coin.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    id: String,
    watch: Option<Watch>,
    /// Which files it is; none: it is in memory. Dropped after the connection.
    place: Option<Place>,
    /// Held as long as any connection of this process is open; none: there is no file.
    lock: Option<Arc<File>>,
}

impl Store {
    /// Opens the store in `dir`, making folder (0700) and database (0600) if there are none.
    ///
    /// Fails with [`StoreError::Held`] when another process has it.
    pub fn open(dir: &Path) -> Result<Store, StoreError> {
        Store::open_or(dir, true)
    }

    /// Opens the store that is in `dir`, and makes none.
    ///
    /// Fails with [`StoreError::Absent`] when there is none, and with [`StoreError::Held`] when another process has it.
    pub fn open_existing(dir: &Path) -> Result<Store, StoreError> {
        let file = dir.join(FILE);
        // SQLite takes an empty file for a new database, and throws away a log that lies beside it.
        match fs::metadata(&file) {
            Ok(facts) if facts.len() > 0 => Store::open_or(dir, false),
            Ok(_) => Err(StoreError::Absent(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Err(StoreError::Absent(file)),
            Err(error) => Err(StoreError::Io { path: file, error }),
        }
    }

    /// A store in memory, for whoever only looks at a coin that has none: what is written to it is gone with it.
    pub fn passing() -> Result<Store, StoreError> {
        let mut connection = Connection::open_in_memory()?;
        functions::add(&connection)?;
        migrate(&mut connection, Path::new("memory"))?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let id = store_id(&mut connection)?;
        Ok(Store { connection, id, watch: None, place: None, lock: None })
    }

    /// Whether it is one that passes, because the coin has none.
    pub fn is_passing(&self) -> bool {
        self.lock.is_none()
    }

    fn open_or(dir: &Path, begin: bool) -> Result<Store, StoreError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |error| StoreError::Io { path, error }
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io(dir))?;
        let lock = take_lock(dir)?;
        scratch::clear(dir).map_err(io(dir))?;
        let file = dir.join(FILE);
        place::refuse_overwritten(&file)?;
        OpenOptions::new().create(begin).truncate(false).write(true).mode(0o600).open(&file).map_err(io(&file))?;
        let untied = tie::Untied::of(&file)?;
        let mut connection = connect(&file)?;
        let version = schema_version(&connection)?;
        if !begin && version == 0 {
            return Err(StoreError::Absent(file));
        }
        if let Err(error) = untied.confirm(&connection, &file, version) {
            leave_log(&connection);
            return Err(error);
        }
        // A table that others point to is rebuilt under its name; what points to nothing afterwards is found.
        connection.pragma_update(None, "foreign_keys", false)?;
        migrate(&mut connection, &file)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        let id = store_id(&mut connection)?;
        let place = Some(Place::of(&file)?);
        Ok(Store { connection, id, watch: None, place, lock: Some(Arc::new(lock)) })
    }

    /// A second connection to the same store, for another thread: reads never wait for the writer, and one writer at a time waits for the other.
    ///
    /// No transaction of either may last across a call to a daemon, because the other one would wait for it.
    pub fn beside(&self) -> Result<Store, StoreError> {
        let file = self.connection.path().ok_or_else(|| StoreError::Damaged("the store has no file".to_owned()))?;
        place::confirm(self.place.as_ref())?;
        let connection = connect(Path::new(file))?;
        place::confirm(self.place.as_ref())?;
        connection.pragma_update(None, "foreign_keys", true)?;
        Ok(Store { connection, id: self.id.clone(), watch: None, place: self.place.clone(), lock: self.lock.clone() })
    }

    /// How long its writes wait for another connection's, from now on.
    pub fn wait_at_most(&self, patience: Duration) -> Result<(), StoreError> {
        Ok(self.connection.busy_timeout(patience)?)
    }

    /// The store's own id: 32 hex digits.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Which files it is; none: it is in memory.
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Runs `work` in one transaction that is committed, synced, when it returns `Ok`, and leaves nothing otherwise.
    ///
    /// Fails with [`StoreError::Gone`] where its name does not lead to its file any more. If that went while it was committed, the file, where it is
    /// found again, has it.
    pub fn write<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        place::confirm(self.place.as_ref())?;
        let tx = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::from)?;
        // What others had committed before may have gone into the file meanwhile.
        place::confirm(self.place.as_ref())?;
        let value = work(&tx)?;
        let tie = self.place.as_ref().map(|place| place.tie(&tx)).transpose()?;
        Watch::tell(&mut self.watch, Commit::Coming);
        // A commit may copy the log into the file.
        let writing = self.place.as_ref().map(Place::write).transpose()?;
        tx.commit().map_err(StoreError::from)?;
        if let Some(tie) = tie {
            tie.done();
        }
        drop(writing);
        Watch::tell(&mut self.watch, Commit::Done);
        place::confirm(self.place.as_ref())?;
        Ok(value)
    }

    /// From now on this is told of each commit.
    pub fn watch_commits(&mut self, watch: impl FnMut(Commit) + Send + 'static) {
        self.watch = Some(Watch::new(watch));
    }

    /// Runs `work` on one consistent view.
    pub fn read<T, E: From<StoreError>>(&mut self, work: impl FnOnce(&Tx<'_>) -> Result<T, E>) -> Result<T, E> {
        let tx = self.connection.transaction().map_err(StoreError::from)?;
        work(&tx)
    }

    /// Writes a consistent copy to `file` by SQLite's backup API.
    ///
    /// In one step: a copy in several begins anew whenever another connection writes, and under steady submissions would never end.
    pub fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let mut target = Connection::open(file)?;
        let backup = rusqlite::backup::Backup::new(&self.connection, &mut target)?;
        match backup.step(-1)? {
            StepResult::Done => Ok(()),
            unfinished => Err(StoreError::Damaged(format!("the copy to {} is not whole: {unfinished:?}", file.display()))),
        }
    }

    /// Reads every page and index of the database. Takes time in proportion to its size.
    pub fn check_integrity(&self) -> Result<(), StoreError> {
        let verdict: String = self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        if verdict == "ok" { Ok(()) } else { Err(StoreError::Damaged(verdict)) }
    }
}

impl Drop for Store {
    /// The log of an overwritten store belongs to what was there before: it is kept beside it, and not written into it.
    fn drop(&mut self) {
        if matches!(place::confirm(self.place.as_ref()), Err(StoreError::Overwritten(_))) {
            leave_log(&self.connection);
        }
    }
}

/// Has this connection leave the log as it is when it is closed.
fn leave_log(connection: &Connection) {
    if let Err(error) = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        tracing::error!(%error, "the log of another store may be written into this one");
    }
}

/// A connection to a file that is there, whose commits are synced.
fn connect(file: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(file, OpenFlags::default().difference(OpenFlags::SQLITE_OPEN_CREATE))?;
    functions::add(&connection)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(connection)
}

fn take_lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join(LOCK);
    // A pipe in its place would make us wait for somebody at its other end.
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    let lock = options.open(&path);
    let lock = lock.map_err(|error| StoreError::Io { path: path.clone(), error })?;
    let began = Instant::now();
    loop {
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(lock),
            Err(_) if began.elapsed() < LOCK_PATIENCE => thread::sleep(LOCK_INTERVAL),
            Err(_) => return Err(StoreError::Held(dir.to_owned())),
        }
    }
}

/// Up to which of [`MIGRATIONS`] it is; 0: it was not begun.
fn schema_version(connection: &Connection) -> Result<u32, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn migrate(connection: &mut Connection, file: &Path) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as u32;
    let found = schema_version(connection)?;
    if found > known {
        return Err(StoreError::TooNew { file: file.to_owned(), found, known });
    }
    for (version, sql) in (1_u32..).zip(MIGRATIONS).skip(found as usize) {
        let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        tx.execute_batch(sql)?;
        if tx.prepare("PRAGMA foreign_key_check")?.exists([])? {
            return Err(StoreError::Damaged(format!(
                "schema {version} would leave rows that point to nothing; nothing was changed"
            )));
        }
        tx.pragma_update(None, "user_version", version)?;
        tx.commit()?;
    }
    Ok(())
}

/// The store's id; made in a store that has not done anything yet. All that was paid bears it: another one would make that a stranger's.
fn store_id(connection: &mut Connection) -> Result<String, StoreError> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let made = "INSERT INTO store (one, id) SELECT 1, lower(hex(randomblob(16)))
                WHERE NOT EXISTS (SELECT 1 FROM store) AND NOT EXISTS (SELECT 1 FROM wallets) AND NOT EXISTS (SELECT 1 FROM payouts)
                  AND NOT EXISTS (SELECT 1 FROM checkpoints)";
    tx.execute(made, [])?;
    let id = tx.query_row("SELECT id FROM store", [], |row| row.get(0)).optional()?;
    tx.commit()?;
    id.ok_or_else(|| {
        StoreError::Damaged(
            "the row that names it is gone, and its payments bear that name: bring the store back from a backup".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time_and_the_id_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let id = store.id().to_owned();
        assert_eq!(id.len(), 32);
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Held(_))));
        drop(store);
        assert_eq!(Store::open(dir.path()).unwrap().id(), id);
    }

    /// As a process does that was forked while the store was open, until it runs its program.
    #[test]
    fn a_copy_of_the_lock_that_goes_soon_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let copy = store.lock.as_ref().unwrap().try_clone().unwrap();
        drop(store);
        let (began, may_go) = std::sync::mpsc::channel();
        let holder = thread::spawn(move || {
            may_go.recv().unwrap();
            thread::sleep(LOCK_INTERVAL);
            drop(copy);
        });
        began.send(()).unwrap();
        Store::open(dir.path()).unwrap();
        holder.join().unwrap();
    }

    #[test]
    fn a_connection_beside_shares_the_store_and_its_lock() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut beside = store.beside().unwrap();
        assert_eq!(beside.id(), store.id());
        let rename = |tx: &Tx<'_>| Ok::<_, StoreError>(tx.execute("UPDATE store SET id = ?1", ["ab".repeat(16)])?);
        beside.write(rename).unwrap();
        let seen: Result<String, StoreError> = store.read(|tx| Ok(tx.query_row("SELECT id FROM store", [], |row| row.get(0))?));
        assert_eq!(seen.unwrap(), "ab".repeat(16));
        drop(store);
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Held(_))), "the other one is still open");
        drop(beside);
        Store::open(dir.path()).unwrap();
    }

    #[test]
    fn a_write_waits_for_another_ones_no_longer_than_it_may_and_then_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let mut beside = store.beside().unwrap();
        beside.wait_at_most(Duration::ZERO).unwrap();
        let busy = store.write(|_| {
            let rename = |tx: &Tx<'_>| Ok::<_, StoreError>(tx.execute("UPDATE store SET id = 'changed'", [])?);
            Ok::<_, StoreError>(beside.write(rename).unwrap_err().is_busy())
        });
        assert!(busy.unwrap());
        let kept: Result<String, StoreError> = beside.read(|tx| Ok(tx.query_row("SELECT id FROM store", [], |row| row.get(0))?));
        assert_eq!(kept.unwrap(), store.id());
    }

    #[test]
    fn a_copy_is_whole_while_another_connection_writes() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut beside = store.beside().unwrap();
        let (ended, end) = std::sync::mpsc::channel::<()>();
        let writer = std::thread::spawn(move || {
            while end.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                beside.write::<_, StoreError>(|tx| Ok(tx.execute("UPDATE store SET id = id", [])?)).unwrap();
            }
        });
        for number in 0..3 {
            store.copy_to(&dir.path().join(format!("copy-{number}"))).unwrap();
        }
        drop(ended);
        writer.join().unwrap();
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let failed: Result<(), StoreError> = store.write(|tx| {
            tx.execute("UPDATE store SET id = 'changed'", [])?;
            Err(StoreError::Damaged("no".to_owned()))
        });
        assert!(failed.is_err());
        let kept: Result<String, StoreError> = store.read(|tx| Ok(tx.query_row("SELECT id FROM store", [], |row| row.get(0))?));
        assert_eq!(kept.unwrap(), store.id());
    }

    #[test]
    fn a_store_of_an_older_version_is_brought_up_to_date_and_keeps_what_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let connection = Connection::open(dir.path().join("bursar.db")).unwrap();
        connection.execute_batch(MIGRATIONS[0]).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        connection.execute("INSERT INTO store (one, id) VALUES (1, ?1)", ["ab".repeat(16)]).unwrap();
        drop(connection);
        let mut store = Store::open(dir.path()).unwrap();
        assert_eq!(store.id(), "ab".repeat(16));
        let version = store.read::<u32, StoreError>(|tx| Ok(tx.pragma_query_value(None, "user_version", |row| row.get(0))?));
        assert_eq!(version.unwrap() as usize, MIGRATIONS.len());
    }

    #[test]
    fn where_no_store_is_or_an_empty_one_none_is_made_for_whoever_only_looks() {
        let dir = tempfile::tempdir().unwrap();
        let (folder, file) = (dir.path().join("service"), dir.path().join("service").join(FILE));
        let absent = || matches!(Store::open_existing(&folder), Err(StoreError::Absent(named)) if named == file);
        assert!(absent() && !folder.exists());
        fs::create_dir(&folder).unwrap();
        assert!(absent());
        fs::write(&file, "").unwrap();
        assert!(absent() && fs::read(&file).unwrap().is_empty());
        Connection::open(&file).unwrap().execute_batch("PRAGMA journal_mode = WAL; VACUUM").unwrap();
        assert!(absent(), "a database that was never begun");
        let id = Store::open(&folder).unwrap().id().to_owned();
        assert_eq!(Store::open_existing(&folder).unwrap().id(), id);
        let passing = Store::passing().unwrap();
        assert!(passing.is_passing() && !Store::open(&folder).unwrap().is_passing() && passing.id() != id);
    }

    #[test]
    fn a_store_that_lost_its_name_gets_no_other_once_it_has_done_something() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let begun = "DELETE FROM store;
                     INSERT INTO checkpoints (at_s, seq, hash, balances) VALUES (0, 0, printf('%064d', 0), printf('%064d', 0))";
        store.write::<_, StoreError>(|tx| Ok(tx.execute_batch(begun)?)).unwrap();
        drop(store);
        let words = Store::open(dir.path()).unwrap_err().to_string();
        assert!(words.contains("the row that names it is gone"), "{words}");
    }

    #[test]
    fn a_store_from_the_future_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::open(dir.path()).unwrap());
        let connection = Connection::open(dir.path().join("bursar.db")).unwrap();
        connection.pragma_update(None, "user_version", 9999).unwrap();
        drop(connection);
        assert!(matches!(Store::open(dir.path()), Err(StoreError::TooNew { .. })));
    }
}
