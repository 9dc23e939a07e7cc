//! Sending by our own hand: bursar chooses the coins and composes, the daemon signs, the signed bytes are stored, and only then is
//! anything given to the network.
//!
//! - The intent (outputs, coins, change, fee) is stored first, and its coins are **reserved** in the store: no two batches spend one.
//!   Daemons hold them by `lockunspent`, which a restart forgets, so it is laid anew before each send.
//! - The wallet is told the batch's mark (`mark`), so that a store of an earlier time sees that it forgot something.
//! - What was composed is decoded and held against the intent, coin by coin and to the unit, before the keys are asked for; and again
//!   when it is signed.
//! - The signed bytes, their txid and the ledger's claim are one synced commit. Before it nothing was given to anybody: whatever goes
//!   wrong, the batch was certainly not sent. After it the batch is sent: the same bytes are broadcast until they are final.
//!   So a journaled batch is never in doubt.
//! - No error proves that the bytes are dead; only an input that somebody else spent at final depth does (`settle`).
//! - A higher fee is a conflicting replacement with the same payees (`bump`). Both may confirm; either pays.

mod bump;
mod compose;
mod known;
mod mark;
mod records;

use compose::Refused;

use super::batch::{Batch, BatchState};
use super::error::PayoutError;
use super::flow::{Outcome, Sender};
use super::observe::Step;
use super::report::FlushReport;
use super::rules::{self, Coin, Event, NoSpend, PlannedOutput, Price, Refusal, Witness};
use super::verify::{self, Presence};
use super::{life, records as batches};
use crate::coin::{Amount, Timestamp};
use crate::config::{CoinSettings, Method};
use crate::store::{Store, StoreError, Tx};

pub use bump::{BumpOrder, BumpReport, bump};
pub(super) use compose::{Draft, Signing};
pub(super) use known::follow_wallet;
pub(super) use mark::remembered;
pub(super) use records::{add_draft, follow_state};

/// What comes back to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Its place among the outputs.
    pub(super) position: usize,
    /// Our address.
    pub(super) address: String,
    /// Its locking script in hex.
    pub(super) script_hex: String,
    /// How much.
    pub(super) amount: Amount,
}

/// Before a flush: a batch that ended before its bytes were stored was not sent; and a wallet whose coins are reserved does not use
/// `sendmany`, which reservations do not bind.
pub(super) fn before_flush(store: &mut Store, method: Method, now: Timestamp) -> Result<(), PayoutError> {
    store.write(|tx| give_back_unsigned(tx, now))?;
    if method == Method::Journaled || store.read(batches::queue_is_empty)? {
        return Ok(());
    }
    let reserving = store.read(records::reserving)?;
    reserving.map_or(Ok(()), |batch| Err(Refusal::CoinsReserved(batch).into()))
}

/// Queues again what a bursar that died had not yet stored the signed bytes of: nothing of it was given to the network.
pub(super) fn give_back_unsigned(tx: &Tx<'_>, now: Timestamp) -> Result<(), StoreError> {
    let unfinished = batches::batches_in(tx, BatchState::Sending)?;
    for batch in unfinished.iter().filter(|batch| batch.method == Method::Journaled) {
        let reason = "bursar ended before its transaction was signed and stored; nothing was given to the network";
        life::advance_batch(tx, batch, Event::Refused, Some(reason), now)?;
    }
    Ok(())
}

