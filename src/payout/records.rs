//! The tables of payouts and of their history; those of batches are in `batch/records.rs`.

use std::collections::BTreeMap;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use super::request::{Checked, Payout, PayoutId, Priority};
use super::rules::State;
use super::{Filter, HistoryLine};
use crate::coin::{Amount, Timestamp};
use crate::store::{StoreError, Tx};

pub(super) use super::batch::records::*;

const COLUMNS: &str = "seq, id, address, amount, state, reason, batch, not_sent_count, submitted_s, priority";

/// The queue by its own index. Left to itself, SQLite takes an index of all payouts, and reads a million of them for a page of the first.
const QUEUE: &str = "payouts INDEXED BY payouts_queue";

pub(super) fn damaged(error: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("payout tables: {error}"))
}

/// SQLite's integers are signed.
pub(super) fn unsigned(row: &Row<'_>, at: usize) -> Result<u64, StoreError> {
    u64::try_from(row.get::<_, i64>(at)?).map_err(damaged)
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn to_payout(row: &Row<'_>) -> Result<Payout, StoreError> {
    let batch = row.get::<_, Option<String>>(6)?;
    Ok(Payout {
        seq: row.get(0)?,
        id: row.get::<_, String>(1)?.parse().map_err(|error: super::PayoutError| damaged(error))?,
        address: row.get(2)?,
        amount: Amount::from_base_units(row.get(3)?),
        state: row.get::<_, String>(4)?.parse().map_err(damaged)?,
        reason: row.get(5)?,
        batch: batch.map(|id| id.parse()).transpose().map_err(damaged)?,
        not_sent_count: row.get(7)?,
        submitted: Timestamp(row.get(8)?),
        priority: Priority::ALL.get(row.get::<_, usize>(9)?).copied().unwrap_or_default(),
    })
}

fn all(tx: &Tx<'_>, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Payout>, StoreError> {
    all_of(tx, "payouts", condition, values)
}

fn all_of(tx: &Tx<'_>, table: &str, condition: &str, values: impl rusqlite::Params) -> Result<Vec<Payout>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("SELECT {COLUMNS} FROM {table} WHERE {condition}"))?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(to_payout(row)?);
    }
    Ok(found)
}

pub(super) fn payout(tx: &Tx<'_>, id: &PayoutId) -> Result<Option<Payout>, StoreError> {
    Ok(all(tx, "id = ?1", [id.as_str()])?.pop())
}

/// Whether the daemon accepted a payout's address when it was submitted.
pub(super) fn address_checked(tx: &Tx<'_>, seq: i64) -> Result<bool, StoreError> {
    let sql = "SELECT address_checked FROM payouts WHERE seq = ?1";
    Ok(tx.prepare_cached(sql)?.query_row([seq], |row| row.get(0))?)
}

/// Payouts that a person has to look at: held after so many proofs that they were not sent.
pub(super) fn held_after(tx: &Tx<'_>, proofs: u32) -> Result<Vec<PayoutId>, StoreError> {
    let held = all(tx, "state = 'held' AND not_sent_count >= ?1 ORDER BY seq", [proofs])?;
    Ok(held.into_iter().map(|payout| payout.id).collect())
}

pub(super) fn members(tx: &Tx<'_>, batch: &super::BatchId) -> Result<Vec<Payout>, StoreError> {
    all(tx, "batch = ?1 ORDER BY seq", [batch.as_str()])
}

/// A page of the queue, most urgent first, then oldest first.
pub(super) fn queued_after(tx: &Tx<'_>, after: (Priority, i64), limit: usize) -> Result<Vec<Payout>, StoreError> {
    let condition = "state = 'queued' AND (priority, seq) > (?1, ?2) ORDER BY priority, seq LIMIT ?3";
    all_of(tx, QUEUE, condition, params![after.0 as u8, after.1, rows(limit)])
}

/// How many of this priority are queued, from this one on.
pub(super) fn queued_from(tx: &Tx<'_>, from: (Priority, i64)) -> Result<u64, StoreError> {
    let sql = &format!("SELECT count(*) FROM {QUEUE} WHERE state = 'queued' AND priority = ?1 AND seq >= ?2");
    let count: i64 = tx.prepare_cached(sql)?.query_row(params![from.0 as u8, from.1], |row| row.get(0))?;
    u64::try_from(count).map_err(damaged)
}

