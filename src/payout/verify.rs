//! After the txid: does the transaction pay what was asked, to the unit, and does the network have it?

use super::batch::{Batch, BatchState};
use super::error::PayoutError;
use super::rules::{self, Event};
use super::{life, records};
use crate::coin::{Amount, Timestamp, Txid};
use crate::daemon::{RpcError, Wallet, WalletTx};
use crate::gate::{self, Cause, Freeze};
use crate::ledger::{self, Account};
use crate::store::{Store, StoreError, Tx};

/// What was seen of a transaction.
pub(super) struct Seen {
    /// Where its batch stands now.
    pub(super) state: BatchState,
    /// Its fee, above zero; the wallet tells it as what it lost.
    pub(super) fee: Option<Amount>,
    /// Its virtual size; none of one with a part in an extension block, whose fee goes by another measure too.
    pub(super) vsize: Option<u64>,
    /// Its signed bytes.
    pub(super) raw_hex: String,
    /// What is wrong with it.
    pub(super) problem: Option<String>,
}

/// Whether the network has a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is in the mempool.
    Mempool,
    /// It is in a block.
    Confirmed,
    /// Neither, and giving it again did not help.
    Missing(String),
}

/// Adds a transaction to a batch, and gives it to the batch's order in the ledger. Returns as what a person had explained it, where that is corrected now.
pub(super) fn adopt(tx: &Tx<'_>, batch: &Batch, txid: &Txid, now: Timestamp) -> Result<Option<Account>, StoreError> {
    records::add_txid(tx, &batch.id, txid, now)?;
    ledger::give(tx, batch.id.as_str(), txid, now)
}

/// The wallet's account of a transaction that it named itself.
pub(super) fn fetch(wallet: &dyn Wallet, txid: &Txid) -> Result<WalletTx, RpcError> {
    wallet.transaction(txid)?.ok_or_else(|| RpcError::Unreadable {
        method: "gettransaction".to_owned(),
        reason: format!("the wallet does not know {txid}, which it named before"),
    })
}

/// Fetches a transaction of a batch, keeps its bytes, and compares its outputs with what was asked, by script and to the unit.
/// A difference makes the batch disputed and freezes payouts.
pub(super) fn inspect(
    store: &mut Store,
    wallet: &dyn Wallet,
    batch: &Batch,
    asked: &[(String, Amount)],
    txid: &Txid,
    now: Timestamp,
) -> Result<Seen, PayoutError> {
    let known = fetch(wallet, txid)?;
    let decoded = wallet.decode(&known.raw_hex)?;
    let mut compared = rules::compare_outputs(asked, &decoded);
    if decoded.txid != *txid {
        compared = Err(format!("the wallet's bytes for {txid} are those of {}", decoded.txid));
    }
    let problem = compared.err().map(|what| format!("transaction {txid} does not pay what was asked: {what}"));
    let state = store.write(|tx| {
        records::set_raw(tx, txid, &known.raw_hex, problem.is_none())?;
        let state = records::batch(tx, &batch.id)?.state;
        let Some(what) = &problem else { return Ok::<_, StoreError>(state) };
        let freeze = Freeze { cause: Cause::Payment, detail: what.clone(), txids: vec![*txid], amount: None, wallet: None };
        gate::freeze(tx, &freeze, now)?;
        if state != BatchState::Sent {
            return Ok(state);
        }
        life::advance_batch(tx, batch, Event::Unprovable, Some(what), now)
    })?;
    let fee = known.entries.iter().find_map(|entry| entry.fee?.checked_neg().ok());
    Ok(Seen { state, fee, vsize: decoded.extension.is_none().then_some(decoded.vsize), raw_hex: known.raw_hex, problem })
}

/// Sees to it that the network has a transaction: if the mempool lacks it and no block holds it, the same bytes are given again.
/// A wallet can name a txid that it never broadcast (26th unconfirmed ancestor, broadcast off), and mempools evict.
pub(super) fn keep_alive(wallet: &dyn Wallet, txid: &Txid, raw_hex: &str) -> Presence {
    let present = || -> Result<Option<Presence>, RpcError> {
        if wallet.in_mempool(txid)? {
            return Ok(Some(Presence::Mempool));
        }
        // A wallet that lost it says nothing; the bytes are ours to give all the same.
        let known = wallet.transaction(txid)?;
        let confirmed = known.is_some_and(|known| known.entries.iter().any(|entry| entry.confirmations > 0));
        Ok(confirmed.then_some(Presence::Confirmed))
    };
    match present() {
        Ok(Some(presence)) => return presence,
        Ok(None) => {}
        Err(error) => return Presence::Missing(error.to_string()),
    }
    let given = wallet.broadcast(raw_hex);
    match (present(), given) {
        (Ok(Some(presence)), _) => presence,
        (_, Err(error)) | (Err(error), Ok(())) => Presence::Missing(error.to_string()),
        (Ok(None), Ok(())) => Presence::Missing("the daemon took the bytes, and its mempool does not hold them".to_owned()),
    }
}
