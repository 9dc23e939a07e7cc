//! The tables of the broker.

use rusqlite::{OptionalExtension, params};

use super::rules::Session;
use crate::coin::Timestamp;
use crate::store::{StoreError, Tx};

/// A passphrase that the wallet did not take.
pub(super) struct Wrong {
    /// What its file was like.
    pub(super) file: String,
    /// When it was tried.
    pub(super) at: Timestamp,
}

pub(super) fn session(tx: &Tx<'_>) -> Result<Option<Session>, StoreError> {
    let found = tx
        .query_row("SELECT opened_s, answered_s, is_open FROM unlock", [], |row| {
            Ok(Session { opened: Timestamp(row.get(0)?), answered: Timestamp(row.get(1)?), is_open: row.get(2)? })
        })
        .optional()?;
    Ok(found)
}

pub(super) fn note_opening(tx: &Tx<'_>, session: &Session) -> Result<(), StoreError> {
    tx.execute(
        "INSERT OR REPLACE INTO unlock (one, opened_s, answered_s, is_open) VALUES (1, ?1, ?2, ?3)",
        params![session.opened.0, session.answered.0, session.is_open],
    )?;
    Ok(())
}

/// It was opened: the wallet took the passphrase.
pub(super) fn note_answered(tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE unlock SET answered_s = ?1", [now.0])?;
    forget_wrong(tx)
}

pub(super) fn note_closed(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute("UPDATE unlock SET is_open = 0", [])?;
    Ok(())
}

pub(super) fn wrong(tx: &Tx<'_>) -> Result<Option<Wrong>, StoreError> {
    let sql = "SELECT file, tried_s FROM wrong_passphrase";
    let found = tx.query_row(sql, [], |row| Ok(Wrong { file: row.get(0)?, at: Timestamp(row.get(1)?) })).optional()?;
    Ok(found)
}

pub(super) fn note_wrong(tx: &Tx<'_>, file: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("INSERT OR REPLACE INTO wrong_passphrase (one, file, tried_s) VALUES (1, ?1, ?2)", params![file, now.0])?;
    Ok(())
}

pub(super) fn forget_wrong(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute("DELETE FROM wrong_passphrase", [])?;
    Ok(())
}
