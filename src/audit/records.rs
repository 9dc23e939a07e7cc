//! The table of audits.

use rusqlite::{OptionalExtension, Rows, params};

use super::Report;
use crate::coin::Timestamp;
use crate::store::{StoreError, Tx};

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Damaged(format!("table audits: {error}"))
}

pub(super) fn insert(tx: &Tx<'_>, report: &Report, followed: Option<&str>) -> Result<(), StoreError> {
    let evidence = serde_json::to_string(report).map_err(damaged)?;
    tx.execute(
        "INSERT INTO audits (time_s, verdict, tip_height, difference, report, wallet) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![report.time.0, report.verdict.name(), report.tip.height, report.difference.base_units(), evidence, followed],
    )?;
    Ok(())
}

/// What the last deep audit left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Baseline {
    pub(super) time: Timestamp,
    /// Transactions that the wallet counts beyond those that the ledger follows; none: it does not count them.
    pub(super) beyond: Option<i64>,
}

/// None before the first deep audit, and after one that was left with something unexplained.
pub(super) fn baseline(tx: &Tx<'_>, wallet: &str) -> Result<Option<Baseline>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT time_s, beyond FROM deep_audits WHERE wallet = ?1")?;
    let found =
        statement.query_row([wallet], |row| Ok(Baseline { time: Timestamp(row.get(0)?), beyond: row.get(1)? })).optional();
    Ok(found?)
}

pub(super) fn put_baseline(tx: &Tx<'_>, wallet: &str, baseline: Option<&Baseline>) -> Result<(), StoreError> {
    let Some(Baseline { time, beyond }) = baseline else {
        tx.execute("DELETE FROM deep_audits WHERE wallet = ?1", [wallet])?;
        return Ok(());
    };
    tx.execute(
        "INSERT INTO deep_audits (wallet, time_s, beyond) VALUES (?1, ?2, ?3)
         ON CONFLICT (wallet) DO UPDATE SET time_s = excluded.time_s, beyond = excluded.beyond",
        params![wallet, time.0, beyond],
    )?;
    Ok(())
}

/// Audits from one time, before another, the oldest first.
pub(super) fn between(tx: &Tx<'_>, from: Timestamp, before: Timestamp) -> Result<Vec<Report>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT report FROM audits WHERE time_s >= ?1 AND time_s < ?2 ORDER BY time_s, id")?;
    collect(statement.query([from.0, before.0])?)
}

pub(super) fn newest(tx: &Tx<'_>, limit: usize) -> Result<Vec<Report>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT report FROM audits ORDER BY id DESC LIMIT ?1")?;
    collect(statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?)
}

pub(super) fn last(tx: &Tx<'_>, followed: Option<&str>) -> Result<Option<Report>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT report FROM audits WHERE wallet IS ?1 ORDER BY id DESC LIMIT 1")?;
    Ok(collect(statement.query([followed])?)?.pop())
}

/// Audits of that very second that were left with something unexplained.
pub(super) fn unexplained_at(tx: &Tx<'_>, followed: Option<&str>, time: Timestamp) -> Result<Vec<Report>, StoreError> {
    let mut statement = tx
        .prepare_cached("SELECT report FROM audits WHERE time_s = ?1 AND wallet IS ?2 AND verdict = 'unexplained' ORDER BY id")?;
    collect(statement.query(params![time.0, followed])?)
}

fn collect(mut rows: Rows<'_>) -> Result<Vec<Report>, StoreError> {
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(serde_json::from_str(&row.get::<_, String>(0)?).map_err(damaged)?);
    }
    Ok(found)
}

/// Tries to change and to delete, with the triggers in force.
#[cfg(test)]
pub(super) fn meddle(tx: &Tx<'_>, delete: bool) -> Result<usize, StoreError> {
    Ok(tx.execute(if delete { "DELETE FROM audits" } else { "UPDATE audits SET difference = 0" }, [])?)
}
