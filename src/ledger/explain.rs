//! A person's word for an amount that bursar cannot explain.

use super::rules::{self, Leg};
use super::wallets::{self, FollowedWallet};
use super::{Account, Claim, Explained, Followed, Kind, LedgerError, corrected, records, transfer};
use crate::coin::{Amount, Timestamp, Txid};
use crate::store::Tx;

impl Claim {
    /// Begins the order of a claim that stands for a person's word, and for no order.
    pub(super) const PERSONS_WORD: &str = "bursar:explained:";

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

/// What a person's word comes to.
struct Explanation {
    legs: Vec<Leg>,
    /// The event that it takes back or corrects.
    event: u64,
    /// Whether that is a person's word, too.
    corrects_word: bool,
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
    if !account.explains() {
        let why = "it does not say where money came from, or what it was for".to_owned();
        return Err(LedgerError::WrongAccount { txid: *txid, account, why });
    }
    let (wallet, followed, explanation) = place_to_explain(tx, wallet, txid, account)?;
    let Some(explanation) = explanation else { return Err(nothing_to_explain(tx, &wallet, &followed, account)?) };
    let Explanation { legs, event, corrects_word } = explanation;
    let moved = Amount::sum(legs.iter().filter(|leg| leg.account == account).map(|leg| leg.amount))?;
    let begun = followed.event.unwrap_or(event);
    let stands = records::standing(tx, &wallet.name, txid, begun)?.iter().any(|(known, _)| *known == account);
    let wrong = |why: &str| LedgerError::WrongAccount { txid: *txid, account, why: why.to_owned() };
    let brought = legs.iter().any(|leg| ![account, Account::Wallet].contains(&leg.account) && leg.amount > Amount::ZERO);
    rules::may_explain(account, followed.own, stands, brought).map_err(wrong)?;
    let next = Followed { net: followed.seen_net, ..followed };
    let number = append(tx, &wallet.name, &next, event, &legs, (who, reason), now)?;
    corrected::remember(tx, &wallet, &next, account, corrects_word)?;
    if account == Account::Internal {
        transfer::settle_said(tx, &wallet.name, begun, txid, now)?;
    }
    Ok(Explained { txid: *txid, account, amount: moved, event: number })
}

fn nothing_to_explain(
    tx: &Tx<'_>,
    wallet: &FollowedWallet,
    followed: &Followed,
    account: Account,
) -> Result<LedgerError, LedgerError> {
    let txid = &followed.txid;
    if let Some(Claim { order, account, .. }) = corrected::order_of(tx, wallet, followed)? {
        let words = "and what an order paid is nobody's to explain otherwise; nothing was changed";
        return Ok(LedgerError::Refused(format!("transaction {txid} belongs to order {order} ({}), {words}", account.name())));
    }
    if corrected::word(tx, wallet, followed)? == Some(account) {
        let words =
            format!("transaction {txid} stands under {} already, by a person's word; nothing was changed", account.name());
        return Ok(LedgerError::Refused(words));
    }
    let words = "is unexplained, and nobody said anything else of it that could be corrected; nothing was changed. `bursar audit explain` tells what stands";
    Ok(LedgerError::Refused(format!("nothing of transaction {txid} {words}")))
}

/// The wallet meant, and what it has of the transaction. Of several that have it, the only one in which something is to be explained.
fn place_to_explain(
    tx: &Tx<'_>,
    wallet: Option<&str>,
    txid: &Txid,
    account: Account,
) -> Result<(FollowedWallet, Followed, Option<Explanation>), LedgerError> {
    let mut places = Vec::new();
    for known in wallets::wallets(tx)?.into_iter().filter(|known| wallet.is_none_or(|name| known.name == name)) {
        if let Some(followed) = records::followed_by_txid(tx, &known.name, txid)? {
            let explanation = explanation(tx, &known, &followed, account)?;
            places.push((known, followed, explanation));
        }
    }
    if places.iter().filter(|(.., explanation)| explanation.is_some()).count() > 1 {
        let wallets = places.iter().map(|(wallet, ..)| format!("'{}'", wallet.name)).collect::<Vec<_>>().join(", ");
        return Err(LedgerError::Ambiguous { txid: *txid, wallets });
    }
    places.sort_by_key(|(.., explanation)| explanation.is_none());
    let of = wallet.map(|name| format!(" of wallet '{name}'")).unwrap_or_default();
    places.into_iter().next().ok_or(LedgerError::Unknown { txid: *txid, of })
}

/// What this word would come to; none: there is nothing to explain, nor a person's word to correct.
fn explanation(
    tx: &Tx<'_>,
    wallet: &FollowedWallet,
    followed: &Followed,
    account: Account,
) -> Result<Option<Explanation>, LedgerError> {
    let Some(event) = followed.event else { return Ok(None) };
    let mut legs = correction(tx, &wallet.name, followed, account)?;
    if legs.is_empty() && account == Account::Internal && is_stray_move(tx, wallet, followed)? {
        // It stands where it belongs: the word alone is written down.
        legs.push(Leg { account, vout: None, category: None, amount: Amount::ZERO });
    }
    if !legs.is_empty() {
        return Ok(Some(Explanation { legs, event, corrects_word: false }));
    }
    let former = corrected::correction(tx, wallet, followed, account)?;
    Ok(former.map(|(legs, event)| Explanation { legs, event, corrects_word: true }))
}

/// Whether a transaction moved money within the wallet, and nobody has said yet that it was to.
fn is_stray_move(tx: &Tx<'_>, wallet: &FollowedWallet, followed: &Followed) -> Result<bool, LedgerError> {
    let Some(event) = followed.event else { return Ok(false) };
    let standing = records::standing(tx, &wallet.name, &followed.txid, event)?;
    let moved = followed.own && standing.iter().any(|(account, _)| *account == Account::Internal);
    let comment = followed.comment.as_deref().filter(|_| wallet.pays);
    Ok(moved && records::claim_of(tx, &wallet.name, &followed.txid, comment)?.is_none())
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
