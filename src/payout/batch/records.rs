//! Batches, what they were to pay, and the transactions that they have.

use rusqlite::{Row, params};

use super::{Batch, BatchId, BatchState, Member, MembersStep, WalletThen};
use crate::coin::{Amount, FeeRate, HashError, OutPoint, Timestamp, Txid};
use crate::config::Method;
use crate::daemon::Tip;
use crate::payout::journaled;
use crate::payout::records::{damaged, optional, signed, unsigned};
use crate::payout::request::PayoutId;
use crate::payout::rules::PlannedOutput;
use crate::store::{StoreError, Tx};

const COLUMNS: &str = "id, seq, state, mark, node, wallet, fingerprint, boot_id, tip_height, tip_hash, fee_rate_per_kvb, \
                       not_sent_count, created_s, doubt_s, doubt_reason, fenced_s, outcome, method";

const SENDMANY: &str = "sendmany";
const JOURNALED: &str = "journaled";

fn to_batch(row: &Row<'_>) -> Result<Batch, StoreError> {
    let hash = row.get::<_, String>(9)?.parse().map_err(|error: HashError| damaged(error))?;
    Ok(Batch {
        id: row.get::<_, String>(0)?.parse().map_err(damaged)?,
        seq: unsigned(row, 1)?,
        state: row.get::<_, String>(2)?.parse().map_err(damaged)?,
        mark: row.get(3)?,
        node: row.get(4)?,
        wallet: row.get(5)?,
        fingerprint: row.get(6)?,
        boot_id: row.get(7)?,
        tip: Tip { height: unsigned(row, 8)?, hash },
        fee_rate: row.get::<_, Option<i64>>(10)?.and_then(|rate| u64::try_from(rate).ok()).map(FeeRate::from_per_kvb),
        not_sent_count: row.get(11)?,
        created: Timestamp(row.get(12)?),
        doubt_since: row.get::<_, Option<i64>>(13)?.map(Timestamp),
        doubt_reason: row.get(14)?,
        fenced: row.get::<_, Option<i64>>(15)?.map(Timestamp),
        outcome: row.get(16)?,
        method: if row.get::<_, String>(17)? == JOURNALED { Method::Journaled } else { Method::Sendmany },
    })
}

fn all(tx: &Tx<'_>, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Batch>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM batches WHERE {condition}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(to_batch(row)?);
    }
    Ok(found)
}

pub(in crate::payout) fn known_batch(tx: &Tx<'_>, id: &BatchId) -> Result<Option<Batch>, StoreError> {
    Ok(all(tx, "id = ?1", [id.as_str()])?.pop())
}

pub(in crate::payout) fn batch(tx: &Tx<'_>, id: &BatchId) -> Result<Batch, StoreError> {
    known_batch(tx, id)?.ok_or_else(|| damaged(format!("batch {id} is missing")))
}

/// The same; none where there is no such batch.
pub(in crate::payout) fn find_batch(tx: &Tx<'_>, id: &BatchId) -> Result<Option<Batch>, StoreError> {
    Ok(all(tx, "id = ?1", [id.as_str()])?.pop())
}

/// The coins that a batch may have spent, where its inputs are not known.
pub(in crate::payout) fn coins_held(tx: &Tx<'_>, id: &BatchId) -> Result<Vec<OutPoint>, StoreError> {
    let held = optional(tx, "SELECT coins_held FROM batches WHERE id = ?1", id.as_str())?;
    held.map_or_else(|| Ok(vec![]), |held| serde_json::from_str(&held).map_err(damaged))
}

pub(in crate::payout) fn set_coins_held(tx: &Tx<'_>, id: &BatchId, held: &[OutPoint]) -> Result<(), StoreError> {
    let held = serde_json::to_string(held).map_err(damaged)?;
    tx.prepare_cached("UPDATE batches SET coins_held = ?1 WHERE id = ?2")?.execute(params![held, id.as_str()])?;
    Ok(())
}

