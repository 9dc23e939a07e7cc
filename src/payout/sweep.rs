//! The exit of a payment whose inputs nobody knows: every coin that its wallet held was spent otherwise, at final depth.

use super::batch::{self, Batch};
use super::error::PayoutError;
use super::records;
use super::rules::{self, Fate, Spender};
use crate::coin::{OutPoint, Txid};
use crate::config::{CoinSettings, Method};
use crate::daemon::{RpcError, Wallet};
use crate::ledger::{self, TxState, following};
use crate::store::{Store, StoreError};

/// What the wallet could have spent by a call that is over: what it held before the call, and now. What came and went in between was
/// spent by something that is seen.
pub(super) fn hold_coins_of_now(store: &mut Store, wallet: &dyn Wallet, batch: &Batch) -> Result<(), PayoutError> {
    let mut held = store.read(|tx| records::coins_held(tx, &batch.id))?;
    if held.is_empty() {
        return Ok(());
    }
    held.extend(wallet.unspent()?.into_iter().map(|coin| coin.outpoint));
    held.extend(wallet.locked()?);
    held.sort();
    held.dedup();
    Ok(store.write(|tx| records::set_coins_held(tx, &batch.id, &held))?)
}

/// Whether the transactions of a batch are certainly its own: by its mark, or because we signed them. One that merely pays the same may
/// be a person's: its death says nothing about the payment that nobody has found.
pub(super) fn knows_its_own(store: &mut Store, batch: &Batch) -> Result<bool, StoreError> {
    let (members, marked) =
        store.read(|tx| Ok::<_, StoreError>((records::txids(tx, &batch.id)?, ledger::marked(tx, &batch.mark)?)))?;
    let by_mark = members.iter().all(|member| marked.contains(&member.txid));
    Ok(!members.is_empty() && (batch.method == Method::Journaled || by_mark))
}

/// What became of each coin that the batch may have spent. Empty where its inputs are known, or nothing is.
pub(super) fn fates(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    batch: &Batch,
) -> Result<Vec<(OutPoint, Fate)>, PayoutError> {
    let held = store.read(|tx| records::coins_held(tx, &batch.id))?;
    if held.is_empty() {
        return Ok(vec![]);
    }
    Ok(rules::fates(&held, &spenders(store, wallet, coin, batch)?, coin.final_depth))
}

/// The transactions that prove, together, that the batch paid nobody; none without proof.
pub(super) fn proof(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    batch: &Batch,
) -> Result<Option<Vec<Txid>>, PayoutError> {
    let held = store.read(|tx| records::coins_held(tx, &batch.id))?;
    // Asked at each sync: as long as the wallet has one of them, nothing else need be looked at.
    if wallet.unspent()?.iter().any(|unspent| held.contains(&unspent.outpoint)) {
        return Ok(None);
    }
    Ok(rules::swept(&fates(store, wallet, coin, batch)?))
}

/// Transactions of ours in blocks that may have spent what the batch could have: all that are not certainly older.
pub(super) fn spenders(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    batch: &Batch,
) -> Result<Vec<Spender>, PayoutError> {
    let lowest = batch.tip.height.saturating_sub(coin.final_depth);
    let (followed, tip, outputs, members) = store.read(|tx| {
        let tip = ledger::synced_tip(tx)?.map_or(0, |tip| tip.height);
        let (outputs, members) = (records::outputs(tx, &batch.id)?, records::txids(tx, &batch.id)?);
        Ok::<_, StoreError>((following::confirmed_from(tx, lowest)?, tip, outputs, members))
    })?;
    let asked = batch::asked(&outputs);
    let mut found = Vec::new();
    for followed in followed.into_iter().filter(|followed| followed.own) {
        let TxState::Confirmed { height, .. } = followed.state else { continue };
        if members.iter().any(|member| member.txid == followed.txid) {
            continue;
        }
        let Some(known) = wallet.transaction(&followed.txid)? else { continue };
        let decoded = match wallet.decode(&known.raw_hex) {
            Ok(decoded) => decoded,
            // Some daemons cannot decode every transaction of their own chain; what cannot be read proves nothing.
            Err(RpcError::Daemon { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        found.push(Spender {
            txid: followed.txid,
            depth: rules::depth(height, tip),
            pays_a_payee: !rules::pays_nobody_of(&asked, &decoded),
            inputs: decoded.inputs,
        });
    }
    Ok(found)
}
