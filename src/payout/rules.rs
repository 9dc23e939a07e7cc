//! The decisions: what a payout may become, and what a batch is made of. Pure.

mod evidence;
mod refusals;
mod settling;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::batch::BatchId;
use super::request::PayoutId;
use crate::coin::{Amount, Timestamp};

pub use evidence::*;
pub use refusals::*;
pub use settling::*;

/// After this many proofs that it was not sent, something is wrong that another try will not mend.
pub const NOT_SENT_LIMIT: u32 = 3;

/// Where a payout stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for the next batch.
    Queued,
    /// Waits for a person; certainly not sent.
    Held,
    /// Withdrawn by a person before it was sent.
    Cancelled,
    /// Will not be paid; the reason says why.
    Rejected,
    /// Its batch is being given to the daemon.
    Sending,
    /// Its batch may have been sent.
    InDoubt,
    /// Its batch has a transaction that is not in a block.
    Sent,
    /// In a block.
    Confirmed,
    /// In a block, deep enough.
    Final,
    /// Its transactions cannot be shown to pay, nor to be dead.
    Disputed,
}

impl State {
    /// All of them.
    pub const ALL: [State; 10] = [
        State::Queued,
        State::Held,
        State::Cancelled,
        State::Rejected,
        State::Sending,
        State::InDoubt,
        State::Sent,
        State::Confirmed,
        State::Final,
        State::Disputed,
    ];

    /// Its name, in JSON and in the store.
    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Held => "held",
            State::Cancelled => "cancelled",
            State::Rejected => "rejected",
            State::Sending => "sending",
            State::InDoubt => "in_doubt",
            State::Sent => "sent",
            State::Confirmed => "confirmed",
            State::Final => "final",
            State::Disputed => "disputed",
        }
    }

    /// Whether a transaction pays it or may pay it: it belongs to a batch.
    pub fn may_be_paid(self) -> bool {
        !matches!(self, State::Queued | State::Held | State::Cancelled | State::Rejected)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for State {
    type Err = String;
    fn from_str(text: &str) -> Result<State, String> {
        let found = State::ALL.into_iter().find(|state| state.name() == text);
        found.ok_or_else(|| format!("'{text}' is not a state: {}", State::ALL.map(State::name).join(", ")))
    }
}

/// What happens to a payout, or to a batch and all its payouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// A person holds it back.
    Hold,
    /// A person lets it go on.
    Release,
    /// A person withdraws it.
    Cancel,
    /// The payee's address or the amount was refused for certain.
    PayeeRefused,
    /// It is taken into a batch.
    Batched,
    /// The daemon answered with a txid.
    Answered,
    /// The daemon refused the batch for certain, for a reason that is not the payee's.
    Refused,
    /// Nobody knows whether the batch was sent.
    AnswerLost,
    /// The transaction of a batch in doubt was found.
    Found,
    /// A batch in doubt was proven not to be sent, for the n-th time.
    NotSent {
        /// This proof included.
        times: u32,
    },
    /// It can be shown neither that it pays nor that it is dead.
    Unprovable,
    /// One of its transactions is in a block.
    Confirmed,
    /// And deep enough.
    Finalized,
    /// No longer in a block.
    Reorged,
    /// An input of each of its transactions is spent, at final depth, by a transaction that does not pay it.
    ProvenDead,
}

/// How loudly a person is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// Look today.
    Warning,
    /// Look now.
    Error,
    /// Money that was taken as final is not.
    Highest,
}

/// What has to be done along with the new state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// It no longer belongs to its batch.
    LeaveBatch,
    /// One more proof that it was not sent.
    CountNotSent,
    /// Tell a person.
    Alarm(Alarm),
}

