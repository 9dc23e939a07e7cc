//! The tables of deposits that wait, and of credits.

use std::fmt::Display;
use std::str::FromStr;

use rusqlite::{OptionalExtension, Params, Row, params};

use super::rules::Deposit;
use super::{CreditEvent, CreditKind, CreditStanding, Head, Reason, canonical};
use crate::coin::{Amount, BlockHash, Timestamp, Txid};
use crate::daemon::Tip;
use crate::store::{StoreError, Tx};

/// A deposit that is posted and not credited.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// The ledger event that posted it.
    pub(super) event: u64,
    pub(super) txid: Txid,
    pub(super) deposit: Deposit,
    /// The reversal after which it would be credited again.
    pub(super) follows: Option<u64>,
}

fn damaged(what: impl Display) -> StoreError {
    StoreError::Damaged(format!("table credits: {what}"))
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(damaged)
}

pub(super) fn head(tx: &Tx<'_>) -> Result<Head, StoreError> {
    let sql = "SELECT seq, hash FROM credits_head";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| Ok(Head { seq: row.get(0)?, hash: row.get(1)? }))?)
}

pub(super) fn newest(tx: &Tx<'_>) -> Result<u64, StoreError> {
    Ok(head(tx)?.seq)
}

pub(super) fn standing(tx: &Tx<'_>) -> Result<CreditStanding, StoreError> {
    let sql =
        "SELECT seq - reversals, reversals, outstanding, last_reversal_s, (SELECT count(*) FROM deposits) FROM credits_head";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| {
        Ok(CreditStanding {
            credits: row.get(0)?,
            reversals: row.get(1)?,
            outstanding: row.get(2)?,
            last_reversal: row.get::<_, Option<i64>>(3)?.map(Timestamp),
            waiting: row.get(4)?,
        })
    })?)
}

/// Adds an event behind the newest, with number and hashes of its own. Returns its number.
pub(super) fn append(tx: &Tx<'_>, head: &mut Head, event: CreditEvent) -> Result<u64, StoreError> {
    let previous = std::mem::take(&mut head.hash);
    let mut event = CreditEvent { seq: head.seq + 1, previous, ..event };
    event.hash = canonical::hash(&event)?;
    let mut statement = tx.prepare_cached(
        "INSERT INTO credits (seq, kind, time_s, wallet, txid, vout, address, amount, block, height, tip_height, follows, reason, event,
         previous, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    statement.execute(params![
        event.seq,
        event.kind.name(),
        event.time.0,
        event.wallet,
        event.txid.to_string(),
        event.vout,
        event.address,
        event.amount.base_units(),
        event.block.hash.to_string(),
        event.block.height,
        event.tip_height,
        event.follows,
        event.reason.map(Reason::name),
        event.event,
        event.previous,
        event.hash
    ])?;
    *head = Head { seq: event.seq, hash: event.hash };
    Ok(head.seq)
}

const EVENT: &str =
    "SELECT seq, kind, time_s, wallet, txid, vout, address, amount, block, height, tip_height, follows, reason, event,
                     previous, hash FROM credits";

fn event_of(row: &Row<'_>) -> Result<CreditEvent, StoreError> {
    let kind: String = row.get(1)?;
    let kind = [CreditKind::Credit, CreditKind::Reversal].into_iter().find(|known| known.name() == kind);
    let reason: Option<String> = row.get(12)?;
    let named =
        |name: String| Reason::ALL.into_iter().find(|known| known.name() == name).ok_or_else(|| damaged("an unknown reason"));
    Ok(CreditEvent {
        seq: row.get(0)?,
        kind: kind.ok_or_else(|| damaged("an unknown kind"))?,
        time: Timestamp(row.get(2)?),
        wallet: row.get(3)?,
        txid: parsed(&row.get::<_, String>(4)?)?,
        vout: row.get(5)?,
        address: row.get(6)?,
        amount: Amount::from_base_units(row.get(7)?),
        block: Tip { height: row.get(9)?, hash: parsed::<BlockHash>(&row.get::<_, String>(8)?)? },
        tip_height: row.get(10)?,
        follows: row.get(11)?,
        reason: reason.map(named).transpose()?,
        event: row.get(13)?,
        previous: row.get(14)?,
        hash: row.get(15)?,
    })
}

fn select(tx: &Tx<'_>, condition: &str, parameters: impl Params) -> Result<Vec<CreditEvent>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("{EVENT} {condition}"))?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(event_of(row)?);
    }
    Ok(found)
}

