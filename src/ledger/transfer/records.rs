//! Where the other side of a transfer is looked for.

use rusqlite::{OptionalExtension, params};

use super::Side;
use crate::coin::{Amount, Txid};
use crate::ledger::Account;
use crate::ledger::records::account_named;
use crate::ledger::rules::Leg;
use crate::store::{StoreError, Tx};

/// Other wallets in which something is posted for the transaction, and the event that stands for it there.
pub(super) fn elsewhere(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Vec<(String, u64)>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT wallet, event FROM transactions WHERE txid = ?1 AND wallet <> ?2 AND event IS NOT NULL")?;
    let rows = statement.query_map(params![txid.to_string(), wallet], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What another wallet's event posted for an output, if it is of this amount and category.
pub(super) fn posted<'a>(
    tx: &Tx<'_>,
    (wallet, event, vout, amount): (&'a str, u64, u32, Amount),
    txid: &Txid,
    category: &str,
) -> Result<Option<Side<'a>>, StoreError> {
    let sql = "SELECT account FROM entries WHERE event = ?1 AND txid = ?2 AND wallet = ?3 AND vout = ?4 AND category = ?5 AND amount = ?6";
    let values = params![event, txid.to_string(), wallet, vout, category, amount.base_units()];
    let account: Option<String> = tx.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
    let side = |account: String| Ok(Side { wallet, event, vout, account: account_named(&account)?, amount });
    account.map(side).transpose()
}

/// What an event posted for the outputs that it paid.
pub(super) fn sends(tx: &Tx<'_>, wallet: &str, event: u64, txid: &Txid) -> Result<Vec<Leg>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT account, vout, amount FROM entries WHERE event = ?1 AND txid = ?2 AND wallet = ?3 AND category = 'send' ORDER BY seq",
    )?;
    let mut rows = statement.query(params![event, txid.to_string(), wallet])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let (account, amount) = (account_named(&row.get::<_, String>(0)?)?, Amount::from_base_units(row.get(2)?));
        found.push(Leg { account, vout: row.get(1)?, category: Some("send"), amount });
    }
    Ok(found)
}

/// Whether an output was moved to `internal` as a transfer from the very posting of which a person said something later.
pub(super) fn was_transfer_when_said(tx: &Tx<'_>, wallet: &str, txid: &Txid, vout: u32) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM entries t JOIN entries e ON e.txid = t.txid AND e.wallet = t.wallet AND e.reverses = t.reverses
               WHERE t.txid = ?1 AND t.wallet = ?2 AND t.vout = ?3 AND t.kind = 'transfer' AND e.kind = 'explained')";
    Ok(tx.prepare_cached(sql)?.query_row(params![txid.to_string(), wallet, vout], |row| row.get(0))?)
}

/// What stands for an output in an account since `event`.
pub(super) fn standing(
    tx: &Tx<'_>,
    wallet: &str,
    txid: &Txid,
    event: u64,
    vout: u32,
    account: Account,
) -> Result<Amount, StoreError> {
    let sql = "SELECT coalesce(sum(amount), 0) FROM entries
               WHERE txid = ?1 AND wallet = ?2 AND event >= ?3 AND vout = ?4 AND account = ?5";
    let values = params![txid.to_string(), wallet, event, vout, account.name()];
    Ok(Amount::from_base_units(tx.prepare_cached(sql)?.query_row(values, |row| row.get(0))?))
}
