//! What journaled batches reserve, and how they pay.

use rusqlite::{Row, params};

use super::{Change, Draft};
use crate::coin::{Amount, FeeRate, HashError, OutPoint};
use crate::payout::batch::{BatchId, BatchState};
use crate::payout::records::{damaged, optional, signed, unsigned};
use crate::payout::rules::{Coin, Witness, input_size};
use crate::store::{StoreError, Tx};

/// Writes a draft and reserves its coins. Fails when one of them is reserved already.
pub(in crate::payout) fn add_draft(tx: &Tx<'_>, batch: &BatchId, draft: &Draft) -> Result<(), StoreError> {
    let change = draft.change.as_ref();
    tx.prepare_cached(
        "INSERT INTO drafts (batch, lock_height, fee, vbytes, change_position, change_address, change_script, change_amount) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        batch.as_str(),
        draft.lock_height,
        draft.fee.base_units(),
        signed(draft.vbytes),
        change.map(|change| signed(change.position as u64)),
        change.map(|change| &change.address),
        change.map(|change| &change.script_hex),
        change.map(|change| change.amount.base_units()),
    ])?;
    reserve(tx, batch, 0, &draft.coins)
}

/// Reserves coins for a batch, its inputs from that position on.
pub(super) fn reserve(tx: &Tx<'_>, batch: &BatchId, from: usize, coins: &[Coin]) -> Result<(), StoreError> {
    let mut insert = tx.prepare_cached(
        "INSERT INTO reservations (batch, position, txid, vout, amount, script) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    for (position, coin) in (from as u64..).zip(coins) {
        insert.execute(params![
            batch.as_str(),
            signed(position),
            coin.outpoint.txid.to_string(),
            coin.outpoint.vout,
            coin.amount.base_units(),
            coin.script_hex
        ])?;
    }
    Ok(())
}

/// The change of a batch; none: it has none, or no draft.
pub(super) fn change(tx: &Tx<'_>, batch: &BatchId) -> Result<Option<Change>, StoreError> {
    let sql = "SELECT change_position, change_address, change_script, change_amount FROM drafts \
               WHERE batch = ?1 AND change_amount IS NOT NULL";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([batch.as_str()])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    Ok(Some(Change {
        position: usize::try_from(unsigned(row, 0)?).map_err(damaged)?,
        address: row.get(1)?,
        script_hex: row.get(2)?,
        amount: Amount::from_base_units(row.get(3)?),
    }))
}

fn outpoint(row: &Row<'_>) -> Result<OutPoint, StoreError> {
    let txid = row.get::<_, String>(0)?.parse().map_err(|error: HashError| damaged(error))?;
    Ok(OutPoint { txid, vout: row.get(1)? })
}

fn outpoints(tx: &Tx<'_>, sql: &str, values: impl rusqlite::Params) -> Result<Vec<OutPoint>, StoreError> {
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(outpoint(row)?);
    }
    Ok(found)
}

/// Every coin that a batch may still spend.
pub(super) fn reserved(tx: &Tx<'_>) -> Result<Vec<OutPoint>, StoreError> {
    outpoints(tx, "SELECT txid, vout FROM reservations WHERE released = 0", [])
}

/// The coins of one batch, released or not.
pub(in crate::payout) fn coins_of(tx: &Tx<'_>, batch: &BatchId) -> Result<Vec<OutPoint>, StoreError> {
    outpoints(tx, "SELECT txid, vout FROM reservations WHERE batch = ?1 ORDER BY position", [batch.as_str()])
}

/// The same with amounts, scripts and sizes.
pub(super) fn sized_coins(tx: &Tx<'_>, batch: &BatchId, witness: Witness) -> Result<Vec<Coin>, StoreError> {
    let sql = "SELECT txid, vout, amount, script FROM reservations WHERE batch = ?1 ORDER BY position";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([batch.as_str()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let script_hex: String = row.get(3)?;
        let size = input_size(&script_hex, witness);
        let size = size.ok_or_else(|| damaged(format!("a coin of batch {batch} is of a kind that is not spent")))?;
        let amount = Amount::from_base_units(row.get(2)?);
        found.push(Coin { outpoint: outpoint(row)?, amount, script_hex, size, ancestors: 0 });
    }
    Ok(found)
}

/// Another batch, still open, that spends an output of a transaction of this one.
pub(super) fn spender_of(tx: &Tx<'_>, batch: &BatchId) -> Result<Option<BatchId>, StoreError> {
    let sql = "SELECT r.batch FROM reservations r JOIN batch_txids t ON t.txid = r.txid \
               WHERE t.batch = ?1 AND r.batch <> ?1 AND r.released = 0 LIMIT 1";
    optional(tx, sql, batch.as_str())?.map(|id| id.parse()).transpose().map_err(damaged)
}

/// The rate that a batch pays now.
pub(super) fn set_fee_rate(tx: &Tx<'_>, batch: &BatchId, rate: FeeRate) -> Result<(), StoreError> {
    tx.execute("UPDATE batches SET fee_rate_per_kvb = ?1 WHERE id = ?2", params![signed(rate.per_kvb()), batch.as_str()])?;
    Ok(())
}

/// Whether a coin was reserved once and is not any more.
pub(super) fn was_released(tx: &Tx<'_>, coin: &OutPoint) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) > 0 AND min(released) = 1 FROM reservations WHERE txid = ?1 AND vout = ?2";
    Ok(tx.prepare_cached(sql)?.query_row(params![coin.txid.to_string(), coin.vout], |row| row.get(0))?)
}

/// Whether any batch was ever sent this way.
pub(super) fn any(tx: &Tx<'_>) -> Result<bool, StoreError> {
    Ok(tx.prepare_cached("SELECT EXISTS (SELECT 1 FROM reservations)")?.query_row([], |row| row.get(0))?)
}

/// The oldest batch that has coins reserved.
pub(super) fn reserving(tx: &Tx<'_>) -> Result<Option<BatchId>, StoreError> {
    let sql = "SELECT b.id FROM reservations r JOIN batches b ON b.id = r.batch WHERE r.released = 0 ORDER BY b.seq LIMIT 1";
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    let id = rows.next()?.map(|row| row.get::<_, String>(0)).transpose()?;
    id.map(|id| id.parse()).transpose().map_err(damaged)
}

/// A batch that is over needs its coins no more; one that a reorg reopened needs them again, unless another has taken them.
pub(in crate::payout) fn follow_state(tx: &Tx<'_>, batch: &BatchId, state: BatchState) -> Result<(), StoreError> {
    let over = matches!(state, BatchState::Ended | BatchState::Final);
    tx.prepare_cached("UPDATE OR IGNORE reservations SET released = ?1 WHERE batch = ?2 AND released <> ?1")?
        .execute(params![over, batch.as_str()])?;
    Ok(())
}