pub(super) fn events(tx: &Tx<'_>, after: u64, limit: usize) -> Result<Vec<CreditEvent>, StoreError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    select(tx, "WHERE seq > ?1 ORDER BY seq LIMIT ?2", params![after, limit])
}

pub(super) fn event(tx: &Tx<'_>, seq: u64) -> Result<Option<CreditEvent>, StoreError> {
    Ok(select(tx, "WHERE seq = ?1", params![i64::try_from(seq).unwrap_or(i64::MAX)])?.pop())
}

/// Of the deposits that this ledger event posted, in the order of their numbers.
pub(super) fn of_event(tx: &Tx<'_>, event: u64) -> Result<Vec<CreditEvent>, StoreError> {
    select(tx, "WHERE event = ?1 ORDER BY seq", [event])
}

/// Of all deposits of a transaction, however often it was posted.
pub(super) fn of_transaction(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Vec<CreditEvent>, StoreError> {
    let posted =
        "WHERE event IN (SELECT event FROM entries WHERE txid = ?1 AND wallet = ?2 AND account = 'deposit') ORDER BY seq";
    select(tx, posted, params![txid.to_string(), wallet])
}

/// Whether a transaction was summed up when the ledger was opened, and taken out of that sum.
pub(super) fn was_summed(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM entries r JOIN entries o ON o.seq = r.reverses
               WHERE r.txid = ?1 AND r.wallet = ?2 AND r.kind = 'reversal' AND o.kind = 'opening')";
    Ok(tx.prepare_cached(sql)?.query_row(params![txid.to_string(), wallet], |row| row.get(0))?)
}

/// Whether somebody may have credited what a ledger event posted: the sum of an adopted wallet, or an output that stands as a deposit, and was not found
/// to come from another wallet of ours.
pub(super) fn is_receipt(tx: &Tx<'_>, event: u64) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM entries e WHERE e.event = ?1 AND (e.kind = 'opening' OR e.account = 'deposit' AND e.vout IS NOT NULL
                   AND NOT EXISTS (SELECT 1 FROM entries m WHERE m.txid = e.txid AND m.wallet = e.wallet AND m.reverses = e.event AND m.vout = e.vout
                                   AND m.kind IN ('transfer', 'claimed', 'explained'))))";
    Ok(tx.prepare_cached(sql)?.query_row([event], |row| row.get(0))?)
}

