//! The tables of repairs, their steps, and the transactions that were pending.

use std::path::{Path, PathBuf};

use rusqlite::{OptionalExtension, params};

use super::rules::Step;
use super::{PendingRecord, RepairRecord, StepRecord};
use crate::coin::{Timestamp, Txid};
use crate::store::{StoreError, Tx};

fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("tables of repairs: {error}"))
}

fn height(stored: Option<i64>) -> Result<Option<u64>, StoreError> {
    stored.map(u64::try_from).transpose().map_err(unreadable)
}

/// Begins a repair; its number.
pub(super) fn insert(tx: &Tx<'_>, folder: &Path, now: Timestamp) -> Result<i64, StoreError> {
    let folder = folder.to_str().ok_or_else(|| unreadable(format!("{} is not plain text", folder.display())))?;
    tx.execute("INSERT INTO repairs (started_s, folder) VALUES (?1, ?2)", params![now.0, folder])?;
    Ok(tx.last_insert_rowid())
}

/// What the wallet was before.
pub(super) fn set_before(tx: &Tx<'_>, repair: i64, fingerprint: Option<&str>, tip_height: u64) -> Result<(), StoreError> {
    let tip_height = i64::try_from(tip_height).map_err(unreadable)?;
    tx.execute("UPDATE repairs SET fingerprint = ?2, tip_height = ?3 WHERE id = ?1", params![repair, fingerprint, tip_height])?;
    Ok(())
}

pub(super) fn finish(tx: &Tx<'_>, repair: i64, agrees: bool, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE repairs SET finished_s = ?2, agrees = ?3 WHERE id = ?1", params![repair, now.0, agrees])?;
    Ok(())
}

pub(super) fn begin_step(tx: &Tx<'_>, repair: i64, step: Step, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO repair_steps (repair, step, begun_s) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        params![repair, step.name(), now.0],
    )?;
    Ok(())
}

pub(super) fn end_step(tx: &Tx<'_>, repair: i64, step: Step, detail: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE repair_steps SET done_s = ?3, detail = ?4 WHERE repair = ?1 AND step = ?2",
        params![repair, step.name(), now.0, detail],
    )?;
    Ok(())
}

/// Notes a transaction. One that was noted before keeps what is known of it.
pub(super) fn note(tx: &Tx<'_>, repair: i64, txid: &Txid, raw_hex: &str, own: bool) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO repair_pending (repair, txid, raw_hex, own) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
        params![repair, txid.to_string(), raw_hex, own],
    )?;
    Ok(())
}

pub(super) fn set_fate(tx: &Tx<'_>, repair: i64, txid: &Txid, fate: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE repair_pending SET fate = ?3 WHERE repair = ?1 AND txid = ?2", params![repair, txid.to_string(), fate])?;
    Ok(())
}

/// The unfinished repair, if there is one.
pub(super) fn unfinished(tx: &Tx<'_>) -> Result<Option<RepairRecord>, StoreError> {
    let id: Option<i64> = tx.query_row("SELECT id FROM repairs WHERE finished_s IS NULL", [], |row| row.get(0)).optional()?;
    id.map(|id| get(tx, id)).transpose()
}

/// The newest repairs, newest first, at most `limit`.
pub(super) fn newest(tx: &Tx<'_>, limit: usize) -> Result<Vec<RepairRecord>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT id FROM repairs ORDER BY id DESC LIMIT ?1")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let ids = statement.query_map([limit], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    ids.into_iter().map(|id| get(tx, id)).collect()
}

pub(super) fn get(tx: &Tx<'_>, repair: i64) -> Result<RepairRecord, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT started_s, folder, fingerprint, tip_height, finished_s, agrees FROM repairs WHERE id = ?1")?;
    let mut rows = statement.query([repair])?;
    let row = rows.next()?.ok_or_else(|| unreadable(format!("repair {repair} is missing")))?;
    Ok(RepairRecord {
        id: repair,
        started: Timestamp(row.get(0)?),
        folder: PathBuf::from(row.get::<_, String>(1)?),
        fingerprint: row.get(2)?,
        tip_height: height(row.get(3)?)?,
        finished: row.get::<_, Option<i64>>(4)?.map(Timestamp),
        agrees: row.get(5)?,
        steps: steps(tx, repair)?,
        pending: pending(tx, repair)?,
    })
}

fn steps(tx: &Tx<'_>, repair: i64) -> Result<Vec<StepRecord>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT step, begun_s, done_s, detail FROM repair_steps WHERE repair = ?1 ORDER BY rowid")?;
    let mut rows = statement.query([repair])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        let step = Step::ALL.into_iter().find(|step| step.name() == name).ok_or_else(|| unreadable(format!("step '{name}'")))?;
        let done = row.get::<_, Option<i64>>(2)?.map(Timestamp);
        found.push(StepRecord { step, begun: Timestamp(row.get(1)?), done, detail: row.get(3)? });
    }
    Ok(found)
}

fn pending(tx: &Tx<'_>, repair: i64) -> Result<Vec<PendingRecord>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT txid, raw_hex, own, fate FROM repair_pending WHERE repair = ?1 ORDER BY txid")?;
    let mut rows = statement.query([repair])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let txid = row.get::<_, String>(0)?.parse().map_err(unreadable)?;
        found.push(PendingRecord { txid, raw_hex: row.get(1)?, own: row.get(2)?, fate: row.get(3)? });
    }
    Ok(found)
}
