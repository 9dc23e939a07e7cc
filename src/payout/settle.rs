//! From sent to final: follows every transaction of every batch, gives lost ones to the network again, and notices reorgs.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::batch::{self, Batch, BatchId, BatchState, Member};
use super::decide::Decision;
use super::error::PayoutError;
use super::gather::synced;
use super::rules::{self, Event, Standing};
use super::verify::{self, Presence};
use super::{life, look, records, sweep};
use crate::coin::{OutPoint, Timestamp, Txid};
use crate::config::{CoinSettings, Method};
use crate::daemon::{RpcError, Wallet};
use crate::gate::{self, Cause, Freeze};
use crate::ledger::{self, Followed, TxState, following};
use crate::store::{Store, StoreError, Tx};

/// Final batches deeper than this are no longer watched for reorgs: no chain we know has had one so deep.
const WATCHED_BELOW_FINAL_BLOCKS: u64 = 1000;
/// A transaction that the mempool does not want for so long needs a person.
const LIMBO_ALARM_S: i64 = 3600;

/// A batch that took a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledBatch {
    /// Which.
    pub id: BatchId,
    /// Where it stood.
    pub from: BatchState,
    /// Where it stands.
    pub to: BatchState,
}

/// What settling did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettleReport {
    /// Batches that took a step.
    pub settled: Vec<SettledBatch>,
    /// Transactions that were given to the network again.
    pub rebroadcast: Vec<Txid>,
    /// Transactions that the network does not take, and why.
    pub missing: Vec<(Txid, String)>,
}

