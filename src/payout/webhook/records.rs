//! How far the receiver is, and the history that it has not seen.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, params};

use super::{Event, Progress};
use crate::coin::{Amount, Timestamp, Txid};
use crate::ledger::credit;
use crate::payout::batch::BatchId;
use crate::payout::records::{damaged, txids};
use crate::store::{StoreError, Tx};

/// The numbers of the last step and of the last credit event that were delivered; none where telling never began.
pub(super) fn delivered(tx: &Tx<'_>) -> Result<Option<(i64, u64)>, StoreError> {
    let sql = "SELECT delivered, credits_delivered FROM webhook";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// Begins behind the newest step, and behind the credit event of this number.
pub(super) fn begin(tx: &Tx<'_>, credit: u64) -> Result<(), StoreError> {
    let last =
        "INSERT INTO webhook (one, delivered, credits_delivered) SELECT 1, coalesce(max(n), 0), ?1 FROM payout_history WHERE true
                ON CONFLICT DO NOTHING";
    tx.execute(last, [credit])?;
    Ok(())
}

pub(super) fn after(tx: &Tx<'_>, n: i64, limit: usize) -> Result<Vec<Event>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT n, at_s, seq, id, address, amount, from_state, to_state, payout_history.reason, payout_history.batch
         FROM payout_history JOIN payouts ON seq = payout WHERE n > ?1 ORDER BY n LIMIT ?2",
    )?;
    let mut rows = statement.query(params![n, i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut known: BTreeMap<BatchId, Vec<Txid>> = BTreeMap::new();
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        let batch = row.get::<_, Option<String>>(9)?.map(|id| id.parse::<BatchId>()).transpose().map_err(damaged)?;
        if let Some(batch) = &batch
            && !known.contains_key(batch)
        {
            let members = txids(tx, batch)?.into_iter().map(|member| member.txid).collect();
            known.insert(batch.clone(), members);
        }
        let from = row.get::<_, Option<String>>(6)?.map(|state| state.parse()).transpose();
        events.push(Event {
            n: row.get(0)?,
            at: Timestamp(row.get(1)?),
            seq: row.get(2)?,
            payout: row.get::<_, String>(3)?.parse().map_err(|error: crate::payout::PayoutError| damaged(error))?,
            address: row.get(4)?,
            amount: Amount::from_base_units(row.get(5)?),
            from: from.map_err(damaged)?,
            to: row.get::<_, String>(7)?.parse().map_err(damaged)?,
            reason: row.get(8)?,
            txids: batch.as_ref().and_then(|batch| known.get(batch)).cloned().unwrap_or_default(),
            batch,
        });
    }
    Ok(events)
}

pub(super) fn acknowledge(tx: &Tx<'_>, step: Option<i64>, credit: Option<u64>, now: Timestamp) -> Result<(), StoreError> {
    let moved = "UPDATE webhook SET delivered = max(delivered, coalesce(?1, 0)), credits_delivered = max(credits_delivered, coalesce(?2, 0)),
                 delivered_s = ?3, failing_since_s = NULL, last_error = NULL";
    tx.prepare_cached(moved)?.execute(params![step, credit, now.0])?;
    Ok(())
}

pub(super) fn note_failure(tx: &Tx<'_>, problem: &str, now: Timestamp) -> Result<(), StoreError> {
    let failing = "UPDATE webhook SET failing_since_s = coalesce(failing_since_s, ?1), last_error = ?2";
    tx.prepare_cached(failing)?.execute(params![now.0, problem])?;
    Ok(())
}

pub(super) fn progress(tx: &Tx<'_>) -> Result<Option<Progress>, StoreError> {
    // Numbers have no gaps, so that they are counted without being looked at, however many there are.
    let sql = "SELECT coalesce((SELECT max(n) FROM payout_history), 0) - delivered,
                      (SELECT at_s FROM payout_history WHERE n > delivered ORDER BY n LIMIT 1),
                      delivered_s, failing_since_s, last_error FROM webhook";
    let time = |seconds: Option<i64>| seconds.map(Timestamp);
    let Some((_, told)) = delivered(tx)? else { return Ok(None) };
    let credits = credit::newest(tx)?.saturating_sub(told);
    let oldest = credit::events(tx, told, 1).map_err(damaged)?.first().map(|event| event.time);
    let found = tx.prepare_cached(sql)?.query_row([], |row| {
        Ok(Progress {
            waiting: row.get::<_, i64>(0)?.try_into().unwrap_or(0_u64).saturating_add(credits),
            oldest: time(row.get(1)?).into_iter().chain(oldest).min(),
            delivered: time(row.get(2)?),
            failing_since: time(row.get(3)?),
            last_error: row.get(4)?,
        })
    });
    Ok(found.optional()?)
}
