//! A wallet's listing in a database of its own, to be read in the order of transaction ids.

use rusqlite::params;

use super::AuditError;
use crate::coin::Txid;
use crate::daemon::Entry;
use crate::store::{Scratch, Store, StoreError};

const TABLES: &str = "CREATE TABLE shown (
    txid    TEXT NOT NULL,
    entries TEXT NOT NULL             -- JSON: some or all that the wallet lists of it
) STRICT;";

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Damaged(format!("scratch table shown: {error}"))
}

/// The listing.
pub(super) struct Spool(Scratch);

impl Spool {
    pub(super) fn new(store: &Store) -> Result<Spool, StoreError> {
        Ok(Spool(store.scratch(TABLES)?))
    }

    /// Keeps entries of one transaction; there may be more of it.
    pub(super) fn keep(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let Some(first) = entries.first() else { return Ok(()) };
        let mut statement = self.0.connection().prepare_cached("INSERT INTO shown (txid, entries) VALUES (?1, ?2)")?;
        statement.execute(params![first.txid.to_string(), serde_json::to_string(entries).map_err(damaged)?])?;
        Ok(())
    }

    /// Every transaction with all of its entries.
    pub(super) fn each(&self, visit: &mut dyn FnMut(Txid, Vec<Entry>) -> Result<(), AuditError>) -> Result<(), AuditError> {
        let sql = "SELECT entries FROM shown ORDER BY txid";
        let mut statement = self.0.connection().prepare_cached(sql).map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        let mut gathered: Vec<Entry> = Vec::new();
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let text: String = row.get(0).map_err(StoreError::from)?;
            let more: Vec<Entry> = serde_json::from_str(&text).map_err(damaged)?;
            if let (Some(first), Some(next)) = (gathered.first(), more.first())
                && first.txid != next.txid
            {
                visit(first.txid, std::mem::take(&mut gathered))?;
            }
            gathered.extend(more);
        }
        match gathered.first().map(|first| first.txid) {
            Some(txid) => visit(txid, gathered),
            None => Ok(()),
        }
    }
}
