//! What we know happened to one wallet, by txid: double-entry postings that are only ever added to, kept in step with the wallet.
//!
//! `sync` diffs what the wallet lists against what is posted, and posts or reverses; cursor and postings commit together. It never
//! calls upward: what a payout means to a transaction is left here beforehand as a [`Claim`].

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::coin::{Amount, BlockHash, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{RpcError, Tip, Wallet};
use crate::store::{Store, StoreError, Tx};

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
    #[error("wallet '{wallet}' has {spends} payments from before bursar: adopt it with `bursar ledger open`; nothing was posted")]
    NotOpened {
        /// The wallet.
        wallet: String,
        /// How many transactions it has sent.
        spends: usize,
    },
    /// It was opened already.
    #[error("the ledger of wallet '{0}' is open already; nothing was changed")]
    AlreadyOpen(String),
    /// The chain moved under every reading.
    #[error("the chain moved during each of {0} readings; nothing was posted, the next sync goes on")]
    Restless(u32),
    /// Another wallet than before answers.
    #[error("the wallet is not the one that this ledger follows ({0}); nothing was posted and payouts are frozen")]
    OtherWallet(String),
    /// A row or sum that breaks a promise.
    #[error("ledger: {0}")]
    Damaged(String),
    /// Bad request of a person.
    #[error("{0}")]
    Refused(String),
}

/// An account of the double-entry ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Account {
    /// What the wallet holds: trusted money.
    Wallet,
    /// Received from others.
    Deposit,
    /// Paid out by batches of ours.
    Payout,
    /// Fees of our own transactions.
    Fee,
    /// Mined and matured.
    Mined,
    /// Staked and matured.
    Staked,
    /// From ourselves to ourselves.
    Internal,
    /// From before bursar.
    Opening,
    /// A spend that bursar did not order.
    Unexplained,
}

/// Where a transaction of the wallet stands, as of the last sync.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum TxState {
    /// In a block of the active chain, and money.
    Confirmed {
        /// The block's height.
        height: u64,
        /// The block.
        block: BlockHash,
    },
    /// Ours, and in the mempool: posted.
    Mempool,
    /// Ours, not in the mempool, not confirmed: posted, and to be broadcast again.
    Limbo,
    /// A stranger's, unconfirmed: a memo, not posted.
    Pending,
    /// Mined or staked, not mature: a memo, not posted.
    Immature {
        /// The block's height.
        height: u64,
        /// The block.
        block: BlockHash,
    },
    /// Conflicted, abandoned, orphaned, or its block left the active chain and it is in no mempool: reversed.
    Dead,
}

/// What a coming transaction will mean, written by whoever orders it, before it is ordered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The comment that the transaction will carry, compared whole.
    pub mark: String,
    /// The order, such as a batch id.
    pub order: String,
    /// Against which account its spending is posted.
    pub account: Account,
}

/// What a sync did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SyncReport {
    /// The tip at which the ledger now stands.
    pub tip: Tip,
    /// Events posted.
    pub posted: u64,
    /// Events reversed.
    pub reversed: u64,
    /// Marks of this store (`bursar:<store id>:…`) on transactions that no claim knows: the store went back in time.
    pub unknown_marks: Vec<String>,
    /// Own transactions that are neither in the mempool nor in a block.
    pub limbo: Vec<Txid>,
}

/// Brings the ledger in step with the wallet, in one store transaction. Idempotent.
pub fn sync(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<SyncReport, LedgerError> {
    let _ = (store, wallet, coin, now);
    Err(LedgerError::Damaged("to be written".to_owned()))
}

/// Adopts a wallet that is older than bursar: what it held at `at` (the tip when none) is posted against `opening`.
pub fn open(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    at: Option<u64>,
    now: Timestamp,
) -> Result<SyncReport, LedgerError> {
    let _ = (store, wallet, coin, at, now);
    Err(LedgerError::Damaged("to be written".to_owned()))
}

/// Leaves a claim for a transaction that is about to be ordered.
pub fn claim(tx: &Tx<'_>, claim: &Claim) -> Result<(), StoreError> {
    let _ = (tx, claim);
    Err(StoreError::Damaged("to be written".to_owned()))
}

/// Binds a txid to a claim: a repaired wallet may have lost the mark.
pub fn claim_txid(tx: &Tx<'_>, order: &str, txid: &Txid) -> Result<(), StoreError> {
    let _ = (tx, order, txid);
    Err(StoreError::Damaged("to be written".to_owned()))
}

/// Where a transaction stands, as of the last sync; none when the ledger never saw it.
pub fn state_of(tx: &Tx<'_>, txid: &Txid) -> Result<Option<TxState>, StoreError> {
    let _ = (tx, txid);
    Err(StoreError::Damaged("to be written".to_owned()))
}

/// Every transaction that the ledger follows, with its state.
pub fn transactions(tx: &Tx<'_>) -> Result<Vec<(Txid, TxState)>, StoreError> {
    let _ = tx;
    Err(StoreError::Damaged("to be written".to_owned()))
}

/// The tip of the last sync; none before the first.
pub fn synced_tip(tx: &Tx<'_>) -> Result<Option<Tip>, StoreError> {
    let _ = tx;
    Err(StoreError::Damaged("to be written".to_owned()))
}

/// The balance of one account.
pub fn balance(tx: &Tx<'_>, account: Account) -> Result<Amount, StoreError> {
    let _ = (tx, account);
    Err(StoreError::Damaged("to be written".to_owned()))
}