/// Syncs the ledger, then brings every batch that has, or may have, a transaction in step with it.
pub fn settle(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<SettleReport, PayoutError> {
    synced(store, wallet, coin, now)?;
    let mut settler = Settler::new(store, wallet, coin, now);
    for batch in settler.watched()? {
        let from = batch.state;
        settler.settle_one(&batch)?;
        let to = settler.store.read(|tx| records::batch(tx, &batch.id))?.state;
        if to != from {
            settler.report.settled.push(SettledBatch { id: batch.id, from, to });
        }
    }
    Ok(settler.report)
}

pub(super) struct Settler<'a> {
    store: &'a mut Store,
    wallet: &'a dyn Wallet,
    coin: &'a CoinSettings,
    now: Timestamp,
    report: SettleReport,
    /// The person who ordered this, and the transaction beside which the word stands in the ledger.
    pub(super) decision: Option<(&'a Decision, Option<Txid>)>,
}

impl<'a> Settler<'a> {
    pub(super) fn new(store: &'a mut Store, wallet: &'a dyn Wallet, coin: &'a CoinSettings, now: Timestamp) -> Settler<'a> {
        Settler { store, wallet, coin, now, report: SettleReport::default(), decision: None }
    }

    fn watched(&mut self) -> Result<Vec<Batch>, PayoutError> {
        let reach = self.coin.final_depth + WATCHED_BELOW_FINAL_BLOCKS;
        self.store.read(|tx| {
            let lowest = ledger::synced_tip(tx)?.map_or(0, |tip| tip.height.saturating_sub(reach));
            let mut found = Vec::new();
            for state in [BatchState::Sent, BatchState::Confirmed, BatchState::Disputed] {
                found.extend(records::batches_in(tx, state)?);
            }
            for batch in records::final_since(tx, lowest)? {
                if !stands_as_it_did(tx, &batch, self.coin.final_depth)? {
                    found.push(batch);
                }
            }
            Ok(found)
        })
    }

    pub(super) fn settle_one(&mut self, batch: &Batch) -> Result<(), PayoutError> {
        self.adopt_marked(batch)?;
        self.inspect_new(batch)?;
        // What was inspected may have made it disputed.
        let batch = &self.store.read(|tx| records::batch(tx, &batch.id))?;
        let mut standing = self.standing(batch)?;
        if !matches!(standing, Standing::Confirmed { .. } | Standing::Mempool) && self.find_more(batch)? {
            self.inspect_new(batch)?;
            standing = self.standing(batch)?;
        }
        if standing == Standing::Lost && self.was_overlooked(batch)? {
            ledger::sync_everything(self.store, self.wallet, self.coin, self.now)?;
            standing = self.standing(batch)?;
        }
        let journaled = batch.method == Method::Journaled;
        let dead = standing == Standing::Lost && (journaled || batch.state == BatchState::Disputed) && self.proven_dead(batch)?;
        if standing == Standing::Lost && !dead && self.revive(batch)? {
            standing = Standing::Mempool;
        }
        let reason = match standing {
            Standing::Confirmed { depth } => format!("it is in a block, {depth} deep"),
            Standing::Mempool => "it is in the mempool, and in no block".to_owned(),
            Standing::Lost => "it is in no block and not in the mempool".to_owned(),
        };
        let mut events = rules::settle_events(batch.state, standing, self.coin.final_depth);
        if journaled && !dead {
            // We have its bytes: it is not disputed whether there is a payment, it only waits to be taken, or for proof that it is dead.
            events.retain(|event| *event != Event::Unprovable);
        }
        for event in events {
            let reason = matches!(event, Event::Reorged | Event::Unprovable).then_some(reason.as_str());
            self.store.write(|tx| life::advance_batch(tx, batch, event, reason, self.now))?;
        }
        if dead {
            self.end_unpaid(batch)?;
        }
        Ok(())
    }

    fn end_unpaid(&mut self, batch: &Batch) -> Result<(), PayoutError> {
        let proof = "its coins were spent at final depth by transactions that do not pay it, or will never be made; it is certainly unpaid";
        let (decision, now) = (self.decision, self.now);
        let reason = decision.map_or_else(|| proof.to_owned(), |(decision, _)| format!("{}; {proof}", decision.words()));
        self.store.write(|tx| {
            if let Some((decision, Some(txid))) = &decision {
                ledger::word(tx, txid, None, &decision.reason, &decision.who, now)?;
            }
            life::advance_batch(tx, batch, Event::ProvenDead, Some(&reason), now)?;
            Ok(())
        })
    }

    /// Fetches and compares what a flush or a look could not. What fails is tried again at the next sync.
    fn inspect_new(&mut self, batch: &Batch) -> Result<(), PayoutError> {
        let (members, outputs) =
            self.store.read(|tx| Ok::<_, StoreError>((records::txids(tx, &batch.id)?, records::outputs(tx, &batch.id)?)))?;
        for member in members.iter().filter(|member| member.matched.is_none()) {
            let asked = batch::asked(&outputs);
            match verify::inspect(self.store, self.wallet, batch, &asked, &member.txid, self.now) {
                Ok(_) => {}
                Err(PayoutError::Rpc(error)) => self.miss(batch, &member.txid, &error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn members(&mut self, batch: &Batch) -> Result<Vec<Member>, PayoutError> {
        Ok(self.store.read(|tx| records::txids(tx, &batch.id))?)
    }

    /// Where the batch's transactions stand; only those that pay what was asked can pay it.
    fn standing(&mut self, batch: &Batch) -> Result<Standing, PayoutError> {
        self.store.read(|tx| {
            let tip = ledger::synced_tip(tx)?.map_or(0, |tip| tip.height);
            let mut states = Vec::new();
            for member in records::txids(tx, &batch.id)?.iter().filter(|member| member.matched == Some(true)) {
                states.push(ledger::state_of(tx, &member.txid)?);
            }
            Ok(rules::standing(&states, tip))
        })
    }

    /// Whether a transaction of the batch is in a block and the ledger has never seen it. It is below the ledger's cursor then: while another
    /// wallet stood in for this one, under the same name and with nothing that tells them apart, syncs read that one.
    fn was_overlooked(&mut self, batch: &Batch) -> Result<bool, PayoutError> {
        let unseen = self.store.read(|tx| {
            let mut unseen = Vec::new();
            for member in records::txids(tx, &batch.id)?.into_iter().filter(|member| member.matched == Some(true)) {
                if ledger::state_of(tx, &member.txid)?.is_none() {
                    unseen.push(member.txid);
                }
            }
            Ok::<_, StoreError>(unseen)
        })?;
        for txid in unseen {
            if self.wallet.transaction(&txid)?.is_some_and(|known| known.confirmations > 0) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What the ledger has seen with the batch's mark: a fee bump copies it to another txid, and a call that was thought to be over, or
    /// a person's payment that was taken for ours, may have a second one beside it.
    fn adopt_marked(&mut self, batch: &Batch) -> Result<bool, PayoutError> {
        let marked = self.store.read(|tx| ledger::marked(tx, &batch.mark))?;
        self.adopt(batch, &marked)
    }

    /// The same by the whole wallet, for a batch that has nothing left: a disputed one may show up late, below the ledger's cursor.
    fn find_more(&mut self, batch: &Batch) -> Result<bool, PayoutError> {
        let entries = look::entries(self.wallet, batch, self.coin.final_depth)?;
        let marked: Vec<Txid> = look::marked(&entries, batch).iter().map(|marked| marked.txid).collect();
        self.adopt(batch, &marked)
    }

    /// Takes transactions into the batch; freezes payouts, in the same commit, when with them it can pay more than once. Returns whether
    /// there was a new one.
    fn adopt(&mut self, batch: &Batch, marked: &[Txid]) -> Result<bool, PayoutError> {
        let members = self.members(batch)?;
        let mut new: Vec<Txid> = marked.to_vec();
        new.retain(|txid| !members.iter().any(|member| member.txid == *txid));
        if new.is_empty() {
            return Ok(false);
        }
        let mut inputs: Vec<BTreeSet<OutPoint>> = Vec::new();
        for member in &members {
            inputs.push(self.inputs_of(&member.txid, member.raw_hex.as_deref())?);
        }
        for txid in &new {
            // The ledger saw its mark; the wallet may have forgotten it since.
            inputs.push(self.inputs_of(txid, None)?);
        }
        let exclusive = look::share_inputs(&inputs);
        let txids: Vec<Txid> = members.iter().map(|member| member.txid).chain(new.iter().copied()).collect();
        let detail = format!("batch {}: several transactions are its own and more than one of them can confirm", batch.id);
        let now = self.now;
        self.store.write(|tx| {
            new.iter().try_for_each(|txid| verify::adopt(tx, batch, txid, now).map(drop))?;
            if exclusive {
                return Ok(());
            }
            tracing::error!(batch = %batch.id, ?txids, "it may pay more than once: payouts are frozen");
            gate::freeze(tx, &Freeze { cause: Cause::Payment, detail, txids, amount: None, wallet: None }, now)
        })?;
        Ok(true)
    }

    /// What a transaction spends. Bytes that nobody has share no input: it cannot be shown that they exclude others.
    fn inputs_of(&self, txid: &Txid, stored_hex: Option<&str>) -> Result<BTreeSet<OutPoint>, RpcError> {
        if let Some(raw_hex) = stored_hex {
            return look::inputs(self.wallet, raw_hex);
        }
        let known = self.wallet.transaction(txid)?;
        known.map_or_else(|| Ok(BTreeSet::new()), |known| look::inputs(self.wallet, &known.raw_hex))
    }

    /// Gives the same bytes to the network again. Never for a disputed batch: a person may have abandoned it.
    fn revive(&mut self, batch: &Batch) -> Result<bool, PayoutError> {
        if batch.state == BatchState::Disputed {
            return Ok(false);
        }
        let mut alive = false;
        for member in self.members(batch)?.iter().filter(|member| member.matched == Some(true)) {
            let Some(raw_hex) = &member.raw_hex else { continue };
            let known = self.wallet.transaction(&member.txid)?;
            let lost = known.is_some_and(|known| known.entries.iter().any(|entry| entry.abandoned || entry.confirmations < 0));
            if lost && batch.method == Method::Sendmany {
                continue;
            }
            match verify::keep_alive(self.wallet, &member.txid, raw_hex) {
                Presence::Mempool | Presence::Confirmed => {
                    alive = true;
                    self.report.rebroadcast.push(member.txid);
                }
                Presence::Missing(why) => {
                    // Not taken now is not dead: a mempool may be full, or the node may not be synced.
                    alive = true;
                    self.miss(batch, &member.txid, &why);
                }
            }
        }
        Ok(alive)
    }

    fn miss(&mut self, batch: &Batch, txid: &Txid, why: &str) {
        if self.now.0 - batch.created.0 > LIMBO_ALARM_S {
            tracing::error!(batch = %batch.id, %txid, why, "a payment is not in the mempool for long; look at the fee and the daemon");
        } else {
            tracing::warn!(batch = %batch.id, %txid, why, "a payment is not in the mempool; it is given again at each sync");
        }
        self.report.missing.push((*txid, why.to_owned()));
    }

    /// Whether an input of each of the batch's transactions is spent, at final depth, by a transaction that does not pay it, or will never
    /// be made; where it has none, every coin that it could have spent.
    pub(super) fn proven_dead(&mut self, batch: &Batch) -> Result<bool, PayoutError> {
        let members = self.members(batch)?;
        let mut inputs: Vec<BTreeSet<OutPoint>> = Vec::new();
        for member in &members {
            let Some(raw_hex) = &member.raw_hex else { return Ok(false) };
            inputs.push(look::inputs(self.wallet, raw_hex)?);
        }
        if inputs.is_empty() {
            return Ok(sweep::proof(self.store, self.wallet, self.coin, batch)?.is_some());
        }
        let spent = self.spent_by_others(batch, &members)?;
        for inputs in inputs.iter().filter(|inputs| inputs.is_disjoint(&spent)) {
            if !self.is_of_lost_coins(inputs)? {
                return Ok(false);
            }
        }
        Ok(sweep::knows_its_own(self.store, batch)? || sweep::proof(self.store, self.wallet, self.coin, batch)?.is_some())
    }

    /// Whether one of the coins was made by a transaction that lost to another at final depth, by the wallet's word: a deposit that a reorg
    /// took away and that its sender spent otherwise.
    fn is_of_lost_coins(&self, coins: &BTreeSet<OutPoint>) -> Result<bool, RpcError> {
        let lost_at = i64::try_from(self.coin.final_depth).map_or(i64::MIN, |depth| -depth);
        let makers: BTreeSet<Txid> = coins.iter().map(|coin| coin.txid).collect();
        for txid in makers {
            if self.wallet.transaction(&txid)?.is_some_and(|known| known.confirmations <= lost_at) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Outpoints that were spent at final depth, since the batch, by transactions that are not the batch's and do not pay it.
    fn spent_by_others(&mut self, batch: &Batch, members: &[Member]) -> Result<BTreeSet<OutPoint>, PayoutError> {
        let lowest = batch.tip.height.saturating_sub(self.coin.final_depth);
        let (followed, tip, outputs) = self.store.read(|tx| {
            let tip = ledger::synced_tip(tx)?.map_or(0, |tip| tip.height);
            Ok::<_, StoreError>((following::confirmed_from(tx, lowest)?, tip, records::outputs(tx, &batch.id)?))
        })?;
        let asked = batch::asked(&outputs);
        let mut spent = self.never_made()?;
        for Followed { txid, state, .. } in followed {
            let TxState::Confirmed { height, .. } = state else { continue };
            let ours = members.iter().any(|member| member.txid == txid);
            if ours || rules::depth(height, tip) < self.coin.final_depth {
                continue;
            }
            let Some(known) = self.wallet.transaction(&txid)? else { continue };
            let decoded = self.decode_if_readable(&known.raw_hex)?;
            if let Some(decoded) = decoded.filter(|decoded| rules::pays_nobody_of(&asked, decoded)) {
                spent.extend(decoded.spent());
            }
        }
        Ok(spent)
    }

    /// Outputs of transactions that lost to another of their own batch at final depth: whoever spends one is as dead. (Our change, spent
    /// before it was confirmed, when its transaction was malleated or replaced.) The chain of now is asked: a batch that a reorg undid
    /// may still be called final here.
    fn never_made(&mut self) -> Result<BTreeSet<OutPoint>, PayoutError> {
        let final_depth = self.coin.final_depth;
        let decided = self.store.read(|tx| {
            let tip = ledger::synced_tip(tx)?.map_or(0, |tip| tip.height);
            let mut decided = Vec::new();
            for batch in records::final_with_rivals(tx)? {
                let mut members = records::txids(tx, &batch)?;
                let mut winner = None;
                for (at, member) in members.iter().enumerate() {
                    if let Some(TxState::Confirmed { height, .. }) = ledger::state_of(tx, &member.txid)?
                        && rules::depth(height, tip) >= final_depth
                    {
                        winner = Some(at);
                    }
                }
                decided.extend(winner.map(|at| (members.swap_remove(at), members)));
            }
            Ok::<_, StoreError>(decided)
        })?;
        let mut outputs = BTreeSet::new();
        for (winner, losers) in decided {
            let Some(won) = winner.raw_hex.map(|raw_hex| look::inputs(self.wallet, &raw_hex)).transpose()? else { continue };
            for member in losers {
                let Some(raw_hex) = &member.raw_hex else { continue };
                let lost = self.wallet.decode(raw_hex)?;
                if lost.spent().any(|coin| won.contains(&coin)) {
                    outputs.extend(lost.outputs.iter().map(|output| OutPoint { txid: member.txid, vout: output.vout }));
                }
            }
        }
        Ok(outputs)
    }

    /// Some daemons cannot decode every transaction of their own chain; what cannot be read proves nothing.
    fn decode_if_readable(&self, raw_hex: &str) -> Result<Option<crate::daemon::DecodedTx>, RpcError> {
        match self.wallet.decode(raw_hex) {
            Ok(decoded) => Ok(Some(decoded)),
            Err(RpcError::Daemon { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether a final batch has nothing to be settled: its transactions are compared, the ledger has seen no other with its mark, and one of
/// them is as deep as it was. There are hundreds of these, and neither their bytes nor their outputs are read for that.
fn stands_as_it_did(tx: &Tx<'_>, batch: &Batch, final_depth: u64) -> Result<bool, PayoutError> {
    let members = records::compared(tx, &batch.id)?;
    let is_member = |txid: &Txid| members.iter().any(|(member, _)| member == txid);
    if members.iter().any(|(_, matched)| matched.is_none()) || !ledger::marked(tx, &batch.mark)?.iter().all(is_member) {
        return Ok(false);
    }
    let tip = ledger::synced_tip(tx)?.map_or(0, |tip| tip.height);
    let mut states = Vec::new();
    for (txid, _) in members.iter().filter(|(_, matched)| *matched == Some(true)) {
        states.push(ledger::state_of(tx, txid)?);
    }
    let standing = rules::standing(&states, tip);
    let is_deep = matches!(standing, Standing::Confirmed { .. });
    Ok(is_deep && rules::settle_events(batch.state, standing, final_depth).is_empty())
}
