//! The table of the chronicle, and the view of what its rows say now.

use rusqlite::{OptionalExtension, params};

use crate::ledger::Head;
use crate::store::{StoreError, Tx};

/// One row.
pub(super) struct Row {
    pub(super) n: u64,
    /// Of which table the row is that it tells of.
    pub(super) what: String,
    /// And which it is.
    pub(super) id: i64,
    /// Its values then, as SQL writes them.
    pub(super) says: String,
    pub(super) previous: String,
    pub(super) hash: String,
}

const COLUMNS: &str = "n, what, id, says, previous, hash";

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row { n: row.get(0)?, what: row.get(1)?, id: row.get(2)?, says: row.get(3)?, previous: row.get(4)?, hash: row.get(5)? })
}

pub(super) fn head(tx: &Tx<'_>) -> Result<Head, StoreError> {
    let mut statement = tx.prepare_cached("SELECT n, hash FROM chronicle_head")?;
    Ok(statement.query_row([], |row| Ok(Head { seq: row.get(0)?, hash: row.get(1)? }))?)
}

/// Hands over every row, the oldest first, as long as more are wanted.
pub(super) fn each(tx: &Tx<'_>, mut look: impl FnMut(Row) -> bool) -> Result<(), StoreError> {
    let mut statement = tx.prepare(&format!("SELECT {COLUMNS} FROM chronicle ORDER BY n"))?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        if !look(row(found)?) {
            break;
        }
    }
    Ok(())
}

