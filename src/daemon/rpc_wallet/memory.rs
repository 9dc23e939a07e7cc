//! The coins of the last listing, for as long as nothing can have changed them.
//!
//! `listunspent` takes the daemon a quarter of a millisecond per coin: for the 2,500 coins of a wallet that takes deposits it is as long as half the
//! payment (0.6 s of 1 s, Litecoin 0.21), and a flush asks twice. What a wallet can spend changes with the chain, with its transactions, with what
//! the mempool does to them, and with its locks; four quick questions tell whether any of these moved.

use std::sync::{Mutex, PoisonError};

use super::super::{Balances, RpcError, Tip, Unspent, Wallet};
use super::RpcWallet;
use crate::coin::OutPoint;

/// More coins than these are not kept: a few megabytes in a service that stays for months.
const COINS_KEPT: usize = 10_000;

/// What moves when the coins do.
#[derive(Debug, PartialEq, Eq)]
struct Ground {
    tip: Tip,
    tx_count: u64,
    /// These tell of transactions that were abandoned, evicted or replaced.
    balances: Balances,
    locked: Vec<OutPoint>,
}

/// The last listing, and the ground it was taken on.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Option<(Ground, Vec<Unspent>)>>);

impl RpcWallet {
    pub(super) fn remembered_coins(&self) -> Result<Vec<Unspent>, RpcError> {
        let Some(ground) = self.ground()? else { return self.unspent() };
        {
            let memory = self.memory.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((then, coins)) = memory.as_ref()
                && *then == ground
            {
                return Ok(coins.clone());
            }
        }
        // Listed after its ground was read: whatever moved in between makes the next reading of the ground another one.
        let coins = self.unspent()?;
        let kept = (coins.len() <= COINS_KEPT).then(|| (ground, coins.clone()));
        *self.memory.0.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(coins)
    }

    /// None where the daemon does not count its transactions.
    fn ground(&self) -> Result<Option<Ground>, RpcError> {
        let Some(tx_count) = self.wallet_info()?.txcount else { return Ok(None) };
        let (tip, balances, mut locked) = (self.tip()?, self.balances()?, self.locked()?);
        locked.sort_unstable();
        Ok(Some(Ground { tip, tx_count, balances, locked }))
    }
}
