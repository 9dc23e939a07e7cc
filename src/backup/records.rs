//! The tables of backups made, backups failed, and drills.

use rusqlite::{OptionalExtension, Row, params};

use super::rules::LastBackup;
use super::{BackupReport, DrillRecord};
use crate::coin::Timestamp;
use crate::daemon::WalletIdentity;
use crate::store::{StoreError, Tx};

const BACKUP_COLUMNS: &str = "archive, created_s, sha256, size_bytes, destinations, complete, fingerprint, encrypted";

fn unreadable(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("table backups: {error}"))
}

pub(super) fn insert_backup(tx: &Tx<'_>, report: &BackupReport, wallet: &WalletIdentity) -> Result<(), StoreError> {
    let destinations = serde_json::to_string(&report.destinations).map_err(unreadable)?;
    let size_bytes = i64::try_from(report.size_bytes).map_err(unreadable)?;
    tx.execute(
        &format!("INSERT INTO backups ({BACKUP_COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"),
        params![
            report.archive,
            report.created.0,
            report.sha256,
            size_bytes,
            destinations,
            report.complete,
            wallet.fingerprint,
            wallet.encrypted
        ],
    )?;
    Ok(())
}

pub(super) fn insert_failure(tx: &Tx<'_>, problem: &str, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("INSERT INTO backup_failures (at_s, problem) VALUES (?1, ?2)", params![now.0, problem])?;
    Ok(())
}

/// Newest first.
pub(super) fn backups(tx: &Tx<'_>) -> Result<Vec<BackupReport>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("SELECT {BACKUP_COLUMNS} FROM backups ORDER BY id DESC"))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(backup(row)?.report);
    }
    Ok(found)
}

pub(super) fn last_backup(tx: &Tx<'_>) -> Result<Option<LastBackup>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("SELECT {BACKUP_COLUMNS} FROM backups ORDER BY id DESC LIMIT 1"))?;
    let mut rows = statement.query([])?;
    rows.next()?.map(backup).transpose()
}

pub(super) fn sha256_of(tx: &Tx<'_>, archive: &str) -> Result<Option<String>, StoreError> {
    Ok(tx.query_row("SELECT sha256 FROM backups WHERE archive = ?1", [archive], |row| row.get(0)).optional()?)
}

fn backup(row: &Row<'_>) -> Result<LastBackup, StoreError> {
    let report = BackupReport {
        archive: row.get(0)?,
        created: Timestamp(row.get(1)?),
        sha256: row.get(2)?,
        size_bytes: u64::try_from(row.get::<_, i64>(3)?).map_err(unreadable)?,
        destinations: serde_json::from_str(&row.get::<_, String>(4)?).map_err(unreadable)?,
        complete: row.get(5)?,
    };
    Ok(LastBackup { report, fingerprint: row.get(6)?, encrypted: row.get(7)? })
}

pub(super) fn insert_drill(tx: &Tx<'_>, drill: &DrillRecord) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO drills (started_s, archive, passed, problem) VALUES (?1, ?2, ?3, ?4)",
        params![drill.started.0, drill.archive, drill.passed, drill.problem],
    )?;
    Ok(())
}

pub(super) fn last_passed_drill(tx: &Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    let found = tx.query_row("SELECT started_s FROM drills WHERE passed = 1 ORDER BY id DESC LIMIT 1", [], |row| row.get(0));
    Ok(found.optional()?.map(Timestamp))
}

pub(super) fn last_drill(tx: &Tx<'_>) -> Result<Option<DrillRecord>, StoreError> {
    let found = tx.query_row("SELECT started_s, archive, passed, problem FROM drills ORDER BY id DESC LIMIT 1", [], |row| {
        Ok(DrillRecord { started: Timestamp(row.get(0)?), archive: row.get(1)?, passed: row.get(2)?, problem: row.get(3)? })
    });
    Ok(found.optional()?)
}