/// The first row that says something else now than it did at last, or that the chronicle does not know.
pub(super) fn changed(tx: &Tx<'_>) -> Result<Option<(String, i64)>, StoreError> {
    let sql = "SELECT now.what, now.id FROM chronicled AS now WHERE now.says IS NOT
               (SELECT old.says FROM chronicle AS old WHERE old.what = now.what AND old.id = now.id ORDER BY old.n DESC LIMIT 1) LIMIT 1";
    Ok(tx.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// The first row that the chronicle knows and that is not there.
pub(super) fn deleted(tx: &Tx<'_>) -> Result<Option<(String, i64)>, StoreError> {
    let sql = "SELECT what, id FROM chronicle EXCEPT SELECT what, id FROM chronicled ORDER BY 1, 2 LIMIT 1";
    Ok(tx.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).optional()?)
}

/// What the chronicle tells of audits from one to another; of each row, whether the one before it has the hash that it names.
pub(super) fn of_audits(tx: &Tx<'_>, first: i64, last: i64) -> Result<Vec<(Row, bool)>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT n, what, id, says, previous, hash,
                previous IS coalesce((SELECT old.hash FROM chronicle AS old WHERE old.n = new.n - 1), iif(new.n = 1, ?3, NULL))
         FROM chronicle AS new WHERE what = 'audit' AND id BETWEEN ?1 AND ?2 ORDER BY n",
    )?;
    let rows = statement.query_map(params![first, last, Head::none().hash], |found| Ok((row(found)?, found.get(6)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// What an audit says now; none: it is not there.
pub(super) fn audit_says(tx: &Tx<'_>, id: i64) -> Result<Option<String>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT says FROM chronicled WHERE what = 'audit' AND id = ?1")?;
    Ok(statement.query_row([id], |row| row.get(0)).optional()?)
}

/// The same as [`changed`] for audits from one to another.
pub(super) fn changed_audit(tx: &Tx<'_>, first: i64, last: i64) -> Result<Option<i64>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT now.id FROM chronicled AS now WHERE now.what = 'audit' AND now.id BETWEEN ?1 AND ?2 AND now.says IS NOT
         (SELECT old.says FROM chronicle AS old WHERE old.what = 'audit' AND old.id = now.id ORDER BY old.n DESC LIMIT 1) LIMIT 1",
    )?;
    Ok(statement.query_row(params![first, last], |row| row.get(0)).optional()?)
}

/// What somebody could do who knows the schema: anything, with every trigger away, and the triggers as they were afterwards.
#[cfg(test)]
pub(crate) fn tamper(tx: &Tx<'_>, changes: &str) -> Result<(), StoreError> {
    let mut statement = tx.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")?;
    let triggers =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<Vec<(String, String)>, _>>()?;
    triggers.iter().try_for_each(|(name, _)| tx.execute_batch(&format!("DROP TRIGGER {name}")))?;
    tx.execute_batch(changes)?;
    Ok(triggers.iter().try_for_each(|(_, sql)| tx.execute_batch(sql))?)
}

/// The same, and the chronicle written anew, so that it fits what is there afterwards.
#[cfg(test)]
pub(crate) fn rewrite(tx: &Tx<'_>, changes: &str) -> Result<(), StoreError> {
    let empty = "DELETE FROM chronicle; UPDATE chronicle_head SET n = 0, hash = printf('%064d', 0)";
    tamper(tx, &format!("{changes}; {empty}"))?;
    Ok(tx.execute_batch("INSERT INTO chronicler SELECT what, id FROM chronicled")?)
}

/// Damage to rows that the chronicle tells of, or to itself; and what is said of it.
#[cfg(test)]
pub(super) const DAMAGE: [(&str, &str); 23] = [
    ("UPDATE audits SET verdict = 'explained' WHERE id = 2", "audit 2 is not what was written down of it"),
    ("UPDATE audits SET report = replace(report, '1', '2') WHERE id = 1", "audit 1 is not what"),
    ("UPDATE audits SET time_s = time_s - 86400 WHERE id = 3", "audit 3 is not what"),
    ("DELETE FROM audits WHERE id = 2", "audit 2 is missing"),
    ("DELETE FROM audits WHERE id = 3", "audit 3 is missing"),
    (
        "INSERT INTO audits SELECT 9, time_s, 'agrees', tip_height, 0, report, wallet FROM audits WHERE id = 1",
        "audit 9 is not what",
    ),
    ("UPDATE freezes SET detail = 'nothing'", "freeze 1 is not what"),
    ("UPDATE freezes SET thawed_by = 'somebody else'", "freeze 1 is not what"),
    ("UPDATE freezes SET thaw_reason = thaw_reason || char(0) || ' and by order of the board'", "freeze 1 is not what"),
    ("UPDATE audits SET report = report || char(0) || 'x' WHERE id = 1", "audit 1 is not what"),
    ("DELETE FROM freezes", "freeze 1 is missing"),
    ("UPDATE checkpoints SET tip_height = 5, tip_block = printf('%064d', 0)", "checkpoint 1 is not what"),
    ("DELETE FROM checkpoints", "checkpoint 1 is missing"),
    ("UPDATE chronicle SET says = 'other' WHERE n = 2", "row 2 of the chronicle: it was changed after it was written"),
    ("UPDATE chronicle SET hash = printf('%064d', 0) WHERE n = 2", "row 2 of the chronicle: it was changed"),
    ("UPDATE chronicle SET says = says || char(0) || 'x' WHERE n = 2", "row 2 of the chronicle: it was changed"),
    (
        "INSERT INTO chronicle SELECT 0, what, id, says, previous, hash FROM chronicle WHERE n = 2",
        "table chronicle has a row of the number 0",
    ),
    ("DELETE FROM chronicle WHERE n = 2", "row 3 of the chronicle: row 2 is missing"),
    ("UPDATE chronicle_head SET n = n - 1", "rows of the chronicle go on to"),
    ("INSERT INTO followed_counts VALUES ('hot', 5)", "the count of transactions of wallet 'hot' is not how many there are"),
    ("UPDATE store SET id = 'G' || substr(id, 2)", "the store's id is not one row of 32 hex digits"),
    ("DELETE FROM store", "the store's id is not one row of 32 hex digits"),
    ("DELETE FROM chronicle WHERE n = (SELECT max(n) FROM chronicle)", "are missing from the end"),
];

/// Cuts off all behind a row of the chronicle, and all that it told of, so that what is left fits.
#[cfg(test)]
pub(super) fn cut_off_behind(tx: &Tx<'_>, n: u64) -> Result<(), StoreError> {
    let gone = |what: &str| format!("SELECT id FROM chronicle WHERE n > {n} AND what = '{what}'");
    let (audits, checkpoints) = (gone("audit"), gone("checkpoint"));
    tamper(
        tx,
        &format!(
            "DELETE FROM audits WHERE id IN ({audits}); DELETE FROM checkpoints WHERE n IN ({checkpoints}); DELETE FROM chronicle WHERE n > {n};
             UPDATE freezes SET thawed_s = NULL, thawed_by = NULL, thaw_reason = NULL, overridden = 0;
             UPDATE chronicle_head SET n = {n}, hash = (SELECT hash FROM chronicle WHERE n = {n})"
        ),
    )
}

/// An audit as its own room writes it.
#[cfg(test)]
pub(super) fn audited(tx: &Tx<'_>, time_s: i64, report: &str) -> Result<(), StoreError> {
    let sql =
        "INSERT INTO audits (time_s, verdict, tip_height, difference, report, wallet) VALUES (?1, 'agrees', 7, 0, ?2, NULL)";
    tx.execute(sql, params![time_s, report])?;
    Ok(())
}

/// What makes room for a change that nothing else shows.
#[cfg(test)]
pub(super) fn without_a_trigger(tx: &Tx<'_>) -> Result<(), StoreError> {
    Ok(tx.execute_batch("DROP TRIGGER audits_never_change")?)
}
