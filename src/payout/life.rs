//! Applies an event to a payout, or to a batch and all its payouts: asks `rules::next`, does the actions, writes the history.

use super::batch::{Batch, BatchState};
use super::records;
use super::request::Payout;
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
pub(super) fn reject_if_queued(tx: &Tx<'_>, payout: &Payout, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    match records::payout(tx, &payout.id)? {
        Some(payout) if payout.state == State::Queued => advance(tx, &payout, Event::PayeeRefused, Some(reason), now).map(|_| ()),
        _ => Ok(()),
    }
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
    let (to, _) = next(from, event).map_err(|illegal| impossible(batch.id.as_str(), illegal))?;
    for payout in records::members(tx, &batch.id)? {
        advance(tx, &payout, event, reason, now)?;
    }
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
