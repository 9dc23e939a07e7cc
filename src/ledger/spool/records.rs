//! The tables of one reading.

use std::fmt::Display;
use std::str::FromStr;

use rusqlite::{OptionalExtension, Row, params};

use super::{LAST, Shown};
use crate::coin::{Amount, BlockHash, Timestamp, Txid};
use crate::daemon::{BlockPlace, Category, Entry};
use crate::ledger::rules::{self, Seen};
use crate::store::{Scratch, Store, StoreError};

/// Transactions that are read at once where all are looked at.
const ROWS_AT_ONCE: usize = 1000;

/// More of its pages stay in memory than of other scratch databases: a daemon lists by ids, and the order of blocks jumps about in that.
const TABLES: &str = "
PRAGMA cache_size = -8192;
CREATE TABLE shown (
    n       INTEGER PRIMARY KEY,
    txid    TEXT NOT NULL UNIQUE,
    block   TEXT,                        -- none: in no block
    place   INTEGER NOT NULL,            -- among those in no block
    time_s  INTEGER NOT NULL,
    net     INTEGER NOT NULL,
    own     INTEGER NOT NULL,
    comment TEXT,
    entries TEXT NOT NULL                -- JSON, see `Kept`
) STRICT;
CREATE TABLE blocks (
    hash   TEXT PRIMARY KEY,
    asked  INTEGER NOT NULL,
    height INTEGER,                      -- none: the daemon does not know it
    active INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE arranged (
    place  INTEGER NOT NULL,
    time_s INTEGER NOT NULL,
    txid   TEXT NOT NULL,
    n      INTEGER NOT NULL,
    PRIMARY KEY (place, time_s, txid)
) STRICT, WITHOUT ROWID;";

/// An entry of a transaction, in the order of its fields, without names and id: a reading is half as large so, and its pages stay in memory.
type Kept =
    (Option<u32>, Category, Option<String>, Amount, Option<Amount>, i64, Option<BlockHash>, bool, Option<String>, Timestamp);

/// The transactions of one reading.
pub(in crate::ledger) struct Spool(Scratch);

/// After which transaction of the order a page begins.
#[derive(Clone, Debug)]
pub(in crate::ledger) struct After {
    place: i64,
    time_s: i64,
    txid: String,
}

impl After {
    /// Before the first of all.
    pub(in crate::ledger) fn nothing() -> After {
        After { place: i64::MIN, time_s: i64::MIN, txid: String::new() }
    }

    /// After this one.
    pub(in crate::ledger) fn this(shown: &Shown) -> After {
        After { place: integer(shown.place), time_s: shown.seen.time.0, txid: shown.txid.to_string() }
    }
}

fn integer(place: u64) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

fn damaged(what: impl Display) -> StoreError {
    StoreError::Damaged(format!("scratch of a reading: {what}"))
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(damaged)
}

impl Spool {
    pub(in crate::ledger) fn new(store: &Store) -> Result<Spool, StoreError> {
        Ok(Spool(store.scratch(TABLES)?))
    }

    /// Keeps a transaction. Where it is known already, that is replaced, or nothing is done and false returned.
    pub(super) fn put(
        &self,
        txid: &Txid,
        entries: &[Entry],
        seen: &Seen,
        (block, place): (Option<&BlockHash>, u64),
        replace: bool,
    ) -> Result<bool, StoreError> {
        let block = block.map(ToString::to_string);
        if let Some(block) = &block {
            let mut statement =
                self.0.connection().prepare_cached("INSERT INTO blocks VALUES (?1, 0, NULL, 0) ON CONFLICT DO NOTHING")?;
            statement.execute([block])?;
        }
        let mut statement = self.0.connection().prepare_cached(
            "INSERT INTO shown (txid, block, place, time_s, net, own, comment, entries) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (txid) DO UPDATE SET block = ?2, place = ?3, time_s = ?4, net = ?5, own = ?6, comment = ?7, entries = ?8 WHERE ?9",
        )?;
        let json = to_json(entries)?;
        let (time_s, net) = (seen.time.0, seen.net.base_units());
        let values = params![txid.to_string(), block, integer(place), time_s, net, seen.own, seen.comment, json, replace];
        Ok(statement.execute(values)? == 1)
    }

    /// The entries of a transaction; none: it was not shown.
    pub(super) fn entries(&self, txid: &Txid) -> Result<Option<Vec<Entry>>, StoreError> {
        let mut statement = self.0.connection().prepare_cached("SELECT entries FROM shown WHERE txid = ?1")?;
        let json: Option<String> = statement.query_row([txid.to_string()], |row| row.get(0)).optional()?;
        json.map(|json| from_json(*txid, &json)).transpose()
    }

    /// What a transaction does to the wallet; none: it was not shown.
    pub(in crate::ledger) fn net(&self, txid: &Txid) -> Result<Option<Amount>, StoreError> {
        let mut statement = self.0.connection().prepare_cached("SELECT net FROM shown WHERE txid = ?1")?;
        Ok(statement.query_row([txid.to_string()], |row| row.get(0)).optional()?.map(Amount::from_base_units))
    }

    /// How many transactions were shown.
    pub(in crate::ledger) fn count(&self) -> Result<u64, StoreError> {
        Ok(self.0.connection().query_row("SELECT count(*) FROM shown", [], |row| row.get(0))?)
    }

    /// Hands on those that spend our coins, with their comments.
    pub(in crate::ledger) fn each_own<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(Txid, Option<&str>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement =
            self.0.connection().prepare("SELECT txid, comment FROM shown WHERE own = 1 ORDER BY n").map_err(StoreError::from)?;
        let mut rows = statement.query([]).map_err(StoreError::from)?;
        while let Some(row) = rows.next().map_err(StoreError::from)? {
            let txid: String = row.get(0).map_err(StoreError::from)?;
            let comment: Option<String> = row.get(1).map_err(StoreError::from)?;
            visit(parsed(&txid)?, comment.as_deref())?;
        }
        Ok(())
    }

    pub(super) fn blocks_to_ask(&self, limit: usize) -> Result<Vec<BlockHash>, StoreError> {
        let mut statement = self.0.connection().prepare_cached("SELECT hash FROM blocks WHERE asked = 0 LIMIT ?1")?;
        let mut rows = statement.query([i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(parsed(&row.get::<_, String>(0)?)?);
        }
        Ok(found)
    }

    pub(super) fn put_block(&self, block: &BlockHash, place: Option<BlockPlace>) -> Result<(), StoreError> {
        let mut statement = self.0.connection().prepare_cached(
            "INSERT INTO blocks VALUES (?1, 1, ?2, ?3) ON CONFLICT DO UPDATE SET asked = 1, height = ?2, active = ?3",
        )?;
        let active = place.is_some_and(|place| place.active);
        statement.execute(params![block.to_string(), place.map(|place| place.height), active])?;
        Ok(())
    }

    /// What the daemon said of a block; none: it was not asked.
    pub(super) fn block(&self, block: &BlockHash) -> Result<Option<Option<BlockPlace>>, StoreError> {
        let mut statement =
            self.0.connection().prepare_cached("SELECT height, active FROM blocks WHERE hash = ?1 AND asked = 1")?;
        let place = |row: &Row<'_>| {
            let (height, active): (Option<u64>, bool) = (row.get(0)?, row.get(1)?);
            Ok(height.map(|height| BlockPlace { height, active }))
        };
        Ok(statement.query_row([block.to_string()], place).optional()?)
    }

    /// Whether a transaction is in a block that is not on the active chain.
    pub(in crate::ledger) fn has_stale_block(&self) -> Result<bool, StoreError> {
        let sql = "SELECT EXISTS (SELECT 1 FROM shown JOIN blocks ON hash = block WHERE NOT active)";
        Ok(self.0.connection().query_row(sql, [], |row| row.get(0))?)
    }

    /// Puts the transactions in order: oldest block first.
    pub(super) fn arrange(&self) -> Result<(), StoreError> {
        self.0.connection().execute_batch(
            "INSERT INTO arranged SELECT coalesce(height, place), time_s, txid, n FROM shown LEFT JOIN blocks ON hash = block
             ORDER BY 1, 2, 3",
        )?;
        Ok(())
    }

    /// At most `limit` transactions in their order, up to this place.
    pub(in crate::ledger) fn page(&self, after: &After, up_to: u64, limit: usize) -> Result<Vec<Shown>, StoreError> {
        let mut statement = self.0.connection().prepare_cached(
            "SELECT arranged.txid, entries, arranged.place FROM arranged JOIN shown USING (n)
             WHERE (arranged.place, arranged.time_s, arranged.txid) > (?1, ?2, ?3) AND arranged.place <= ?4
             ORDER BY arranged.place, arranged.time_s, arranged.txid LIMIT ?5",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut rows = statement.query(params![after.place, after.time_s, after.txid, integer(up_to), limit])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(shown(row)?);
        }
        Ok(found)
    }

    /// Hands on the transactions in their order, up to this place.
    pub(in crate::ledger) fn each<E: From<StoreError>>(
        &self,
        up_to: u64,
        mut visit: impl FnMut(&Shown) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut after = After::nothing();
        loop {
            let page = self.page(&after, up_to, ROWS_AT_ONCE)?;
            page.iter().try_for_each(&mut visit)?;
            match page.last() {
                Some(last) => after = After::this(last),
                None => return Ok(()),
            }
        }
    }

    /// The place of the first transaction after this one.
    pub(in crate::ledger) fn next_place(&self, after: &After) -> Result<u64, StoreError> {
        let mut statement = self.0.connection().prepare_cached(
            "SELECT place FROM arranged WHERE (place, time_s, txid) > (?1, ?2, ?3) ORDER BY place, time_s, txid LIMIT 1",
        )?;
        let place = statement.query_row(params![after.place, after.time_s, after.txid], |row| row.get(0)).optional()?;
        Ok(place.unwrap_or(LAST))
    }
}

fn shown(row: &Row<'_>) -> Result<Shown, StoreError> {
    let txid = parsed(row.get_ref(0)?.as_str().map_err(damaged)?)?;
    let entries = from_json(txid, row.get_ref(1)?.as_str().map_err(damaged)?)?;
    let seen = rules::read(&entries).map_err(damaged)?;
    Ok(Shown { txid, entries, seen, place: row.get(2)? })
}

fn to_json(entries: &[Entry]) -> Result<String, StoreError> {
    let kept: Vec<_> = (entries.iter())
        .map(|entry| {
            let Entry { txid: _, vout, category, address, amount, fee, confirmations, block, abandoned, comment, time } = entry;
            (vout, category, address, amount, fee, confirmations, block, abandoned, comment, time)
        })
        .collect();
    serde_json::to_string(&kept).map_err(damaged)
}

fn from_json(txid: Txid, json: &str) -> Result<Vec<Entry>, StoreError> {
    let kept: Vec<Kept> = serde_json::from_str(json).map_err(damaged)?;
    let entry = |(vout, category, address, amount, fee, confirmations, block, abandoned, comment, time): Kept| Entry {
        txid,
        vout,
        category,
        address,
        amount,
        fee,
        confirmations,
        block,
        abandoned,
        comment,
        time,
    };
    Ok(kept.into_iter().map(entry).collect())
}
