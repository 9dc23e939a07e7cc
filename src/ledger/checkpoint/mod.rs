//! What the ledger was worth at a time, signed, to be kept where nobody who has this machine can change it.
//!
//! A chain of hashes shows a changed row. It does not show that its end was cut off, that an older copy was put in its place, or that all of it was
//! written anew: each of these is a whole chain. A checkpoint that lies elsewhere does. It tells the number of postings, the hash of the last, a digest of
//! the balances, and number and hash of the newest credit event and of the newest row of the chronicle, so it gives away no amount.

mod flow;
mod folder;
mod records;
mod rules;
#[cfg(test)]
mod tests;
mod troubles;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Head;
use super::{LedgerError, VerifyReport};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon::Tip;
use crate::store::{Store, StoreError, Tx};

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its number in this store, from 1.
    pub n: u64,
    /// When it was made.
    pub time: Timestamp,
    /// How many postings the ledger had.
    pub postings: u64,
    /// The hash of the last; 64 zeros when there was none.
    pub hash: String,
    /// SHA-256 over all balances that were not zero.
    pub balances: String,
    /// The newest credit event; none: the checkpoint is of before they were covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credits: Option<Head>,
    /// The newest row of the chronicle: what audits, freezes, earlier checkpoints and rekeyings said; none: the checkpoint is of before it was covered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chronicle: Option<Head>,
    /// The tip at which the ledger stood.
    pub tip: Option<Tip>,
}

/// An exported checkpoint: the file, and the `.minisig` beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointFile {
    /// The file's name, for messages.
    pub name: String,
    /// What is in it.
    pub content: String,
    /// What is in the other.
    pub signature: String,
}

/// A checkpoint that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointReport {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The same as a file.
    pub file: CheckpointFile,
    /// Where it was exported to; none: `ledger.checkpoints_dir` is not set.
    pub exported: Option<PathBuf>,
    /// By which the signature is checked.
    pub public_key: String,
}

/// Makes a checkpoint of the ledger as it stands, signs it, and exports it where the settings say.
///
/// # Errors
/// [`LedgerError::Signing`] when there is no key, or none that can be used: then it was not made. [`LedgerError::NotExported`] when it was made, and its files could not be written.
pub fn make(store: &mut Store, coin: &CoinSettings, now: Timestamp) -> Result<CheckpointReport, LedgerError> {
    flow::make(store, coin, now)
}

/// Verifies the ledger, and that it is the one of which these checkpoints were made; without any, the newest
/// of those in `ledger.checkpoints_dir` that can be read. They have to be signed with `key`, one line of base64; this coin's own when
/// there is none.
///
/// # Errors
/// [`LedgerError::Refused`] when a file is no checkpoint, or not signed with that key; then nothing was read.
pub fn verify(
    store: &mut Store,
    coin: &CoinSettings,
    files: &[CheckpointFile],
    key: Option<&str>,
) -> Result<VerifyReport, LedgerError> {
    flow::verify(store, coin, files, key)
}

/// The checkpoints of this store as marks for a verification.
pub(super) fn marks(tx: &Tx<'_>) -> Result<Vec<super::verify::Mark>, StoreError> {
    Ok(records::all(tx)?.iter().map(rules::own_mark).collect())
}

/// A checkpoint of this coin that lies in `ledger.checkpoints_dir`, the one of the highest number; none: there is none, or nowhere to look.
///
/// # Errors
/// The folder cannot be read.
pub fn newest_exported(coin: &CoinSettings) -> std::io::Result<Option<PathBuf>> {
    let found = coin.checkpoints_dir.as_deref().map(|dir| folder::list(dir, &coin.name)).transpose()?;
    Ok(found.and_then(|mut found| found.pop()).map(|newest| newest.file))
}

/// What the checkpoints in `ledger.checkpoints_dir` say of this store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exported {
    /// Nothing: there are none, or no folder is set.
    Nothing,
    /// The newest fits; which it is, in words.
    Fits(String),
    /// This store is not the one that made them, or an older state of it, or was changed; in words.
    Contradicts(String),
    /// It cannot be told, or not of all of them.
    Unclear(Unclear),
}

/// What could not be found out of exported checkpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unclear {
    /// What, and why; and which the store fits all the same.
    pub words: String,
    /// What a person does about it.
    pub next: String,
}

/// Holds the newest exported checkpoint against the store, by a few look-ups: neither sums nor the rows between are read.
pub fn compare_exported(store: &mut Store, coin: &CoinSettings) -> Result<Exported, StoreError> {
    folder::compare(store, coin)
}

/// When the newest checkpoint that was exported was made: exports follow at once.
pub fn last_exported(tx: &Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    Ok(records::newest_exported(tx)?.map(|newest| newest.time))
}

/// Whether any was ever made.
pub fn any_made(tx: &Tx<'_>) -> Result<bool, StoreError> {
    records::any(tx)
}
