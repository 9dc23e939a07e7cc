//! What was read of the wallet before, for as long as nothing can have changed it.
//!
//! The coins of the last listing: `listunspent` takes the daemon a quarter of a millisecond per coin: for the 2,500 coins of a wallet that takes deposits it is as long as half the
//! payment (0.6 s of 1 s, Litecoin 0.21), and a flush asks twice. What a wallet can spend changes with the chain, with its transactions, with what
//! the mempool does to them, and with its locks; four quick questions tell whether any of these moved: two milliseconds, where listing sixty coins takes
//! fifteen.
//!
//! The comments of a few transactions: reading one that pays a thousand takes 10 ms, and each flush looks at three of those before it. A wallet loses
//! comments when it is repaired, zapped or replaced, and all of that needs a start of the daemon.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::super::{Balances, RpcError, Tip, Unspent, Wallet, WalletTx};
use super::RpcWallet;
use crate::coin::{OutPoint, Txid};

/// More coins than these are not kept: a few megabytes in a service that stays for months.
const COINS_KEPT: usize = 10_000;
/// Transactions whose comments are kept: the last ones that were read.
const COMMENTED_KEPT: usize = 16;

/// A daemon counts the whole seconds of its clock: it may say almost one more than it has run.
const UPTIME_ERROR: Duration = Duration::from_secs(1);

/// What moves when the coins do.
#[derive(Debug, PartialEq, Eq)]
struct Ground {
    tip: Tip,
    tx_count: u64,
    /// These tell of transactions that were abandoned, evicted or replaced.
    balances: Balances,
    locked: Vec<OutPoint>,
}

/// A transaction that was read.
#[derive(Debug)]
struct Commented {
    txid: Txid,
    comment: String,
    /// When, at the earliest.
    read: Instant,
}

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The last listing, and the ground it was taken on.
    coins: Mutex<Option<(Ground, Vec<Unspent>)>>,
    /// Oldest first; each transaction once.
    commented: Mutex<VecDeque<Commented>>,
}

impl Memory {
    /// Keeps what an answer said about a transaction, and nothing of before.
    pub(super) fn note(&self, txid: &Txid, known: Option<&WalletTx>, read: Instant) {
        let mut commented = open(&self.commented);
        commented.retain(|kept| kept.txid != *txid);
        let Some(comment) = known.and_then(|known| known.entries.iter().find_map(|entry| entry.comment.clone())) else { return };
        if commented.len() >= COMMENTED_KEPT {
            commented.pop_front();
        }
        commented.push_back(Commented { txid: *txid, comment, read });
    }

    /// How long ago this transaction was seen with this comment.
    fn seen_with(&self, txid: &Txid, comment: &str) -> Option<Duration> {
        let commented = open(&self.commented);
        let kept = commented.iter().find(|kept| kept.txid == *txid && kept.comment == comment);
        kept.map(|kept| kept.read.elapsed())
    }
}

fn open<T>(memory: &Mutex<T>) -> MutexGuard<'_, T> {
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RpcWallet {
    /// The coins, and the balances of the same moment where these had to be asked for.
    pub(super) fn remembered_coins(&self) -> Result<(Vec<Unspent>, Option<Balances>), RpcError> {
        let Some(ground) = self.ground()? else { return Ok((self.unspent()?, None)) };
        if let Some((then, coins)) = open(&self.memory.coins).as_ref()
            && *then == ground
        {
            return Ok((coins.clone(), Some(ground.balances)));
        }
        let coins = self.unspent()?;
        // Kept only if the ground is the same after it: when a block leaves the chain, its transactions are gone for a moment before the
        // mempool has them again, and what was listed in that moment must not stand for the ground on either side of it.
        let still = coins.len() <= COINS_KEPT && self.ground()?.is_some_and(|after| after == ground);
        let balances = still.then_some(ground.balances);
        let kept = still.then(|| (ground, coins.clone()));
        *open(&self.memory.coins) = kept;
        Ok((coins, balances))
    }

    /// One that was seen with its comment in this run of the daemon is not read again.
    pub(super) fn remembered_carrying(&self, commented: &[(Txid, String)]) -> Result<Vec<Txid>, RpcError> {
        let mut ages = Vec::with_capacity(commented.len());
        for (txid, comment) in commented {
            ages.push(self.memory.seen_with(txid, comment));
        }
        // A daemon that does not say how long it has run may have been started since.
        let run = ages.iter().any(Option::is_some).then(|| self.uptime_s().ok().flatten().map(Duration::from_secs)).flatten();
        let mut carrying = Vec::new();
        for ((txid, comment), age) in commented.iter().zip(ages) {
            let is_of_this_run = age.zip(run).is_some_and(|(age, run)| age + UPTIME_ERROR <= run);
            if is_of_this_run || self.transaction(txid)?.is_some_and(|known| known.has_comment(comment)) {
                carrying.push(*txid);
            }
        }
        Ok(carrying)
    }

    /// None where the daemon does not count its transactions.
    fn ground(&self) -> Result<Option<Ground>, RpcError> {
        let Some(tx_count) = self.wallet_info()?.txcount else { return Ok(None) };
        let (tip, balances, mut locked) = (self.tip()?, self.balances()?, self.locked()?);
        locked.sort_unstable();
        Ok(Some(Ground { tip, tx_count, balances, locked }))
    }
}
