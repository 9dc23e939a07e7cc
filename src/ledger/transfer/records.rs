//! Where the other side of a transfer is looked for.

use rusqlite::params;

use super::Side;
use crate::coin::{Amount, Txid};
use crate::ledger::Account;
use crate::store::{StoreError, Tx};

/// Other wallets in which something is posted for the transaction, and the event that stands for it there.
pub(super) fn elsewhere(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Vec<(String, u64)>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT wallet, event FROM transactions WHERE txid = ?1 AND wallet <> ?2 AND event IS NOT NULL")?;
    let rows = statement.query_map(params![txid.to_string(), wallet], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether its event posted this amount for this output.
pub(super) fn posted(tx: &Tx<'_>, side: &Side<'_>, txid: &Txid) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM entries WHERE event = ?1 AND txid = ?2 AND wallet = ?3 AND vout = ?4 AND account = ?5
                              AND amount = ?6)";
    let values = params![side.event, txid.to_string(), side.wallet, side.vout, side.account.name(), side.amount.base_units()];
    Ok(tx.prepare_cached(sql)?.query_row(values, |row| row.get(0))?)
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
