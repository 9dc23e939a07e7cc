//! What the wallet paid beside the batches: another form of one of ours, or a payment that this store does not know.
//!
//! Journaled transactions carry no mark. The wallet remembers that of the last one (`mark`), by which a store that was restored from an
//! older copy sees that it forgot payments, but not which they are: they look like spends that nobody ordered. So while batches are sent
//! this way, or ever were, such a spend freezes until it is explained.

use std::collections::BTreeSet;

use super::records;
use crate::coin::{OutPoint, Timestamp, Txid};
use crate::config::{CoinSettings, Method};
use crate::daemon::{DecodedTx, RpcError, Wallet};
use crate::gate::{self, Cause, Freeze};
use crate::ledger;
use crate::payout::batch::{self, Batch, BatchState};
use crate::payout::error::PayoutError;
use crate::payout::records as batches;
use crate::payout::{rules, verify};
use crate::store::{Store, StoreError};

/// Batches that a transaction in the wallet may be another form of.
const OPEN: [BatchState; 4] = [BatchState::Sent, BatchState::Confirmed, BatchState::Disputed, BatchState::Final];

/// After a sync: takes other forms of our own transactions into their batches, and freezes payouts for spends that nobody ordered.
/// `remembers`: the wallet has marks of journaled batches.
pub(in crate::payout) fn follow_wallet(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    remembers: bool,
    now: Timestamp,
) -> Result<(), PayoutError> {
    let mut stray = store.read(ledger::unordered)?;
    if stray.is_empty() {
        return lift(store, wallet, coin, now);
    }
    let has_journaled = store.read(records::any)?;
    // Where nothing was journaled, nothing is another form of it, and reading what pays a thousand takes 20 ms: each payment by hand, at each sync.
    if has_journaled {
        let mut adopted = Vec::new();
        for (txid, _) in &stray {
            if adopt_form(store, wallet, txid, now)? {
                adopted.push(*txid);
            }
        }
        stray.retain(|(txid, _)| !adopted.contains(txid));
        if stray.is_empty() {
            return lift(store, wallet, coin, now);
        }
    }
    // A store that went back may have gone back behind a change of the method: then only the wallet knows.
    if coin.payouts.method != Method::Journaled && !remembers && !has_journaled {
        return Ok(());
    }
    store.write(|tx| {
        for (txid, amount) in &stray {
            let detail = format!("the wallet made {txid}, which no batch of this store ordered and nobody has explained");
            let freeze = Freeze { cause: Cause::UnknownSpend, detail, txids: vec![*txid], amount: Some(*amount), wallet: None };
            gate::freeze(tx, &freeze, now)?;
        }
        Ok(())
    })
}

/// Lifts the freeze when each of its transactions is explained, or lost its coins for good. One that is merely gone from the books may
/// confirm yet: somebody abandoned it, or another one holds its coins for now.
fn lift(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<(), PayoutError> {
    let open = store.read(|tx| {
        let mut open = Vec::new();
        for frozen in gate::frozen(tx)?.into_iter().filter(|frozen| frozen.freeze.cause == Cause::UnknownSpend) {
            for txid in frozen.freeze.txids {
                if !ledger::is_claimed(tx, &txid)? {
                    open.push(txid);
                }
            }
        }
        Ok::<_, StoreError>(open)
    })?;
    let lost_at = i64::try_from(coin.final_depth).map_or(i64::MIN, |depth| -depth);
    for txid in open {
        if wallet.transaction(&txid)?.is_none_or(|known| known.confirmations > lost_at) {
            return Ok(());
        }
    }
    let proof = "everything that the wallet paid is known";
    store.write(|tx| gate::cleared(tx, Cause::UnknownSpend, None, proof, now)).map(drop).map_err(|error: StoreError| error.into())
}

/// Whether a transaction is another form of a batch's: the same payees by at least one of the same coins, so that only one of the two can
/// confirm. A legacy txid can be malleated, and a newer store may have raised the fee.
fn adopt_form(store: &mut Store, wallet: &dyn Wallet, txid: &Txid, now: Timestamp) -> Result<bool, PayoutError> {
    let Some(known) = wallet.transaction(txid)? else { return Ok(false) };
    let decoded = match wallet.decode(&known.raw_hex) {
        Ok(decoded) => decoded,
        Err(RpcError::Daemon { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let Some(batch) = batch_of(store, wallet, &decoded)? else { return Ok(false) };
    tracing::warn!(batch = %batch.id, %txid, "another form of its transaction: either pays it");
    store.write(|tx| {
        verify::adopt(tx, &batch, txid, now)?;
        batches::set_raw(tx, txid, &known.raw_hex, true)
    })?;
    Ok(true)
}

/// The journaled batch whose payees the transaction pays, to the unit, and with each of whose transactions it shares a coin.
fn batch_of(store: &mut Store, wallet: &dyn Wallet, decoded: &DecodedTx) -> Result<Option<Batch>, PayoutError> {
    let spent: BTreeSet<OutPoint> = decoded.inputs.iter().copied().collect();
    for state in OPEN {
        for batch in
            store.read(|tx| batches::batches_in(tx, state))?.into_iter().filter(|batch| batch.method == Method::Journaled)
        {
            let (coins, outputs, members) = store.read(|tx| {
                let coins = records::coins_of(tx, &batch.id)?;
                Ok::<_, StoreError>((coins, batches::outputs(tx, &batch.id)?, batches::txids(tx, &batch.id)?))
            })?;
            if !coins.iter().any(|coin| spent.contains(coin)) || rules::compare_outputs(&batch::asked(&outputs), decoded).is_err()
            {
                continue;
            }
            let mut exclusive = true;
            for raw_hex in members.iter().filter_map(|member| member.raw_hex.as_ref()) {
                exclusive &= wallet.decode(raw_hex)?.inputs.iter().any(|coin| spent.contains(coin));
            }
            if exclusive {
                return Ok(Some(batch));
            }
        }
    }
    Ok(None)
}
