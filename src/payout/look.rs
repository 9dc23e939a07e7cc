//! Looking for a batch's transactions in the wallet.

use std::collections::{BTreeMap, BTreeSet};

use super::batch::{self, Batch};
use super::error::PayoutError;
use super::rules::{self, Finding, Lookalike, Marked, Sightings};
use super::{records, spoken, verify};
use crate::coin::{Amount, BlockHash, OutPoint, Txid};
use crate::config::CoinSettings;
use crate::daemon::{self, Category, Entry, RpcError, Wallet, WalletIdentity};
use crate::ledger;
use crate::store::Store;

/// Everything of the wallet that can be the batch's, namely what carries its mark and what we paid without one: from a final-depth ancestor of its tip
/// that is on the active chain, or else from the beginning. A tip that the daemon lost or left would make the listing empty or partial without an error.
pub(super) fn entries(wallet: &dyn Wallet, batch: &Batch, final_depth: u64) -> Result<Vec<Entry>, RpcError> {
    let active = |block: &BlockHash| Ok(wallet.block_place(block)?.is_some_and(|place| place.active));
    if active(&batch.tip.hash)? && batch.tip.height > final_depth {
        let ancestor = wallet.block_hash(batch.tip.height - final_depth)?;
        let entries = entries_since(wallet, batch, Some(&ancestor))?;
        if active(&ancestor)? {
            return Ok(entries);
        }
    }
    entries_since(wallet, batch, None)
}

fn entries_since(wallet: &dyn Wallet, batch: &Batch, block: Option<&BlockHash>) -> Result<Vec<Entry>, RpcError> {
    let mut entries = Vec::new();
    daemon::each_watched_entry(wallet, block, |entry| {
        if carries_mark(&entry, batch) || is_unmarked_send(&entry) {
            entries.push(entry);
        }
        Ok::<_, RpcError>(())
    })?;
    Ok(entries)
}

fn carries_mark(entry: &Entry, batch: &Batch) -> bool {
    entry.comment.as_deref() == Some(batch.mark.as_str())
}

fn is_unmarked_send(entry: &Entry) -> bool {
    entry.category == Category::Send && !entry.comment.as_deref().unwrap_or("").starts_with("bursar:")
}

/// Transactions of ours that carry the batch's mark, compared whole. A receipt of one of them repeats the mark: it is the same txid.
pub(super) fn marked(entries: &[Entry], batch: &Batch) -> Vec<Marked> {
    let txids: BTreeSet<Txid> = entries.iter().filter(|entry| carries_mark(entry, batch)).map(|entry| entry.txid).collect();
    let abandoned = |txid: Txid| entries.iter().any(|entry| entry.txid == txid && entry.abandoned);
    txids.into_iter().map(|txid| Marked { txid, abandoned: abandoned(txid) }).collect()
}

/// One look, judged.
pub(super) fn look(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, batch: &Batch) -> Result<Finding, PayoutError> {
    let before = wallet.tip()?;
    let entries = entries(wallet, batch, coin.final_depth)?;
    let marked = marked(&entries, batch);
    let txids: Vec<Txid> = marked.iter().map(|marked| marked.txid).collect();
    let exclusive = share_inputs(&inputs_of(wallet, &txids)?);
    let lookalikes = if marked.is_empty() { lookalikes(store, wallet, batch, &entries)? } else { vec![] };
    let now = wallet.identity()?;
    let other_wallet = other_wallet(batch, &now);
    let other_keys = now.fingerprint != batch.fingerprint;
    let tip_height = wallet.tip()?.height.min(before.height);
    let seen = Sightings { marked, exclusive, lookalikes, tip_height, batch_height: batch.tip.height, other_wallet, other_keys };
    Ok(rules::judge_look(&seen))
}

fn other_wallet(batch: &Batch, now: &WalletIdentity) -> Option<String> {
    let differs = now.name != batch.wallet;
    differs.then(|| format!("wallet '{}' answers where the batch is of wallet '{}'", now.name, batch.wallet))
}

/// What several transactions spend; nothing is asked for a single one, which excludes nobody.
fn inputs_of(wallet: &dyn Wallet, txids: &[Txid]) -> Result<Vec<BTreeSet<OutPoint>>, RpcError> {
    let several = if txids.len() < 2 { &[] } else { txids };
    several.iter().map(|txid| inputs(wallet, &verify::fetch(wallet, txid)?.raw_hex)).collect()
}

/// What a transaction spends.
pub(super) fn inputs(wallet: &dyn Wallet, raw_hex: &str) -> Result<BTreeSet<OutPoint>, RpcError> {
    Ok(wallet.decode(raw_hex)?.spent().collect())
}

/// Whether all share an input with each other, so that at most one can confirm.
pub(super) fn share_inputs(inputs: &[BTreeSet<OutPoint>]) -> bool {
    let mut pairs = inputs.iter().enumerate().flat_map(|(at, one)| inputs[at + 1..].iter().map(move |other| (one, other)));
    pairs.all(|(one, other)| !one.is_disjoint(other))
}

/// Transactions of no batch that pay exactly what this one was to pay: a wallet can lose comments.
fn lookalikes(store: &mut Store, wallet: &dyn Wallet, batch: &Batch, entries: &[Entry]) -> Result<Vec<Lookalike>, PayoutError> {
    let asked = batch::asked(&store.read(|tx| records::outputs(tx, &batch.id))?);
    let total = Amount::sum(asked.iter().map(|(_, amount)| *amount)).unwrap_or_default();
    let mut found = Vec::new();
    for (txid, sends) in unmarked_sends(entries) {
        let paid = Amount::sum(sends.iter().map(|entry| entry.amount)).and_then(Amount::checked_neg);
        if paid != Ok(total) || store.read(|tx| records::owner(tx, &txid))?.is_some() {
            continue;
        }
        let decoded = wallet.decode(&verify::fetch(wallet, &txid)?.raw_hex)?;
        if rules::compare_outputs(&asked, &decoded).is_err() {
            continue;
        }
        // A repair gives old payments a new time; what the ledger knew before the batch is older all the same.
        let mut newer = !store.read(|tx| ledger::posted_until(tx, &txid, batch.created))?;
        for entry in &sends {
            newer &= is_newer(wallet, batch, entry)?;
        }
        let otherwise = store.read(|tx| spoken::otherwise(tx, batch, &txid))?.map(|otherwise| otherwise.words(batch, &txid));
        found.push(Lookalike { txid, newer, abandoned: sends.iter().any(|entry| entry.abandoned), otherwise });
    }
    Ok(found)
}

/// What we paid without a mark of bursar's, by txid.
fn unmarked_sends(entries: &[Entry]) -> BTreeMap<Txid, Vec<&Entry>> {
    let mut sends: BTreeMap<Txid, Vec<&Entry>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| is_unmarked_send(entry)) {
        sends.entry(entry.txid).or_default().push(entry);
    }
    sends
}

/// Seen by the wallet after the batch was made and, if it is in a block, in one above the batch's tip. What waited in the mempool when
/// the batch was made comes into such a block too; and a wallet that was rescanned saw everything late.
pub(super) fn is_newer(wallet: &dyn Wallet, batch: &Batch, entry: &Entry) -> Result<bool, RpcError> {
    let above = match &entry.block {
        Some(block) => wallet.block_place(block)?.is_some_and(|place| place.height > batch.tip.height),
        None => true,
    };
    Ok(above && entry.time >= batch.created)
}
