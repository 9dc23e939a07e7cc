//! The ledger as it lies in the store, read without copies.

use rusqlite::types::ValueRef;
use rusqlite::{OptionalExtension, Row};

use super::days::DaySum;
use crate::coin::Day;
use crate::ledger::canonical::{Fields, Place};
use crate::ledger::{Account, Kind};
use crate::store::{StoreError, Tx};

/// Hands every posting to `look`, oldest first, with its seq and the hash that stands beside it; of one that cannot be read, why. Ends when `look` says
/// that it has seen enough.
pub(super) fn each_posting(
    tx: &Tx<'_>,
    look: impl FnMut(u64, Result<(Fields<'_>, &str), String>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    each_posting_of(tx, (0, i64::MAX.cast_unsigned()), look)
}

/// The same of those from one to another, both included.
pub(super) fn each_posting_of(
    tx: &Tx<'_>,
    (first, last): (u64, u64),
    mut look: impl FnMut(u64, Result<(Fields<'_>, &str), String>) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    let mut statement = tx.prepare(
        "SELECT seq, event, time_s, wallet, account, txid, vout, category, block, height, amount, kind, reverses, note, previous, hash
         FROM entries WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq",
    )?;
    let mut rows = statement.query([first, last])?;
    while let Some(row) = rows.next()? {
        let seq = row.get(0)?;
        if look(seq, fields(row, seq))? {
            break;
        }
    }
    Ok(())
}

/// A row of a chain whose number is below the first one's, in words. Those chains are read from their first rows on; what sums up rows sees every one.
pub(super) fn misnumbered(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    for (table, number) in [("entries", "seq"), ("credits", "seq"), ("chronicle", "n")] {
        let sql = format!("SELECT min({number}) FROM {table} WHERE {number} < 1");
        if let Some(found) = tx.query_row(&sql, [], |row| row.get::<_, Option<i64>>(0))? {
            return Ok(Some(format!(
                "table {table} has a row of the number {found}, and the first is 1: it was put there past bursar"
            )));
        }
    }
    Ok(None)
}

fn fields<'r>(row: &'r Row<'_>, seq: u64) -> Result<(Fields<'r>, &'r str), String> {
    let block = match (maybe_text(row, 8)?, maybe_number(row, 9)?) {
        (Some(hash), Some(height)) => Some(Place { height, hash }),
        (None, None) => None,
        _ => return Err("it has a block or a height, and not both".to_owned()),
    };
    let (account, kind) = (text(row, 4)?, text(row, 11)?);
    let fields = Fields {
        seq,
        event: number(row, 1)?,
        time_s: number(row, 2)?,
        wallet: text(row, 3)?,
        account: Account::from_name(account).ok_or_else(|| format!("no account is named '{account}'"))?,
        txid: maybe_text(row, 5)?,
        vout: maybe_number(row, 6)?,
        category: maybe_text(row, 7)?,
        block,
        amount: number(row, 10)?,
        kind: Kind::from_name(kind).ok_or_else(|| format!("no kind is named '{kind}'"))?,
        reverses: maybe_number(row, 12)?,
        note: maybe_text(row, 13)?,
        previous: text(row, 14)?,
    };
    Ok((fields, text(row, 15)?))
}

fn value<'r>(row: &'r Row<'_>, column: usize) -> Result<ValueRef<'r>, String> {
    row.get_ref(column).map_err(|error| error.to_string())
}

fn maybe_text<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>, String> {
    value(row, column)?.as_str_or_null().map_err(|error| format!("column {column}: {error}"))
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r str, String> {
    value(row, column)?.as_str().map_err(|error| format!("column {column}: {error}"))
}

fn maybe_number<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> Result<Option<T>, String> {
    let number = value(row, column)?.as_i64_or_null().map_err(|error| format!("column {column}: {error}"))?;
    number.map(|number| T::try_from(number).map_err(|_| format!("column {column}: {number} is out of range"))).transpose()
}

fn number<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> Result<T, String> {
    maybe_number(row, column)?.ok_or_else(|| format!("column {column} is empty"))
}

/// The running balances: wallet, account, base units.
pub(super) fn balances(tx: &Tx<'_>) -> Result<Vec<(String, String, i64)>, StoreError> {
    let mut statement = tx.prepare("SELECT wallet, account, amount FROM balances ORDER BY wallet, account")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The newest posting of the days before this one, and that of these and this one; 0: there is none.
pub(super) fn reach_of(tx: &Tx<'_>, day: Day) -> Result<(u64, u64), StoreError> {
    let sql = "SELECT coalesce(max(last_seq) FILTER (WHERE day < ?1), 0), coalesce(max(last_seq), 0) FROM days WHERE day <= ?1";
    Ok(tx.query_row(sql, [day.number()], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// The hash that a posting names as the one before; none: there is no such posting.
pub(super) fn previous_of(tx: &Tx<'_>, seq: u64) -> Result<Option<String>, StoreError> {
    Ok(tx.query_row("SELECT previous FROM entries WHERE seq = ?1", [seq], |row| row.get(0)).optional()?)
}

/// An account of which all days together are not the running balance.
pub(super) fn unbalanced(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    let sql = "SELECT coalesce(moved.account, held.account) FROM (SELECT wallet, account, sum(amount) AS amount FROM days GROUP BY wallet, account) AS moved
               FULL JOIN balances AS held ON held.wallet = moved.wallet AND held.account = moved.account
               WHERE held.amount IS NOT moved.amount LIMIT 1";
    Ok(tx.query_row(sql, [], |row| row.get(0)).optional()?)
}

/// Hands over every row of the table of days, from one to another, both included: day, wallet, account, kind, and what it sums up.
pub(super) fn each_day(
    tx: &Tx<'_>,
    (first, last): (i64, i64),
    mut look: impl FnMut(i64, &str, &str, &str, DaySum),
) -> Result<(), StoreError> {
    let sql = "SELECT day, wallet, account, kind, amount, entries, last_seq FROM days WHERE day BETWEEN ?1 AND ?2 ORDER BY day";
    let mut statement = tx.prepare(sql)?;
    let mut rows = statement.query([first, last])?;
    while let Some(row) = rows.next()? {
        let damaged = |words: String| StoreError::Damaged(format!("table days: {words}"));
        let (wallet, account, kind) = (text(row, 1), text(row, 2), text(row, 3));
        let names = (wallet.map_err(damaged)?, account.map_err(damaged)?, kind.map_err(damaged)?);
        look(row.get(0)?, names.0, names.1, names.2, (row.get(4)?, row.get(5)?, row.get(6)?));
    }
    Ok(())
}

/// A transaction that says which event stands for it.
pub(super) struct Reference<'r> {
    pub(super) wallet: &'r str,
    pub(super) txid: &'r str,
    pub(super) event: i64,
    pub(super) net: i64,
}

/// Hands over every transaction that an event from `first` on stands for, and before `end`. Before the first there are those of events that cannot be.
pub(super) fn each_reference(tx: &Tx<'_>, first: u64, end: u64, mut look: impl FnMut(Reference<'_>)) -> Result<(), StoreError> {
    let first = if first == 1 { i64::MIN } else { first.cast_signed() };
    let mut statement = tx.prepare("SELECT wallet, txid, event, net FROM transactions WHERE event >= ?1 AND event < ?2")?;
    let mut rows = statement.query([first, i64::try_from(end).unwrap_or(i64::MAX)])?;
    while let Some(row) = rows.next()? {
        let damaged = |words: String| StoreError::Damaged(format!("table transactions: {words}"));
        look(Reference {
            wallet: text(row, 0).map_err(damaged)?,
            txid: text(row, 1).map_err(damaged)?,
            event: number(row, 2).map_err(damaged)?,
            net: number(row, 3).map_err(damaged)?,
        });
    }
    Ok(())
}

/// A wallet whose transactions are not as many as their count says.
pub(super) fn miscounted(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    let sql = "SELECT coalesce(there.wallet, said.wallet) FROM (SELECT wallet, count(*) AS many FROM transactions GROUP BY wallet) AS there
               FULL JOIN followed_counts AS said ON said.wallet = there.wallet
               WHERE coalesce(said.transactions, 0) <> coalesce(there.many, 0) LIMIT 1";
    Ok(tx.query_row(sql, [], |row| row.get(0)).optional()?)
}

/// What is wrong with the row that names the store, in words.
pub(super) fn id_fault(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    let sql = "SELECT count(*) = 1 AND min(id NOT GLOB '*[^0-9a-f]*' AND length(id) = 32) FROM store";
    let is_well: Option<bool> = tx.query_row(sql, [], |row| row.get(0))?;
    let words = "the store's id is not one row of 32 hex digits: every payment bears it, and every exported checkpoint names it";
    Ok((is_well != Some(true)).then(|| words.to_owned()))
}

/// What somebody could do who knows how sums are asked for: the opposite of what is unexplained, before the first posting.
#[cfg(test)]
pub(super) const HIDES_A_SPEND: &str =
    "INSERT INTO entries SELECT -1, event, time_s, wallet, account, txid, vout, category, block, height, -amount, kind, reverses, note, previous, hash
     FROM entries WHERE account = 'unexplained'";
