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

/// Whether an audit of a later time was made before one of these.
pub(super) fn out_of_order(tx: &Tx<'_>, from: Timestamp, before: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM audits WHERE time_s >= ?2 AND id < (SELECT max(id) FROM audits WHERE time_s >= ?1 AND time_s < ?2))";
    Ok(tx.prepare_cached(sql)?.query_row([from.0, before.0], |row| row.get(0))?)
}

/// The last audit before those of that time, and the first behind them, by number; 0, none: there is none. One that was moved to another time is among these
/// or between.
pub(super) fn around(tx: &Tx<'_>, from: Timestamp, before: Timestamp) -> Result<(i64, Option<i64>), StoreError> {
    let mut statement = tx.prepare_cached("SELECT min(id), max(id) FROM audits WHERE time_s >= ?1 AND time_s < ?2")?;
    let of_then: (Option<i64>, Option<i64>) = statement.query_row([from.0, before.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (values, sql) = match of_then {
        (Some(first), Some(last)) => {
            let sql =
                "SELECT coalesce((SELECT max(id) FROM audits WHERE id < ?1), 0), (SELECT min(id) FROM audits WHERE id > ?2)";
            ([first, last], sql)
        }
        _ => {
            let sql = "SELECT coalesce((SELECT max(id) FROM audits WHERE time_s < ?1), 0), (SELECT min(id) FROM audits WHERE time_s >= ?2)";
            ([from.0, before.0], sql)
        }
    };
    Ok(tx.prepare_cached(sql)?.query_row(values, |row| Ok((row.get(0)?, row.get(1)?)))?)
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

/// Damage that a statement of the first of two days (0), or of the second (1), must not sign; and what is said of it.
#[cfg(test)]
pub(super) const DAMAGE: [(&str, usize, &str); 16] = [
    ("UPDATE entries SET amount = amount + 1 WHERE seq = 4", 1, "at posting 4: it was changed after it was posted"),
    ("UPDATE entries SET account = 'fee' WHERE seq = 3", 1, "at posting 3: it was changed"),
    ("UPDATE entries SET time_s = time_s - 86400 WHERE seq = 5", 1, "at posting 5: it was changed"),
    ("DELETE FROM entries WHERE seq = 4", 1, "at posting 5: posting 4 is missing"),
    ("DELETE FROM entries WHERE seq = 5", 1, "at posting 5: posting 5 is missing"),
    ("DELETE FROM entries WHERE seq = 2", 0, "at posting 2: posting 2 is missing"),
    ("UPDATE entries SET hash = printf('%064d', 0) WHERE seq = 2", 1, "at posting 2: it was changed"),
    ("UPDATE entries SET previous = printf('%064d', 0) WHERE seq = 3", 0, "at posting 2: what came after it does not follow it"),
    ("UPDATE days SET amount = amount + 1 WHERE account = 'fee'", 1, "what day 2023-11-15 moved is not the sum of its entries"),
    ("DELETE FROM days WHERE account = 'unexplained'", 1, "what day 2023-11-15 moved is not"),
    (
        "UPDATE days SET amount = amount + 5 WHERE account = 'deposit'",
        1,
        "what all days moved is not the running balance of account deposit",
    ),
    ("UPDATE balances SET amount = amount + 5 WHERE account = 'deposit'", 1, "running balance of account deposit"),
    ("UPDATE audits SET report = replace(report, 'agrees', 'explained')", 0, "audit 1 is not what was written down"),
    ("UPDATE audits SET time_s = time_s - 86400 WHERE id = 2", 1, "audit 2 is not what was written down"),
    ("DELETE FROM audits WHERE id = 1", 0, "audit 1 is missing"),
    ("DELETE FROM audits WHERE id = 2", 1, "audit 2 is missing"),
];