pub(super) fn wait(tx: &Tx<'_>, wallet: &str, waiting: &Waiting) -> Result<(), StoreError> {
    let Waiting { event, txid, deposit, follows } = waiting;
    let mut statement = tx.prepare_cached(
        "INSERT INTO deposits (event, vout, wallet, txid, address, amount, follows) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let amount = deposit.amount.base_units();
    statement.execute(params![event, deposit.vout, wallet, txid.to_string(), deposit.address, amount, follows])?;
    Ok(())
}

pub(super) fn wait_no_more(tx: &Tx<'_>, waiting: &Waiting) -> Result<(), StoreError> {
    let sql = "DELETE FROM deposits WHERE event = ?1 AND vout = ?2";
    tx.prepare_cached(sql)?.execute(params![waiting.event, waiting.deposit.vout])?;
    Ok(())
}

/// An output turned out to come from another wallet of ours. Returns whether it was credited already.
pub(super) fn withdraw(tx: &Tx<'_>, event: u64, vout: u32) -> Result<bool, StoreError> {
    tx.prepare_cached("DELETE FROM deposits WHERE event = ?1 AND vout = ?2")?.execute(params![event, vout])?;
    let sql = "SELECT EXISTS (SELECT 1 FROM credits WHERE event = ?1 AND vout = ?2)";
    Ok(tx.prepare_cached(sql)?.query_row(params![event, vout], |row| row.get(0))?)
}

/// Whether an output still stands as the deposit that `event` posted, and was not moved to another account.
pub(super) fn is_deposit(tx: &Tx<'_>, wallet: &str, txid: &Txid, event: u64, vout: u32) -> Result<bool, StoreError> {
    let sql = "SELECT coalesce(sum(amount), 0) < 0 FROM entries
               WHERE txid = ?1 AND wallet = ?2 AND event >= ?3 AND vout = ?4 AND account = 'deposit'";
    Ok(tx.prepare_cached(sql)?.query_row(params![txid.to_string(), wallet, event, vout], |row| row.get(0))?)
}

/// What a ledger event posted is not money any more. Returns how many deposits of it waited.
pub(super) fn dismiss(tx: &Tx<'_>, event: u64) -> Result<usize, StoreError> {
    Ok(tx.prepare_cached("DELETE FROM deposits WHERE event = ?1")?.execute([event])?)
}

/// Deposits in a block at `height` or below, and that block, the oldest first. Left out: those of which the wallet changed the amount,
/// whether or not somebody has explained that since.
pub(super) fn due(tx: &Tx<'_>, wallet: &str, height: u64) -> Result<Vec<(Waiting, Tip)>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT d.event, d.vout, d.txid, d.address, d.amount, d.follows, t.block, t.height
         FROM deposits d JOIN transactions t ON t.txid = d.txid AND t.wallet = d.wallet
         WHERE d.wallet = ?1 AND t.event = d.event AND t.state = 'confirmed' AND t.height <= ?2 AND t.net = t.seen_net
           AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.txid = d.txid AND e.wallet = d.wallet AND e.event > d.event
                           AND e.kind = 'explained' AND e.account = 'wallet')
         ORDER BY t.height, d.event, d.vout",
    )?;
    let mut rows = statement.query(params![wallet, height])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let deposit = Deposit { vout: row.get(1)?, address: row.get(3)?, amount: Amount::from_base_units(row.get(4)?) };
        let waiting = Waiting { event: row.get(0)?, txid: parsed(&row.get::<_, String>(2)?)?, deposit, follows: row.get(5)? };
        found.push((waiting, Tip { height: row.get(7)?, hash: parsed(&row.get::<_, String>(6)?)? }));
    }
    Ok(found)
}

/// Takes the address of a deposit that waits as the wallet shows it. Returns the other one that stood there.
pub(super) fn learn_address(tx: &Tx<'_>, event: u64, vout: u32, address: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT address FROM deposits WHERE event = ?1 AND vout = ?2 AND address IS NOT ?3";
    let other: Option<Option<String>> =
        tx.prepare_cached(sql)?.query_row(params![event, vout, address], |row| row.get(0)).optional()?;
    if other.is_some() {
        let sql = "UPDATE deposits SET address = ?3 WHERE event = ?1 AND vout = ?2";
        tx.prepare_cached(sql)?.execute(params![event, vout, address])?;
    }
    Ok(other.flatten())
}

/// An event as it was read again, and what it refers to.
pub(super) struct Read {
    pub(super) event: CreditEvent,
    /// The ledger posted this very deposit.
    pub(super) posted: bool,
    /// What it follows, where that is of the same output; of a reversal, of the same block and amount, too.
    pub(super) followed: Option<CreditKind>,
}

