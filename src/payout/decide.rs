//! A person's ruling about a disputed batch. It binds a transaction, or names the proof that there is none: a word alone un-pays nobody.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::batch::{self, Batch, BatchId, BatchState};
use super::error::PayoutError;
use super::gather::synced;
use super::rules::{self, Fate};
use super::settle::{Settler, settle};
use super::{doubt, life, look, records, spoken, sweep, verify};
use crate::coin::{OutPoint, Timestamp, Txid};
use crate::config::CoinSettings;
use crate::daemon::{Category, Wallet};
use crate::gate::{self, Cause, Freeze};
use crate::ledger::{self, Account};
use crate::store::{Store, StoreError};

/// What a person says about a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruling {
    /// This transaction is its own.
    PaidBy(Txid),
    /// Nothing pays it.
    Unpaid,
}

/// A ruling, and who stands for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The batch.
    pub batch: BatchId,
    /// What it is about.
    pub ruling: Ruling,
    /// Who says so.
    pub who: String,
    /// Why.
    pub reason: String,
}

impl Decision {
    /// As it is written down.
    pub(super) fn words(&self) -> String {
        format!("{}: {}", self.who, self.reason)
    }
}

/// What came of a ruling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decided {
    /// The batch.
    pub batch: BatchId,
    /// Where it stands now, or stood when nothing was to be changed.
    pub state: BatchState,
    /// The transactions that pay it, or that prove that nothing does.
    pub txids: Vec<Txid>,
    /// Whether anything was changed.
    pub done: bool,
}

/// Carries out a ruling about a disputed batch; with `dry_run` only says whether it would be.
///
/// # Errors
/// [`PayoutError::NotDecided`] when the chain does not bear it out; nothing was changed then.
pub fn rule(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    decision: &Decision,
    dry_run: bool,
    now: Timestamp,
) -> Result<Decided, PayoutError> {
    synced(store, wallet, coin, now)?;
    let batch = store.read(|tx| records::find_batch(tx, &decision.batch))?;
    let batch = batch.ok_or_else(|| refused(decision, "there is no such batch"))?;
    match batch.state {
        BatchState::Disputed => {}
        BatchState::Sending | BatchState::InDoubt => {
            return Err(refused(
                decision,
                "it is still in doubt: a copy of its call may run yet, and `bursar pay resolve` finds out first",
            ));
        }
        state => return Err(refused(decision, &format!("it is {}, so there is nothing to decide", state.name()))),
    }
    match decision.ruling {
        Ruling::PaidBy(txid) => paid_by(store, wallet, coin, (&batch, decision, &txid), dry_run, now),
        Ruling::Unpaid => unpaid(store, wallet, coin, (&batch, decision), dry_run, now),
    }
}

fn refused(decision: &Decision, why: &str) -> PayoutError {
    PayoutError::NotDecided { batch: decision.batch.to_string(), why: why.to_owned() }
}

fn paid_by(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    (batch, decision, txid): (&Batch, &Decision, &Txid),
    dry_run: bool,
    now: Timestamp,
) -> Result<Decided, PayoutError> {
    check_payment(store, wallet, (batch, decision, txid))?;
    if !dry_run {
        bind(store, wallet, (batch, decision, txid), now)?;
        settle(store, wallet, coin, now)?;
    }
    let state = store.read(|tx| records::batch(tx, &batch.id))?.state;
    Ok(Decided { batch: batch.id.clone(), state, txids: vec![*txid], done: !dry_run })
}

/// A payment of ours that pays exactly what was asked, came after the batch, is alive, and is nobody else's.
fn check_payment(
    store: &mut Store,
    wallet: &dyn Wallet,
    (batch, decision, txid): (&Batch, &Decision, &Txid),
) -> Result<(), PayoutError> {
    let no = |why: String| Err(refused(decision, &why));
    match store.read(|tx| records::owner(tx, txid))? {
        Some(owner) if owner == batch.id => return no(format!("{txid} is its own already")),
        Some(owner) => return no(format!("{txid} belongs to batch {owner}")),
        None => {}
    }
    match store.read(|tx| spoken::otherwise(tx, batch, txid))? {
        Some(otherwise) if !otherwise.yields_to_a_ruling() => return no(otherwise.words(batch, txid)),
        _ => {}
    }
    let Some(known) = wallet.transaction(txid)? else { return no(format!("the wallet does not know {txid}")) };
    if known.confirmations < 0 || known.entries.iter().any(|entry| entry.confirmations < 0) {
        return no(format!("{txid} lost to another transaction: it pays nobody"));
    }
    let sends: Vec<_> = known.entries.iter().filter(|entry| entry.category == Category::Send).collect();
    let foreign = |comment: &str| comment.starts_with("bursar:") && comment != batch.mark;
    if let Some(mark) = sends.iter().filter_map(|entry| entry.comment.as_deref()).find(|comment| foreign(comment)) {
        return no(format!("{txid} carries the mark of another batch, {mark}"));
    }
    let mut newer = !sends.is_empty();
    for entry in &sends {
        newer &= look::is_newer(wallet, batch, entry)?;
    }
    if !newer {
        return no(format!("{txid} is not a payment of this wallet that came after the batch"));
    }
    let asked = batch::asked(&store.read(|tx| records::outputs(tx, &batch.id))?);
    let decoded = wallet.decode(&known.raw_hex)?;
    match rules::compare_outputs(&asked, &decoded) {
        Err(what) => no(format!("{txid} does not pay what was asked: {what}")),
        Ok(()) if decoded.txid != *txid => no(format!("the wallet's bytes for {txid} are those of {}", decoded.txid)),
        Ok(()) => Ok(()),
    }
}

