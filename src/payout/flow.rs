//! Sending: observe, plan, store the intent, call once, record what came of it.

use super::batch::{self, Batch, BatchId, BatchState, WalletThen};
use super::error::PayoutError;
use super::gather::{Bad, look_at_gate};
use super::host::{Host, LocalHost};
use super::journaled::{self, Draft};
use super::observe::{Observer, Step};
use super::report::{BatchReport, FlushReport, RejectedPayout};
use super::rules::{self, Event, Facts, Occasion, Plan, PlannedOutput, Price, Refusal, State, Verdict, WaitsFor};
use super::verify::{self, Presence};
use super::{life, records};
use crate::coin::{Amount, OutPoint, Timestamp, Txid};
use crate::config::{CoinSettings, Method};
use crate::daemon::{RpcError, SendMany, Tip, Wallet, WalletIdentity};
use crate::ledger::{self, Account, Claim};
use crate::store::{Store, Tx};
use crate::unlock;

/// Batches of one flush at most, so that other work gets its turn; the service then goes on by itself.
const BATCHES_PER_FLUSH: usize = 12;
/// Earlier payments that are seen to carry their marks before a new one is made: what loses comments loses all of them.
const WITNESSES: i64 = 3;

/// What a flush works with.
pub(super) struct Sender<'a> {
    pub(super) store: &'a mut Store,
    pub(super) wallet: &'a dyn Wallet,
    pub(super) coin: &'a CoinSettings,
    pub(super) host: &'a dyn Host,
    pub(super) observer: &'a mut dyn Observer,
    pub(super) occasion: Occasion,
    pub(super) now: Timestamp,
}

/// What came of one call.
pub(super) enum Outcome {
    Done,
    Split,
    Wait(WaitsFor, String),
}

/// Sends the queue in batches until it is empty or has to wait. One batch is one transaction. Where it is not a person who orders it, what
/// saves too little waits for company.
///
/// Refused while payouts are frozen or a batch may have been sent. A failure before a batch's intent is stored changes nothing;
/// after that every outcome is recorded, and doubt is an outcome.
pub fn flush(
    store: &mut Store,
    wallet: &dyn Wallet,
    coin: &CoinSettings,
    host: &dyn Host,
    observer: &mut dyn Observer,
    occasion: Occasion,
    now: Timestamp,
) -> Result<FlushReport, PayoutError> {
    let sender = &mut Sender { store, wallet, coin, host, observer, occasion, now };
    let mut report = FlushReport::default();
    match journaled::before_flush(sender.store, sender.coin.payouts.method, sender.now) {
        Ok(()) => sender.send_all(&mut report)?,
        Err(error) => report.end(error)?,
    }
    report.queued = queued(sender.store)?;
    Ok(report)
}

/// The batch that a flush would send first. Changes nothing but the ledger, which it syncs. Payees that a flush would reject are
/// named instead.
pub fn preview(store: &mut Store, wallet: &dyn Wallet, coin: &CoinSettings, now: Timestamp) -> Result<Plan, PayoutError> {
    let host = &LocalHost { coin };
    let mut sender = Sender { store, wallet, coin, host, observer: &mut (), occasion: Occasion::Person, now };
    let mut report = FlushReport::default();
    let mut plan = sender.plan(&mut report, Bad::LeaveOut)?;
    plan.rejects = report.rejected;
    if coin.payouts.method == Method::Journaled {
        plan.spend = Some(sender.preview_spend(&plan.outputs, plan.price)?);
    }
    Ok(plan)
}

fn queued(store: &mut Store) -> Result<u64, PayoutError> {
    let totals = store.read(records::totals)?;
    Ok(totals.get(&State::Queued).map_or(0, |(count, _)| *count))
}

