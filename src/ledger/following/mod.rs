//! The transactions that the ledger follows, in pieces: for whoever looks through all of them, or at a few, in little memory.

mod records;

use super::{Followed, Posting, records as tables};
use crate::coin::Txid;
use crate::daemon::Tip;
use crate::store::{StoreError, Tx};

/// Those that are not final: everything that a sync would ask for again.
pub fn not_final(tx: &Tx<'_>) -> Result<Vec<Followed>, StoreError> {
    tables::not_final(tx)
}

/// One of them; none when the ledger never saw it.
pub fn one(tx: &Tx<'_>, txid: &Txid) -> Result<Option<Followed>, StoreError> {
    tables::followed_by_txid(tx, txid)
}

/// The next ones in the order of their ids, at most `limit`.
pub fn page(tx: &Tx<'_>, after: Option<&Txid>, limit: usize) -> Result<Vec<Followed>, StoreError> {
    records::page(tx, after, limit)
}

/// How many there are. Kept, not counted.
pub fn count(tx: &Tx<'_>) -> Result<u64, StoreError> {
    records::count(tx)
}

/// From where the next sync lists: what is above it, or unconfirmed, is not final; none: from the beginning.
pub fn cursor(tx: &Tx<'_>) -> Result<Option<Tip>, StoreError> {
    Ok(tables::wallet(tx)?.and_then(|wallet| wallet.cursor))
}

/// The number of the newest posting; 0 when there is none.
pub fn newest(tx: &Tx<'_>) -> Result<u64, StoreError> {
    Ok(tables::head(tx)?.0)
}

/// Transactions that were posted after the posting of that number, in the order of their ids: the first of them, and how many there are.
pub fn posted_after(tx: &Tx<'_>, seq: u64, limit: usize) -> Result<(Vec<Followed>, u64), StoreError> {
    records::posted_after(tx, seq, limit)
}

/// Every posting of a transaction, oldest first, at most `limit`.
pub fn postings_of(tx: &Tx<'_>, txid: &Txid, limit: usize) -> Result<Vec<Posting>, StoreError> {
    tables::postings_of(tx, txid, limit)
}
