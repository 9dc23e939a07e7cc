//! What stands at the beginning of an export.

use super::Preamble;
use crate::ledger::records::{account_named, head};
use crate::store::{StoreError, Tx};

pub(super) fn preamble(tx: &Tx<'_>) -> Result<Preamble, StoreError> {
    let mut statement = tx.prepare_cached("SELECT wallet, account FROM balances ORDER BY wallet, account")?;
    let mut rows = statement.query([])?;
    let mut accounts = Vec::new();
    while let Some(row) = rows.next()? {
        accounts.push((row.get(0)?, account_named(&row.get::<_, String>(1)?)?));
    }
    Ok(Preamble { head: head(tx)?, accounts })
}