impl<'a> Sender<'a> {
    /// The wallet opened, and the intent stored; an outcome where the batch has to wait.
    pub(super) fn intend_with_keys(
        &mut self,
        outputs: &[PlannedOutput],
        price: Price,
        draft: Option<&Draft>,
        report: &mut FlushReport,
    ) -> Result<Result<(Batch, unlock::Open<'a>), Outcome>, PayoutError> {
        // Before the intent: a wallet that stays locked leaves no trace.
        let keys = match unlock::open(self.store, self.wallet, self.coin) {
            Ok(keys) => keys,
            Err(error) if report.batches.is_empty() => return Err(error.into()),
            Err(error) => {
                report.locked = error.code().is_some();
                return Ok(Err(Outcome::Wait(WaitsFor::Passphrase, error.to_string())));
            }
        };
        match self.intend(outputs, price, draft) {
            Ok(batch) => Ok(Ok((batch, keys))),
            Err(error) => {
                keys.close(self.store);
                match error {
                    PayoutError::QueueMoved(_) => Ok(Err(Outcome::Wait(WaitsFor::Daemon, error.to_string()))),
                    _ => Err(error),
                }
            }
        }
    }
}

impl Sender<'_> {
    /// Plans and sends one batch after the other.
    fn send_all(&mut self, report: &mut FlushReport) -> Result<(), PayoutError> {
        while report.batches.len() < BATCHES_PER_FLUSH {
            let plan = match self.plan(report, Bad::Reject) {
                Ok(plan) => plan,
                Err(error) => {
                    report.follows = false;
                    report.end(error)?;
                    break;
                }
            };
            self.observer.step(Step::Planned);
            report.patient = plan.patient;
            // Of a rest that the wallet cannot pay, the next plan says which payout waits for how much.
            let is_all = plan.left_over.is_none();
            report.follows = self.send(plan, report)? && !is_all;
            if !report.follows {
                break;
            }
        }
        Ok(())
    }

    /// Sends a plan, in halves where a payee of it is refused. False: what is left has to wait.
    fn send(&mut self, plan: Plan, report: &mut FlushReport) -> Result<bool, PayoutError> {
        let (price, saving) = (plan.price, plan.saving_percent);
        let mut pending = vec![plan.outputs];
        let (mut is_whole, mut is_all_sent) = (true, true);
        while let Some(mut outputs) = pending.pop() {
            if !is_whole && let Some(refusal) = self.has_no_room(&outputs)? {
                report.wait(WaitsFor::Block, refusal);
                return Ok(false);
            }
            let outcome = match if is_whole { None } else { self.too_dear(&outputs, price)? } {
                Some(refusal) => Outcome::Wait(WaitsFor::LowerRate, refusal),
                None => self.send_one(&outputs, price, report)?,
            };
            match outcome {
                Outcome::Done => {}
                // Other parts have more company.
                Outcome::Wait(WaitsFor::LowerRate, reason) if !is_whole => {
                    report.wait(WaitsFor::LowerRate, reason);
                    is_all_sent = false;
                }
                Outcome::Split => {
                    let second = outputs.split_off(outputs.len().div_ceil(2));
                    pending.push(second);
                    pending.push(outputs);
                    is_whole = false;
                }
                Outcome::Wait(waits_for, reason) => {
                    report.wait(waits_for, reason);
                    return Ok(false);
                }
            }
            if let Some(entry) = report.batches.last_mut().filter(|_| is_whole) {
                entry.saving_percent = Some(saving);
            }
        }
        Ok(is_all_sent)
    }

    /// Why a part of a refused batch costs too much by itself. What bursar composes is held against the ceilings when it is.
    fn too_dear(&mut self, outputs: &[PlannedOutput], price: Price) -> Result<Option<String>, PayoutError> {
        let fee = &self.coin.payouts.fee;
        if self.coin.payouts.method == Method::Journaled || (fee.max_per_payout.is_none() && fee.max_per_tx.is_none()) {
            return Ok(None);
        }
        let mut facts = Facts::default();
        self.count_funds(&mut facts)?;
        let found = rules::part_above_ceiling(&facts.coins, outputs, price.rate, fee);
        Ok(found.map(|(fee, ceiling)| {
            let coins = |amount: Amount| amount.to_decimal(self.coin.profile.decimals);
            let (outputs, key, fee, limit) = (outputs.len(), ceiling.key(), coins(fee), coins(ceiling.limit()));
            format!(
                "the daemon refused a batch for one of its payees; {outputs} of them, looked at apart, would cost about {fee}, above {key} \
                 ({limit}): they wait for company, or for a lower rate"
            )
        }))
    }

    /// Why a part of a refused batch cannot go: the parts before it may have spent what it was planned with.
    fn has_no_room(&mut self, outputs: &[PlannedOutput]) -> Result<Option<String>, PayoutError> {
        let mut facts = Facts::default();
        match self.count_funds(&mut facts) {
            Err(PayoutError::Refused(refusal)) => return Ok(Some(refusal.to_string())),
            counted => counted?,
        }
        let total = Amount::sum(outputs.iter().map(|output| output.amount)).map_err(|error| damaged(&error))?;
        let reason = "what is left of a batch that was refused in part waits until a block confirms the rest's change";
        Ok((total > facts.available).then(|| reason.to_owned()))
    }

    /// One batch: intent, one call, and what came of it.
    fn send_one(&mut self, outputs: &[PlannedOutput], price: Price, report: &mut FlushReport) -> Result<Outcome, PayoutError> {
        if self.coin.payouts.method == Method::Journaled {
            return self.send_journaled(outputs, price, report);
        }
        let (batch, keys) = match self.intend_with_keys(outputs, price, None, report)? {
            Ok(begun) => begun,
            Err(outcome) => return Ok(outcome),
        };
        let id = batch.id.clone();
        self.observer.step(Step::IntentStored(id.clone()));
        report.batches.push(self.begun(&batch, outputs)?);
        let amounts: Vec<(String, Amount)> = outputs.iter().map(|output| (output.address.clone(), output.amount)).collect();
        let order = SendMany { rpc_id: id.as_str(), comment: &batch.mark, outputs: &amounts, fee: price.choice };
        tracing::info!(batch = %id, payouts = report.batches.last().map_or(0, |b| b.payouts), outputs = outputs.len(), "sendmany");
        self.observer.step(Step::Calling(id.clone()));
        // The only call in bursar that pays. It is made once: no error path below leads back to it with this batch.
        let answer = self.wallet.send_many(&order);
        self.observer.step(Step::Answered(id));
        keys.close(self.store);
        match answer {
            Ok(txid) => self.accept(&batch, txid, outputs, report),
            Err(error) => self.refused_or_doubt(&batch, &error, outputs, report),
        }
    }

    /// Stores the intent: batch, payouts and the ledger's claim in one synced commit.
    fn intend(&mut self, outputs: &[PlannedOutput], price: Price, draft: Option<&Draft>) -> Result<Batch, PayoutError> {
        let id = BatchId::from_bytes(self.host.random_bits()?);
        let place = Place { tip: self.wallet.tip()?, wallet: self.wallet.identity()?, boot_id: self.host.boot_id() };
        let then = WalletThen { coins_held: self.coins()?, witnesses: self.witnesses()? };
        let store_id = self.store.id().to_owned();
        let (coin, now) = (self.coin, self.now);
        self.store.write(|tx| {
            let mut facts = Facts::default();
            look_at_gate(tx, &mut facts)?;
            match (facts.frozen.is_empty(), facts.unresolved.first()) {
                (false, _) => return Err(Refusal::Frozen(facts.frozen).into()),
                (true, Some(batch)) => return Err(Refusal::InDoubt(batch.clone()).into()),
                (true, None) => {}
            }
            let seq = records::next_seq(tx)?;
            let mark = batch::mark(&store_id, seq, &id);
            let mut batch = new_batch(id, seq, mark, place, coin, now);
            batch.fee_rate = Some(price.rate);
            let members = payouts_of(tx, outputs)?;
            // Other threads hold and cancel payouts while this one talks with the daemon.
            if let Some(moved) = members.iter().find(|payout| payout.state != State::Queued) {
                return Err(PayoutError::QueueMoved(moved.id.clone()));
            }
            batch.not_sent_count = members.iter().map(|payout| payout.not_sent_count).max().unwrap_or(0);
            records::add_batch(tx, &batch, outputs, &then)?;
            if let Some(draft) = draft {
                journaled::add_draft(tx, &batch.id, draft)?;
            }
            life::join_batch(tx, &members, &batch.id, now)?;
            let claim = Claim { mark: batch.mark.clone(), order: batch.id.to_string(), account: Account::Payout };
            ledger::claim(tx, &claim)?;
            Ok(batch)
        })
    }

    fn coins(&self) -> Result<Vec<OutPoint>, PayoutError> {
        Ok(self.wallet.coins()?.iter().map(|coin| coin.outpoint).collect())
    }

    fn witnesses(&mut self) -> Result<Vec<Txid>, PayoutError> {
        let newest = self.store.read(|tx| records::newest_marked(tx, WITNESSES))?;
        Ok(self.wallet.carrying(&newest)?)
    }

    pub(super) fn begun(&self, batch: &Batch, outputs: &[PlannedOutput]) -> Result<BatchReport, PayoutError> {
        Ok(BatchReport {
            id: batch.id.clone(),
            state: batch.state,
            txid: None,
            payouts: outputs.iter().map(|output| output.payouts.len()).sum(),
            outputs: outputs.len(),
            total: Amount::sum(outputs.iter().map(|output| output.amount)).map_err(|error| damaged(&error))?,
            fee: None,
            vsize: None,
            planned_rate: batch.fee_rate.unwrap_or_default(),
            saving_percent: None,
            note: None,
        })
    }

    /// The daemon named a txid: it is committed first, then fetched, compared and looked for in the mempool.
    fn accept(
        &mut self,
        batch: &Batch,
        txid: Txid,
        outputs: &[PlannedOutput],
        report: &mut FlushReport,
    ) -> Result<Outcome, PayoutError> {
        let now = self.now;
        let owner = self.store.read(|tx| records::owner(tx, &txid))?;
        if let Some(owner) = owner {
            let why = format!("the daemon answered with {txid}, the transaction of batch {owner}");
            return self.doubt(batch, &why, report);
        }
        self.store.write(|tx| {
            verify::adopt(tx, batch, &txid, now)?;
            life::advance_batch(tx, batch, Event::Answered, None, now)
        })?;
        self.observer.step(Step::TxidStored(batch.id.clone()));
        let Some(entry) = report.batches.last_mut() else { return Ok(Outcome::Done) };
        (entry.state, entry.txid) = (BatchState::Sent, Some(txid));
        // What fails from here on is done again by `settle`: the payment itself is known.
        match verify::inspect(self.store, self.wallet, batch, &batch::asked(outputs), &txid, now) {
            Ok(seen) => {
                (entry.state, entry.fee, entry.vsize, entry.note) = (seen.state, seen.fee, seen.vsize, seen.problem);
                self.observer.step(Step::OutputsChecked(batch.id.clone()));
                self.tell_excess(entry);
                if let Presence::Missing(why) = verify::keep_alive(self.wallet, &txid, &seen.raw_hex) {
                    entry.add_note(format!("not in the mempool ({why}); it is broadcast again until it is final"));
                }
                self.observer.step(Step::InMempool(batch.id.clone()));
            }
            Err(error) => entry.note = Some(format!("sent, and to be checked by the next sync: {error}")),
        }
        match entry.state {
            BatchState::Sent => Ok(Outcome::Done),
            _ => Ok(Outcome::Wait(WaitsFor::Outcome, entry.note.clone().unwrap_or_default())),
        }
    }

    fn refused_or_doubt(
        &mut self,
        batch: &Batch,
        error: &RpcError,
        outputs: &[PlannedOutput],
        report: &mut FlushReport,
    ) -> Result<Outcome, PayoutError> {
        let verdict = rules::classify(error);
        if verdict == Verdict::Doubt {
            return self.doubt(batch, &error.to_string(), report);
        }
        self.give_back(batch, verdict, error.to_string(), outputs, report)
    }

    /// Certainly not sent: the payouts are queued again, or the culprit among them is looked for.
    pub(super) fn give_back(
        &mut self,
        batch: &Batch,
        verdict: Verdict,
        reason: String,
        outputs: &[PlannedOutput],
        report: &mut FlushReport,
    ) -> Result<Outcome, PayoutError> {
        let (alone, now) = (outputs.len() == 1, self.now);
        let event = if alone && verdict.blames_the_payee() { Event::PayeeRefused } else { Event::Refused };
        self.store.write(|tx| life::advance_batch(tx, batch, event, Some(&reason), now))?;
        self.observer.step(Step::RefusalStored(batch.id.clone()));
        tracing::warn!(batch = %batch.id, reason, "the batch was given up; nothing was sent");
        if let Some(entry) = report.batches.last_mut() {
            (entry.state, entry.note) = (BatchState::Ended, Some(reason.clone()));
        }
        if event == Event::PayeeRefused {
            let ids = outputs.iter().flat_map(|output| output.payouts.iter().cloned());
            report.rejected.extend(ids.map(|id| RejectedPayout { id, reason: reason.clone() }));
            return Ok(Outcome::Done);
        }
        report.locked = verdict == Verdict::Locked;
        if verdict.calls_for_a_split() && !alone { Ok(Outcome::Split) } else { Ok(Outcome::Wait(waits_for(verdict), reason)) }
    }

    fn doubt(&mut self, batch: &Batch, why: &str, report: &mut FlushReport) -> Result<Outcome, PayoutError> {
        let now = self.now;
        self.store.write(|tx| life::advance_batch(tx, batch, Event::AnswerLost, Some(why), now))?;
        self.observer.step(Step::DoubtStored(batch.id.clone()));
        let note = format!("batch {} may or may not have been sent ({why}); `bursar pay resolve` finds out", batch.id);
        if let Some(entry) = report.batches.last_mut() {
            (entry.state, entry.note) = (BatchState::InDoubt, Some(note.clone()));
        }
        Ok(Outcome::Wait(WaitsFor::Outcome, note))
    }

    /// A fee that is grossly above the plan is told loudly: it is paid, but the next one need not be.
    fn tell_excess(&self, entry: &mut BatchReport) {
        let (Some(fee), vsize) = (entry.fee, entry.vsize) else { return };
        let excess = rules::judge_paid(&self.coin.payouts.fee, entry.planned_rate, fee, vsize, entry.payouts as u64);
        if let Some(excess) = excess {
            tracing::error!(batch = %entry.id, fee = fee.base_units(), vsize, "{excess}");
            entry.add_note(excess);
        }
    }
}

