//! A person's word for an amount that bursar cannot explain.

use super::rules::Leg;
use super::wallets::{self, FollowedWallet};
use super::{Account, Claim, Explained, Followed, Kind, LedgerError, records};
use crate::coin::{Amount, Timestamp, Txid};
use crate::store::Tx;

impl Claim {
    /// Begins the order of a claim that stands for a person's word, and for no order.
    const PERSONS_WORD: &str = "bursar:explained:";

    /// Whether it stands for what a person said of a transaction.
    pub fn is_persons_word(&self) -> bool {
        self.order.starts_with(Claim::PERSONS_WORD)
    }
}

/// A person's word about one transaction. What is unexplained of it moves to `account`; where that is none, or there is nothing to
/// move, the event moves nothing and stands for the word alone.
pub(super) fn word(
    tx: &Tx<'_>,
    txid: &Txid,
    account: Option<Account>,
    reason: &str,
    who: &str,
    now: Timestamp,
) -> Result<u64, LedgerError> {
    let refused = || LedgerError::Refused(format!("the ledger has not posted transaction {txid}; nothing was changed"));
    let wallet = wallets::paying(tx)?.ok_or_else(refused)?;
    let followed = records::followed_by_txid(tx, &wallet.name, txid)?.ok_or_else(refused)?;
    let event = followed.event.ok_or_else(refused)?;
    let mut legs = account.map_or_else(|| Ok(vec![]), |account| correction(tx, &wallet.name, &followed, account))?;
    if legs.is_empty() {
        let account = account.unwrap_or(Account::Payout);
        legs.push(Leg { account, vout: None, category: None, amount: Amount::ZERO });
    }
    // A word that moves nothing follows no amount that the wallet changed: an audit still has to name it.
    let counts_with = if account.is_some() { followed.seen_net } else { followed.net };
    append(tx, &wallet.name, &Followed { net: counts_with, ..followed }, event, &legs, (who, reason), now)
}

/// Corrects an event, under a person's name; from then on the transaction is what `followed` says of it.
fn append(
    tx: &Tx<'_>,
    wallet: &str,
    followed: &Followed,
    event: u64,
    legs: &[Leg],
    (who, reason): (&str, &str),
    now: Timestamp,
) -> Result<u64, LedgerError> {
    let header = records::Event {
        wallet,
        time: now,
        kind: Kind::Explained,
        txid: Some(followed.txid),
        block: None,
        reverses: Some(event),
        note: Some(format!("{who}: {reason}")),
    };
    let number = records::append(tx, &header, legs)?;
    records::put_followed(tx, wallet, followed, false)?;
    Ok(number)
}

pub(super) fn explain(
    tx: &Tx<'_>,
    wallet: Option<&str>,
    txid: &Txid,
    account: Account,
    reason: &str,
    who: &str,
    now: Timestamp,
) -> Result<Explained, LedgerError> {
    if matches!(account, Account::Wallet | Account::Unexplained) {
        return Err(LedgerError::Refused("explain against an account that says where the money came from or went".to_owned()));
    }
    let (wallet, followed) = place_to_explain(tx, wallet, txid, account)?;
    let legs = explanation(tx, &wallet, &followed, account)?;
    let Some(event) = followed.event.filter(|_| !legs.is_empty()) else {
        return Err(LedgerError::Refused(format!("nothing of transaction {txid} is unexplained; nothing was changed")));
    };
    let moved = legs.iter().filter(|leg| leg.account == account).map(|leg| leg.amount);
    let moved = Amount::sum(moved)?;
    let next = Followed { net: followed.seen_net, ..followed };
    let number = append(tx, &wallet.name, &next, event, &legs, (who, reason), now)?;
    remember(tx, txid, account)?;
    Ok(Explained { txid: *txid, account, amount: moved, event: number })
}

/// The wallet meant, and what it has of the transaction. Of several that have it, the only one in which something is to be explained.
fn place_to_explain(
    tx: &Tx<'_>,
    wallet: Option<&str>,
    txid: &Txid,
    account: Account,
) -> Result<(FollowedWallet, Followed), LedgerError> {
    let mut places = Vec::new();
    for known in wallets::wallets(tx)?.into_iter().filter(|known| wallet.is_none_or(|name| known.name == name)) {
        if let Some(followed) = records::followed_by_txid(tx, &known.name, txid)? {
            let open = !explanation(tx, &known, &followed, account)?.is_empty();
            places.push((known, followed, open));
        }
    }
    if places.iter().filter(|(.., open)| *open).count() > 1 {
        let wallets = places.iter().map(|(wallet, ..)| format!("'{}'", wallet.name)).collect::<Vec<_>>().join(", ");
        return Err(LedgerError::Ambiguous { txid: *txid, wallets });
    }
    places.sort_by_key(|(.., open)| !open);
    let place = places.into_iter().next().map(|(wallet, followed, _)| (wallet, followed));
    let of = wallet.map(|name| format!(" of wallet '{name}'")).unwrap_or_default();
    place.ok_or_else(|| LedgerError::Refused(format!("the ledger does not know transaction {txid}{of}; nothing was changed")))
}

/// The postings of an explanation; none: there is nothing to explain.
fn explanation(tx: &Tx<'_>, wallet: &FollowedWallet, followed: &Followed, account: Account) -> Result<Vec<Leg>, LedgerError> {
    let mut legs = correction(tx, &wallet.name, followed, account)?;
    if legs.is_empty() && account == Account::Internal && is_stray_move(tx, wallet, followed)? {
        // It stands where it belongs: the word alone is written down.
        legs.push(Leg { account, vout: None, category: None, amount: Amount::ZERO });
    }
    Ok(legs)
}

/// Whether a transaction moved money within the wallet, and nobody has said yet that it was to.
fn is_stray_move(tx: &Tx<'_>, wallet: &FollowedWallet, followed: &Followed) -> Result<bool, LedgerError> {
    let Some(event) = followed.event else { return Ok(false) };
    let standing = records::standing(tx, &wallet.name, &followed.txid, event)?;
    let moved = followed.own && standing.iter().any(|(account, _)| *account == Account::Internal);
    let comment = followed.comment.as_deref().filter(|_| wallet.pays);
    Ok(moved && records::claimed(tx, &followed.txid, comment)?.is_none())
}

/// The postings that take a transaction out of `unexplained`, and to the amount that the wallet gives it now.
fn correction(tx: &Tx<'_>, wallet: &str, followed: &Followed, account: Account) -> Result<Vec<Leg>, LedgerError> {
    let leg = |account, amount| Leg { account, vout: None, category: None, amount };
    let Some(event) = followed.event else { return Ok(vec![]) };
    let mut legs = Vec::new();
    for (from, amount) in records::standing(tx, wallet, &followed.txid, event)? {
        if from == Account::Unexplained {
            legs.extend([leg(from, amount.checked_neg()?), leg(account, amount)]);
        }
    }
    let change = followed.seen_net.checked_sub(followed.net)?;
    if change != Amount::ZERO {
        legs.extend([leg(Account::Wallet, change), leg(account, change.checked_neg()?)]);
    }
    Ok(legs)
}

/// If the transaction is taken back and posted again, the person's word still holds.
fn remember(tx: &Tx<'_>, txid: &Txid, account: Account) -> Result<(), LedgerError> {
    if records::claimed(tx, txid, None)?.is_none() {
        let order = format!("{}{txid}", Claim::PERSONS_WORD);
        records::insert_claim(tx, &Claim { mark: order.clone(), order: order.clone(), account })?;
        records::insert_claim_txid(tx, &order, txid)?;
    }
    Ok(())
}
