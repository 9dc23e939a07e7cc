//! Why the store failed, in words.

use std::path::PathBuf;

use thiserror::Error;

/// Why the store failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{}: another bursar process holds this store; only one may write it at a time", .0.display())]
    Held(PathBuf),
    /// There is none, or its file is empty. Nothing was made.
    #[error("{}: there is no store", .0.display())]
    Absent(PathBuf),
    /// It was removed, moved away or replaced while it was open. Nothing may be acknowledged on the word of a file that nobody finds again.
    #[error(
        "{}: the store is gone: this file was removed, moved away or replaced while bursar had it open; until it is back nothing is taken and nothing is sent",
        .0.display()
    )]
    Gone(PathBuf),
    /// Another program wrote into it while it was open, so that it is a mixture of what bursar knew and of what was put there.
    #[error(
        "{}: another program wrote into the store while bursar had it open (another one was copied over it?): what is in it now may be a mixture, so nothing is \
         taken and nothing is sent",
        .0.display()
    )]
    Overwritten(PathBuf),
    /// The log beside it belongs to another store, or to another state of it. Nothing was written.
    #[error(
        "{}: the log beside the store (`bursar.db-wal`) is not its own: another `bursar.db` lay there when it was written. Nothing was changed, nothing is taken \
         and nothing is sent",
        .0.display()
    )]
    OthersLog(PathBuf),
    /// A newer bursar made it.
    #[error("{}: the store has schema {found}, this bursar knows up to {known}: use the newer bursar", file.display())]
    TooNew {
        /// The database file.
        file: PathBuf,
        /// Its schema.
        found: u32,
        /// Our newest.
        known: u32,
    },
    /// The file system.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
    /// SQLite.
    #[error("store: {0}; nothing of this step was kept")]
    Sqlite(#[source] rusqlite::Error),
    /// A sum of amounts beyond 64 bits, in the words of SQLite.
    #[error(
        "store: the sum of an account's amounts does not fit 64 bits ({0}); nothing of this step was kept, and what was kept before stands"
    )]
    TooLarge(String),
    /// A row that breaks a promise of the schema.
    #[error("store: {0}")]
    Damaged(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> StoreError {
        use rusqlite::ffi::SQLITE_CONSTRAINT_DATATYPE;
        match error {
            // SQLite goes on with a float where an addition does not fit, which no table of ours takes; `sum` fails by itself. Nothing else is added up here.
            rusqlite::Error::SqliteFailure(code, Some(words))
                if words == "integer overflow"
                    || (code.extended_code == SQLITE_CONSTRAINT_DATATYPE
                        && words.starts_with("cannot store REAL value in INTEGER column")) =>
            {
                StoreError::TooLarge(words)
            }
            error => StoreError::Sqlite(error),
        }
    }
}

impl StoreError {
    /// Whether the file is no database, or is not whole.
    pub fn is_malformed(&self) -> bool {
        use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase};
        matches!(self, StoreError::Sqlite(error) if matches!(error.sqlite_error_code(), Some(DatabaseCorrupt | NotADatabase)))
    }

    /// Whether it is malformed, or was overwritten: another copy has to take its place.
    pub fn is_spoilt(&self) -> bool {
        self.is_malformed() || matches!(self, StoreError::Overwritten(_) | StoreError::OthersLog(_))
    }

    /// Whether another connection was writing for all of our patience: nothing is wrong, and nothing was written.
    pub fn is_busy(&self) -> bool {
        matches!(self, StoreError::Sqlite(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy))
    }
}
