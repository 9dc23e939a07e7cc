//! What moves from one of our wallets to another is no payout and no deposit: it is `internal`.
//!
//! Each wallet posts its own leg when it shows it: a payment that nobody ordered as `unexplained`, a receipt as `deposit`. Whichever is posted second meets the
//! other one, by transaction, output and amount, and each moves to `internal` by an event of its own, so that `internal` sums to zero over both.
//! What an order of ours paid into another wallet stays a payout, and a deposit there: customers have addresses in it.
//!
//! What a person said a payment was before its other side was known, it is; unless that is `internal`, to which the other side then belongs, too. What was
//! said after both had met was about the rest of it.
//!
//! A leg that is taken back takes its part of `internal` with it, and meets the other one again when it is posted again.

mod records;
#[cfg(test)]
mod tests;

use tracing::info;

use super::records::{self as tables, Event};
use super::rules::Leg;
use super::{Account, Claim, Kind, LedgerError, credit, wallets};
use crate::coin::{Amount, Timestamp, Txid};
use crate::store::Tx;

/// A leg that is posted, or the one beside it.
struct Side<'a> {
    wallet: &'a str,
    event: u64,
    vout: u32,
    /// Where it was posted: of a receipt `deposit`; of a payment `unexplained`, or what a person had said of it.
    account: Account,
    /// What was posted there.
    amount: Amount,
}

impl Side<'_> {
    /// What stands of it in an account, output by output.
    fn standing(&self, tx: &Tx<'_>, txid: &Txid, account: Account) -> Result<Amount, LedgerError> {
        Ok(records::standing(tx, self.wallet, txid, self.event, self.vout, account)?)
    }

    /// Whether it stands as it was posted: no claim and no person's word has moved it.
    fn is_untouched(&self, tx: &Tx<'_>, txid: &Txid) -> Result<bool, LedgerError> {
        let all = tables::standing(tx, self.wallet, txid, self.event)?;
        let of_account = all.into_iter().find(|(account, _)| *account == self.account).map_or(Amount::ZERO, |(_, amount)| amount);
        let enough = if self.amount > Amount::ZERO { of_account >= self.amount } else { of_account <= self.amount };
        Ok(enough && self.standing(tx, txid, self.account)? == self.amount)
    }

    fn move_to_internal(&self, tx: &Tx<'_>, txid: Txid, now: Timestamp) -> Result<(), LedgerError> {
        let leg = |account, amount| Leg { account, vout: Some(self.vout), category: None, amount };
        let legs = [leg(self.account, self.amount.checked_neg()?), leg(Account::Internal, self.amount)];
        let header = Event {
            wallet: self.wallet,
            time: now,
            kind: Kind::Transfer,
            txid: Some(txid),
            block: None,
            reverses: Some(self.event),
            note: None,
        };
        tables::append(tx, &header, &legs)?;
        Ok(())
    }
}

/// What stands of a payment's output, as far as a transfer is concerned.
enum Payment {
    /// It is for `internal` already.
    Stands,
    /// It is to be moved there.
    Moves,
    /// An order, or a person, has said what else it is.
    SomethingElse,
}

impl Payment {
    fn of(tx: &Tx<'_>, payer: &Side<'_>, txid: &Txid) -> Result<Payment, LedgerError> {
        let claim = claim_of(tx, payer.wallet, txid)?;
        if claim.as_ref().is_some_and(|claim| !claim.is_persons_word()) {
            return Ok(Payment::SomethingElse);
        }
        let is_internal = payer.standing(tx, txid, Account::Internal)? == payer.amount;
        let waits = || payer.is_untouched(tx, txid);
        Ok(match claim.map(|word| word.account) {
            Some(Account::Internal) => Payment::Stands,
            // What was said then was about the rest of the payment.
            Some(_) if records::was_transfer_when_said(tx, payer.wallet, txid, payer.vout)? => match is_internal {
                true => Payment::Stands,
                false if waits()? => Payment::Moves,
                false => Payment::SomethingElse,
            },
            Some(_) => Payment::SomethingElse,
            None if is_internal => Payment::Stands,
            None if payer.account == Account::Unexplained && waits()? => Payment::Moves,
            None => Payment::SomethingElse,
        })
    }
}

/// The order that made a payment of this wallet, or what a person has said of it.
fn claim_of(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Option<Claim>, LedgerError> {
    let pays = wallets::wallet(tx, wallet)?.is_some_and(|known| known.pays);
    let mark = tables::followed_by_txid(tx, wallet, txid)?.and_then(|followed| followed.comment).filter(|_| pays);
    Ok(tables::claim_of(tx, wallet, txid, mark.as_deref())?)
}

/// Moves both sides to `internal`, as far as they are not there. Returns how many events that took; none: they are no transfer.
fn meet(tx: &Tx<'_>, payer: &Side<'_>, receiver: &Side<'_>, txid: &Txid, now: Timestamp) -> Result<Option<u64>, LedgerError> {
    let receives = receiver.is_untouched(tx, txid)?;
    if !receives && receiver.standing(tx, txid, Account::Internal)? != receiver.amount {
        return Ok(None);
    }
    let pays = match Payment::of(tx, payer, txid)? {
        Payment::SomethingElse => return Ok(None),
        Payment::Moves => true,
        Payment::Stands => false,
    };
    for (side, _) in [(payer, pays), (receiver, receives)].into_iter().filter(|(_, moves)| *moves) {
        side.move_to_internal(tx, *txid, now)?;
    }
    credit::withdraw(tx, receiver.event, receiver.vout)?;
    info!(%txid, vout = payer.vout, from = payer.wallet, to = receiver.wallet, "a transfer between two wallets of ours");
    Ok(Some(u64::from(pays) + u64::from(receives)))
}

/// Looks for the other side of what this wallet has posted by `event`, and moves both to `internal`. Returns the outputs that are no deposits by that, and
/// how many events it took.
pub(super) fn settle(
    tx: &Tx<'_>,
    wallet: &str,
    event: u64,
    txid: &Txid,
    legs: &[Leg],
    now: Timestamp,
) -> Result<(Vec<u32>, u64), LedgerError> {
    let (mut received, mut moved) = (Vec::new(), 0);
    let others = records::elsewhere(tx, wallet, txid)?;
    for leg in legs.iter().filter(|_| !others.is_empty()) {
        let Some(vout) = leg.vout else { continue };
        let own = Side { wallet, event, vout, account: leg.account, amount: leg.amount };
        let receives = leg.account == Account::Deposit;
        for (other, event) in &others {
            let category = if receives { "send" } else { "receive" };
            let opposite = (other.as_str(), *event, vout, leg.amount.checked_neg()?);
            let Some(other) = records::posted(tx, opposite, txid, category)? else { continue };
            let (payer, receiver) = if receives { (&other, &own) } else { (&own, &other) };
            let Some(events) = meet(tx, payer, receiver, txid, now)? else { continue };
            moved += events;
            received.extend(receives.then_some(vout));
            break;
        }
    }
    Ok((received, moved))
}

/// The same when a person has said that a payment was internal, after another wallet had posted what it received by it.
pub(super) fn settle_said(tx: &Tx<'_>, wallet: &str, event: u64, txid: &Txid, now: Timestamp) -> Result<(), LedgerError> {
    let legs = records::sends(tx, wallet, event, txid)?;
    settle(tx, wallet, event, txid, &legs, now)?;
    Ok(())
}