/// The transaction becomes the batch's own, and the word stands in the ledger and in the history of each payout, in one commit.
fn bind(
    store: &mut Store,
    wallet: &dyn Wallet,
    (batch, decision, txid): (&Batch, &Decision, &Txid),
    now: Timestamp,
) -> Result<(), PayoutError> {
    let others = store.read(|tx| records::txids(tx, &batch.id))?;
    let mut inputs = vec![look::inputs(wallet, &verify::fetch(wallet, txid)?.raw_hex)?];
    for member in &others {
        // Bytes that nobody has share no input: it cannot be shown that they exclude the others.
        inputs.push(member.raw_hex.as_ref().map_or_else(|| Ok(BTreeSet::new()), |raw_hex| look::inputs(wallet, raw_hex))?);
    }
    let words = decision.words();
    store.write(|tx| {
        verify::adopt(tx, batch, txid, now)?;
        if !look::share_inputs(&inputs) {
            let txids = others.iter().map(|member| member.txid).chain([*txid]).collect();
            let detail = format!("batch {}: several transactions are its own and more than one of them can confirm", batch.id);
            gate::freeze(tx, &Freeze { cause: Cause::Payment, detail, txids, amount: None, wallet: None }, now)?;
        }
        ledger::word(tx, txid, Some(Account::Payout), &decision.reason, &decision.who, now)?;
        for payout in records::members(tx, &batch.id)? {
            life::note(tx, &payout, &format!("bound to {txid} by {words}"), now)?;
        }
        Ok::<_, PayoutError>(())
    })?;
    tracing::warn!(batch = %batch.id, %txid, words, "a person bound a transaction to a batch");
    let asked = batch::asked(&store.read(|tx| records::outputs(tx, &batch.id))?);
    verify::inspect(store, wallet, batch, &asked, txid, now)?;
    Ok(())
}

fn unpaid(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    (batch, decision): (&Batch, &Decision),
    dry_run: bool,
    now: Timestamp,
) -> Result<Decided, PayoutError> {
    let spenders = sweep::spenders(store, wallet, coin, batch)?;
    let could_spend = could_spend(store, wallet, batch)?;
    let fates = rules::fates(&could_spend, &spenders, coin.final_depth);
    let proof: BTreeSet<Txid> =
        fates.iter().filter_map(|(_, fate)| if let Fate::Swept(txid) = fate { Some(*txid) } else { None }).collect();
    let txids: Vec<Txid> = proof.into_iter().collect();
    let mut settler = Settler::new(store, wallet, coin, now);
    settler.decision = Some((decision, txids.first().copied()));
    let proven = if dry_run { settler.proven_dead(batch)? } else { settler.settle_one(batch).map(|()| true)? };
    let state = store.read(|tx| records::batch(tx, &batch.id))?.state;
    if (dry_run && proven) || state == BatchState::Ended {
        return Ok(Decided { batch: batch.id.clone(), state, txids, done: !dry_run });
    }
    if state != BatchState::Disputed {
        return Err(refused(decision, &format!("it is {} now", state.name())));
    }
    let coins = doubt::coins(wallet, fates)?;
    Err(refused(decision, &format!("nothing proves it: {}", doubt::missing_proof(coin, &coins))))
}

/// The inputs of its transactions and, where it is not certain that they are its own, all that its wallet held.
pub(super) fn could_spend(store: &mut Store, wallet: &dyn Wallet, batch: &Batch) -> Result<Vec<OutPoint>, PayoutError> {
    let (members, held) =
        store.read(|tx| Ok::<_, StoreError>((records::txids(tx, &batch.id)?, records::coins_held(tx, &batch.id)?)))?;
    let mut inputs = BTreeSet::new();
    if !sweep::knows_its_own(store, batch)? {
        inputs.extend(held);
    }
    for raw_hex in members.iter().filter_map(|member| member.raw_hex.as_ref()) {
        inputs.extend(look::inputs(wallet, raw_hex)?);
    }
    Ok(inputs.into_iter().collect())
}
