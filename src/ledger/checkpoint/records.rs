//! The tables of checkpoints.

use rusqlite::{OptionalExtension, Row, params};

use super::Checkpoint;
use crate::coin::Timestamp;
use crate::daemon::Tip;
use crate::ledger::Head;
use crate::ledger::records::head;
use crate::ledger::verify::running_sums;
use crate::ledger::wallets::paying;
use crate::ledger::{chronicle, credit};
use crate::store::{StoreError, Tx};

/// Adds a checkpoint of the ledger as it stands.
pub(super) fn add(tx: &Tx<'_>, now: Timestamp) -> Result<Checkpoint, StoreError> {
    let (postings, hash) = head(tx)?;
    let tip = paying(tx)?.and_then(|wallet| wallet.tip);
    let (balances, credits, chronicle) = (running_sums(tx)?.digest(), credit::head(tx)?, chronicle::head(tx)?);
    let (block, height) = (tip.map(|tip| tip.hash.to_string()), tip.map(|tip| tip.height));
    tx.execute(
        "INSERT INTO checkpoints (at_s, seq, hash, balances, tip_block, tip_height, credits, credits_hash, chronicle, chronicle_hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![now.0, postings, hash, balances, block, height, credits.seq, credits.hash, chronicle.seq, chronicle.hash],
    )?;
    let n = tx.last_insert_rowid().cast_unsigned();
    Ok(Checkpoint { n, time: now, postings, hash, balances, credits: Some(credits), chronicle: Some(chronicle), tip })
}

/// Its file was written.
pub(super) fn exported(tx: &Tx<'_>, n: u64, now: Timestamp) -> Result<(), StoreError> {
    tx.execute("UPDATE checkpoints SET exported_s = ?2 WHERE n = ?1", params![n, now.0])?;
    Ok(())
}

/// The newest of which the file was written.
pub(super) fn newest_exported(tx: &Tx<'_>) -> Result<Option<Checkpoint>, StoreError> {
    let mut statement =
        tx.prepare(&format!("SELECT {COLUMNS} FROM checkpoints WHERE exported_s IS NOT NULL ORDER BY n DESC LIMIT 1"))?;
    let mut rows = statement.query([])?;
    rows.next()?.map(checkpoint).transpose()
}

pub(super) fn any(tx: &Tx<'_>) -> Result<bool, StoreError> {
    Ok(tx.prepare("SELECT 1 FROM checkpoints LIMIT 1")?.exists([])?)
}

const COLUMNS: &str = "n, at_s, seq, hash, balances, tip_block, tip_height, credits, credits_hash, chronicle, chronicle_hash";

/// All of them, the oldest first.
pub(super) fn all(tx: &Tx<'_>) -> Result<Vec<Checkpoint>, StoreError> {
    let mut statement = tx.prepare(&format!("SELECT {COLUMNS} FROM checkpoints ORDER BY n"))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(checkpoint(row)?);
    }
    Ok(found)
}

/// Whether a posting has this hash.
pub(super) fn has_posting(tx: &Tx<'_>, seq: u64, hash: &str) -> Result<bool, StoreError> {
    has(tx, "SELECT hash FROM entries WHERE seq = ?1", seq, hash)
}

/// Whether a credit event has this hash.
pub(super) fn has_credit(tx: &Tx<'_>, head: &Head) -> Result<bool, StoreError> {
    has(tx, "SELECT hash FROM credits WHERE seq = ?1", head.seq, &head.hash)
}

/// Whether a row of the chronicle has this hash.
pub(super) fn has_row(tx: &Tx<'_>, head: &Head) -> Result<bool, StoreError> {
    has(tx, "SELECT hash FROM chronicle WHERE n = ?1", head.seq, &head.hash)
}

/// Before the first there is always nothing.
fn has(tx: &Tx<'_>, sql: &str, number: u64, hash: &str) -> Result<bool, StoreError> {
    if number == 0 {
        return Ok(hash == Head::none().hash);
    }
    let found: Option<String> = tx.query_row(sql, [number], |row| row.get(0)).optional()?;
    Ok(found.is_some_and(|found| found == hash))
}

