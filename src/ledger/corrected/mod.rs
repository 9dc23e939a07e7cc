//! What a person said of a transaction before, and says otherwise now.
//!
//! Nothing is changed of what was said: a new event, under the name and reason of who corrects, takes it from the one account to the other. Only a person's own
//! word is corrected so. What an order of bursar's paid, and what moved to another wallet of ours, stands.
//!
//! A word is about a transaction in one wallet. Another wallet of the same daemon can have a part in it, too (coins of both are spent, or it has the same
//! keys), and what a person said of the one explains nothing there: the audit of the other one goes on naming it.

mod records;
#[cfg(test)]
mod tests;

use super::rules::Leg;
use super::wallets::FollowedWallet;
use super::{Account, Claim, Followed, LedgerError, records as tables};
use crate::store::{StoreError, Tx};

pub(super) use records::{by_word, forget, was_transfer};

/// The order that made a transaction of this wallet; none: it did not pay it, or nobody ordered it.
pub(super) fn order_of(tx: &Tx<'_>, wallet: &FollowedWallet, followed: &Followed) -> Result<Option<Claim>, StoreError> {
    if !followed.own {
        return Ok(None);
    }
    let mark = followed.comment.as_deref().filter(|_| wallet.pays);
    Ok(tables::claim_of(tx, &wallet.name, &followed.txid, mark)?.filter(|claim| !claim.is_persons_word()))
}

/// The account for which a person has a transaction of this wallet, where that word holds.
pub(super) fn word(tx: &Tx<'_>, wallet: &FollowedWallet, followed: &Followed) -> Result<Option<Account>, StoreError> {
    match order_of(tx, wallet, followed)? {
        Some(_) => Ok(None),
        None => records::word(tx, &wallet.name, &followed.txid),
    }
}

/// The postings that take a person's earlier word to `account`, and the event that said it; none: nobody said anything, or just that.
pub(super) fn correction(
    tx: &Tx<'_>,
    wallet: &FollowedWallet,
    followed: &Followed,
    account: Account,
) -> Result<Option<(Vec<Leg>, u64)>, LedgerError> {
    let Followed { txid, event: Some(event), .. } = followed else { return Ok(None) };
    let (Some(word), false) = (word(tx, wallet, followed)?, records::was_transfer(tx, txid)?) else { return Ok(None) };
    let mut legs = Vec::new();
    for (from, amount) in records::by_word(tx, &wallet.name, txid, *event, word)? {
        if from != account {
            let leg = |account, amount| Leg { account, vout: None, category: None, amount };
            legs.extend([leg(from, amount.checked_neg()?), leg(account, amount)]);
        }
    }
    if legs.is_empty() {
        return Ok(None);
    }
    Ok(Some((legs, records::last_word(tx, &wallet.name, txid, *event)?)))
}

/// If the transaction is taken back and posted again, the person's first word still holds; one that corrects it takes its place.
pub(super) fn remember(
    tx: &Tx<'_>,
    wallet: &FollowedWallet,
    followed: &Followed,
    account: Account,
    corrects: bool,
) -> Result<(), StoreError> {
    let Followed { txid, .. } = followed;
    if order_of(tx, wallet, followed)?.is_some() || (!corrects && records::word(tx, &wallet.name, txid)?.is_some()) {
        return Ok(());
    }
    records::put_word(tx, &wallet.name, txid, account)
}
