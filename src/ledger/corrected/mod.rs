//! What a person said of a transaction before, and says otherwise now.
//!
//! Nothing is changed of what was said: a new event, under the name and reason of who corrects, takes it from the one account to the other. Only a person's own
//! word is corrected so. What an order of bursar's paid, and what moved to another wallet of ours, stands.

mod records;
#[cfg(test)]
mod tests;

use super::rules::Leg;
use super::wallets::FollowedWallet;
use super::{Account, Claim, Followed, LedgerError, following, records as tables};
use crate::coin::Txid;
use crate::store::{StoreError, Tx};

/// The postings that take a person's earlier word to `account`, and the event that said it; none: nobody said anything, or just that.
pub(super) fn correction(
    tx: &Tx<'_>,
    wallet: &FollowedWallet,
    followed: &Followed,
    account: Account,
) -> Result<Option<(Vec<Leg>, u64)>, LedgerError> {
    let Followed { txid, event: Some(event), comment, .. } = followed else { return Ok(None) };
    let mark = comment.as_deref().filter(|_| wallet.pays);
    let claim = following::claim_of(tx, txid, mark)?.filter(Claim::is_persons_word);
    let (Some(claim), false) = (claim, records::was_transfer(tx, txid)?) else { return Ok(None) };
    let mut legs = Vec::new();
    for (from, amount) in records::by_word(tx, &wallet.name, txid, *event, claim.account)? {
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

/// If the transaction is taken back and posted again, the person's first word still holds.
pub(super) fn remember(tx: &Tx<'_>, txid: &Txid, account: Account) -> Result<(), StoreError> {
    if tables::claimed(tx, txid, None)?.is_none() {
        let order = format!("{}{txid}", Claim::PERSONS_WORD);
        tables::insert_claim(tx, &Claim { mark: order.clone(), order: order.clone(), account })?;
        tables::insert_claim_txid(tx, &order, txid)?;
    }
    Ok(())
}

/// From now on the word of this event holds.
pub(super) fn remember_correction(tx: &Tx<'_>, txid: &Txid, account: Account, event: u64) -> Result<(), StoreError> {
    let order = format!("{}{txid}:{event}", Claim::PERSONS_WORD);
    tables::insert_claim(tx, &Claim { mark: order.clone(), order: order.clone(), account })?;
    records::rebind(tx, &order, txid)
}