/// Batches in a state, in order.
pub(in crate::payout) fn batches_in(tx: &Tx<'_>, state: BatchState) -> Result<Vec<Batch>, StoreError> {
    all(tx, "state = ?1 ORDER BY seq", [state.name()])
}

/// Final batches whose tip was at this height or above.
pub(in crate::payout) fn final_since(tx: &Tx<'_>, height: u64) -> Result<Vec<Batch>, StoreError> {
    all(tx, "state = 'final' AND tip_height >= ?1 ORDER BY seq", [signed(height)])
}

/// The number of the next batch: above all that this store ever gave, those included that it forgot and a person adopted.
pub(in crate::payout) fn next_seq(tx: &Tx<'_>) -> Result<u64, StoreError> {
    let sql = "SELECT coalesce(max(seq), 0) + 1 FROM (SELECT seq FROM batches UNION ALL SELECT seq FROM adopted_marks)";
    let next: i64 = tx.query_row(sql, [], |row| row.get(0))?;
    u64::try_from(next).map_err(damaged)
}

pub(in crate::payout) fn add_batch(
    tx: &Tx<'_>,
    batch: &Batch,
    outputs: &[PlannedOutput],
    wallet: &WalletThen,
) -> Result<(), StoreError> {
    let coins_held = serde_json::to_string(&wallet.coins_held).map_err(damaged)?;
    let witnesses = serde_json::to_string(&wallet.witnesses).map_err(damaged)?;
    tx.prepare_cached(
        "INSERT INTO batches (id, seq, state, mark, method, node, wallet, fingerprint, boot_id, tip_height, tip_hash, \
         fee_rate_per_kvb, coins_held, witnesses, not_sent_count, created_s) \
         VALUES (?1, ?2, ?3, ?4, ?16, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
    )?
    .execute(params![
        batch.id.as_str(),
        signed(batch.seq),
        batch.state.name(),
        batch.mark,
        batch.node,
        batch.wallet,
        batch.fingerprint,
        batch.boot_id,
        signed(batch.tip.height),
        batch.tip.hash.to_string(),
        batch.fee_rate.map(|rate| signed(rate.per_kvb())),
        coins_held,
        witnesses,
        batch.not_sent_count,
        batch.created.0,
        if batch.method == Method::Journaled { JOURNALED } else { SENDMANY },
    ])?;
    let mut insert =
        tx.prepare_cached("INSERT INTO batch_outputs (batch, position, address, script, amount) VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (position, output) in (0_i64..).zip(outputs) {
        insert.execute(params![batch.id.as_str(), position, output.address, output.script_hex, output.amount.base_units()])?;
    }
    Ok(())
}

