//! The wallet is the same as before: what it was last known to hold, compared after each start of the daemon.
//!
//! An old daemon puts a new empty wallet in the place of a deleted file, or a partial one in the place of a damaged one, and starts as if
//! all were well. Its keys tell (the fingerprint that the ledger knows), and where they do not, numbers do: a wallet forgets neither a
//! transaction nor an address by itself. So both are recorded, they only grow, and fewer freeze payouts.

mod records;
mod rules;

use serde::{Deserialize, Serialize};
use tracing::{error, warn};

use super::{LedgerError, flow};
use crate::coin::Timestamp;
use crate::config::CoinSettings;
use crate::daemon::{self, RpcError, Wallet, WalletIdentity};
use crate::gate::{self, Cause};
use crate::store::{Store, StoreError, Tx};

pub use records::last;

/// What a wallet holds, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holdings {
    /// Transactions that it knows.
    pub tx_count: u64,
    /// Addresses that it gave out.
    pub addresses: u64,
}

/// The record of a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The most that it was seen to hold.
    pub known: Holdings,
    /// Since when.
    pub at: Timestamp,
    /// What it held at the last comparison.
    pub found: Holdings,
}

/// Compares the wallet with its record. Fewer transactions or addresses freeze payouts until it has them again, a repair ended well, or a
/// person takes it as it is; more are recorded. Returns what is wrong, in words.
///
/// # Errors
/// [`LedgerError::OtherWallet`], which freezes, when its keys are not those that the ledger follows.
pub fn compare(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    now: Timestamp,
) -> Result<Option<String>, LedgerError> {
    let identity = wallet.identity()?;
    flow::is_the_followed_wallet(store, &identity, coin, now)?;
    let found = holdings(&identity, wallet)?;
    let Some(record) = store.read(|tx| records::last(tx, &identity.name))? else {
        store.write(|tx| records::put(tx, &identity.name, &Sighting { known: found, at: now, found }))?;
        return Ok(None);
    };
    let vanished = if found.tx_count < record.known.tx_count { harmlessly_gone(store, wallet, &identity.name)? } else { 0 };
    let loss = rules::loss(&identity.name, &record.known, &found, vanished);
    let known = match loss {
        None => rules::grown(&record.known, &found, vanished),
        Some(_) => record.known,
    };
    let next = Sighting { known, at: if known == record.known { record.at } else { now }, found };
    store.write::<_, StoreError>(|tx| {
        if next != record {
            records::put(tx, &identity.name, &next)?;
        }
        gate::follow(
            tx,
            Cause::ShrunkWallet,
            coin.wallet.followed(&identity.name),
            loss.as_deref(),
            "the wallet holds all that it held",
            now,
        )?;
        Ok(())
    })?;
    if let Some(words) = &loss {
        error!("{words}: payouts are frozen");
    }
    Ok(loss)
}

/// Takes the wallet as it is: a repair ended with an audit that agrees.
pub fn renew(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    proof: &str,
    now: Timestamp,
) -> Result<(), LedgerError> {
    let identity = wallet.identity()?;
    let found = holdings(&identity, wallet)?;
    Ok(store.write::<_, StoreError>(|tx| {
        records::put(tx, &identity.name, &Sighting { known: found, at: now, found })?;
        gate::cleared(tx, Cause::ShrunkWallet, coin.wallet.followed(&identity.name), proof, now)?;
        Ok(())
    })?)
}

/// A person takes a followed wallet (none: the paying one) as it was at the last comparison.
pub fn accept(tx: &Tx<'_>, followed: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
    warn!(followed, "a person takes the wallet as it is");
    records::accept(tx, followed, now)
}

/// A sync saw so many transactions: the record grows with them, if there is one.
pub(super) fn grow(tx: &Tx<'_>, wallet: &str, tx_count: u64, now: Timestamp) -> Result<(), StoreError> {
    records::grow(tx, wallet, tx_count, now)
}

fn holdings(identity: &WalletIdentity, wallet: &dyn Wallet) -> Result<Holdings, LedgerError> {
    Ok(Holdings { tx_count: identity.tx_count, addresses: wallet.received_addresses()? })
}

/// Transactions that the wallet may rightly know no more: strangers' that never confirmed, and dead ones.
fn harmlessly_gone(store: &mut Store, wallet: &dyn Wallet, name: &str) -> Result<u64, LedgerError> {
    let mut gone = store.read(|tx| records::may_go(tx, name))?;
    daemon::each_entry(wallet, None, |entry| {
        gone.remove(&entry.txid);
        Ok::<_, RpcError>(())
    })?;
    Ok(gone.len() as u64)
}
