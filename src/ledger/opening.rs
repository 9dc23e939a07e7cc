//! Adopting a wallet that has a history.

use tracing::info;

use super::flow::{self, Desk};
use super::pages::{PAGE, Poster};
use super::reading::{self, Reading};
use super::rules::{Leg, Standing};
use super::spool::{LAST, Shown};
use super::{Account, Claim, Followed, Kind, LedgerError, SyncReport, TxState, records, wallets};
use crate::coin::{Amount, Timestamp};
use crate::config::CoinSettings;
use crate::daemon::Wallet;
use crate::store::{Store, Tx};

pub(super) fn open(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    at: Option<u64>,
    now: Timestamp,
) -> Result<SyncReport, LedgerError> {
    let identity = wallet.identity()?;
    if flow::is_the_followed_wallet(store, &identity, coin, now)? {
        return Err(LedgerError::AlreadyOpen(identity.name));
    }
    let desk = Desk::new(store, &identity.name, coin, now);
    let reading = reading::take_settled(store, wallet, &desk)?;
    let cut = at.unwrap_or(reading.tip.height).min(reading.tip.height.saturating_sub(coin.final_depth));
    let sum = add_up(&reading, cut)?;
    store.write(|tx| {
        wallets::insert_wallet(tx, (desk.wallet, desk.pays), identity.fingerprint.as_deref(), cut, now)?;
        claim_payments(tx, &desk, &reading, cut)?;
        post_sum(tx, &desk, &reading, &sum, cut)
    })?;
    info!(wallet = identity.name, height = cut, transactions = sum.transactions, "the wallet is adopted");
    let mut report = Poster::new(desk, &identity, PAGE).post_from(store, reading)?;
    report.posted += 1;
    Ok(report)
}

/// What is summed in the opening.
struct Sum {
    amount: Amount,
    transactions: u64,
}

/// Where a transaction stands that is summed: in a block at or below the cut.
fn summed(shown: &Shown, cut: u64) -> Option<TxState> {
    match shown.seen.standing {
        Standing::Block(block) if shown.place <= cut => Some(TxState::Confirmed { height: shown.place, block }),
        _ => None,
    }
}

fn add_up(reading: &Reading<'_>, cut: u64) -> Result<Sum, LedgerError> {
    let mut sum = Sum { amount: Amount::ZERO, transactions: 0 };
    reading.spool.each(cut, |shown| {
        if summed(shown, cut).is_some() {
            sum.amount = sum.amount.checked_add(shown.seen.net)?;
            sum.transactions += 1;
        }
        Ok::<_, LedgerError>(())
    })?;
    Ok(sum)
}

/// Payments that exist now are from before bursar, unless a claim says otherwise.
fn claim_payments(tx: &Tx<'_>, desk: &Desk<'_>, reading: &Reading<'_>, cut: u64) -> Result<(), LedgerError> {
    let order = &desk.opening_order;
    records::insert_claim(tx, &Claim { mark: order.clone(), order: order.clone(), account: Account::Opening })?;
    reading.spool.each(LAST, |shown| {
        let is_ours = shown.seen.own && summed(shown, cut).is_none();
        if is_ours && desk.claimed(tx, &shown.txid, shown.seen.comment.as_deref())?.is_none() {
            records::insert_claim_txid(tx, order, &shown.txid, Some(desk.wallet))?;
        }
        Ok(())
    })
}

/// One event for all that happened up to the cut; each of its transactions is followed, so that the audit can name a lost one.
fn post_sum(tx: &Tx<'_>, desk: &Desk<'_>, reading: &Reading<'_>, sum: &Sum, cut: u64) -> Result<(), LedgerError> {
    let leg = |account, amount| Leg { account, vout: None, category: None, amount };
    let event = records::Event {
        wallet: desk.wallet,
        time: desk.now,
        kind: Kind::Opening,
        txid: None,
        block: None,
        reverses: None,
        note: Some(format!("{} transactions up to height {cut}", sum.transactions)),
    };
    let legs = [leg(Account::Wallet, sum.amount), leg(Account::Opening, sum.amount.checked_neg()?)];
    let number = records::append(tx, &event, &legs)?;
    reading.spool.each(cut, |shown| {
        let Some(state) = summed(shown, cut) else { return Ok(()) };
        let Shown { txid, seen, .. } = shown;
        let followed = Followed {
            txid: *txid,
            state,
            net: seen.net,
            seen_net: seen.net,
            own: seen.own,
            event: Some(number),
            is_final: true,
            comment: seen.comment.clone(),
        };
        Ok(records::put_followed(tx, desk.wallet, &followed, false)?)
    })
}