/// What a batch was to pay. Which payouts an output is for is not repeated here.
pub(in crate::payout) fn outputs(tx: &Tx<'_>, batch: &BatchId) -> Result<Vec<PlannedOutput>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT address, script, amount FROM batch_outputs WHERE batch = ?1 ORDER BY position")?;
    let rows = statement.query_map([batch.as_str()], |row| {
        let amount = Amount::from_base_units(row.get(2)?);
        Ok(PlannedOutput { address: row.get(0)?, script_hex: row.get(1)?, amount, payouts: Vec::<PayoutId>::new() })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Gives a batch the payouts of these numbers; all must be where the step begins.
pub(in crate::payout) fn join_members(tx: &Tx<'_>, step: &MembersStep<'_>, seqs: &[i64]) -> Result<(), StoreError> {
    let numbers = serde_json::to_string(seqs).map_err(damaged)?;
    let joined = tx
        .prepare_cached(
            "UPDATE payouts SET state = ?1, reason = ?2, batch = ?3 \
             WHERE state = ?4 AND seq IN (SELECT value FROM json_each(?5))",
        )?
        .execute(params![step.to.name(), step.reason, step.batch.as_str(), step.from.name(), numbers])?;
    if joined != seqs.len() {
        return Err(damaged(format!("{joined} of {} payouts are {}: batch {} was not begun", seqs.len(), step.from, step.batch)));
    }
    note_members(tx, step, seqs.len())
}

/// All payouts of a batch take the step, and their history says so.
pub(in crate::payout) fn step_members(tx: &Tx<'_>, step: &MembersStep<'_>) -> Result<(), StoreError> {
    let count: usize =
        tx.prepare_cached("SELECT count(*) FROM payouts WHERE batch = ?1")?.query_row([step.batch.as_str()], |row| row.get(0))?;
    // Before they leave it.
    note_members(tx, step, count)?;
    let moved = tx
        .prepare_cached(
            "UPDATE payouts SET state = ?1, reason = ?2, batch = iif(?3, NULL, batch), not_sent_count = not_sent_count + ?4 \
             WHERE batch = ?5 AND state = ?6",
        )?
        .execute(params![step.to.name(), step.reason, step.leave, step.not_sent, step.batch.as_str(), step.from.name()])?;
    if moved != count {
        return Err(damaged(format!(
            "{moved} of the {count} payouts of batch {} are {} as they should be",
            step.batch, step.from
        )));
    }
    Ok(())
}

fn note_members(tx: &Tx<'_>, step: &MembersStep<'_>, count: usize) -> Result<(), StoreError> {
    let noted = tx
        .prepare_cached(
            "INSERT INTO payout_history (payout, at_s, from_state, to_state, reason, batch) \
             SELECT seq, ?1, ?2, ?3, ?4, batch FROM payouts WHERE batch = ?5 ORDER BY seq",
        )?
        .execute(params![step.now.0, step.from.name(), step.to.name(), step.reason, step.batch.as_str()])?;
    if noted != count {
        return Err(damaged(format!("batch {} has {noted} payouts, not {count}", step.batch)));
    }
    Ok(())
}

/// Sets the state; the coins held are dropped once they can prove nothing any more.
pub(in crate::payout) fn step_batch(
    tx: &Tx<'_>,
    id: &BatchId,
    state: BatchState,
    outcome: Option<&str>,
) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE batches SET state = ?1, outcome = coalesce(?2, outcome) WHERE id = ?3")?.execute(params![
        state.name(),
        outcome,
        id.as_str()
    ])?;
    if matches!(state, BatchState::Ended | BatchState::Final) {
        tx.prepare_cached("UPDATE batches SET coins_held = NULL WHERE id = ?1")?.execute([id.as_str()])?;
    }
    journaled::follow_state(tx, id, state)
}

pub(in crate::payout) fn note_doubt(tx: &Tx<'_>, id: &BatchId, reason: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE batches SET doubt_s = ?1, doubt_reason = ?2 WHERE id = ?3")?.execute(params![
        now.0,
        reason,
        id.as_str()
    ])?;
    Ok(())
}

pub(in crate::payout) fn note_fence(tx: &Tx<'_>, id: &BatchId, now: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE batches SET fenced_s = ?1 WHERE id = ?2")?.execute(params![now.0, id.as_str()])?;
    Ok(())
}

/// The batch that a transaction belongs to.
pub(in crate::payout) fn owner(tx: &Tx<'_>, txid: &Txid) -> Result<Option<BatchId>, StoreError> {
    let found = optional(tx, "SELECT batch FROM batch_txids WHERE txid = ?1", &txid.to_string())?;
    found.map(|id| id.parse()).transpose().map_err(damaged)
}

/// Adds a transaction to the set of its batch; fails when it belongs to another.
pub(in crate::payout) fn add_txid(tx: &Tx<'_>, batch: &BatchId, txid: &Txid, now: Timestamp) -> Result<(), StoreError> {
    match owner(tx, txid)? {
        Some(owner) if owner == *batch => Ok(()),
        Some(owner) => Err(damaged(format!("transaction {txid} belongs to batch {owner}, not to {batch}"))),
        None => {
            tx.prepare_cached("INSERT INTO batch_txids (txid, batch, seen_s) VALUES (?1, ?2, ?3)")?.execute(params![
                txid.to_string(),
                batch.as_str(),
                now.0
            ])?;
            Ok(())
        }
    }
}