/// When the oldest queued payout of this priority was submitted.
pub(super) fn oldest_queued(tx: &Tx<'_>, priority: Priority) -> Result<Option<Timestamp>, StoreError> {
    let sql = &format!("SELECT submitted_s FROM {QUEUE} WHERE state = 'queued' AND priority = ?1 ORDER BY seq LIMIT 1");
    Ok(tx.prepare_cached(sql)?.query_row([priority as u8], |row| row.get(0)).optional()?.map(Timestamp))
}

/// The number of the newest queued payout of this priority.
pub(super) fn newest_queued(tx: &Tx<'_>, priority: Priority) -> Result<Option<i64>, StoreError> {
    let sql = &format!("SELECT seq FROM {QUEUE} WHERE state = 'queued' AND priority = ?1 ORDER BY seq DESC LIMIT 1");
    Ok(tx.prepare_cached(sql)?.query_row([priority as u8], |row| row.get(0)).optional()?)
}

/// Shows the amounts of queued payouts of this priority, oldest first, until it was enough.
pub(super) fn each_queued_amount(
    tx: &Tx<'_>,
    priority: Priority,
    limit: u64,
    mut is_not_enough: impl FnMut(Amount) -> bool,
) -> Result<(), StoreError> {
    let sql = &format!("SELECT amount FROM {QUEUE} WHERE state = 'queued' AND priority = ?1 ORDER BY seq LIMIT ?2");
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query(params![priority as u8, signed(limit)])?;
    while let Some(row) = rows.next()? {
        if !is_not_enough(Amount::from_base_units(row.get(0)?)) {
            break;
        }
    }
    Ok(())
}

pub(super) fn queue_is_empty(tx: &Tx<'_>) -> Result<bool, StoreError> {
    Ok(!tx.prepare_cached(&format!("SELECT 1 FROM {QUEUE} WHERE state = 'queued' LIMIT 1"))?.exists([])?)
}

/// A page of a list. Whatever is asked for, it begins at its place in an index and reads on from there.
pub(super) fn list(tx: &Tx<'_>, filter: &Filter) -> Result<Vec<Payout>, StoreError> {
    let after = match &filter.after {
        None => 0,
        Some(id) => payout(tx, id)?.map_or(0, |payout| payout.seq),
    };
    let (first, last) = seqs_of_times(tx, filter)?;
    let mut conditions = vec!["seq BETWEEN ? AND ?".to_owned()];
    let mut values: Vec<Value> = vec![first.max(after.saturating_add(1)).into(), last.into()];
    for (at, (column, value)) in equalities(filter).into_iter().enumerate() {
        // '+' keeps SQLite from taking the index of a column that tells less.
        conditions.push(format!("{}{column} = ?", if at == 0 { "" } else { "+" }));
        values.push(value);
    }
    for (comparison, time) in [(">=", filter.submitted_from), ("<", filter.submitted_before)] {
        if let Some(time) = time {
            conditions.push(format!("+submitted_s {comparison} ?"));
            values.push(time.0.into());
        }
    }
    values.push(rows(filter.limit).into());
    all(tx, &format!("{} ORDER BY seq LIMIT ?", conditions.join(" AND ")), params_from_iter(values))
}

