//! Pieces of the table of transactions.

use rusqlite::{Row, params};

use super::super::records::{parsed, select_followed};
use super::super::{Followed, TxState};
use super::WaitingDeposit;
use crate::coin::{Amount, Txid};
use crate::store::{StoreError, Tx};

pub(super) fn page(tx: &Tx<'_>, wallet: &str, after: Option<&Txid>, limit: usize) -> Result<Vec<Followed>, StoreError> {
    let after = after.map(ToString::to_string).unwrap_or_default();
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    select_followed(tx, "WHERE wallet = ?1 AND txid > ?2 ORDER BY txid LIMIT ?3", params![wallet, after, limit])
}

/// Final ones by their index, and of those that are not there are few.
pub(super) fn confirmed_from(tx: &Tx<'_>, wallet: &str, height: u64) -> Result<Vec<Followed>, StoreError> {
    let mut found =
        select_followed(tx, "WHERE wallet = ?1 AND final = 1 AND height >= ?2 ORDER BY height", params![wallet, height])?;
    found.extend(select_followed(tx, "WHERE wallet = ?1 AND final = 0 AND height >= ?2", params![wallet, height])?);
    found.retain(|followed| matches!(followed.state, TxState::Confirmed { .. }));
    found.sort_by_key(|followed| followed.txid);
    Ok(found)
}

pub(super) fn count(tx: &Tx<'_>, wallet: &str) -> Result<u64, StoreError> {
    let mut statement = tx.prepare_cached("SELECT coalesce(sum(transactions), 0) FROM followed_counts WHERE wallet = ?1")?;
    Ok(statement.query_row([wallet], |row| row.get(0))?)
}

pub(super) fn posted_after(tx: &Tx<'_>, wallet: &str, seq: u64, limit: usize) -> Result<(Vec<Followed>, u64), StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT DISTINCT txid FROM entries WHERE seq > ?1 AND wallet = ?2 AND kind = 'posting' AND txid IS NOT NULL ORDER BY txid",
    )?;
    let mut rows = statement.query(params![seq, wallet])?;
    let (mut found, mut all) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let txid: Txid = parsed(&row.get::<_, String>(0)?)?;
        let posted =
            super::one(tx, wallet, &txid)?.filter(|one| one.is_final && one.event.is_some() && one.state != TxState::Dead);
        all += u64::from(posted.is_some());
        found.extend(posted.filter(|_| found.len() < limit));
    }
    Ok((found, all))
}

pub(super) fn awaited_elsewhere(tx: &Tx<'_>, wallet: &str, txid: &Txid, amount: Amount) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT wallet FROM transactions WHERE txid = ?1 AND wallet <> ?2 AND state = 'pending' AND event IS NULL AND net = ?3",
    )?;
    let rows = statement.query_map(params![txid.to_string(), wallet, amount.base_units()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn elsewhere(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT wallet FROM transactions WHERE txid = ?1 AND wallet <> ?2 ORDER BY wallet")?;
    let rows = statement.query_map(params![txid.to_string(), wallet], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn waiting(tx: &Tx<'_>, event: u64) -> Result<Vec<WaitingDeposit>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT vout, amount FROM deposits WHERE event = ?1 ORDER BY vout")?;
    let waiting = |row: &Row<'_>| Ok(WaitingDeposit { vout: row.get(0)?, amount: Amount::from_base_units(row.get(1)?) });
    Ok(statement.query_map([event], waiting)?.collect::<Result<_, _>>()?)
}
