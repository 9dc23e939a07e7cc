//! When something is sent between the times of the schedule.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::coin::{Amount, Timestamp};
use crate::config::{FeeSettings, FlushSettings};

/// The last part of a patient payout's patience is left for sending it: a twentieth.
const PATIENCE_SHARE: u64 = 20;

/// Why a flush is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Occasion {
    /// A person ordered it: nothing waits for company.
    #[default]
    Person,
    /// The schedule, or one of the triggers between its times.
    Policy,
}

/// What is queued, as far as triggers ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Whether a payout of priority high is among it.
    pub urgent: bool,
    /// Payouts of priority normal, counted up to where it is of no more use.
    pub count: u64,
    /// Their sum.
    pub amount: Amount,
    /// When the oldest of them was submitted.
    pub oldest: Option<Timestamp>,
    /// When the oldest of priority low was submitted.
    pub oldest_patient: Option<Timestamp>,
    /// A batch can hold no more than is counted here.
    pub fills_a_batch: bool,
}

/// What calls for a flush now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// A payout of priority high.
    Urgent,
    /// `payouts.flush_at_age_s`.
    Age,
    /// `payouts.flush_at_count`.
    Count,
    /// `payouts.flush_at_amount`.
    Amount,
    /// The patience of a payout of priority low ends.
    Patience,
    /// The flush before gave other work its turn.
    Rest,
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Due::Urgent => "a payout of priority high is queued",
            Due::Age => "the oldest has waited for payouts.flush_at_age_s",
            Due::Count => "payouts.flush_at_count are queued",
            Due::Amount => "payouts.flush_at_amount is queued",
            Due::Rest => "the flush before left some that could go",
            Due::Patience => "the patience of a payout of priority low ends",
        })
    }
}

/// Whether something is to be sent before the schedule's next time, and why. Once due, it stays so while nothing leaves the queue.
pub fn due(waiting: &Waiting, flush: &FlushSettings, fee: &FeeSettings, now: Timestamp) -> Option<Due> {
    let is_older = |than_s: u64| waiting.oldest.is_some_and(|oldest| age_s(oldest, now) >= than_s);
    let reached = |limit: Option<u64>| limit.is_some_and(|limit| waiting.count >= limit);
    let full = waiting.fills_a_batch && (flush.at_count.is_some() || flush.at_amount.is_some());
    if waiting.urgent {
        Some(Due::Urgent)
    } else if flush.at_age_s.is_some_and(is_older) {
        Some(Due::Age)
    } else if reached(flush.at_count) || full {
        Some(Due::Count)
    } else if flush.at_amount.is_some_and(|limit| waiting.amount >= limit) {
        Some(Due::Amount)
    } else if waiting.oldest_patient.is_some_and(|submitted| is_out_of_patience(submitted, fee, now)) {
        Some(Due::Patience)
    } else {
        None
    }
}

/// Whether a payout of priority low has waited long enough.
pub fn is_out_of_patience(submitted: Timestamp, fee: &FeeSettings, now: Timestamp) -> bool {
    age_s(submitted, now) >= fee.patience_s - fee.patience_s / PATIENCE_SHARE
}

/// Seconds since then; 0 where the clock went back.
pub fn age_s(since: Timestamp, now: Timestamp) -> u64 {
    u64::try_from(now.0.saturating_sub(since.0)).unwrap_or(0)
}
