//! What goes into the next batch.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::due::{Occasion, age_s, is_out_of_patience};
use super::price::{Price, above_ceiling};
use super::size::{Coins, output_vbytes, transaction_vbytes};
use super::{FeeCeiling, Refusal, SpendPlan};
use crate::coin::{Amount, FeeRate, Timestamp};
use crate::config::{FeeSettings, PayoutSettings};
use crate::payout::batch::BatchId;
use crate::payout::report::RejectedPayout;
use crate::payout::request::{PayoutId, Priority};

/// A queued payout whose address the daemon has just accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id.
    pub id: PayoutId,
    /// Its address.
    pub address: String,
    /// The locking script of the address, in hex.
    pub script_hex: String,
    /// How much.
    pub amount: Amount,
    /// How urgent.
    pub priority: Priority,
    /// When it was submitted.
    pub submitted: Timestamp,
}

/// What a plan is made from.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Why payouts are frozen, in words; empty: they are not.
    pub frozen: Vec<String>,
    /// Batches that are being sent or in doubt.
    pub unresolved: Vec<BatchId>,
    /// Marks of this store that the store does not know.
    pub unknown_marks: Vec<String>,
    /// The queue: most urgent first, then oldest first; without the patient ones that wait for a cheaper moment.
    pub queue: Vec<Candidate>,
    /// How many patient ones wait for a cheaper moment.
    pub patient: u64,
    /// More than stands here is queued and may go.
    pub has_more: bool,
    /// What the wallet can spend now.
    pub available: Amount,
    /// The coins that are.
    pub coins: Coins,
    /// What it cannot spend before a block: change of too long a chain of unconfirmed transactions.
    pub in_chain: Amount,
}

impl Facts {
    /// Whether anything may be sent at all.
    pub fn is_open(&self) -> bool {
        self.frozen.is_empty() && self.unresolved.is_empty() && self.unknown_marks.is_empty()
    }
}

/// What a batch may be and cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits<'a> {
    /// The batching policy.
    pub settings: &'a PayoutSettings,
    /// What a virtual byte costs now.
    pub price: Price,
    /// Why the flush is made.
    pub occasion: Occasion,
    /// Decimals of the coin, for printing.
    pub decimals: u8,
}

/// One output of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOutput {
    /// An address of the payee, in the spelling of the first payout.
    pub address: String,
    /// Its locking script in hex.
    pub script_hex: String,
    /// The sum of its payouts.
    pub amount: Amount,
    /// The payouts that it pays.
    pub payouts: Vec<PayoutId>,
}

/// Why some of the queue is not in a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftOver {
    /// The batch is full; they follow in the next.
    Full,
    /// The wallet cannot pay them now.
    Funds,
    /// The wallet cannot pay them before a block confirms its change.
    Block,
}

/// A batch to be sent. Prints itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its outputs; each locking script once.
    pub outputs: Vec<PlannedOutput>,
    /// How many payouts they pay.
    pub payouts: usize,
    /// Their sum, without the fee.
    pub total: Amount,
    /// What a virtual byte is to cost.
    pub price: Price,
    /// Its size in virtual bytes: outputs exactly, inputs as many as the daemon may take.
    pub vbytes: u64,
    /// Its fee at that size.
    pub fee: Amount,
    /// How much less than single sends it costs, in percent.
    pub saving_percent: u8,
    /// Why the rest of the queue has to wait, if there is a rest.
    pub left_over: Option<LeftOver>,
    /// How many payouts of priority low wait for a cheaper moment.
    pub patient: u64,
    /// Payouts that a flush would reject alone; none once it has.
    #[serde(default)]
    pub rejects: Vec<RejectedPayout>,
    /// When it was made.
    pub planned_at: Timestamp,
    /// Decimals of the coin, for printing.
    pub decimals: u8,
    /// The coins that it would spend, where bursar chooses them (`journaled`).
    #[serde(default)]
    pub spend: Option<SpendPlan>,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let coins = |amount: Amount| amount.to_decimal(self.decimals);
        let (payouts, outputs) = (self.payouts, self.outputs.len());
        writeln!(f, "one transaction: {payouts} payouts, {outputs} outputs, {}", coins(self.total))?;
        let each = self.fee.base_units() / i64::try_from(payouts).unwrap_or(i64::MAX).max(1);
        let (fee, each, rate) = (coins(self.fee), coins(Amount::from_base_units(each)), self.price.rate);
        let (vbytes, saving) = (self.vbytes, self.saving_percent);
        writeln!(f, "fee about {fee} ({each} a payout): {vbytes} virtual bytes at {rate}; {saving} % less than single sends")?;
        if let Some(spend) = &self.spend {
            let change = spend.change.map_or_else(|| "no change".to_owned(), |change| format!("change {}", coins(change)));
            writeln!(
                f,
                "spends {} coins, fee {} for {} virtual bytes, {change}",
                spend.inputs.len(),
                coins(spend.fee),
                spend.vsize
            )?;
            spend.inputs.iter().try_for_each(|input| writeln!(f, "  {input}"))?;
        }
        for output in &self.outputs {
            let amount = output.amount.to_decimal(self.decimals);
            let ids: Vec<&str> = output.payouts.iter().map(PayoutId::as_str).collect();
            writeln!(f, "  {amount:>20} to {} for {}", output.address, ids.join(", "))?;
        }
        match self.left_over {
            None => {}
            Some(LeftOver::Full) => writeln!(f, "the rest of the queue follows in the next batch: this one is full")?,
            Some(LeftOver::Funds) => writeln!(f, "the rest of the queue waits: the wallet cannot pay it now")?,
            Some(LeftOver::Block) => writeln!(f, "the rest of the queue waits for a block: its coins are not confirmed")?,
        }
        if self.patient > 0 {
            writeln!(f, "{} payouts of priority low wait for a cheaper moment", self.patient)?;
        }
        self.rejects.iter().try_for_each(|rejected| writeln!(f, "rejects {}: {}", rejected.id, rejected.reason))
    }
}

