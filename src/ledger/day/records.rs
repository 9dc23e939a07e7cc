//! The table of days.

use rusqlite::OptionalExtension;

use super::{DayBalance, LastEntry, Movement};
use crate::coin::{Amount, Day};
use crate::ledger::records::{account_named, kind_named};
use crate::store::{StoreError, Tx};

pub(super) fn balances(tx: &Tx<'_>, day: Day) -> Result<Vec<DayBalance>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT wallet, account, coalesce(sum(amount) FILTER (WHERE day < ?1), 0), sum(amount) FROM days WHERE day <= ?1
         GROUP BY wallet, account ORDER BY wallet, account",
    )?;
    let mut rows = statement.query([day.number()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(DayBalance {
            wallet: row.get(0)?,
            account: account_named(&row.get::<_, String>(1)?)?,
            opening: Amount::from_base_units(row.get(2)?),
            closing: Amount::from_base_units(row.get(3)?),
        });
    }
    Ok(found)
}

pub(super) fn movements(tx: &Tx<'_>, day: Day) -> Result<Vec<Movement>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT wallet, account, kind, amount, entries FROM days WHERE day = ?1 ORDER BY wallet, account, kind",
    )?;
    let mut rows = statement.query([day.number()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Movement {
            wallet: row.get(0)?,
            account: account_named(&row.get::<_, String>(1)?)?,
            kind: kind_named(&row.get::<_, String>(2)?)?,
            amount: Amount::from_base_units(row.get(3)?),
            entries: row.get(4)?,
        });
    }
    Ok(found)
}

pub(super) fn last(tx: &Tx<'_>, day: Day) -> Result<Option<LastEntry>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT seq, hash FROM entries WHERE seq = (SELECT max(last_seq) FROM days WHERE day <= ?1)")?;
    let last = statement.query_row([day.number()], |row| Ok(LastEntry { seq: row.get(0)?, hash: row.get(1)? }));
    Ok(last.optional()?)
}

/// Whether the entries up to the end of a day are others than the first ones of the ledger.
pub(super) fn out_of_order(tx: &Tx<'_>, day: Day) -> Result<bool, StoreError> {
    let sql = "SELECT coalesce(max(last_seq) <> sum(entries), 0) FROM days WHERE day <= ?1";
    Ok(tx.prepare_cached(sql)?.query_row([day.number()], |row| row.get(0))?)
}