/// What columns have to be, the one that tells most first.
fn equalities(filter: &Filter) -> Vec<(&'static str, Value)> {
    let mut found: Vec<(&'static str, Value)> = Vec::new();
    let mut add = |column, value: Option<Value>| found.extend(value.map(|value| (column, value)));
    add("batch", filter.batch.as_ref().map(|batch| batch.as_str().to_owned().into()));
    add("address", filter.address.clone().map(Value::from));
    let rare = filter.priority.filter(|priority| *priority != Priority::Normal);
    add("priority", rare.map(|priority| (priority as i64).into()));
    add("state", filter.state.map(|state| state.name().to_owned().into()));
    let usual = filter.priority.filter(|priority| *priority == Priority::Normal);
    add("priority", usual.map(|priority| (priority as i64).into()));
    found
}

/// Between which numbers the payouts of the asked times lie: all numbers, where the clock ever went back.
fn seqs_of_times(tx: &Tx<'_>, filter: &Filter) -> Result<(i64, i64), StoreError> {
    let (none, all) = ((1, 0), (1, i64::MAX));
    if (filter.submitted_from.is_none() && filter.submitted_before.is_none())
        || tx.prepare_cached("SELECT 1 FROM clock_steps LIMIT 1")?.exists([])?
    {
        return Ok(all);
    }
    let seq = |sql: &str, time: Timestamp| -> Result<Option<i64>, StoreError> {
        Ok(tx.prepare_cached(sql)?.query_row([time.0], |row| row.get(0)).optional()?)
    };
    let mut range = all;
    if let Some(from) = filter.submitted_from {
        let first = seq("SELECT seq FROM payouts WHERE submitted_s >= ?1 ORDER BY submitted_s, seq LIMIT 1", from)?;
        let Some(first) = first else { return Ok(none) };
        range.0 = first;
    }
    if let Some(before) = filter.submitted_before {
        let last = seq("SELECT seq FROM payouts WHERE submitted_s < ?1 ORDER BY submitted_s DESC, seq DESC LIMIT 1", before)?;
        let Some(last) = last else { return Ok(none) };
        range.1 = last;
    }
    Ok(range)
}

fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// How many payouts there are in each state, and their sum. Costs the same whatever there is.
pub(super) fn totals(tx: &Tx<'_>) -> Result<BTreeMap<State, (u64, Amount)>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT state, count, high_amount, low_amount FROM payout_totals WHERE count > 0")?;
    let mut rows = statement.query([])?;
    let mut found = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let state = row.get::<_, String>(0)?.parse().map_err(damaged)?;
        let sum = (i128::from(row.get::<_, i64>(2)?) << 32) + i128::from(row.get::<_, i64>(3)?);
        // More than there can be of any coin: it is for people to look at, and must not keep anybody from looking.
        let sum = i64::try_from(sum).unwrap_or(i64::MAX);
        found.insert(state, (unsigned(row, 1)?, Amount::from_base_units(sum)));
    }
    Ok(found)
}

pub(super) fn add_payout(
    tx: &Tx<'_>,
    request: &Checked,
    state: State,
    address_checked: bool,
    now: Timestamp,
) -> Result<Payout, StoreError> {
    tx.prepare_cached(
        "INSERT INTO payouts (id, address, amount, state, address_checked, submitted_s, priority) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        request.id.as_str(),
        request.address,
        request.amount.base_units(),
        state.name(),
        address_checked,
        now.0,
        request.priority as u8
    ])?;
    let payout = Payout {
        seq: tx.last_insert_rowid(),
        id: request.id.clone(),
        address: request.address.clone(),
        amount: request.amount,
        priority: request.priority,
        state,
        reason: None,
        batch: None,
        not_sent_count: 0,
        submitted: now,
    };
    add_history(tx, None, &payout, None, now)?;
    Ok(payout)
}

/// Writes a payout as it is after a step, and the step.
pub(super) fn step_payout(tx: &Tx<'_>, from: State, after: &Payout, now: Timestamp) -> Result<(), StoreError> {
    let batch = after.batch.as_ref().map(super::BatchId::as_str);
    let left: Option<String> =
        tx.prepare_cached("SELECT batch FROM payouts WHERE seq = ?1")?.query_row([after.seq], |row| row.get(0))?;
    let changed = tx
        .prepare_cached(
            "UPDATE payouts SET state = ?1, reason = ?2, batch = ?3, not_sent_count = ?4 WHERE seq = ?5 AND state = ?6",
        )?
        .execute(params![after.state.name(), after.reason, batch, after.not_sent_count, after.seq, from.name()])?;
    if changed != 1 {
        return Err(damaged(format!("payout {} is not {from} as it should be", after.id)));
    }
    add_history(tx, Some(from), after, batch.or(left.as_deref()), now)
}

fn add_history(tx: &Tx<'_>, from: Option<State>, after: &Payout, batch: Option<&str>, now: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO payout_history (payout, at_s, from_state, to_state, reason, batch) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![after.seq, now.0, from.map(State::name), after.state.name(), after.reason, batch])?;
    Ok(())
}