/// The next batch: the longest run of the queue that the limits and the funds allow; one output per payee.
///
/// The queue is never overtaken: what does not fit ends the batch, so that a large payout that waits for funds is not starved by small
/// ones, nor by less urgent ones.
pub fn plan(facts: &Facts, limits: &Limits<'_>, now: Timestamp) -> Result<Plan, Refusal> {
    if !facts.unknown_marks.is_empty() {
        return Err(Refusal::StoreWentBack(facts.unknown_marks.clone()));
    }
    if !facts.frozen.is_empty() {
        return Err(Refusal::Frozen(facts.frozen.clone()));
    }
    if let Some(batch) = facts.unresolved.first() {
        return Err(Refusal::InDoubt(batch.clone()));
    }
    if facts.queue.is_empty() {
        return Err(match facts.patient {
            0 => Refusal::NothingQueued,
            count => Refusal::Patient { count, rate: limits.price.rate },
        });
    }
    let filled = fill(facts, limits, now, facts.queue.len())?;
    match filled.fits_ceiling {
        // One that needs many coins waits behind those that do not.
        Some(payouts) if payouts < filled.plan.payouts => fill(facts, limits, now, payouts)?.finish(),
        _ => filled.finish(),
    }
}

/// The longest run of the queue, of so many at most, that fits; refused where not even the first does.
fn fill<'a>(facts: &'a Facts, limits: &'a Limits<'a>, now: Timestamp, most: usize) -> Result<Filling<'a>, Refusal> {
    let mut filling = Filling::new(facts, limits, now);
    for candidate in facts.queue.iter().take(most) {
        match filling.add(candidate) {
            Ok(()) => {}
            Err(obstacle) if filling.plan.payouts == 0 => return Err(filling.refusal(candidate, obstacle)),
            Err(obstacle) => {
                filling.plan.left_over = Some(obstacle.left_over());
                break;
            }
        }
    }
    if filling.plan.left_over.is_none() && (facts.has_more || filling.plan.payouts < facts.queue.len()) {
        filling.plan.left_over = Some(LeftOver::Full);
    }
    Ok(filling)
}

/// What ends a batch.
#[derive(Clone, Copy)]
enum Obstacle {
    Outputs,
    Size(u64),
    Fee(Amount, FeeCeiling),
    Funds(Amount),
    Chain,
}

impl Obstacle {
    fn left_over(self) -> LeftOver {
        match self {
            Obstacle::Outputs | Obstacle::Size(_) | Obstacle::Fee(..) => LeftOver::Full,
            Obstacle::Funds(_) => LeftOver::Funds,
            Obstacle::Chain => LeftOver::Block,
        }
    }
}

/// A batch that is being filled.
struct Filling<'a> {
    facts: &'a Facts,
    limits: &'a Limits<'a>,
    plan: Plan,
    position_of: HashMap<&'a str, usize>,
    output_vbytes: u64,
    /// What single sends of its payouts would take.
    single_vbytes: u64,
    /// Whether one of its payouts does not wait for company.
    is_pressing: bool,
    /// The longest run so far whose fee is below every ceiling.
    fits_ceiling: Option<usize>,
}

