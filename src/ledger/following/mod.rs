//! The transactions that the ledger follows in a wallet, in pieces: for whoever looks through all of them, or at a few, in little memory.

mod records;

use serde::{Deserialize, Serialize};

use super::{Claim, Followed, Posting, records as tables, wallets};
use crate::coin::{Amount, Txid};
use crate::daemon::Tip;
use crate::store::{StoreError, Tx};

/// A deposit that is posted, and not deep enough to be credited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingDeposit {
    /// Its output.
    pub vout: u32,
    /// How much.
    pub amount: Amount,
}

/// Those that are not final: everything that a sync would ask for again.
pub fn not_final(tx: &Tx<'_>, wallet: &str) -> Result<Vec<Followed>, StoreError> {
    tables::not_final(tx, wallet)
}

/// One of them; none when the ledger never saw it.
pub fn one(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Option<Followed>, StoreError> {
    tables::followed_by_txid(tx, wallet, txid)
}

/// The next ones in the order of their ids, at most `limit`.
pub fn page(tx: &Tx<'_>, wallet: &str, after: Option<&Txid>, limit: usize) -> Result<Vec<Followed>, StoreError> {
    records::page(tx, wallet, after, limit)
}

/// Those of the paying wallet that are in blocks from this height on.
pub fn confirmed_from(tx: &Tx<'_>, height: u64) -> Result<Vec<Followed>, StoreError> {
    wallets::of_paying(tx, |wallet| records::confirmed_from(tx, wallet, height))
}

/// How many there are. Kept, not counted.
pub fn count(tx: &Tx<'_>, wallet: &str) -> Result<u64, StoreError> {
    records::count(tx, wallet)
}

/// From where the next sync lists: what is above it, or unconfirmed, is not final; none: from the beginning.
pub fn cursor(tx: &Tx<'_>, wallet: &str) -> Result<Option<Tip>, StoreError> {
    Ok(wallets::wallet(tx, wallet)?.and_then(|wallet| wallet.cursor))
}

/// The number of the newest posting, of whatever wallet; 0 when there is none.
pub fn newest(tx: &Tx<'_>) -> Result<u64, StoreError> {
    Ok(tables::head(tx)?.0)
}

/// Transactions that were posted after the posting of that number, in the order of their ids: the first of them, and how many there are.
pub fn posted_after(tx: &Tx<'_>, wallet: &str, seq: u64, limit: usize) -> Result<(Vec<Followed>, u64), StoreError> {
    records::posted_after(tx, wallet, seq, limit)
}

/// Every posting of a transaction in whatever wallet, oldest first, at most `limit`.
pub fn postings_of(tx: &Tx<'_>, txid: &Txid, limit: usize) -> Result<Vec<Posting>, StoreError> {
    tables::postings_of(tx, txid, limit)
}

/// The other wallets in which a transaction is noted as a receipt of exactly this amount that is not confirmed. Its id stands for its outputs, so that the
/// whole amount is on its way there and to nowhere else.
pub fn awaited_elsewhere(tx: &Tx<'_>, wallet: &str, txid: &Txid, amount: Amount) -> Result<Vec<String>, StoreError> {
    records::awaited_elsewhere(tx, wallet, txid, amount)
}

/// The other wallets in which the ledger follows a transaction, whatever became of it.
pub fn elsewhere(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Vec<String>, StoreError> {
    records::elsewhere(tx, wallet, txid)
}

/// The deposits of an event that wait to be credited.
pub fn waiting(tx: &Tx<'_>, event: u64) -> Result<Vec<WaitingDeposit>, StoreError> {
    records::waiting(tx, event)
}

/// What a transaction of a wallet was ordered as, by the comment it was sent with, or by its id; or else a person's word about it in that wallet.
pub fn claim_of(tx: &Tx<'_>, wallet: &str, txid: &Txid, comment: Option<&str>) -> Result<Option<Claim>, StoreError> {
    tables::claim_of(tx, wallet, txid, comment)
}