fn checkpoint(row: &Row<'_>) -> Result<Checkpoint, StoreError> {
    let block: Option<String> = row.get(5)?;
    let block = block.map(|block| block.parse()).transpose();
    let block = block.map_err(|error| StoreError::Damaged(format!("table checkpoints: {error}")))?;
    let head = |seq: Option<u64>, hash: Option<String>| seq.zip(hash).map(|(seq, hash)| Head { seq, hash });
    Ok(Checkpoint {
        n: row.get(0)?,
        time: Timestamp(row.get(1)?),
        postings: row.get(2)?,
        hash: row.get(3)?,
        balances: row.get(4)?,
        credits: head(row.get(7)?, row.get(8)?),
        chronicle: head(row.get(9)?, row.get(10)?),
        tip: block.zip(row.get(6)?).map(|(hash, height)| Tip { height, hash }),
    })
}

/// What somebody could do who knows the schema: cut off all from a posting on, and mend what would show it.
#[cfg(test)]
pub(super) fn cut_off_from(tx: &Tx<'_>, seq: u64) -> Result<(), StoreError> {
    let changes = format!(
        "DELETE FROM entries WHERE event >= (SELECT event FROM entries WHERE seq = {seq});
         DELETE FROM transactions WHERE event > (SELECT max(seq) FROM entries);
         UPDATE followed_counts SET transactions = (SELECT count(*) FROM transactions t WHERE t.wallet = followed_counts.wallet);
         DELETE FROM deposits WHERE event > (SELECT max(seq) FROM entries);
         DELETE FROM checkpoints;
         UPDATE balances SET amount = (SELECT coalesce(sum(amount), 0) FROM entries e WHERE e.account = balances.account);
         DELETE FROM balances WHERE account NOT IN (SELECT account FROM entries);
         DELETE FROM days;
         INSERT INTO days SELECT time_s / 86400, wallet, account, kind, sum(amount), count(*), max(seq) FROM entries GROUP BY 1, 2, 3, 4;
         UPDATE ledger_head SET seq = (SELECT max(seq) FROM entries), hash = (SELECT hash FROM entries ORDER BY seq DESC LIMIT 1)"
    );
    chronicle::rewrite(tx, &changes)
}

/// The same to the credits: all from an event on. Their deposits wait again.
#[cfg(test)]
pub(super) fn cut_off_credits_from(tx: &Tx<'_>, seq: u64) -> Result<(), StoreError> {
    let changes = format!(
        "INSERT INTO deposits (event, vout, wallet, txid, address, amount)
         SELECT event, vout, wallet, txid, address, amount FROM credits WHERE seq >= {seq};
         DELETE FROM credits WHERE seq >= {seq};
         DELETE FROM checkpoints;
         UPDATE credits_head SET seq = {seq} - 1, hash = (SELECT hash FROM credits WHERE seq = {seq} - 1)"
    );
    chronicle::rewrite(tx, &changes)
}

/// What a checkpoint of before looks like.
#[cfg(test)]
pub(super) fn forget_credits(tx: &Tx<'_>) -> Result<(), StoreError> {
    chronicle::rewrite(tx, "UPDATE checkpoints SET credits = NULL, credits_hash = NULL")
}

/// What somebody could do who writes a ledger of their own: give the store the name of another one.
#[cfg(test)]
pub(super) fn rename_store(tx: &Tx<'_>, id: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE store SET id = ?1", [id])?;
    Ok(())
}

/// What never happens to checkpoints.
#[cfg(test)]
pub(super) const CHANGES: [&str; 3] =
    ["DELETE FROM checkpoints", "UPDATE checkpoints SET seq = 0", "UPDATE checkpoints SET credits = 7"];

/// Tries one of these, with the triggers in force.
#[cfg(test)]
pub(super) fn meddle(tx: &Tx<'_>, change: &str) -> Result<usize, StoreError> {
    Ok(tx.execute(change, [])?)
}

/// What the newest checkpoint saw otherwise; and what is said of it.
#[cfg(test)]
pub(super) const SEEN_OTHERWISE: [(&str, &str); 5] = [
    ("UPDATE entries SET hash = printf('%064d', 0) WHERE seq = 2", "saw another posting 2"),
    ("DELETE FROM entries WHERE seq = 2", "saw another posting 2, or it is not there"),
    ("UPDATE credits SET hash = printf('%064d', 0)", "saw another credit event 1"),
    ("DELETE FROM credits", "saw another credit event 1"),
    ("UPDATE chronicle SET hash = printf('%064d', 0)", "saw another row 1 of the chronicle"),
];
