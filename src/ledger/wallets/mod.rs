//! The wallets that this ledger follows. One of them pays; the others of its daemon are followed beside it, and what orders and claims mean is the
//! paying one's.

mod records;

use serde::{Deserialize, Serialize};

use super::{ACCOUNTS, Account, records as tables};
use crate::coin::Amount;
use crate::config::CoinSettings;
use crate::daemon::Tip;
use crate::store::{StoreError, Tx};

pub(super) use records::{FollowedWallet, insert_wallet, move_cursor, move_wallet, paying, replace_fingerprint, wallet, wallets};

/// A wallet of this coin, and how far its ledger is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerWallet {
    /// Its name; empty for the default one.
    pub name: String,
    /// Whether it is the one that pays.
    pub pays: bool,
    /// Where its ledger stands; none: it was never in step with it.
    pub tip: Option<Tip>,
}

/// What an account holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountBalance {
    /// The wallet.
    pub wallet: String,
    /// The account.
    pub account: Account,
    /// Signed, see [`Account`].
    pub amount: Amount,
}

/// The wallets of this ledger, the paying one first: those of the settings, begun or not, and those that were followed once.
pub(super) fn all(tx: &Tx<'_>, coin: &CoinSettings) -> Result<Vec<LedgerWallet>, StoreError> {
    let begun = wallets(tx)?.into_iter().map(|wallet| LedgerWallet { name: wallet.name, pays: wallet.pays, tip: wallet.tip });
    let mut found: Vec<LedgerWallet> = begun.collect();
    if !found.iter().any(|wallet| wallet.pays) {
        found.insert(0, LedgerWallet { name: coin.wallet.name.clone(), pays: true, tip: None });
    }
    for name in &coin.wallet.follow {
        if !found.iter().any(|wallet| wallet.name == *name) {
            found.push(LedgerWallet { name: name.clone(), pays: false, tip: None });
        }
    }
    Ok(found)
}

/// The balances of all accounts, wallet by wallet.
pub(super) fn balances(tx: &Tx<'_>, coin: &CoinSettings) -> Result<Vec<AccountBalance>, StoreError> {
    let mut balances = Vec::new();
    for LedgerWallet { name, .. } in all(tx, coin)? {
        for account in ACCOUNTS {
            let amount = tables::balance(tx, &name, account)?;
            balances.push(AccountBalance { wallet: name.clone(), account, amount });
        }
    }
    Ok(balances)
}

/// What `work` says of the paying wallet; nothing while none has begun.
pub(super) fn of_paying<T: Default>(tx: &Tx<'_>, work: impl FnOnce(&str) -> Result<T, StoreError>) -> Result<T, StoreError> {
    paying(tx)?.map_or_else(|| Ok(T::default()), |wallet| work(&wallet.name))
}
