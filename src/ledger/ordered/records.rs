//! What the tables know of a transaction before it is an order's.

use rusqlite::{OptionalExtension, params};

use crate::coin::{Amount, Txid};
use crate::ledger::Account;
use crate::ledger::records::account_named;
use crate::store::{StoreError, Tx};

/// The account of whatever has a transaction of a wallet by its id until now.
pub(super) fn bound_account(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Option<Account>, StoreError> {
    let sql =
        "SELECT account FROM claims JOIN claim_txids b USING (\"order\") WHERE txid = ?1 AND coalesce(b.wallet, ?2) = ?2 LIMIT 1";
    let account: Option<String> = tx.query_row(sql, [txid.to_string().as_str(), wallet], |row| row.get(0)).optional()?;
    account.as_deref().map(account_named).transpose()
}

/// What an event posted as a move within its wallet, as the wallet received it.
pub(super) fn received_within(tx: &Tx<'_>, event: u64) -> Result<Vec<(u32, Amount)>, StoreError> {
    outputs(
        tx,
        "SELECT vout, -sum(amount) FROM entries e WHERE event = ?1 AND kind = 'posting' AND account = 'deposit' AND category = 'receive'
           AND vout IS NOT NULL AND EXISTS (SELECT 1 FROM entries s WHERE s.event = e.event AND s.vout = e.vout AND s.category = 'send'
                                            AND s.account = 'internal')
         GROUP BY vout HAVING count(*) = 1 AND sum(amount) < 0",
        params![event],
    )
}

/// What stands in a wallet that did not pay as moved there from another one of ours.
pub(super) fn transferred(tx: &Tx<'_>, wallet: &str, txid: &Txid, event: u64) -> Result<Vec<(u32, Amount)>, StoreError> {
    outputs(
        tx,
        "SELECT vout, sum(amount) FROM entries WHERE txid = ?1 AND wallet = ?2 AND event >= ?3 AND account = 'internal' AND vout IS NOT NULL
         GROUP BY vout HAVING sum(amount) < 0",
        params![txid.to_string(), wallet, event],
    )
}

fn outputs(tx: &Tx<'_>, sql: &str, values: impl rusqlite::Params) -> Result<Vec<(u32, Amount)>, StoreError> {
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(values, |row| Ok((row.get(0)?, Amount::from_base_units(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