impl Sender<'_> {
    /// One batch: draft, intent, signature, the bytes stored, and then the network.
    pub(super) fn send_journaled(
        &mut self,
        outputs: &[PlannedOutput],
        price: Price,
        report: &mut FlushReport,
    ) -> Result<Outcome, PayoutError> {
        let draft = match compose::draft(self, outputs, price) {
            Ok(draft) => draft,
            Err(PayoutError::Refused(Refusal::NoSpend(NoSpend::TooLarge { .. }))) if outputs.len() > 1 => {
                return Ok(Outcome::Split);
            }
            Err(PayoutError::Refused(Refusal::NoSpend(no))) => {
                return Ok(Outcome::Wait(no.waits_for(), Refusal::NoSpend(no).to_string()));
            }
            Err(error) => return Err(error),
        };
        let (batch, keys) = match self.intend_with_keys(outputs, price, Some(&draft), report)? {
            Ok(begun) => begun,
            Err(outcome) => return Ok(outcome),
        };
        let id = batch.id.clone();
        self.observer.step(Step::IntentStored(id.clone()));
        let begun = self.begun(&batch, outputs)?;
        report.batches.push(begun);
        tracing::info!(batch = %id, inputs = draft.coins.len(), outputs = outputs.len(), fee = ?draft.fee, "journaled");
        let signed = self.mark_and_sign(&batch, &draft, outputs);
        keys.close(self.store);
        let signed = signed.and_then(|signed| compose::wanted(self.wallet, &signed).map(|()| signed));
        match signed {
            Ok(signed) => self.store_and_broadcast(&batch, &draft, &signed, report),
            // Nothing was given to the network.
            Err(refused) => self.give_back(&batch, refused.verdict(), refused.to_string(), outputs, report),
        }
    }

    fn mark_and_sign(&mut self, batch: &Batch, draft: &Draft, outputs: &[PlannedOutput]) -> Result<Signing, Refused> {
        mark::leave(self.wallet, self.store.id(), batch)?;
        self.observer.step(Step::Marked(batch.id.clone()));
        compose::sign(self.wallet, self.coin, self.observer, &batch.id, draft, outputs, &draft.coins)
    }

    /// From the commit on the batch is sent, whatever the network says.
    fn store_and_broadcast(
        &mut self,
        batch: &Batch,
        draft: &Draft,
        signed: &Signing,
        report: &mut FlushReport,
    ) -> Result<Outcome, PayoutError> {
        let now = self.now;
        self.store.write(|tx| {
            verify::adopt(tx, batch, &signed.txid, now)?;
            batches::set_raw(tx, &signed.txid, &signed.raw_hex, true)?;
            life::advance_batch(tx, batch, Event::Answered, None, now)
        })?;
        self.observer.step(Step::TxidStored(batch.id.clone()));
        let presence = verify::keep_alive(self.wallet, &signed.txid, &signed.raw_hex);
        self.observer.step(Step::InMempool(batch.id.clone()));
        if let Some(entry) = report.batches.last_mut() {
            (entry.state, entry.txid) = (BatchState::Sent, Some(signed.txid));
            (entry.fee, entry.vsize) = (Some(draft.fee), Some(signed.vsize));
            if let Presence::Missing(why) = presence {
                entry.note = Some(format!("not in the mempool ({why}); it is broadcast again until it is final"));
            }
        }
        Ok(Outcome::Done)
    }

    /// The spend that a flush would make for these outputs. Asks for no change address, of which each uses up a key.
    pub(super) fn preview_spend(&mut self, outputs: &[PlannedOutput], price: Price) -> Result<rules::SpendPlan, PayoutError> {
        Ok(compose::spend(self, outputs, price)?.0.plan())
    }
}

/// What a byte of witness counts for this coin. Where the coin's consensus fixes the fee, it asks for every byte alike.
fn witness_of(coin: &CoinSettings) -> Witness {
    match (&coin.params.bech32, coin.profile.relay.fixed_fee_per_kvb) {
        (None, _) => Witness::Absent,
        (Some(_), None) => Witness::Discounted,
        (Some(_), Some(_)) => Witness::Whole,
    }
}

/// The coins that may be spent now: ours, safe, of a kind whose size is known, and neither reserved nor locked.
fn usable_coins(sender: &mut Sender<'_>) -> Result<Vec<Coin>, PayoutError> {
    let reserved = sender.store.read(records::reserved)?;
    let witness = witness_of(sender.coin);
    let mut found = Vec::new();
    for coin in sender.wallet.unspent()? {
        let Some(script_hex) = coin.script_hex.filter(|_| coin.spendable && coin.safe) else { continue };
        let is_as_it_looks = coin.redeem_hex.as_deref().is_none_or(rules::is_nested_key);
        let Some(size) = rules::input_size(&script_hex, witness).filter(|_| is_as_it_looks) else { continue };
        if reserved.contains(&coin.outpoint) {
            continue;
        }
        let ancestors = match coin.confirmations {
            1.. => Some(0),
            _ => sender.wallet.mempool_entry(&coin.outpoint.txid)?.and_then(|entry| entry.ancestors),
        };
        // What stands on an unknown number of unconfirmed transactions may not be relayed.
        let Some(ancestors) = ancestors else { continue };
        found.push(Coin { outpoint: coin.outpoint, amount: coin.amount, script_hex, size, ancestors });
    }
    Ok(found)
}

/// Lays the store's reservations on the daemon, which forgets them when it restarts, and lifts those that are over.
fn lay_reservations(sender: &mut Sender<'_>) -> Result<(), PayoutError> {
    let reserved = sender.store.read(records::reserved)?;
    // What is locked already is not listed, and what is spent is refused.
    let unspent = sender.wallet.unspent()?.into_iter().map(|coin| coin.outpoint);
    let unlocked: Vec<_> = unspent.filter(|coin| reserved.contains(coin)).collect();
    sender.wallet.lock_coins(&unlocked)?;
    let mut over = Vec::new();
    for coin in sender.wallet.locked()? {
        if sender.store.read(|tx| records::was_released(tx, &coin))? {
            over.push(coin);
        }
    }
    sender.wallet.unlock_coins(&over)?;
    Ok(())
}
