//! Why the keys were not opened, and what to do then.

use std::path::PathBuf;

use thiserror::Error;

use crate::coin::Timestamp;
use crate::daemon::RpcError;
use crate::store::StoreError;

/// Why the wallet's keys cannot be used. Nothing was sent.
#[derive(Debug, Error)]
pub enum UnlockError {
    /// It is locked, and bursar has no passphrase.
    #[error("the wallet is locked, and bursar has no passphrase for it; nothing was sent and payouts stay queued")]
    NoPassphrase,
    /// It is locked, and its keys made ahead are used up.
    #[error(
        "the wallet has no key left for the change, and makes none while it is locked; nothing was sent and payouts stay queued"
    )]
    OutOfKeys,
    /// It is open, for staking alone.
    #[error("the wallet is open for staking only, by somebody else; nothing was sent and payouts stay queued")]
    ForStakingOnly,
    /// The file cannot be used.
    #[error("{}: {problem}; the wallet stays locked, nothing was sent and payouts stay queued", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The wallet did not take it.
    #[error("{}: the wallet does not take this passphrase; nothing was sent and payouts stay queued", file.display())]
    Wrong {
        /// Its file.
        file: PathBuf,
    },
    /// The wallet did not take it before, and the file is as it was then.
    #[error(
        "{}: the wallet did not take this passphrase at {tried}, and the file has not changed since: it was not tried again; payouts stay queued",
        file.display()
    )]
    WrongBefore {
        /// Its file.
        file: PathBuf,
        /// When.
        tried: Timestamp,
    },
    /// The daemon.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl UnlockError {
    /// A stable word for scripts; none where the daemon or the store failed.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            UnlockError::NoPassphrase | UnlockError::OutOfKeys | UnlockError::ForStakingOnly => Some("wallet_locked"),
            UnlockError::File { .. } => Some("passphrase_file"),
            UnlockError::Wrong { .. } | UnlockError::WrongBefore { .. } => Some("wrong_passphrase"),
            UnlockError::Rpc(_) | UnlockError::Store(_) => None,
        }
    }

    /// What a person does about it.
    pub fn next_step(&self) -> Option<&'static str> {
        Some(match self {
            UnlockError::NoPassphrase => {
                "set wallet.passphrase_file, or open the wallet by hand (`walletpassphrase`), then `bursar pay flush`"
            }
            UnlockError::OutOfKeys => {
                "open the wallet by hand (`walletpassphrase`), then `bursar pay flush`; with wallet.passphrase_file the next sync opens it and has it make more"
            }
            UnlockError::ForStakingOnly => {
                "lock it (`walletlock`), then `bursar pay flush`: bursar opens and closes it by itself; staking and paying do not share a wallet"
            }
            UnlockError::File { .. } => "see wallet.passphrase_file in bursar.toml; then `bursar pay flush`",
            UnlockError::Wrong { .. } | UnlockError::WrongBefore { .. } => {
                "put the right passphrase into the file, or order `bursar pay flush` by hand to try the same again"
            }
            UnlockError::Rpc(_) | UnlockError::Store(_) => return None,
        })
    }
}
