//! Applies an event to a payout, or to a batch and all its payouts: asks `rules::next`, does the actions, writes the history.

use super::batch::{Batch, BatchId, BatchState, MembersStep};
use super::records;
use super::request::{Payout, PayoutId};
use super::rules::{Action, Alarm, Event, Illegal, State, next};
use crate::coin::Timestamp;
use crate::store::{StoreError, Tx};

fn impossible(what: &str, illegal: Illegal) -> StoreError {
    StoreError::Damaged(format!("{what}: {illegal}"))
}

/// One payout takes one step. Callers have asked `next` before where a person may be told no.
pub(super) fn advance(
    tx: &Tx<'_>,
    payout: &Payout,
    event: Event,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<State, StoreError> {
    let (to, actions) = next(payout.state, event).map_err(|illegal| impossible(payout.id.as_str(), illegal))?;
    let mut after = payout.clone();
    after.state = to;
    after.reason = reason.map(str::to_owned);
    for action in actions {
        match action {
            Action::LeaveBatch => after.batch = None,
            Action::CountNotSent => after.not_sent_count += 1,
            Action::Alarm(alarm) => sound(alarm, payout, to, reason),
        }
    }
    records::step_payout(tx, payout.state, &after, now)?;
    Ok(to)
}

/// Rejects a payout whose payee is refused, unless somebody took it out of the queue since it was read.
pub(super) fn reject_if_queued(tx: &Tx<'_>, id: &PayoutId, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    match records::payout(tx, id)? {
        Some(payout) if payout.state == State::Queued => advance(tx, &payout, Event::PayeeRefused, Some(reason), now).map(|_| ()),
        _ => Ok(()),
    }
}

/// Queued payouts become a batch's, all in one statement: a thousand of them must not keep the send waiting.
pub(super) fn join_batch(tx: &Tx<'_>, members: &[Payout], batch: &BatchId, now: Timestamp) -> Result<(), StoreError> {
    let (to, _) = next(State::Queued, Event::Batched).map_err(|illegal| impossible(batch.as_str(), illegal))?;
    let seqs: Vec<i64> = members.iter().map(|payout| payout.seq).collect();
    let step = MembersStep { batch, from: State::Queued, to, leave: false, not_sent: 0, reason: None, now };
    records::join_members(tx, &step, &seqs)
}

/// A word about a payout that changes nothing of where it stands.
pub(super) fn note(tx: &Tx<'_>, payout: &Payout, words: &str, now: Timestamp) -> Result<(), StoreError> {
    let noted = Payout { reason: Some(words.to_owned()), ..payout.clone() };
    records::step_payout(tx, payout.state, &noted, now)
}

/// A batch and all its payouts take one step together.
pub(super) fn advance_batch(
    tx: &Tx<'_>,
    batch: &Batch,
    event: Event,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<BatchState, StoreError> {
    let batch = records::batch(tx, &batch.id)?;
    let from = batch.state.of_payouts();
    let from = from.ok_or_else(|| StoreError::Damaged(format!("batch {} has ended and cannot meet {event:?}", batch.id)))?;
    let (to, actions) = next(from, event).map_err(|illegal| impossible(batch.id.as_str(), illegal))?;
    let mut step = MembersStep { batch: &batch.id, from, to, leave: false, not_sent: 0, reason, now };
    for action in actions {
        match action {
            Action::LeaveBatch => step.leave = true,
            Action::CountNotSent => step.not_sent += 1,
            Action::Alarm(alarm) => {
                records::members(tx, &batch.id)?.iter().for_each(|payout| sound(alarm, payout, to, reason));
            }
        }
    }
    records::step_members(tx, &step)?;
    let state = BatchState::from(to);
    records::step_batch(tx, &batch.id, state, reason)?;
    if state == BatchState::InDoubt {
        records::note_doubt(tx, &batch.id, reason.unwrap_or(""), now)?;
    }
    Ok(state)
}

fn sound(alarm: Alarm, payout: &Payout, to: State, reason: Option<&str>) {
    let (id, reason) = (payout.id.as_str(), reason.unwrap_or(""));
    match alarm {
        Alarm::Warning => tracing::warn!(payout = id, state = %to, reason, "payout needs attention"),
        Alarm::Error => tracing::error!(payout = id, state = %to, reason, "payout needs a person"),
        Alarm::Highest => tracing::error!(payout = id, state = %to, reason, "HIGHEST ALERT: a final payout was reorganised away"),
    }
}