/// Hands over every event, oldest first, until `look` says that it has seen enough.
pub(super) fn each(tx: &Tx<'_>, mut look: impl FnMut(Read) -> Result<bool, StoreError>) -> Result<(), StoreError> {
    let mut statement = tx.prepare(
        "SELECT c.seq, c.kind, c.time_s, c.wallet, c.txid, c.vout, c.address, c.amount, c.block, c.height, c.tip_height, c.follows, c.reason,
                c.event, c.previous, c.hash,
                EXISTS (SELECT 1 FROM entries e WHERE e.event = c.event AND e.account = 'deposit' AND e.vout = c.vout
                        AND e.txid = c.txid AND e.wallet = c.wallet AND e.amount = -c.amount AND e.kind = 'posting'),
                p.kind
         FROM credits c LEFT JOIN credits p ON p.seq = c.follows AND p.wallet = c.wallet AND p.txid = c.txid AND p.vout = c.vout
              AND (c.kind = 'credit' OR (p.block = c.block AND p.amount = c.amount AND p.event = c.event))
         ORDER BY c.seq",
    )?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let followed = row.get::<_, Option<String>>(17)?;
        let followed = followed.map(|kind| if kind == "credit" { CreditKind::Credit } else { CreditKind::Reversal });
        if !look(Read { event: event_of(row)?, posted: row.get(16)?, followed })? {
            break;
        }
    }
    Ok(())
}

/// What waits and is no deposit of the ledger, or does not wait any more, in words.
pub(super) fn stray_wait(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    let stray = "SELECT EXISTS (SELECT 1 FROM deposits d WHERE NOT EXISTS (
                 SELECT 1 FROM entries e WHERE e.event = d.event AND e.account = 'deposit' AND e.vout = d.vout AND e.txid = d.txid
                 AND e.wallet = d.wallet AND e.amount = -d.amount AND e.kind = 'posting'))";
    let over = "SELECT EXISTS (SELECT 1 FROM deposits d WHERE
                NOT EXISTS (SELECT 1 FROM transactions t WHERE t.txid = d.txid AND t.wallet = d.wallet AND t.event = d.event)
                OR EXISTS (SELECT 1 FROM credits c WHERE c.event = d.event AND c.vout = d.vout AND c.kind = 'credit'
                           AND NOT EXISTS (SELECT 1 FROM credits r WHERE r.follows = c.seq)))";
    let found = |sql: &str| tx.query_row(sql, [], |row| row.get::<_, bool>(0));
    Ok(if found(stray)? {
        Some("a deposit waits to be credited that the ledger has not posted".to_owned())
    } else if found(over)? {
        Some("a deposit waits to be credited that is credited already, or was taken back by the ledger".to_owned())
    } else {
        None
    })
}

/// Whether what stands as deposits comes to what is credited and what waits: then nothing is missing from either. Where it does not, something may stand
/// there that is no deposit to be credited. It is not said of an older store, nor where deposits were moved or explained.
pub(super) fn adds_up(tx: &Tx<'_>) -> Result<bool, StoreError> {
    let sql =
        "SELECT since = 0 AND NOT EXISTS (SELECT 1 FROM days WHERE account = 'deposit' AND kind NOT IN ('posting', 'reversal'))
               AND (SELECT coalesce(sum(-amount), 0) FROM balances WHERE account = 'deposit')
               = (SELECT coalesce(sum(amount), 0) FROM deposits)
               + (SELECT coalesce(sum(CASE kind WHEN 'credit' THEN amount ELSE -amount END), 0) FROM credits) FROM credits_head";
    Ok(tx.query_row(sql, [], |row| row.get(0))?)
}

