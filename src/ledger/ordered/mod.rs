//! A transaction that was posted, and turns out to be what an order of bursar's paid: by its mark, by what it pays, or by a person's ruling.
//!
//! What stands of it until then yields, by a new event in each wallet that has a part in it. What was paid goes to the order's account, from wherever a
//! person, the opening, or a move to ourselves put it. What a wallet of ours received by it is a deposit, and waits for its credit: customers have
//! addresses of ours. What is unexplained is moved by the next sync, as always.

mod records;
#[cfg(test)]
mod tests;

use tracing::warn;

use super::records::{self as tables, Event};
use super::rules::Leg;
use super::{Account, Followed, Kind, corrected, credit, wallets};
use crate::coin::{Amount, AmountError, Timestamp, Txid};
use crate::store::{StoreError, Tx};

/// An order, and what is written down about a transaction that turns out to be its own.
struct Order<'a> {
    txid: &'a Txid,
    /// Against which its payments are posted.
    account: Account,
    note: String,
    now: Timestamp,
}

/// Gives a transaction to an order, in the books of each wallet. Returns the account for which a person, or the opening, had it.
pub(super) fn settle(tx: &Tx<'_>, order: &str, txid: &Txid, now: Timestamp) -> Result<Option<Account>, StoreError> {
    let Some(account) = tables::account_of(tx, order)? else { return Ok(None) };
    let note = format!("it is what order {order} paid");
    let order = Order { txid, account, note, now };
    let mut stood = None;
    for wallet in wallets::wallets(tx)? {
        let Some(followed) = tables::followed_by_txid(tx, &wallet.name, txid)? else { continue };
        if !followed.own {
            order.received(tx, &wallet.name, &followed)?;
            continue;
        }
        let bound = records::bound_account(tx, &wallet.name, txid)?;
        let said = corrected::forget(tx, &wallet.name, txid)?.or(bound).filter(|said| *said != account);
        order.paid(tx, &wallet.name, &followed, said)?;
        stood = stood.or(said);
    }
    if let Some(stood) = stood {
        warn!(%txid, stood = stood.name(), "{}: what was said of it is corrected", order.note);
    }
    Ok(stood)
}

impl Order<'_> {
    /// Of the wallet that paid it.
    fn paid(&self, tx: &Tx<'_>, wallet: &str, followed: &Followed, said: Option<Account>) -> Result<(), StoreError> {
        let Some(event) = followed.event else { return Ok(()) };
        let to_ourselves = tables::standing(tx, wallet, self.txid, event)?;
        let mut moved: Vec<(Account, Amount)> = to_ourselves
            .into_iter()
            .filter(|(account, amount)| *account == Account::Internal && *amount > Amount::ZERO)
            .collect();
        if let Some(said) = said {
            let said = corrected::by_word(tx, wallet, self.txid, event, said)?;
            moved.extend(said.into_iter().filter(|(account, _)| *account != Account::Internal));
        }
        let mut legs = Vec::new();
        for (from, amount) in moved.into_iter().filter(|(account, _)| *account != self.account) {
            legs.extend(transfer(from, self.account, None, amount)?);
        }
        self.append(tx, wallet, event, &legs)?;
        for (vout, amount) in records::received_within(tx, event)? {
            self.await_credit(tx, wallet, followed, event, (vout, amount))?;
        }
        Ok(())
    }

    /// Of another wallet of ours that received it.
    fn received(&self, tx: &Tx<'_>, wallet: &str, followed: &Followed) -> Result<(), StoreError> {
        let Some(event) = followed.event else { return Ok(()) };
        let mut legs = Vec::new();
        let transferred = records::transferred(tx, wallet, self.txid, event)?;
        for (vout, amount) in &transferred {
            legs.extend(transfer(Account::Internal, Account::Deposit, Some(*vout), *amount)?);
        }
        self.append(tx, wallet, event, &legs)?;
        for (vout, amount) in transferred {
            self.await_credit(tx, wallet, followed, event, (vout, amount.checked_neg().map_err(damaged)?))?;
        }
        Ok(())
    }

    fn append(&self, tx: &Tx<'_>, wallet: &str, event: u64, legs: &[Leg]) -> Result<(), StoreError> {
        if legs.is_empty() {
            return Ok(());
        }
        let header = Event {
            wallet,
            time: self.now,
            kind: Kind::Claimed,
            txid: Some(*self.txid),
            block: None,
            reverses: Some(event),
            note: Some(self.note.clone()),
        };
        tables::append(tx, &header, legs).map(drop)
    }

    /// The next sync asks for the transaction again, however deep it is: by that it learns the address.
    fn await_credit(
        &self,
        tx: &Tx<'_>,
        wallet: &str,
        followed: &Followed,
        event: u64,
        deposit: (u32, Amount),
    ) -> Result<(), StoreError> {
        credit::await_credit(tx, wallet, self.txid, event, deposit)?;
        tables::put_followed(tx, wallet, &Followed { is_final: false, ..followed.clone() }, false)
    }
}

fn transfer(from: Account, to: Account, vout: Option<u32>, amount: Amount) -> Result<[Leg; 2], StoreError> {
    let leg = |account, amount| Leg { account, vout, category: None, amount };
    Ok([leg(from, amount.checked_neg().map_err(damaged)?), leg(to, amount)])
}

fn damaged(error: AmountError) -> StoreError {
    StoreError::Damaged(format!("table entries: {error}"))
}
