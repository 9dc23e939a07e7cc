//! The chain's own word about the wallet's coins, where the settings allow to ask for it: `scantxoutset` looks for all addresses of the wallet.
//!
//! Ledger and wallet can agree and both be wrong: a wallet that was restored from an old copy does not know that it was paid, and then nor does the
//! ledger. What the chain holds for an address of the wallet, the wallet has to list.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::AuditError;
use crate::coin::{Amount, AmountError, OutPoint};
use crate::daemon::{HeldCoin, RpcError, Wallet};
use crate::ledger::{TxState, following};
use crate::store::Store;

/// Coins that are named.
const NAMED: usize = 20;
/// How often a scan starts over because a block came meanwhile.
const SCANS: u32 = 3;

/// What the chain holds for the wallet's addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainSide {
    /// How many addresses were looked for: those of which the wallet has the key.
    pub addresses: u64,
    /// How many coins the chain holds for them.
    pub coins: u64,
    /// Their sum.
    pub total: Amount,
    /// Those that the wallet does not list; the first of them.
    pub unlisted: Vec<HeldCoin>,
    /// How many there are, and their sum.
    pub missed: (u64, Amount),
    /// Why the chain was not asked, or gave no answer; the rest is then empty.
    pub note: Option<String>,
}

impl ChainSide {
    fn unasked(why: impl ToString) -> ChainSide {
        let none = Amount::ZERO;
        ChainSide { addresses: 0, coins: 0, total: none, unlisted: vec![], missed: (0, none), note: Some(why.to_string()) }
    }

    /// What is wrong, in words; none: nothing.
    pub(super) fn remark(&self) -> Option<String> {
        let (coins, sum) = self.missed;
        (coins > 0).then(|| {
            format!(
                "the chain holds {coins} coins for addresses of the wallet that the wallet does not list, of {} base units together",
                sum.base_units()
            )
        })
    }
}

/// Asks the chain. A daemon that cannot say, or does not, is no finding, and takes nothing from what was found otherwise.
pub(super) fn ask(store: &mut Store, wallet: &dyn Wallet, name: &str) -> ChainSide {
    scan(store, wallet, name).unwrap_or_else(ChainSide::unasked)
}

fn scan(store: &mut Store, wallet: &dyn Wallet, name: &str) -> Result<ChainSide, AuditError> {
    let addresses = own(wallet)?;
    for _ in 0..SCANS {
        let tip = wallet.tip()?;
        let Some(held) = wallet.scan_chain(&addresses)? else {
            return Ok(ChainSide::unasked("this daemon has no scantxoutset"));
        };
        let unlisted = unlisted(store, wallet, name, &held)?;
        if wallet.tip()? == tip {
            return Ok(side(addresses.len(), &held, unlisted)?);
        }
    }
    Ok(ChainSide::unasked(format!("a block came during each of {SCANS} scans")))
}

/// The wallet may know addresses that it only watches, or shares with others.
fn own(wallet: &dyn Wallet) -> Result<Vec<String>, RpcError> {
    let mut own = Vec::new();
    for address in wallet.own_addresses()? {
        if wallet.address(&address)?.is_mine {
            own.push(address);
        }
    }
    Ok(own)
}

/// Those that the wallet neither lists nor has locked, that do not mature, and that no transaction of the mempool spends.
fn unlisted(store: &mut Store, wallet: &dyn Wallet, name: &str, held: &[HeldCoin]) -> Result<Vec<HeldCoin>, AuditError> {
    let mut listed: BTreeSet<OutPoint> = wallet.unspent()?.into_iter().map(|coin| coin.outpoint).collect();
    listed.extend(wallet.locked()?);
    let mut unlisted = Vec::new();
    for coin in held.iter().filter(|coin| !listed.contains(&coin.outpoint)) {
        let followed = store.read(|tx| following::one(tx, name, &coin.outpoint.txid))?;
        let matures = followed.is_some_and(|followed| matches!(followed.state, TxState::Immature { .. }));
        if !matures && wallet.chain_coin(&coin.outpoint)?.is_some() {
            unlisted.push(*coin);
        }
    }
    Ok(unlisted)
}

fn side(addresses: usize, held: &[HeldCoin], mut unlisted: Vec<HeldCoin>) -> Result<ChainSide, AmountError> {
    let sum = |coins: &[HeldCoin]| Amount::sum(coins.iter().map(|coin| coin.amount));
    let (total, missed) = (sum(held)?, (unlisted.len() as u64, sum(&unlisted)?));
    unlisted.truncate(NAMED);
    Ok(ChainSide { addresses: addresses as u64, coins: held.len() as u64, total, unlisted, missed, note: None })
}
