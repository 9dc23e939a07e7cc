//! The tables of checkpoints.

use rusqlite::{OptionalExtension, Row, params};

use super::Checkpoint;
use crate::coin::Timestamp;
use crate::daemon::Tip;
use crate::ledger::records::head;
use crate::ledger::verify::running_sums;
use crate::ledger::wallets::paying;
use crate::store::{StoreError, Tx};

/// Adds a checkpoint of the ledger as it stands.
pub(super) fn add(tx: &Tx<'_>, now: Timestamp) -> Result<Checkpoint, StoreError> {
    let (postings, hash) = head(tx)?;
    let tip = paying(tx)?.and_then(|wallet| wallet.tip);
    let balances = running_sums(tx)?.digest();
    let (block, height) = (tip.map(|tip| tip.hash.to_string()), tip.map(|tip| tip.height));
    tx.execute(
        "INSERT INTO checkpoints (at_s, seq, hash, balances, tip_block, tip_height) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![now.0, postings, hash, balances, block, height],
    )?;
    let n = tx.last_insert_rowid().cast_unsigned();
    Ok(Checkpoint { n, time: now, postings, hash, balances, tip })
}

/// Its file was written.
pub(super) fn exported(tx: &Tx<'_>, n: u64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE checkpoints SET exported_s = ?2 WHERE n = ?1", params![n, now.0])?;
    Ok(())
}

pub(super) fn last_exported(tx: &Tx<'_>) -> Result<Option<Timestamp>, StoreError> {
    let sql = "SELECT exported_s FROM checkpoints WHERE exported_s IS NOT NULL ORDER BY exported_s DESC LIMIT 1";
    Ok(tx.query_row(sql, [], |row| Ok(Timestamp(row.get(0)?))).optional()?)
}

/// All of them, the oldest first.
pub(super) fn all(tx: &Tx<'_>) -> Result<Vec<Checkpoint>, StoreError> {
    let mut statement = tx.prepare("SELECT n, at_s, seq, hash, balances, tip_block, tip_height FROM checkpoints ORDER BY n")?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(checkpoint(row)?);
    }
    Ok(found)
}

fn checkpoint(row: &Row<'_>) -> Result<Checkpoint, StoreError> {
    let block: Option<String> = row.get(5)?;
    let block = block.map(|block| block.parse()).transpose();
    let block = block.map_err(|error| StoreError::Damaged(format!("table checkpoints: {error}")))?;
    Ok(Checkpoint {
        n: row.get(0)?,
        time: Timestamp(row.get(1)?),
        postings: row.get(2)?,
        hash: row.get(3)?,
        balances: row.get(4)?,
        tip: block.zip(row.get(6)?).map(|(hash, height)| Tip { height, hash }),
    })
}

/// What somebody could do who knows the schema: cut off all from a posting on, and mend what would show it.
#[cfg(test)]
pub(super) fn cut_off_from(tx: &Tx<'_>, seq: u64) -> Result<(), StoreError> {
    tx.execute_batch(&format!(
        "DROP TRIGGER entries_never_go; DROP TRIGGER checkpoints_never_go;
         DELETE FROM entries WHERE event >= (SELECT event FROM entries WHERE seq = {seq});
         DELETE FROM transactions WHERE event > (SELECT max(seq) FROM entries);
         DELETE FROM deposits WHERE event > (SELECT max(seq) FROM entries);
         DELETE FROM checkpoints;
         UPDATE balances SET amount = (SELECT coalesce(sum(amount), 0) FROM entries e WHERE e.account = balances.account);
         DELETE FROM balances WHERE account NOT IN (SELECT account FROM entries);
         DELETE FROM days;
         INSERT INTO days SELECT time_s / 86400, wallet, account, kind, sum(amount), count(*), max(seq) FROM entries GROUP BY 1, 2, 3, 4;
         UPDATE ledger_head SET seq = (SELECT max(seq) FROM entries), hash = (SELECT hash FROM entries ORDER BY seq DESC LIMIT 1);"
    ))?;
    Ok(())
}

/// What somebody could do who writes a ledger of their own: give the store the name of another one.
#[cfg(test)]
pub(super) fn rename_store(tx: &Tx<'_>, id: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE store SET id = ?1", [id])?;
    Ok(())
}

/// Tries to change and to delete, with the triggers in force.
#[cfg(test)]
pub(super) fn meddle(tx: &Tx<'_>, delete: bool) -> Result<usize, StoreError> {
    Ok(tx.execute(if delete { "DELETE FROM checkpoints" } else { "UPDATE checkpoints SET seq = 0" }, [])?)
}
