//! The tables of payouts and of their history; those of batches are in `batch/records.rs`.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, Row, params};

use super::request::{Checked, Payout, PayoutId, Priority};
use super::rules::State;
use super::{Filter, HistoryLine};
use crate::coin::{Amount, Timestamp};
use crate::store::{StoreError, Tx};

pub(super) use super::batch::records::*;

const COLUMNS: &str = "seq, id, address, amount, state, reason, batch, not_sent_count, submitted_s, priority";

pub(super) fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("payout tables: {error}"))
}

/// SQLite's integers are signed.
pub(super) fn unsigned(row: &Row<'_>, at: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(at)?).map_err(damaged)
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn to_payout(row: &Row<'_>) -> Result<Payout, StoreError> {
    let batch = row.get::<_, Option<String>>(6)?;
    Ok(Payout {
        seq: row.get(0)?,
        id: row.get::<_, String>(1)?.parse().map_err(|error: super::PayoutError| damaged(error))?,
        address: row.get(2)?,
        amount: Amount::from_base_units(row.get(3)?),
        state: row.get::<_, String>(4)?.parse().map_err(damaged)?,
        reason: row.get(5)?,
        batch: batch.map(|id| id.parse()).transpose().map_err(damaged)?,
        not_sent_count: row.get(7)?,
        submitted: Timestamp(row.get(8)?),
        priority: Priority::ALL.get(row.get::<_, usize>(9)?).copied().unwrap_or_default(),
    })
}

fn all(tx: &Tx<'_>, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Payout>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM payouts WHERE {condition}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(to_payout(row)?);
    }
    Ok(found)
}

pub(super) fn payout(tx: &Tx<'_>, id: &PayoutId) -> Result<Option<Payout>, StoreError> {
    Ok(all(tx, "id = ?1", [id.as_str()])?.pop())
}

pub(super) fn members(tx: &Tx<'_>, batch: &super::BatchId) -> Result<Vec<Payout>, StoreError> {
    all(tx, "batch = ?1 ORDER BY seq", [batch.as_str()])
}

/// A page of the queue, oldest first.
pub(super) fn queued_after(tx: &Tx<'_>, seq: i64, limit: usize) -> Result<Vec<Payout>, StoreError> {
    all(tx, "state = 'queued' AND seq > ?1 ORDER BY seq LIMIT ?2", params![seq, rows(limit)])
}

pub(super) fn list(tx: &Tx<'_>, filter: &Filter) -> Result<Vec<Payout>, StoreError> {
    let after = match &filter.after {
        None => 0,
        Some(id) => payout(tx, id)?.map_or(0, |payout| payout.seq),
    };
    match filter.state {
        Some(state) => all(tx, "state = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3", params![state.name(), after, rows(filter.limit)]),
        None => all(tx, "seq > ?1 ORDER BY seq LIMIT ?2", params![after, rows(filter.limit)]),
    }
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// How many payouts there are in each state, and their sum.
pub(super) fn totals(tx: &Tx<'_>) -> Result<BTreeMap<State, (u64, Amount)>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT state, count(*), sum(amount) FROM payouts GROUP BY state")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let state = row.get::<_, String>(0)?.parse().map_err(damaged)?;
        found.insert(state, (unsigned(row, 1)?, Amount::from_base_units(row.get(2)?)));
    }
    Ok(found)
}

pub(super) fn add_payout(
    tx: &Tx<'_>,
    request: &Checked,
    state: State,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<Payout, StoreError> {
    tx.prepare_cached(
        "INSERT INTO payouts (id, address, amount, state, reason, submitted_s, priority) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        request.id.as_str(),
        request.address,
        request.amount.base_units(),
        state.name(),
        reason,
        now.0,
        request.priority as u8
    ])?;
    let payout = Payout {
        seq: tx.last_insert_rowid(),
        id: request.id.clone(),
        address: request.address.clone(),
        amount: request.amount,
        priority: request.priority,
        state,
        reason: reason.map(str::to_owned),
        batch: None,
        not_sent_count: 0,
        submitted: now,
    };
    add_history(tx, None, &payout, None, now)?;
    Ok(payout)
}

/// Writes a payout as it is after a step, and the step.
pub(super) fn step_payout(tx: &Tx<'_>, from: State, after: &Payout, now: Timestamp) -> Result<(), StoreError> {
    let batch = after.batch.as_ref().map(super::BatchId::as_str);
    let left: Option<String> =
        tx.prepare_cached("SELECT batch FROM payouts WHERE seq = ?1")?.query_row([after.seq], |row| row.get(0))?;
    let changed = tx
        .prepare_cached(
            "UPDATE payouts SET state = ?1, reason = ?2, batch = ?3, not_sent_count = ?4 WHERE seq = ?5 AND state = ?6",
        )?
        .execute(params![after.state.name(), after.reason, batch, after.not_sent_count, after.seq, from.name()])?;
    if changed != 1 {
        return Err(damaged(format!("payout {} is not {from} as it should be", after.id)));
    }
    add_history(tx, Some(from), after, batch.or(left.as_deref()), now)
}

fn add_history(tx: &Tx<'_>, from: Option<State>, after: &Payout, batch: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO payout_history (payout, at_s, from_state, to_state, reason, batch) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![after.seq, now.0, from.map(State::name), after.state.name(), after.reason, batch])?;
    Ok(())
}

pub(super) fn history(tx: &Tx<'_>, payout: i64) -> Result<Vec<HistoryLine>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT at_s, from_state, to_state, reason, batch FROM payout_history WHERE payout = ?1 ORDER BY n")?;
    let mut rows = statement.query([payout])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let from = row.get::<_, Option<String>>(1)?.map(|state| state.parse()).transpose();
        let batch = row.get::<_, Option<String>>(4)?.map(|id| id.parse()).transpose();
        found.push(HistoryLine {
            at: Timestamp(row.get(0)?),
            from: from.map_err(damaged)?,
            to: row.get::<_, String>(2)?.parse().map_err(damaged)?,
            reason: row.get(3)?,
            batch: batch.map_err(damaged)?,
        });
    }
    Ok(found)
}

/// The text of one optional value of a row.
pub(super) fn optional(tx: &Tx<'_>, sql: &str, value: &str) -> Result<Option<String>, StoreError> {
    Ok(tx.prepare_cached(sql)?.query_row([value], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[test]
    fn the_history_cannot_be_changed_and_a_payout_is_in_a_batch_exactly_while_it_may_be_paid() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let added = store.write(|tx| {
            let request = Checked {
                id: "a".parse().unwrap(),
                address: "b".to_owned(),
                amount: Amount::from_base_units(1),
                priority: Priority::Normal,
            };
            add_payout(tx, &request, State::Queued, None, Timestamp(1))
        });
        added.unwrap();
        for forbidden in ["DELETE FROM payout_history", "UPDATE payout_history SET at_s = 0", "UPDATE payouts SET state = 'sent'"]
        {
            let refused = store.write(|tx| Ok::<_, StoreError>(tx.execute(forbidden, [])?));
            assert!(refused.is_err(), "{forbidden}");
        }
    }
}