impl<'a> Filling<'a> {
    fn new(facts: &'a Facts, limits: &'a Limits<'a>, now: Timestamp) -> Filling<'a> {
        let plan = Plan {
            outputs: vec![],
            payouts: 0,
            total: Amount::ZERO,
            price: limits.price,
            vbytes: 0,
            fee: Amount::ZERO,
            saving_percent: 0,
            left_over: None,
            patient: facts.patient,
            rejects: vec![],
            planned_at: now,
            decimals: limits.decimals,
            spend: None,
        };
        let is_pressing = limits.occasion == Occasion::Person;
        let position_of = HashMap::new();
        Filling { facts, limits, plan, position_of, output_vbytes: 0, single_vbytes: 0, is_pressing, fits_ceiling: None }
    }

    /// Adds a payout, if the batch with it keeps every limit.
    fn add(&mut self, candidate: &'a Candidate) -> Result<(), Obstacle> {
        let settings = self.limits.settings;
        let position = self.position_of.get(candidate.script_hex.as_str()).copied();
        if position.is_none() && self.plan.outputs.len() >= settings.max_outputs {
            return Err(Obstacle::Outputs);
        }
        let size = output_vbytes(&candidate.script_hex);
        let output_size = if position.is_none() { self.output_vbytes.saturating_add(size) } else { self.output_vbytes };
        let outputs = self.plan.outputs.len() as u64 + u64::from(position.is_none());
        let beyond = Obstacle::Funds(self.plan.fee);
        let total = self.plan.total.checked_add(candidate.amount).map_err(|_| beyond)?;
        let merged = position.map_or(Ok(candidate.amount), |at| self.plan.outputs[at].amount.checked_add(candidate.amount));
        let amount = merged.map_err(|_| beyond)?;
        let (vbytes, fee) = self.estimate(total, outputs, output_size).ok_or(beyond)?;
        self.check(total, vbytes, fee)?;
        match position {
            Some(at) => {
                self.plan.outputs[at].amount = amount;
                self.plan.outputs[at].payouts.push(candidate.id.clone());
            }
            None => {
                self.position_of.insert(&candidate.script_hex, self.plan.outputs.len());
                self.plan.outputs.push(PlannedOutput {
                    address: candidate.address.clone(),
                    script_hex: candidate.script_hex.clone(),
                    amount,
                    payouts: vec![candidate.id.clone()],
                });
            }
        }
        (self.plan.total, self.plan.vbytes, self.plan.fee) = (total, vbytes, fee);
        self.plan.payouts += 1;
        self.output_vbytes = output_size;
        self.single_vbytes = self.single_vbytes.saturating_add(self.with_fewest(candidate.amount, 1, size));
        self.is_pressing |= self.presses(candidate);
        if above_ceiling(&settings.fee, fee, self.plan.payouts as u64).is_none() {
            self.fits_ceiling = Some(self.plan.payouts);
        }
        Ok(())
    }

    /// Size and fee; none beyond 64 bits. The first payout is taken to need the fewest coins that can pay it: whether it goes at all
    /// must not hang on a guess.
    fn estimate(&self, total: Amount, outputs: u64, output_size: u64) -> Option<(u64, Amount)> {
        let coins = &self.facts.coins;
        let count = |needed| if self.plan.payouts == 0 { coins.fewest(needed) } else { coins.likely(needed) };
        estimate(coins, &count, self.limits.price.rate, (total, outputs, output_size))
    }

    fn with_fewest(&self, total: Amount, outputs: u64, output_size: u64) -> u64 {
        let inputs = self.facts.coins.fewest(total);
        transaction_vbytes(inputs, self.facts.coins.input_vbytes(inputs), outputs, output_size)
    }

    fn check(&self, total: Amount, vbytes: u64, fee: Amount) -> Result<(), Obstacle> {
        let settings = self.limits.settings;
        if vbytes > settings.max_tx_vbytes {
            return Err(Obstacle::Size(vbytes));
        }
        // The ceiling on the fee of each payout is for the whole batch: company lowers it.
        if let Some(ceiling @ FeeCeiling::Transaction(_)) = above_ceiling(&settings.fee, fee, u64::MAX) {
            return Err(Obstacle::Fee(fee, ceiling));
        }
        let with_fee = total.checked_add(fee).map_err(|_| Obstacle::Funds(fee))?;
        if with_fee <= self.facts.available {
            return Ok(());
        }
        let after_block = self.facts.available.checked_add(self.facts.in_chain);
        let is_chain = self.facts.in_chain > Amount::ZERO && after_block.is_ok_and(|after| with_fee <= after);
        Err(if is_chain { Obstacle::Chain } else { Obstacle::Funds(fee) })
    }

    /// Whether a payout goes however little company it has.
    fn presses(&self, candidate: &Candidate) -> bool {
        let (settings, now) = (self.limits.settings, self.plan.planned_at);
        let is_old = settings.flush.at_age_s.is_some_and(|limit| age_s(candidate.submitted, now) >= limit);
        let out_of_patience =
            || candidate.priority == Priority::Low && is_out_of_patience(candidate.submitted, &settings.fee, now);
        candidate.priority == Priority::High || is_old || out_of_patience()
    }

    /// Why not even the first payout can go.
    fn refusal(&self, first: &Candidate, obstacle: Obstacle) -> Refusal {
        let coins = |amount: Amount| amount.to_decimal(self.limits.decimals);
        let (payout, needed, available) = (first.id.clone(), coins(first.amount), coins(self.facts.available));
        match obstacle {
            Obstacle::Funds(fee) => Refusal::FundsTooLow { payout, needed, fee: coins(fee), available },
            Obstacle::Chain => Refusal::AwaitsBlock { payout, needed, available, in_chain: coins(self.facts.in_chain) },
            Obstacle::Fee(fee, ceiling) => self.too_dear(fee, 1, ceiling),
            Obstacle::Size(vbytes) => Refusal::TooLarge { payout, vbytes, limit: self.limits.settings.max_tx_vbytes },
            // A batch always holds one output; the settings see to it.
            Obstacle::Outputs => Refusal::TooLarge { payout, vbytes: 0, limit: 0 },
        }
    }

    fn too_dear(&self, fee: Amount, payouts: u64, ceiling: FeeCeiling) -> Refusal {
        let coins = |amount: Amount| amount.to_decimal(self.limits.decimals);
        let (key, limit) = (ceiling.key(), coins(ceiling.limit()));
        Refusal::FeeTooHigh { fee: coins(fee), payouts, rate: self.limits.price.rate, key, limit }
    }

    fn finish(mut self) -> Result<Plan, Refusal> {
        let settings = self.limits.settings;
        let payouts = self.plan.payouts as u64;
        if let Some(ceiling) = above_ceiling(&settings.fee, self.plan.fee, payouts) {
            return Err(self.too_dear(self.plan.fee, payouts, ceiling));
        }
        let together = self.with_fewest(self.plan.total, self.plan.outputs.len() as u64, self.output_vbytes);
        self.plan.saving_percent = saving_percent(together, self.single_vbytes);
        let (saving_percent, wanted_percent) = (self.plan.saving_percent, settings.flush.min_saving_percent);
        if saving_percent < wanted_percent && !self.is_pressing {
            return Err(Refusal::Company { payouts, saving_percent, wanted_percent });
        }
        Ok(self.plan)
    }
}

/// Size and fee of these outputs (their sum, count and size) by so many inputs as `count` says; none beyond 64 bits. Inputs cost a fee
/// too, which takes more inputs: two rounds come close enough.
fn estimate(
    coins: &Coins,
    count: &dyn Fn(Amount) -> u64,
    rate: FeeRate,
    (total, outputs, output_size): (Amount, u64, u64),
) -> Option<(u64, Amount)> {
    let size = |inputs| transaction_vbytes(inputs, coins.input_vbytes(inputs), outputs, output_size);
    let first = rate.fee_of(size(count(total))).ok()?;
    let vbytes = size(count(total.checked_add(first).ok()?));
    Some((vbytes, rate.fee_of(vbytes).ok()?))
}

/// Which ceiling a part of a refused batch is above, with its fee: what was below it in company need not be so alone.
pub fn part_above_ceiling(
    coins: &Coins,
    outputs: &[PlannedOutput],
    rate: FeeRate,
    settings: &FeeSettings,
) -> Option<(Amount, FeeCeiling)> {
    let total = Amount::sum(outputs.iter().map(|output| output.amount)).ok()?;
    let size = outputs.iter().map(|output| output_vbytes(&output.script_hex)).sum();
    let payouts = outputs.iter().map(|output| output.payouts.len() as u64).sum();
    let count = |needed| if payouts == 1 { coins.fewest(needed) } else { coins.likely(needed) };
    let (_, fee) = estimate(coins, &count, rate, (total, outputs.len() as u64, size))?;
    above_ceiling(settings, fee, payouts).map(|ceiling| (fee, ceiling))
}

/// How much less one is than the other, in percent, rounded down.
pub fn saving_percent(together: u64, single: u64) -> u8 {
    let saved = u128::from(single.saturating_sub(together)) * 100 / u128::from(single.max(1));
    u8::try_from(saved).unwrap_or(100)
}
