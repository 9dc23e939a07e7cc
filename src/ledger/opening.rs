//! Adopting a wallet that has a history.

use tracing::info;

use super::flow::{self, Desk};
use super::reading::{self, Reading, Sighting, Since};
use super::rules::Leg;
use super::{Account, Claim, Followed, Kind, LedgerError, SyncReport, records, wallets};
use crate::coin::{Amount, Timestamp};
use crate::config::CoinSettings;
use crate::daemon::Wallet;
use crate::store::{Store, StoreError, Tx};

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
    let Reading { tip, cursor, sightings, forgotten } =
        reading::take(store, wallet, &identity.name, coin.final_depth, Since::Beginning)?;
    let cut = at.unwrap_or(tip.height).min(tip.height.saturating_sub(coin.final_depth));
    let (summed, later) = reading::split_at(sightings, cut);
    let desk = Desk::new(store, &identity.name, coin, now);
    let later = Reading { tip, cursor, sightings: later, forgotten };
    store.write(|tx| {
        wallets::insert_wallet(tx, (desk.wallet, desk.pays), identity.fingerprint.as_deref(), cut, now)?;
        claim_payments(tx, &desk, &later.sightings)?;
        post_sum(tx, &desk, &summed, cut)?;
        let mut report = flow::apply(tx, &desk, &identity, &later)?;
        report.posted += 1;
        info!(wallet = identity.name, height = cut, transactions = summed.len(), "the wallet is adopted");
        Ok(report)
    })
}

/// Payments that exist now are from before bursar, unless a claim says otherwise.
fn claim_payments(tx: &Tx<'_>, desk: &Desk<'_>, sightings: &[Sighting]) -> Result<(), StoreError> {
    let order = &desk.opening_order;
    records::insert_claim(tx, &Claim { mark: order.to_owned(), order: order.to_owned(), account: Account::Opening })?;
    for sighting in sightings.iter().filter(|sighting| sighting.seen.own) {
        if desk.claimed(tx, &sighting.txid, sighting.seen.comment.as_deref())?.is_none() {
            records::insert_claim_txid(tx, order, &sighting.txid)?;
        }
    }
    Ok(())
}

/// One event for all that happened up to the cut; each of its transactions is followed, so that the audit can name a lost one.
fn post_sum(tx: &Tx<'_>, desk: &Desk<'_>, summed: &[Sighting], cut: u64) -> Result<(), LedgerError> {
    let sum = Amount::sum(summed.iter().map(|sighting| sighting.seen.net))?;
    let leg = |account, amount| Leg { account, vout: None, category: None, amount };
    let event = records::Event {
        wallet: desk.wallet,
        time: desk.now,
        kind: Kind::Opening,
        txid: None,
        block: None,
        reverses: None,
        note: Some(format!("{} transactions up to height {cut}", summed.len())),
    };
    let number = records::append(tx, &event, &[leg(Account::Wallet, sum), leg(Account::Opening, sum.checked_neg()?)])?;
    for Sighting { txid, seen, state, .. } in summed {
        let followed = Followed {
            txid: *txid,
            state: *state,
            net: seen.net,
            seen_net: seen.net,
            own: seen.own,
            event: Some(number),
            is_final: true,
            comment: seen.comment.clone(),
        };
        records::put_followed(tx, desk.wallet, &followed, false)?;
    }
    Ok(())
}
