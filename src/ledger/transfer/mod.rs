//! What moves from one of our wallets to another is no payout and no deposit: it is `internal`.
//!
//! Each wallet posts its own leg when it shows it: a payment that nobody ordered as `unexplained`, a receipt as `deposit`. Whichever is posted second meets the
//! other one, by transaction, output and amount, and each moves to `internal` by an event of its own, so that `internal` sums to zero over both.
//! What an order of ours paid into another wallet stays a payout, and a deposit there: customers have addresses in it.
//!
//! A leg that is taken back takes its part of `internal` with it, and meets the other one again when it is posted again.

mod records;

use tracing::info;

use super::credit;
use super::flow::Desk;
use super::records::{self as tables, Event};
use super::rules::Leg;
use super::{Account, Kind, LedgerError};
use crate::coin::{Amount, Timestamp, Txid};
use crate::store::Tx;

/// A leg that is posted, or the one beside it.
struct Side<'a> {
    wallet: &'a str,
    event: u64,
    vout: u32,
    /// Where it was posted: `unexplained` or `deposit`.
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

/// Looks for the other side of what this wallet has just posted by `event`, and moves both to `internal`. Returns the outputs that are no deposits by
/// that, and how many events it took.
pub(super) fn settle(
    tx: &Tx<'_>,
    desk: &Desk<'_>,
    event: u64,
    txid: &Txid,
    legs: &[Leg],
) -> Result<(Vec<u32>, u64), LedgerError> {
    let (mut received, mut moved) = (Vec::new(), 0);
    let others = records::elsewhere(tx, desk.wallet, txid)?;
    if others.is_empty() {
        return Ok((received, moved));
    }
    for leg in legs {
        let (Some(vout), Account::Unexplained | Account::Deposit) = (leg.vout, leg.account) else { continue };
        let own = Side { wallet: desk.wallet, event, vout, account: leg.account, amount: leg.amount };
        // Paid and received within this wallet: it stands under `internal` already, or is explained.
        if !own.is_untouched(tx, txid)? {
            continue;
        }
        for (wallet, event) in &others {
            let opposite = if leg.account == Account::Deposit { Account::Unexplained } else { Account::Deposit };
            let other = Side { wallet, event: *event, vout, account: opposite, amount: leg.amount.checked_neg()? };
            if !records::posted(tx, &other, txid)? {
                continue;
            }
            let waits = other.is_untouched(tx, txid)?;
            let said = opposite == Account::Unexplained && tables::claimed(tx, txid, None)? == Some(Account::Internal);
            let met_before = other.standing(tx, txid, Account::Internal)? == other.amount;
            if !waits && !said && !met_before {
                continue;
            }
            own.move_to_internal(tx, *txid, desk.now)?;
            moved += 1;
            if waits {
                other.move_to_internal(tx, *txid, desk.now)?;
                moved += 1;
            }
            let receiver = if leg.account == Account::Deposit { &own } else { &other };
            credit::withdraw(tx, receiver.event, vout)?;
            received.extend((leg.account == Account::Deposit).then_some(vout));
            info!(%txid, vout, from_or_to = wallet, "a transfer between two wallets of ours");
            break;
        }
    }
    Ok((received, moved))
}