/// An event that cannot happen to a payout in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", illegal_text(*state, *event))]
pub struct Illegal {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

fn illegal_text(state: State, event: Event) -> String {
    let verb = match event {
        Event::Hold => "held",
        Event::Release => "released",
        Event::Cancel => "cancelled",
        _ => return format!("a payout that is {state} cannot meet {event:?}"),
    };
    let why = match state {
        State::Sending | State::InDoubt | State::Disputed => ": it may have been sent already",
        State::Sent | State::Confirmed | State::Final => ": it was sent already",
        _ => "",
    };
    format!("a payout that is {state} cannot be {verb}{why}; nothing was changed")
}

/// What becomes of a payout, or of a batch: the whole life of both, in one match.
pub fn next(state: State, event: Event) -> Result<(State, Vec<Action>), Illegal> {
    use Action::{CountNotSent, LeaveBatch};
    let (to, actions) = match (state, event) {
        (State::Queued, Event::Hold) => (State::Held, vec![]),
        (State::Held, Event::Release) => (State::Queued, vec![]),
        (State::Queued | State::Held, Event::Cancel) => (State::Cancelled, vec![]),
        (State::Queued | State::Held, Event::PayeeRefused) => (State::Rejected, vec![]),

        (State::Queued, Event::Batched) => (State::Sending, vec![]),
        (State::Sending, Event::Answered) => (State::Sent, vec![]),
        (State::Sending, Event::PayeeRefused) => (State::Rejected, vec![LeaveBatch]),
        (State::Sending, Event::Refused) => (State::Queued, vec![LeaveBatch]),
        (State::Sending, Event::AnswerLost) => (State::InDoubt, vec![Action::Alarm(Alarm::Warning)]),

        (State::InDoubt, Event::Found) => (State::Sent, vec![]),
        (State::InDoubt, Event::NotSent { times }) if times < NOT_SENT_LIMIT => (State::Queued, vec![LeaveBatch, CountNotSent]),
        (State::InDoubt, Event::NotSent { .. }) => (State::Held, vec![LeaveBatch, CountNotSent, Action::Alarm(Alarm::Error)]),
        (State::InDoubt | State::Sent, Event::Unprovable) => (State::Disputed, vec![Action::Alarm(Alarm::Error)]),

        (State::Sent | State::Disputed, Event::Confirmed) => (State::Confirmed, vec![]),
        (State::Confirmed, Event::Finalized) => (State::Final, vec![]),
        (State::Confirmed, Event::Reorged) => (State::Sent, vec![Action::Alarm(Alarm::Warning)]),
        (State::Final, Event::Reorged) => (State::Sent, vec![Action::Alarm(Alarm::Highest)]),
        (State::Disputed, Event::ProvenDead) => (State::Held, vec![LeaveBatch, Action::Alarm(Alarm::Error)]),
        _ => return Err(Illegal { state, event }),
    };
    Ok((to, actions))
}

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
    /// The queue, oldest first.
    pub queue: Vec<Candidate>,
    /// What the wallet can spend now.
    pub available: Amount,
}

impl Facts {
    /// Whether anything may be sent at all.
    pub fn is_open(&self) -> bool {
        self.frozen.is_empty() && self.unresolved.is_empty() && self.unknown_marks.is_empty()
    }
}

/// How large a batch may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Outputs at most.
    pub max_outputs: usize,
    /// Decimals of the coin, for printing.
    pub decimals: u8,
}

/// Why nothing is sent now. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The gate.
    #[error("payouts are frozen: {}; they stay queued", .0.join("; "))]
    Frozen(Vec<String>),
    /// A batch may have been sent.
    #[error("batch {0} may or may not have been sent; nothing else is until `bursar pay resolve` knows; payouts stay queued")]
    InDoubt(BatchId),
    /// The wallet knows more than the store.
    #[error("the wallet holds payments that this store does not know ({}): the store went back in time", .0.join(", "))]
    StoreWentBack(Vec<String>),
    /// Nothing to do.
    #[error("no payout is queued")]
    NothingQueued,
    /// The oldest payout needs more than there is.
    #[error("payout {payout} needs {needed}, the wallet can spend {available}: it waits (hold it to let later ones pass)")]
    FundsTooLow {
        /// The oldest payout.
        payout: PayoutId,
        /// What it needs, in coins.
        needed: String,
        /// What there is, in coins.
        available: String,
    },
}

