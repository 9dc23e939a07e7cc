//! The table of freezes.

use rusqlite::{OptionalExtension, params};

use super::{Cause, Freeze, InForce};
use crate::coin::{Amount, Timestamp, Txid};
use crate::store::{StoreError, Tx};

pub(super) fn insert(tx: &Tx<'_>, freeze: &Freeze, now: Timestamp) -> Result<(), StoreError> {
    let txids = serde_json::to_string(&freeze.txids).map_err(|error| StoreError::Damaged(error.to_string()))?;
    tx.execute(
        "INSERT INTO freezes (cause, detail, txids, amount, wallet, since_s) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![freeze.cause.name(), freeze.detail, txids, freeze.amount.map(Amount::base_units), freeze.wallet, now.0],
    )?;
    Ok(())
}

pub(super) fn thaw(
    tx: &Tx<'_>,
    cause: Cause,
    wallet: Option<&str>,
    by: &str,
    reason: &str,
    now: Timestamp,
) -> Result<usize, StoreError> {
    Ok(tx.execute(
        "UPDATE freezes SET thawed_s = ?1, thawed_by = ?2, thaw_reason = ?3 WHERE cause = ?4 AND wallet IS ?5 AND thawed_s IS NULL",
        params![now.0, by, reason, cause.name(), wallet],
    )?)
}

/// A person's thaw of one freeze; `lasting`: against the same finding again, too.
pub(super) fn override_by(tx: &Tx<'_>, id: i64, lasting: bool, who: &str, why: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE freezes SET thawed_s = ?1, thawed_by = ?2, thaw_reason = ?3, overridden = ?4 WHERE id = ?5",
        params![now.0, who, why, lasting, id],
    )?;
    Ok(())
}

pub(super) fn end_overrides(tx: &Tx<'_>, cause: Cause, wallet: Option<&str>) -> Result<(), StoreError> {
    let sql = "UPDATE freezes SET overridden = 0 WHERE cause = ?1 AND wallet IS ?2 AND overridden = 1";
    tx.execute(sql, params![cause.name(), wallet])?;
    Ok(())
}

pub(super) fn in_force(tx: &Tx<'_>) -> Result<Vec<InForce>, StoreError> {
    select(tx, "thawed_s IS NULL", [])
}

/// Thawed at or after `then`, or not at all.
pub(super) fn in_force_since(tx: &Tx<'_>, then: Timestamp) -> Result<Vec<InForce>, StoreError> {
    select(tx, "thawed_s IS NULL OR thawed_s >= ?1", [then.0])
}

/// Thawed by a person's override that still stands.
pub(super) fn overridden(tx: &Tx<'_>) -> Result<Vec<InForce>, StoreError> {
    select(tx, "overridden = 1", [])
}

/// Who thawed a freeze, and why; none where nobody did.
pub(super) fn overridden_by(tx: &Tx<'_>, id: i64) -> Result<Option<(String, String)>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT thawed_by, thaw_reason FROM freezes WHERE id = ?1 AND overridden = 1")?;
    Ok(statement.query_row([id], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

fn select(tx: &Tx<'_>, condition: &str, values: impl rusqlite::Params) -> Result<Vec<InForce>, StoreError> {
    let sql = format!("SELECT id, cause, detail, txids, amount, wallet, since_s FROM freezes WHERE {condition} ORDER BY id");
    let mut statement = tx.prepare_cached(&sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let unreadable = |error: serde_json::Error| StoreError::Damaged(format!("table freezes: {error}"));
        let cause: Cause = serde_json::from_value(row.get::<_, String>(1)?.into()).map_err(unreadable)?;
        let txids: Vec<Txid> = serde_json::from_str(&row.get::<_, String>(3)?).map_err(unreadable)?;
        let amount = row.get::<_, Option<i64>>(4)?.map(Amount::from_base_units);
        let freeze = Freeze { cause, detail: row.get(2)?, txids, amount, wallet: row.get(5)? };
        found.push(InForce { id: row.get(0)?, freeze, since: Timestamp(row.get(6)?) });
    }
    Ok(found)
}