pub(in crate::payout) fn set_raw(tx: &Tx<'_>, txid: &Txid, raw_hex: &str, matched: bool) -> Result<(), StoreError> {
    tx.prepare_cached("UPDATE batch_txids SET raw = ?1, matched = ?2 WHERE txid = ?3")?.execute(params![
        raw_hex,
        matched,
        txid.to_string()
    ])?;
    Ok(())
}

/// The transactions of a batch.
pub(in crate::payout) fn txids(tx: &Tx<'_>, batch: &BatchId) -> Result<Vec<Member>, StoreError> {
    members_in(tx, "SELECT txid, raw, matched FROM batch_txids WHERE batch = ?1 ORDER BY seen_s, txid", [batch.as_str()])
}

/// The same without their bytes: which pay what was asked; none: not compared yet.
pub(in crate::payout) fn compared(tx: &Tx<'_>, batch: &BatchId) -> Result<Vec<(Txid, Option<bool>)>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT txid, matched FROM batch_txids WHERE batch = ?1")?;
    let mut rows = statement.query([batch.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((to_txid(row.get(0)?)?, row.get(1)?));
    }
    Ok(found)
}

/// The final journaled batches that have several transactions.
pub(in crate::payout) fn final_with_rivals(tx: &Tx<'_>) -> Result<Vec<BatchId>, StoreError> {
    let sql = "SELECT id FROM batches \
               WHERE state = 'final' AND method = 'journaled' AND (SELECT count(*) FROM batch_txids WHERE batch = id) > 1";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(row.get::<_, String>(0)?.parse().map_err(damaged)?);
    }
    Ok(found)
}

fn members_in(tx: &Tx<'_>, sql: &str, values: impl rusqlite::Params) -> Result<Vec<Member>, StoreError> {
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let txid = to_txid(row.get(0)?)?;
        found.push(Member { txid, raw_hex: row.get(1)?, matched: row.get(2)? });
    }
    Ok(found)
}

/// The newest transactions of our batches, each with the mark that it should carry.
pub(in crate::payout) fn newest_marked(tx: &Tx<'_>, limit: i64) -> Result<Vec<(Txid, String)>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT t.txid, b.mark FROM batch_txids t JOIN batches b ON b.id = t.batch WHERE b.method = 'sendmany' \
         ORDER BY b.seq DESC LIMIT ?1",
    )?;
    let mut rows = statement.query([limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((to_txid(row.get(0)?)?, row.get(1)?));
    }
    Ok(found)
}

/// The transactions that carried their marks when a batch was made, with those marks.
pub(in crate::payout) fn witnesses(tx: &Tx<'_>, batch: &BatchId) -> Result<Vec<(Txid, String)>, StoreError> {
    let sql = "SELECT w.value, b.mark FROM batches d, json_each(d.witnesses) w \
               JOIN batch_txids t ON t.txid = w.value JOIN batches b ON b.id = t.batch WHERE d.id = ?1";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([batch.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((to_txid(row.get(0)?)?, row.get(1)?));
    }
    Ok(found)
}

fn to_txid(text: String) -> Result<Txid, StoreError> {
    text.parse().map_err(|error: HashError| damaged(error))
}

/// Whether a mark is one of this store's batches, or of those that it forgot and a person adopted.
pub(in crate::payout) fn knows_mark(tx: &Tx<'_>, mark: &str) -> Result<bool, StoreError> {
    let sql = "SELECT mark FROM batches WHERE mark = ?1 UNION ALL SELECT mark FROM adopted_marks WHERE mark = ?1";
    Ok(optional(tx, sql, mark)?.is_some())
}

/// Notes a mark that this store forgot; once for each.
pub(in crate::payout) fn add_adopted(tx: &Tx<'_>, mark: &str, seq: Option<u64>, now: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT INTO adopted_marks (mark, seq, adopted_s) VALUES (?1, ?2, ?3) ON CONFLICT (mark) DO NOTHING";
    tx.execute(sql, params![mark, seq.map(signed), now.0])?;
    Ok(())
}
