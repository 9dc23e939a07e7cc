//! The decisions: what a payout may become, and what a batch is made of. Pure.

mod batching;
mod chains;
mod coins;
mod due;
mod evidence;
#[cfg(test)]
mod policy_tests;
mod price;
mod proof;
mod refusal;
mod settling;
mod size;
#[cfg(test)]
mod tests;
mod verdict;
mod weight;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use batching::*;
pub use chains::*;
pub use coins::*;
pub use due::*;
pub use evidence::*;
pub use price::*;
pub use proof::*;
pub use refusal::*;
pub use settling::*;
pub use size::*;
pub use verdict::*;
pub use weight::*;

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

/// What a payout in this state waits for; none: it has come to its end.
pub fn waits_for(state: State) -> Option<&'static str> {
    match state {
        State::Queued => {
            Some("a flush: `bursar status` tells why there was none yet, `bursar pay flush --dry-run` what one would do")
        }
        State::Held => Some("a person: `bursar pay release`, or `bursar pay cancel`"),
        State::Sending => Some("the daemon's answer"),
        State::InDoubt => Some("proof of what became of its batch: `bursar pay resolve --dry-run` tells what is known"),
        State::Sent => Some("its first confirmation"),
        State::Confirmed => Some("confirmations, until it is final"),
        State::Disputed => Some("proof, or a person's ruling: `bursar pay resolve --dry-run` tells what is known"),
        State::Cancelled | State::Rejected | State::Final => None,
    }
}