/// The first deposit that stands, and neither waits nor is credited, in words. What is a deposit say the rules; of an older store, those from before there
/// were credits are left out.
pub(super) fn missing(tx: &Tx<'_>) -> Result<Option<String>, StoreError> {
    let stands = "c.kind = 'credit' AND NOT EXISTS (SELECT 1 FROM credits r WHERE r.follows = c.seq)";
    let sql = format!(
        "SELECT e.event, e.txid, e.vout FROM entries e
         WHERE e.seq > (SELECT since FROM credits_head) AND e.kind = 'posting' AND e.account = 'deposit' AND e.category = 'receive'
           AND e.vout IS NOT NULL AND e.amount < 0
           AND NOT EXISTS (SELECT 1 FROM credits c WHERE c.event = e.event AND c.vout = e.vout AND {stands})
           AND NOT EXISTS (SELECT 1 FROM deposits d WHERE d.event = e.event AND d.vout = e.vout)
           AND EXISTS (SELECT 1 FROM transactions t WHERE t.txid = e.txid AND t.wallet = e.wallet AND t.event = e.event)
           -- Of a payment of ours, only what a batch paid.
           AND (NOT EXISTS (SELECT 1 FROM entries s WHERE s.event = e.event AND s.category = 'send')
                OR EXISTS (SELECT 1 FROM entries s WHERE s.event = e.event AND s.category = 'send' AND s.account = 'payout' AND s.vout = e.vout))
           -- Receipts that cannot be told apart.
           AND NOT EXISTS (SELECT 1 FROM entries o WHERE o.event = e.event AND o.seq <> e.seq AND o.category = 'receive' AND o.vout = e.vout)
           -- Moved away from the deposits, this very output.
           AND NOT EXISTS (SELECT 1 FROM entries m WHERE m.txid = e.txid AND m.wallet = e.wallet AND m.reverses = e.event AND m.vout = e.vout)
           -- Summed up when the ledger was opened.
           AND NOT EXISTS (SELECT 1 FROM entries r JOIN entries o ON o.seq = r.reverses
                           WHERE r.txid = e.txid AND r.wallet = e.wallet AND r.kind = 'reversal' AND o.kind = 'opening')
           -- Credited by another event of its transaction.
           AND NOT EXISTS (SELECT 1 FROM entries p JOIN credits c ON c.event = p.event AND c.vout = e.vout
                           WHERE p.txid = e.txid AND p.wallet = e.wallet AND p.account = 'deposit' AND {stands})
         ORDER BY e.seq LIMIT 1"
    );
    let words = |row: &Row<'_>| {
        let (event, txid, vout): (u64, String, u32) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(format!(
            "output {vout} of transaction {txid}, a deposit that event {event} posted, neither waits to be credited nor is credited"
        ))
    };
    Ok(tx.query_row(&sql, [], words).optional()?)
}

/// What somebody with the file in hand could do to the event of a number.
#[cfg(test)]
pub(super) const DAMAGES: [&str; 17] = [
    "DELETE FROM credits WHERE seq = ?1",
    "DELETE FROM credits WHERE seq >= ?1",
    "UPDATE credits SET amount = amount + 1 WHERE seq = ?1",
    "UPDATE credits SET txid = 'ab' || substr(hash, 3) WHERE seq = ?1",
    "UPDATE credits SET time_s = time_s + 1 WHERE seq = ?1",
    "UPDATE credits SET address = coalesce(address, '') || 'x' WHERE seq = ?1",
    "UPDATE credits SET address = coalesce(address, '') || char(0) || 'x' WHERE seq = ?1",
    "UPDATE credits SET vout = vout + 1 WHERE seq = ?1",
    "UPDATE credits SET height = height + 1 WHERE seq = ?1",
    "UPDATE credits SET hash = upper(hash) WHERE seq = ?1 AND hash <> upper(hash)",
    // It changes places with its neighbour.
    "UPDATE credits SET seq = -seq WHERE seq IN (max(?1, 2) - 1, max(?1, 2));
     UPDATE credits SET seq = 2 * max(?1, 2) - 1 + seq WHERE seq < 0",
    "UPDATE credits_head SET outstanding = outstanding + 1",
    "UPDATE credits_head SET last_reversal_s = coalesce(last_reversal_s, 0) + 1",
    "UPDATE credits_head SET seq = seq - 1",
    "INSERT OR IGNORE INTO deposits (event, vout, wallet, txid, amount) SELECT event + 1, 99, wallet, txid, 5 FROM credits WHERE seq = ?1",
    // Another one, before the first.
    "INSERT INTO credits SELECT -seq, kind, time_s, wallet, txid, vout, address, amount, block, height, tip_height, NULL, reason, event + 1000000, previous, hash
     FROM credits WHERE seq = ?1",
    // It waits once more.
    "INSERT OR IGNORE INTO deposits (event, vout, wallet, txid, amount) SELECT event, vout, wallet, txid, amount FROM credits WHERE seq = ?1",
];