/// One output of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedOutput {
    /// An address of the payee, in the spelling of the oldest payout.
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
    /// Why the rest of the queue has to wait, if there is a rest.
    pub left_over: Option<LeftOver>,
    /// When it was made.
    pub planned_at: Timestamp,
    /// Decimals of the coin, for printing.
    pub decimals: u8,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (payouts, outputs) = (self.payouts, self.outputs.len());
        writeln!(f, "one transaction: {payouts} payouts, {outputs} outputs, {}", self.total.to_decimal(self.decimals))?;
        for output in &self.outputs {
            let amount = output.amount.to_decimal(self.decimals);
            let ids: Vec<&str> = output.payouts.iter().map(PayoutId::as_str).collect();
            writeln!(f, "  {amount:>20} to {} for {}", output.address, ids.join(", "))?;
        }
        match self.left_over {
            None => Ok(()),
            Some(LeftOver::Full) => writeln!(f, "the rest of the queue follows in the next batch: this one is full"),
            Some(LeftOver::Funds) => writeln!(f, "the rest of the queue waits: the wallet cannot pay it now"),
        }
    }
}

/// The next batch: the longest run of the queue, oldest first, that the limits and the funds allow; one output per payee.
///
/// The queue is never overtaken: a large payout that waits for funds is not starved by small ones.
pub fn plan(facts: &Facts, limits: &Limits, now: Timestamp) -> Result<Plan, Refusal> {
    if !facts.unknown_marks.is_empty() {
        return Err(Refusal::StoreWentBack(facts.unknown_marks.clone()));
    }
    if !facts.frozen.is_empty() {
        return Err(Refusal::Frozen(facts.frozen.clone()));
    }
    if let Some(batch) = facts.unresolved.first() {
        return Err(Refusal::InDoubt(batch.clone()));
    }
    let Some(oldest) = facts.queue.first() else {
        return Err(Refusal::NothingQueued);
    };
    let plan = fill(facts, limits, now);
    if plan.outputs.is_empty() {
        return Err(Refusal::FundsTooLow {
            payout: oldest.id.clone(),
            needed: oldest.amount.to_decimal(limits.decimals),
            available: facts.available.to_decimal(limits.decimals),
        });
    }
    Ok(plan)
}

fn fill(facts: &Facts, limits: &Limits, now: Timestamp) -> Plan {
    let mut plan =
        Plan { outputs: vec![], payouts: 0, total: Amount::ZERO, left_over: None, planned_at: now, decimals: limits.decimals };
    let mut position_of: HashMap<&str, usize> = HashMap::new();
    for candidate in &facts.queue {
        let position = position_of.get(candidate.script_hex.as_str()).copied();
        if position.is_none() && plan.outputs.len() >= limits.max_outputs {
            plan.left_over = Some(LeftOver::Full);
            break;
        }
        let total = plan.total.checked_add(candidate.amount).ok().filter(|total| *total <= facts.available);
        let merged = position.map_or(Ok(candidate.amount), |at| plan.outputs[at].amount.checked_add(candidate.amount));
        let (Some(total), Ok(amount)) = (total, merged) else {
            plan.left_over = Some(LeftOver::Funds);
            break;
        };
        match position {
            Some(at) => {
                plan.outputs[at].amount = amount;
                plan.outputs[at].payouts.push(candidate.id.clone());
            }
            None => {
                position_of.insert(&candidate.script_hex, plan.outputs.len());
                plan.outputs.push(PlannedOutput {
                    address: candidate.address.clone(),
                    script_hex: candidate.script_hex.clone(),
                    amount,
                    payouts: vec![candidate.id.clone()],
                });
            }
        }
        plan.total = total;
        plan.payouts += 1;
    }
    plan
}
