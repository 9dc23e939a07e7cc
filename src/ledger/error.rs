//! What the ledger refuses, and what fails.

use thiserror::Error;

use super::{Account, signing};
use crate::coin::{AmountError, Txid};
use crate::daemon::RpcError;
use crate::store::StoreError;

/// Why the ledger could not do what was asked.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The daemon.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The wallet has a history that includes spending, and the ledger was never opened.
    #[error("wallet '{wallet}' has {spends} payments from before bursar: adopt it with `{command}`; nothing was posted")]
    NotOpened {
        /// The wallet.
        wallet: String,
        /// What a person runs to adopt it.
        command: String,
        /// How many transactions it has sent.
        spends: usize,
    },
    /// It was opened already.
    #[error("the ledger of wallet '{0}' is open already; nothing was changed")]
    AlreadyOpen(String),
    /// The chain moved under every reading.
    #[error("the chain moved during each of {0} readings; the ledger is not at its tip, the next sync goes on")]
    Restless(u32),
    /// The daemon's chain ends below the ledger's tip, which it does not know, or which it has not connected again yet.
    #[error(
        "the daemon's chain ends at height {height}, below the block at height {stood} where the ledger stands: it lost blocks, or builds \
         its chain anew. Nothing was posted, and nothing is until it has regained them"
    )]
    LostBlocks {
        /// Height of the daemon's tip.
        height: u64,
        /// Height of the ledger's.
        stood: u64,
    },
    /// A transaction that stands in several wallets.
    #[error("transaction {txid} stands in several wallets ({wallets}): name one by --wallet; nothing was changed")]
    Ambiguous {
        /// The transaction.
        txid: Txid,
        /// Their names.
        wallets: String,
    },
    /// An account that cannot be what a transaction's amount was for.
    #[error("transaction {txid} cannot be explained as {}: {why}; nothing was changed", account.name())]
    WrongAccount {
        /// The transaction.
        txid: Txid,
        /// The account.
        account: Account,
        /// Why not.
        why: String,
    },
    /// Another wallet than before answers.
    #[error("the wallet is not the one that this ledger follows ({0}); nothing was posted and payouts are frozen")]
    OtherWallet(String),
    /// Amounts beyond 64 bits.
    #[error("ledger: {0}; nothing was posted")]
    Sum(#[from] AmountError),
    /// A row or sum that breaks a promise.
    #[error("ledger: {0}")]
    Damaged(String),
    /// The key of this coin.
    #[error(transparent)]
    Signing(#[from] signing::SigningError),
    /// A checkpoint that stays on this machine.
    #[error("the checkpoint was made, but {} could not be written: {problem}", file.display())]
    NotExported {
        /// Where it was to be.
        file: std::path::PathBuf,
        /// Why it is not.
        problem: String,
    },
    /// A transaction that the ledger never saw.
    #[error("the ledger does not know transaction {txid}{of}; nothing was changed")]
    Unknown {
        /// Which.
        txid: Txid,
        /// Of which wallet, where one was named, such as ` of wallet 'cold'`.
        of: String,
    },
    /// Bad request of a person.
    #[error("{0}")]
    Refused(String),
}
