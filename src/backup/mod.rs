//! Encrypted archives of wallet, ledger and settings, in several places, and the drill that proves that they restore.
//!
//! A backup that was never restored is a hope. So there are three levels of proof, each stronger than the one before:
//!
//! - [`create`] writes one archive to every destination and reads it back: the bytes are there.
//! - [`verify`] decrypts an archive to its end and compares every member with its manifest: the bytes are the right ones.
//! - [`drill`] starts a throwaway daemon on the restored wallet and asks it for every key: the money can be moved.
//!
//! An archive is `tar | zstd | age`, so that it can be opened by hand on a machine without bursar:
//! `age --decrypt --identity FILE ARCHIVE | zstd --decompress | tar --extract`. It holds a manifest, the wallet, the store and the settings
//! file, and no RPC credentials. Anybody who knows the recipient can make an archive that decrypts; only the records of the store say which
//! archives are ours, and [`drill`] compares with them.

mod archive;
mod destination;
mod drill;
mod flow;
mod identity;
mod manifest;
mod records;
mod rules;
mod staging;
mod unpack;
#[cfg(test)]
mod unpack_tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::coin::Timestamp;
use crate::daemon::RpcError;
use crate::keeper::KeeperError;
use crate::ledger::LedgerError;
use crate::store::StoreError;

pub use drill::drill;
pub use flow::{create, due, last_backup, last_drill, last_passed_drill, list, verify};
pub use manifest::{Manifest, Member, OwnAddress, WalletFormat};
pub use rules::{Check, Reason};
pub use unpack::ArchiveError;

/// What every archive's name ends with.
pub const SUFFIX: &str = ".bursar.age";

/// Why a backup, a verification or a drill could not be carried out.
#[derive(Debug, Error)]
pub enum BackupError {
    /// There is nothing to encrypt to, or nowhere to write to.
    #[error("{coin}: no backup was made: `backup.{key}` of this coin is empty in bursar.toml; {hint}")]
    NotConfigured {
        /// The coin instance.
        coin: String,
        /// The key that is empty.
        key: &'static str,
        /// What to put there.
        hint: &'static str,
    },
    /// A recipient that age does not know.
    #[error("'{recipient}' is not an age recipient ({problem}); no backup was made")]
    BadRecipient {
        /// As configured. It is a public key.
        recipient: String,
        /// Why not.
        problem: String,
    },
    /// The daemon left a file that is no wallet: a failing `backupwallet` leaves an empty one.
    #[error("the daemon's copy of the wallet is no backup: {problem}; no archive was written, earlier ones are untouched")]
    NotAWallet {
        /// What was found.
        problem: String,
    },
    /// Every destination failed.
    #[error("{archive}: no destination took the backup: {failures}; earlier backups are untouched")]
    NoDestination {
        /// What it would have been called.
        archive: String,
        /// Destination and reason, each.
        failures: String,
    },
    /// The identity file cannot be used.
    #[error("identity file {}: {problem}", file.display())]
    Identity {
        /// The file.
        file: PathBuf,
        /// Why, and what to do.
        problem: String,
    },
    /// The archive is not good.
    #[error("{}: {error}", file.display())]
    Archive {
        /// The archive.
        file: PathBuf,
        /// What is wrong with it.
        error: ArchiveError,
    },
    /// An archive that does not belong to this coin instance.
    #[error("{}: {problem}", file.display())]
    Foreign {
        /// The archive.
        file: PathBuf,
        /// Which coin or chain it is of.
        problem: String,
    },
    /// Files.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's words.
        error: std::io::Error,
    },
    /// The wallet.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The throwaway daemon.
    #[error("throwaway daemon of the drill: {0}; the coin's own daemon and wallet were not touched")]
    Keeper(#[from] KeeperError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// What became of one destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destination {
    /// The configured directory.
    pub directory: PathBuf,
    /// Why the archive is not there; none when it is there, synced and read back.
    pub error: Option<String>,
}

/// A backup that at least one destination took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// File name, the same in every destination.
    pub archive: String,
    /// When it was begun.
    pub created: Timestamp,
    /// SHA-256 of the archive, in hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
    /// Every configured directory.
    pub destinations: Vec<Destination>,
    /// Every destination took it. When not, the backup is partly done.
    pub complete: bool,
}

/// One archive: found in a destination, in the records, or both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// File name.
    pub archive: String,
    /// The record of its making; none for archives that this store did not make.
    pub record: Option<BackupReport>,
    /// Directories in which it was found.
    pub found_in: Vec<PathBuf>,
    /// Size of the file found first; none when it was found nowhere.
    pub size_bytes: Option<u64>,
}

/// An archive that decrypted to its end, every member as its manifest says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// The file.
    pub file: PathBuf,
    /// SHA-256 of the archive, in hex.
    pub sha256: String,
    /// Its size.
    pub size_bytes: u64,
    /// What is in it.
    pub manifest: Manifest,
}

/// What a drill found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillReport {
    /// The file.
    pub file: PathBuf,
    /// SHA-256 of the archive, in hex.
    pub sha256: String,
    /// When it was begun.
    pub started: Timestamp,
    /// When the archive was made.
    pub archive_created: Timestamp,
    /// Every comparison, passed or not.
    pub checks: Vec<Check>,
    /// All of them passed.
    pub passed: bool,
}

/// A drill in the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillRecord {
    /// When it was begun.
    pub started: Timestamp,
    /// The archive's file name.
    pub archive: String,
    /// Whether everything agreed.
    pub passed: bool,
    /// What did not, in words; empty when passed.
    pub problem: String,
}