/// What somebody could do to the deposits that wait.
#[cfg(test)]
pub(super) const WAITING_DAMAGES: [&str; 4] = [
    "DELETE FROM deposits WHERE event = ?1",
    "DELETE FROM deposits",
    "UPDATE deposits SET amount = amount - 1 WHERE event = ?1",
    "UPDATE OR IGNORE deposits SET vout = vout + 1 WHERE event = ?1",
];

/// Other addresses for the deposits that wait.
#[cfg(test)]
pub(super) const OTHER_ADDRESSES: [&str; 2] =
    ["UPDATE deposits SET address = 'another one'", "UPDATE deposits SET address = NULL"];

/// Does it, past triggers and checks, and leaves them as they were. Returns whether it changed anything.
#[cfg(test)]
pub(super) fn tamper(tx: &Tx<'_>, damage: &str, number: u64) -> Result<bool, StoreError> {
    tx.execute_batch("PRAGMA ignore_check_constraints = 1")?;
    let before = tx.total_changes();
    crate::ledger::chronicle::tamper(tx, &damage.replace("?1", &number.to_string()))?;
    Ok(tx.total_changes() > before)
}

/// Tries to change and to delete, with the triggers in force.
#[cfg(test)]
pub(super) fn meddle(tx: &Tx<'_>, delete: bool) -> Result<usize, StoreError> {
    Ok(tx.execute(if delete { "DELETE FROM credits" } else { "UPDATE credits SET amount = 1" }, [])?)
}

/// Does once more what the migration does to an older store. Returns the deposits that wait before and after it: event and output.
#[cfg(test)]
pub(super) fn carry_over(tx: &Tx<'_>) -> Result<[Vec<(u64, u32)>; 2], StoreError> {
    let migration = include_str!("../../store/migrations/0005_credits.sql");
    let (_, carried) =
        migration.split_once("INSERT INTO deposits").ok_or_else(|| damaged("the migration carries nothing over"))?;
    let (carried, _) = carried.split_once(';').ok_or_else(|| damaged("the migration carries nothing over"))?;
    let before = waiting(tx)?;
    tx.execute_batch(&format!("DELETE FROM deposits; INSERT INTO deposits{carried}"))?;
    Ok([before, waiting(tx)?])
}

/// The deposits that wait: event and output.
#[cfg(test)]
pub(super) fn waiting(tx: &Tx<'_>) -> Result<Vec<(u64, u32)>, StoreError> {
    let mut statement = tx.prepare("SELECT event, vout FROM deposits ORDER BY event, vout")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Their addresses.
#[cfg(test)]
pub(super) fn waiting_addresses(tx: &Tx<'_>) -> Result<Vec<Option<String>>, StoreError> {
    let mut statement = tx.prepare("SELECT address FROM deposits ORDER BY event, vout")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Makes it a store of before there were credits, upgraded now, in which everything is final.
#[cfg(test)]
pub(super) fn upgraded_now(tx: &Tx<'_>) -> Result<(), StoreError> {
    tx.execute_batch("DELETE FROM deposits; UPDATE credits_head SET since = (SELECT seq FROM ledger_head)")?;
    Ok(())
}