pub(super) fn history(tx: &Tx<'_>, payout: i64) -> Result<Vec<HistoryLine>, StoreError> {
    let mut statement =
        tx.prepare_cached("SELECT at_s, from_state, to_state, reason, batch FROM payout_history WHERE payout = ?1 ORDER BY n")?;
    let mut rows = statement.query([payout])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let from = row.get::<_, Option<String>>(1)?.map(|state| state.parse()).transpose();
        let batch = row.get::<_, Option<String>>(4)?.map(|id| id.parse()).transpose();
        found.push(HistoryLine {
            at: Timestamp(row.get(0)?),
            from: from.map_err(damaged)?,
            to: row.get::<_, String>(2)?.parse().map_err(damaged)?,
            reason: row.get(3)?,
            batch: batch.map_err(damaged)?,
        });
    }
    Ok(found)
}

/// The text of one optional value of a row.
pub(super) fn optional(tx: &Tx<'_>, sql: &str, value: &str) -> Result<Option<String>, StoreError> {
    Ok(tx.prepare_cached(sql)?.query_row([value], |row| row.get(0)).optional()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    fn request(id: &str, address: &str, amount: i64, priority: Priority) -> Checked {
        Checked { id: id.parse().unwrap(), address: address.to_owned(), amount: Amount::from_base_units(amount), priority }
    }

    /// Ten payouts, one a second, to two addresses in turn; the fourth is urgent, and the fifth is held.
    fn ten(dir: &std::path::Path) -> Store {
        let mut store = Store::open(dir).unwrap();
        let added = store.write(|tx| {
            for number in 1..=10_i64 {
                let address = if number % 2 == 0 { "even" } else { "odd" };
                let priority = if number == 4 { Priority::High } else { Priority::Normal };
                let state = if number == 5 { State::Held } else { State::Queued };
                let request = request(&format!("p{number}"), address, number, priority);
                add_payout(tx, &request, state, false, Timestamp(100 + number))?;
            }
            Ok::<_, StoreError>(())
        });
        added.unwrap();
        store
    }

    fn listed(store: &mut Store, filter: &Filter) -> Vec<i64> {
        store.read(|tx| list(tx, filter)).unwrap().into_iter().map(|payout| payout.seq).collect()
    }

    fn any() -> Filter {
        Filter { limit: 100, ..Filter::default() }
    }

    #[test]
    fn the_history_cannot_be_changed_and_a_payout_is_in_a_batch_exactly_while_it_may_be_paid() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path()).unwrap();
        let added = store.write(|tx| add_payout(tx, &request("a", "b", 1, Priority::Normal), State::Queued, false, Timestamp(1)));
        added.unwrap();
        for forbidden in [
            "DELETE FROM payout_history",
            "UPDATE payout_history SET at_s = 0",
            "UPDATE payouts SET state = 'sent'",
            "DELETE FROM payouts",
        ] {
            let refused = store.write(|tx| Ok::<_, StoreError>(tx.execute(forbidden, [])?));
            assert!(refused.is_err(), "{forbidden}");
        }
    }

    #[test]
    fn a_list_is_what_all_its_filters_let_through() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ten(dir.path());
        assert_eq!(listed(&mut store, &any()), (1..=10).collect::<Vec<_>>());
        let even = Filter { address: Some("even".to_owned()), ..any() };
        assert_eq!(listed(&mut store, &even), [2, 4, 6, 8, 10]);
        assert_eq!(listed(&mut store, &Filter { priority: Some(Priority::High), ..any() }), [4]);
        assert_eq!(listed(&mut store, &Filter { priority: Some(Priority::Normal), ..even.clone() }), [2, 6, 8, 10]);
        assert_eq!(listed(&mut store, &Filter { state: Some(State::Held), ..any() }), [5]);
        assert_eq!(listed(&mut store, &Filter { state: Some(State::Held), ..even.clone() }), [] as [i64; 0]);
        let times = Filter { submitted_from: Some(Timestamp(103)), submitted_before: Some(Timestamp(107)), ..any() };
        assert_eq!(listed(&mut store, &times), [3, 4, 5, 6]);
        assert_eq!(listed(&mut store, &Filter { after: Some("p4".parse().unwrap()), limit: 2, ..times }), [5, 6]);
        assert_eq!(listed(&mut store, &Filter { after: Some("p3".parse().unwrap()), limit: 2, ..even }), [4, 6]);
        for nobody in [
            Filter { submitted_from: Some(Timestamp(111)), ..any() },
            Filter { submitted_before: Some(Timestamp(101)), ..any() },
            Filter { batch: Some(crate::payout::BatchId::from_bytes([7; 16])), ..any() },
        ] {
            assert_eq!(listed(&mut store, &nobody), [] as [i64; 0]);
        }
    }

    #[test]
    fn a_clock_that_went_back_hides_no_payout_from_a_list_by_time() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ten(dir.path());
        let later = store.write(|tx| {
            add_payout(tx, &request("p11", "odd", 1, Priority::Normal), State::Queued, false, Timestamp(50))?;
            add_payout(tx, &request("p12", "odd", 1, Priority::Normal), State::Queued, false, Timestamp(105))
        });
        later.unwrap();
        let times = Filter { submitted_from: Some(Timestamp(105)), submitted_before: Some(Timestamp(106)), ..any() };
        assert_eq!(listed(&mut store, &times), [5, 12]);
        assert_eq!(listed(&mut store, &Filter { submitted_before: Some(Timestamp(101)), ..any() }), [11]);
    }

    /// How SQLite goes about the statement of a list.
    fn ways(store: &mut Store, filter: &Filter) -> String {
        let told = store.read(|tx| {
            list(tx, filter)?;
            let mut conditions = vec!["seq BETWEEN 1 AND 2".to_owned()];
            let equalities = equalities(filter).into_iter().enumerate();
            conditions.extend(equalities.map(|(at, (column, _))| format!("{}{column} = ?", if at == 0 { "" } else { "+" })));
            let sql = format!(
                "EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM payouts WHERE {} ORDER BY seq LIMIT 5",
                conditions.join(" AND ")
            );
            let mut statement = tx.prepare(&sql)?;
            let unbound = vec![Value::Null; statement.parameter_count()];
            let rows = statement.query_map(params_from_iter(unbound), |row| row.get::<_, String>(3))?;
            Ok::<_, StoreError>(rows.collect::<Result<Vec<_>, _>>()?.join("; "))
        });
        told.unwrap()
    }

    #[test]
    fn no_list_is_sorted_or_searched_through() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ten(dir.path());
        let (state, address) = (Some(State::Final), Some("even".to_owned()));
        let filters = [
            (any(), "PRIMARY KEY"),
            (Filter { state, ..any() }, "payouts_by_state"),
            (Filter { state, address: address.clone(), ..any() }, "payouts_by_address"),
            (Filter { state, priority: Some(Priority::Low), ..any() }, "payouts_by_priority"),
            (Filter { state, priority: Some(Priority::Normal), ..any() }, "payouts_by_state"),
            (Filter { state, address, batch: Some(crate::payout::BatchId::from_bytes([7; 16])), ..any() }, "payouts_by_batch"),
        ];
        for (filter, index) in filters {
            let way = ways(&mut store, &filter);
            assert!(
                way.starts_with("SEARCH payouts") && way.contains(index) && (way.contains("rowid>?") || way.contains("seq>?")),
                "{filter:?}: {way}"
            );
            assert!(!way.contains("TEMP B-TREE"), "{filter:?}: {way}");
        }
    }

    #[test]
    fn totals_follow_every_step_and_no_sum_is_too_large() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = ten(dir.path());
        let totals_of = |store: &mut Store| store.read(totals).unwrap();
        assert_eq!(totals_of(&mut store)[&State::Queued], (9, Amount::from_base_units(50)));
        assert_eq!(totals_of(&mut store)[&State::Held], (1, Amount::from_base_units(5)));
        let stepped = store.write(|tx| {
            let mut payout = payout(tx, &"p5".parse().unwrap())?.unwrap();
            payout.state = State::Queued;
            step_payout(tx, State::Held, &payout, Timestamp(200))?;
            for number in 0..3 {
                let large = request(&format!("large{number}"), "odd", i64::MAX, Priority::Normal);
                add_payout(tx, &large, State::Rejected, false, Timestamp(200))?;
            }
            Ok::<_, StoreError>(())
        });
        stepped.unwrap();
        assert_eq!(totals_of(&mut store)[&State::Queued], (10, Amount::from_base_units(55)));
        assert_eq!(totals_of(&mut store).get(&State::Held), None);
        assert_eq!(totals_of(&mut store)[&State::Rejected].0, 3);
    }
}
