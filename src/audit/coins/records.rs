//! Coins of both sides in a database of its own.

use rusqlite::{Connection, params};

use super::{CoinSide, StrayCoin};
use crate::coin::{Amount, OutPoint, Txid};
use crate::store::{Scratch, Store, StoreError};

const TABLES: &str = "
CREATE TABLE made (txid TEXT NOT NULL, vout INTEGER NOT NULL, amount INTEGER NOT NULL, PRIMARY KEY (txid, vout)) STRICT, WITHOUT ROWID;
CREATE TABLE spent (txid TEXT NOT NULL, vout INTEGER NOT NULL, by TEXT NOT NULL, PRIMARY KEY (txid, vout)) STRICT, WITHOUT ROWID;
CREATE TABLE listed (txid TEXT NOT NULL, vout INTEGER NOT NULL, amount INTEGER, PRIMARY KEY (txid, vout)) STRICT, WITHOUT ROWID;";

/// Those that should be there and are not, and those that should not and are.
const STRAYS: &str = "
SELECT 0, txid, vout, amount, NULL FROM made
WHERE NOT EXISTS (SELECT 1 FROM spent s WHERE s.txid = made.txid AND s.vout = made.vout)
  AND NOT EXISTS (SELECT 1 FROM listed l WHERE l.txid = made.txid AND l.vout = made.vout)
UNION ALL
SELECT 1, txid, vout, amount, (SELECT by FROM spent s WHERE s.txid = listed.txid AND s.vout = listed.vout) FROM listed
WHERE NOT EXISTS (SELECT 1 FROM made m WHERE m.txid = listed.txid AND m.vout = listed.vout)
   OR EXISTS (SELECT 1 FROM spent s WHERE s.txid = listed.txid AND s.vout = listed.vout)";

/// The coins.
pub(super) struct Purse(Scratch);

impl Purse {
    pub(super) fn new(store: &Store) -> Result<Purse, StoreError> {
        Ok(Purse(store.scratch(TABLES)?))
    }

    fn connection(&self) -> &Connection {
        self.0.connection()
    }

    /// A posted transaction made it for us.
    pub(super) fn make(&self, coin: &OutPoint, amount: Amount) -> Result<(), StoreError> {
        let mut statement = self.connection().prepare_cached("INSERT OR IGNORE INTO made VALUES (?1, ?2, ?3)")?;
        statement.execute(params![coin.txid.to_string(), coin.vout, amount.base_units()])?;
        Ok(())
    }

    /// A posted transaction of ours spends it.
    pub(super) fn spend(&self, coin: &OutPoint, by: &Txid) -> Result<(), StoreError> {
        let mut statement = self.connection().prepare_cached("INSERT OR IGNORE INTO spent VALUES (?1, ?2, ?3)")?;
        statement.execute(params![coin.txid.to_string(), coin.vout, by.to_string()])?;
        Ok(())
    }

    /// The wallet lists it, or has it locked.
    pub(super) fn list(&self, coin: &OutPoint, amount: Option<Amount>) -> Result<(), StoreError> {
        let mut statement = self.connection().prepare_cached("INSERT OR IGNORE INTO listed VALUES (?1, ?2, ?3)")?;
        statement.execute(params![coin.txid.to_string(), coin.vout, amount.map(Amount::base_units)])?;
        Ok(())
    }

    /// Those that one side alone has: the first, and how many more there are.
    pub(super) fn strays(&self, limit: usize) -> Result<(Vec<StrayCoin>, u64), StoreError> {
        let mut statement = self.connection().prepare(STRAYS)?;
        let mut rows = statement.query([])?;
        let (mut named, mut more) = (Vec::new(), 0);
        while let Some(row) = rows.next()? {
            if named.len() >= limit {
                more += 1;
                continue;
            }
            let spent_by: Option<String> = row.get(4)?;
            named.push(StrayCoin {
                outpoint: OutPoint { txid: parsed(&row.get::<_, String>(1)?)?, vout: row.get(2)? },
                amount: row.get::<_, Option<i64>>(3)?.map(Amount::from_base_units),
                side: if row.get(0)? { CoinSide::Wallet } else { CoinSide::Ledger },
                spent_by: spent_by.as_deref().map(parsed).transpose()?,
                unspent: None,
                in_mempool: false,
            });
        }
        Ok((named, more))
    }
}

fn parsed(txid: &str) -> Result<Txid, StoreError> {
    txid.parse().map_err(|error| StoreError::Damaged(format!("scratch table of coins: {error}")))
}
