//! The rows of a payout file while it is looked through, in a database of their own; and the one write that takes them over.

use rusqlite::{OptionalExtension, params};

use crate::coin::{Amount, Timestamp};
use crate::payout::records::damaged;
use crate::payout::request::{Checked, Priority};
use crate::payout::rules::State;
use crate::payout::{PayoutError, RowProblem};
use crate::store::{Scratch, Store, StoreError, Tx};

/// Rows as the file has them. An id is there once.
const TABLES: &str = "CREATE TABLE file_rows (
    line     INTEGER PRIMARY KEY,
    id       TEXT NOT NULL UNIQUE,
    address  TEXT NOT NULL,
    amount   INTEGER NOT NULL,
    priority INTEGER NOT NULL,
    address_checked INTEGER NOT NULL,
    problem  TEXT                    -- why its payee cannot be paid
) STRICT;";

/// A row that can be taken over.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) request: Checked,
    /// Whether the daemon was asked about its address.
    pub(super) address_checked: bool,
    /// Why its payee cannot be paid.
    pub(super) problem: Option<String>,
}

/// The rows of one file.
pub(super) struct Rows(Scratch);

impl Rows {
    pub(super) fn new(store: &Store) -> Result<Rows, StoreError> {
        Ok(Rows(store.scratch(TABLES)?))
    }

    /// Keeps a row, unless the file had one with its id before: then that one.
    pub(super) fn keep(&self, row: &Row) -> Result<Option<Row>, StoreError> {
        let Row { line, request, address_checked, problem } = row;
        let line = i64::try_from(*line).map_err(damaged)?;
        let amount = request.amount.base_units();
        let mut statement = self.0.connection().prepare_cached(
            "INSERT INTO file_rows (line, id, address, amount, priority, address_checked, problem) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT (id) DO NOTHING",
        )?;
        let values =
            params![line, request.id.as_str(), request.address, amount, request.priority as u8, address_checked, problem];
        if statement.execute(values)? == 1 {
            return Ok(None);
        }
        let mut statement = self.0.connection().prepare_cached(&format!("SELECT {COLUMNS} FROM file_rows WHERE id = ?1"))?;
        let known = statement.query_row([request.id.as_str()], |row| Ok(to_row(row))).optional()?;
        known.transpose()
    }

    /// Adds them all to the payouts, in the order of the file. Returns how many of those that can be paid were added by somebody else since they were looked
    /// at; where that was under the same id with other content, nothing is written.
    pub(super) fn take_over(
        self,
        store: &mut Store,
        now: Timestamp,
        allowed: impl FnOnce(&Tx<'_>) -> Result<(), PayoutError>,
    ) -> Result<u64, PayoutError> {
        store.write_from(self.0, |tx| {
            allowed(tx)?;
            add_all(tx, now)?.map_err(|problem| PayoutError::File { problems: vec![problem], count: 1 })
        })
    }
}

fn add_all(tx: &Tx<'_>, now: Timestamp) -> Result<Result<u64, RowProblem>, StoreError> {
    let last: i64 = tx.query_row("SELECT coalesce(max(seq), 0) FROM payouts", [], |row| row.get(0))?;
    let triggers = suspend_triggers(tx)?;
    tx.prepare(
        "INSERT INTO payouts (id, address, amount, state, reason, submitted_s, priority, address_checked)
         SELECT id, address, amount, iif(problem IS NULL, ?1, ?2), problem, ?3, priority, address_checked AND problem IS NULL
         FROM scratch.file_rows WHERE true ORDER BY line
         ON CONFLICT (id) DO NOTHING",
    )?
    .execute(params![State::Queued.name(), State::Rejected.name(), now.0])?;
    count_together(tx, last)?;
    triggers.iter().try_for_each(|trigger| tx.execute_batch(trigger))?;
    tx.prepare(
        "INSERT INTO payout_history (payout, at_s, to_state, reason)
         SELECT seq, submitted_s, state, reason FROM payouts WHERE seq > ?1 ORDER BY seq",
    )?
    .execute([last])?;
    let (all, added): (u64, u64) = tx.query_row(
        "SELECT (SELECT count(*) FROM scratch.file_rows), (SELECT count(*) FROM payouts WHERE seq > ?1)",
        [last],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    if all == added { Ok(Ok(0)) } else { met_since(tx, last) }
}

/// Takes away what the schema does with each new payout by itself: a fifth of the time that other writers wait for us. Returns how to make it anew, in this
/// same transaction.
fn suspend_triggers(tx: &Tx<'_>) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.prepare(
        "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' AND name IN ('payouts_are_counted', 'payouts_notice_clock_steps')",
    )?;
    let found = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
    let found = found.collect::<Result<Vec<(String, String)>, _>>()?;
    found.iter().try_for_each(|(name, _)| tx.execute_batch(&format!("DROP TRIGGER main.{name}")))?;
    Ok(found.into_iter().map(|(_, sql)| sql).collect())
}

/// Does the same for all payouts after this number at once. They have one time.
fn count_together(tx: &Tx<'_>, last: i64) -> Result<(), StoreError> {
    tx.prepare(
        "INSERT INTO payout_totals
         SELECT state, count(*), sum(amount >> 32), sum(amount & 0xffffffff) FROM payouts WHERE seq > ?1 GROUP BY state
         ON CONFLICT DO UPDATE SET count = count + excluded.count, high_amount = high_amount + excluded.high_amount,
                                   low_amount = low_amount + excluded.low_amount",
    )?
    .execute([last])?;
    tx.prepare(
        "INSERT INTO clock_steps
         SELECT new.seq FROM payouts AS new JOIN payouts AS old ON old.seq = ?1
         WHERE new.seq = (SELECT min(seq) FROM payouts WHERE seq > ?1) AND new.submitted_s < old.submitted_s",
    )?
    .execute([last])?;
    Ok(())
}

/// The rows whose ids somebody else has used since.
fn met_since(tx: &Tx<'_>, last: i64) -> Result<Result<u64, RowProblem>, StoreError> {
    let other = tx
        .prepare(
            "SELECT line, id FROM scratch.file_rows AS mine JOIN payouts AS theirs USING (id)
             WHERE theirs.seq <= ?1 AND (mine.address <> theirs.address OR mine.amount <> theirs.amount OR mine.priority <> theirs.priority) ORDER BY line LIMIT 1",
        )?
        .query_row([last], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    if let Some((line, id)) = other {
        let problem = format!("payout {id} was submitted by somebody else meanwhile, with other content");
        return Ok(Err(RowProblem { line, problem, is_bad_payee: false }));
    }
    let met = "SELECT count(*) FROM scratch.file_rows AS mine JOIN payouts AS theirs USING (id)
               WHERE theirs.seq <= ?1 AND mine.problem IS NULL";
    Ok(Ok(tx.query_row(met, [last], |row| row.get(0))?))
}

const COLUMNS: &str = "line, id, address, amount, priority, address_checked, problem";

fn to_row(row: &rusqlite::Row<'_>) -> Result<Row, StoreError> {
    let request = Checked {
        id: row.get::<_, String>(1)?.parse().map_err(|error: PayoutError| damaged(error))?,
        address: row.get(2)?,
        amount: Amount::from_base_units(row.get(3)?),
        priority: Priority::ALL.get(row.get::<_, usize>(4)?).copied().unwrap_or_default(),
    };
    Ok(Row { line: row.get(0)?, request, address_checked: row.get(5)?, problem: row.get(6)? })
}