/// What a batch waits for that was refused for certain.
fn waits_for(verdict: Verdict) -> WaitsFor {
    match verdict {
        Verdict::Funds => WaitsFor::Funds,
        Verdict::Fee => WaitsFor::Estimate,
        Verdict::Locked => WaitsFor::Passphrase,
        Verdict::Doubt => WaitsFor::Outcome,
        Verdict::PayeeAddress | Verdict::PayeeAmount | Verdict::TooLarge | Verdict::NotRun => WaitsFor::Daemon,
    }
}

pub(super) fn damaged(error: &dyn std::fmt::Display) -> PayoutError {
    crate::store::StoreError::Damaged(error.to_string()).into()
}

fn payouts_of(tx: &Tx<'_>, outputs: &[PlannedOutput]) -> Result<Vec<super::Payout>, PayoutError> {
    let ids = outputs.iter().flat_map(|output| &output.payouts);
    ids.map(|id| records::payout(tx, id)?.ok_or_else(|| PayoutError::Unknown(id.clone()))).collect()
}

/// Where a batch is sent from, as it was then.
struct Place {
    tip: Tip,
    wallet: WalletIdentity,
    boot_id: String,
}

fn new_batch(id: BatchId, seq: u64, mark: String, place: Place, coin: &CoinSettings, now: Timestamp) -> Batch {
    let Place { tip, wallet, boot_id } = place;
    Batch {
        id,
        seq,
        state: BatchState::Sending,
        mark,
        node: coin.daemon.rpc_connect.to_string(),
        wallet: wallet.name,
        fingerprint: wallet.fingerprint,
        boot_id,
        tip,
        method: coin.payouts.method,
        fee_rate: None,
        not_sent_count: 0,
        created: now,
        doubt_since: None,
        doubt_reason: None,
        fenced: None,
        outcome: None,
    }
}
