//! The ledger's tables.

use std::fmt::Display;
use std::str::FromStr;

use rusqlite::{OptionalExtension, Row, params};

use super::canonical;
use super::rules::{DOUBTFUL_FEE, Leg};
use super::{Account, Claim, Followed, Kind, Posting, TxState};
use crate::coin::{Amount, Timestamp, Txid};
use crate::daemon::Tip;
use crate::store::{StoreError, Tx};

/// What an event says besides its postings.
#[derive(Clone, Debug)]
pub(super) struct Event<'a> {
    pub(super) wallet: &'a str,
    pub(super) time: Timestamp,
    pub(super) kind: Kind,
    pub(super) txid: Option<Txid>,
    pub(super) block: Option<Tip>,
    pub(super) reverses: Option<u64>,
    pub(super) note: Option<String>,
}

fn damaged(table: &str, what: impl Display) -> StoreError {
    StoreError::Damaged(format!("table {table}: {what}"))
}

pub(super) fn account_named(name: &str) -> Result<Account, StoreError> {
    Account::from_name(name).ok_or_else(|| damaged("entries", format!("no account is named '{name}'")))
}

pub(super) fn kind_named(name: &str) -> Result<Kind, StoreError> {
    Kind::from_name(name).ok_or_else(|| damaged("entries", format!("no kind is named '{name}'")))
}

pub(super) fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, StoreError> {
    text.parse().map_err(|error| damaged("entries", error))
}

pub(super) fn place(block: Option<String>, height: Option<u64>) -> Result<Option<Tip>, StoreError> {
    match (block, height) {
        (Some(block), Some(height)) => Ok(Some(Tip { height, hash: parsed(&block)? })),
        _ => Ok(None),
    }
}

pub(super) fn head(tx: &Tx<'_>) -> Result<(u64, String), StoreError> {
    Ok(tx.prepare_cached("SELECT seq, hash FROM ledger_head")?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// What the next posting follows: the head, or, while sums are put off (`summing`), the newest above it.
fn newest(tx: &Tx<'_>) -> Result<(u64, String), StoreError> {
    let sql = "SELECT seq, hash FROM (SELECT seq, hash FROM entries WHERE seq > (SELECT seq FROM ledger_head) ORDER BY seq DESC LIMIT 1)
               UNION ALL SELECT seq, hash FROM ledger_head LIMIT 1";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?)
}

/// Adds an event. Refuses postings that do not sum to zero.
pub(super) fn append(tx: &Tx<'_>, event: &Event<'_>, legs: &[Leg]) -> Result<u64, StoreError> {
    let sum = Amount::sum(legs.iter().map(|leg| leg.amount)).map_err(|error| damaged("entries", error))?;
    if legs.is_empty() || sum != Amount::ZERO {
        return Err(damaged("entries", format!("the postings of an event must sum to zero: {legs:?}")));
    }
    let (mut seq, mut previous) = newest(tx)?;
    let number = seq + 1;
    for leg in legs {
        seq += 1;
        let mut posting = Posting {
            seq,
            event: number,
            time: event.time,
            wallet: event.wallet.to_owned(),
            account: leg.account,
            txid: event.txid,
            vout: leg.vout,
            category: leg.category.map(str::to_owned),
            block: event.block,
            amount: leg.amount,
            kind: event.kind,
            reverses: event.reverses,
            note: event.note.clone(),
            previous,
            hash: String::new(),
        };
        posting.hash = canonical::hash(&posting)?;
        insert_posting(tx, &posting)?;
        previous = posting.hash;
    }
    Ok(number)
}

fn insert_posting(tx: &Tx<'_>, posting: &Posting) -> Result<(), StoreError> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO entries (seq, event, time_s, wallet, account, txid, vout, category, block, height, amount, kind, reverses, note,
         previous, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
    )?;
    statement.execute(params![
        posting.seq,
        posting.event,
        posting.time.0,
        posting.wallet,
        posting.account.name(),
        posting.txid.map(|txid| txid.to_string()),
        posting.vout,
        posting.category,
        posting.block.map(|block| block.hash.to_string()),
        posting.block.map(|block| block.height),
        posting.amount.base_units(),
        posting.kind.name(),
        posting.reverses,
        posting.note,
        posting.previous,
        posting.hash
    ])?;
    Ok(())
}

fn posting(row: &Row<'_>) -> Result<Posting, StoreError> {
    let txid: Option<String> = row.get(5)?;
    Ok(Posting {
        seq: row.get(0)?,
        event: row.get(1)?,
        time: Timestamp(row.get(2)?),
        wallet: row.get(3)?,
        account: account_named(row.get_ref(4)?.as_str().map_err(|error| damaged("entries", error))?)?,
        txid: txid.as_deref().map(parsed).transpose()?,
        vout: row.get(6)?,
        category: row.get(7)?,
        block: place(row.get(8)?, row.get(9)?)?,
        amount: Amount::from_base_units(row.get(10)?),
        kind: kind_named(row.get_ref(11)?.as_str().map_err(|error| damaged("entries", error))?)?,
        reverses: row.get(12)?,
        note: row.get(13)?,
        previous: row.get(14)?,
        hash: row.get(15)?,
    })
}

const POSTING: &str =
    "SELECT seq, event, time_s, wallet, account, txid, vout, category, block, height, amount, kind, reverses, note,
                       previous, hash FROM entries";

pub(super) fn postings(tx: &Tx<'_>, after: u64, limit: usize) -> Result<Vec<Posting>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("{POSTING} WHERE seq > ?1 ORDER BY seq LIMIT ?2"))?;
    let [after, limit] = [i64::try_from(after), i64::try_from(limit)].map(|number| number.unwrap_or(i64::MAX));
    let mut rows = statement.query([after, limit])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(posting(row)?);
    }
    Ok(found)
}

/// Those of one transaction, oldest first.
pub(super) fn postings_of(tx: &Tx<'_>, txid: &Txid, limit: usize) -> Result<Vec<Posting>, StoreError> {
    let mut statement = tx.prepare_cached(&format!("{POSTING} WHERE txid = ?1 ORDER BY seq LIMIT ?2"))?;
    let mut rows = statement.query(params![txid.to_string(), i64::try_from(limit).unwrap_or(i64::MAX)])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(posting(row)?);
    }
    Ok(found)
}

pub(super) fn kind_of(tx: &Tx<'_>, event: u64) -> Result<Kind, StoreError> {
    kind_named(&tx.query_row("SELECT kind FROM entries WHERE event = ?1 LIMIT 1", [event], |row| row.get::<_, String>(0))?)
}

/// What stands for a transaction of a wallet since `event`, per account.
pub(super) fn standing(tx: &Tx<'_>, wallet: &str, txid: &Txid, event: u64) -> Result<Vec<(Account, Amount)>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT account, sum(amount) FROM entries WHERE txid = ?1 AND wallet = ?2 AND event >= ?3 GROUP BY account HAVING sum(amount) <> 0
         ORDER BY account",
    )?;
    let mut rows = statement.query(params![txid.to_string(), wallet, event])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((account_named(&row.get::<_, String>(0)?)?, Amount::from_base_units(row.get(1)?)));
    }
    Ok(found)
}

/// What the wallet calls the fee of a transaction, and was posted as unexplained.
pub(super) fn doubtful_fee(tx: &Tx<'_>, wallet: &str, followed: &Followed) -> Result<Amount, StoreError> {
    let sql = "SELECT coalesce(sum(amount), 0) FROM entries
               WHERE txid = ?1 AND wallet = ?2 AND event = ?3 AND account = 'unexplained' AND category = ?4";
    let values = params![followed.txid.to_string(), wallet, followed.event, DOUBTFUL_FEE];
    Ok(Amount::from_base_units(tx.prepare_cached(sql)?.query_row(values, |row| row.get(0))?))
}

/// Whether a transaction of a wallet has a posting from that time or before.
pub(super) fn posted_until(tx: &Tx<'_>, wallet: &str, txid: &Txid, until: Timestamp) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM entries WHERE txid = ?1 AND wallet = ?2 AND time_s <= ?3)";
    Ok(tx.prepare_cached(sql)?.query_row(params![txid.to_string(), wallet, until.0], |row| row.get(0))?)
}

pub(super) fn balance(tx: &Tx<'_>, wallet: &str, account: Account) -> Result<Amount, StoreError> {
    let mut statement = tx.prepare_cached("SELECT amount FROM balances WHERE wallet = ?1 AND account = ?2")?;
    let amount = statement.query_row([wallet, account.name()], |row| row.get(0)).optional()?;
    Ok(amount.map_or(Amount::ZERO, Amount::from_base_units))
}

/// What stands against an account of a wallet by transaction. Written into the text: `unexplained` and `internal` have an index of their own each.
pub(super) fn outstanding(tx: &Tx<'_>, wallet: &str, account: Account) -> Result<Vec<(Txid, Amount)>, StoreError> {
    let account = account.name();
    let mut statement = tx.prepare_cached(&format!(
        "SELECT txid, sum(amount) FROM entries WHERE account = '{account}' AND wallet = ?1 GROUP BY txid HAVING sum(amount) <> 0
         ORDER BY txid",
    ))?;
    let mut rows = statement.query([wallet])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push((parsed(&row.get::<_, String>(0)?)?, Amount::from_base_units(row.get(1)?)));
    }
    Ok(found)
}

fn state_of(state: &str, block: Option<Tip>) -> Result<TxState, StoreError> {
    match (state, block) {
        ("confirmed", Some(Tip { height, hash })) => Ok(TxState::Confirmed { height, block: hash }),
        ("immature", Some(Tip { height, hash })) => Ok(TxState::Immature { height, block: hash }),
        ("mempool", None) => Ok(TxState::Mempool),
        ("limbo", None) => Ok(TxState::Limbo),
        ("pending", None) => Ok(TxState::Pending),
        ("dead", None) => Ok(TxState::Dead),
        (other, _) => Err(damaged("transactions", format!("state '{other}' does not fit its block"))),
    }
}

fn state_parts(state: &TxState) -> (&'static str, Option<Tip>) {
    match *state {
        TxState::Confirmed { height, block } => ("confirmed", Some(Tip { height, hash: block })),
        TxState::Immature { height, block } => ("immature", Some(Tip { height, hash: block })),
        TxState::Mempool => ("mempool", None),
        TxState::Limbo => ("limbo", None),
        TxState::Pending => ("pending", None),
        TxState::Dead => ("dead", None),
    }
}

fn followed_row(row: &Row<'_>) -> Result<Followed, StoreError> {
    let state: String = row.get(1)?;
    Ok(Followed {
        txid: parsed(&row.get::<_, String>(0)?)?,
        state: state_of(&state, place(row.get(2)?, row.get(3)?)?)?,
        net: Amount::from_base_units(row.get(4)?),
        seen_net: Amount::from_base_units(row.get(5)?),
        own: row.get(6)?,
        event: row.get(7)?,
        is_final: row.get(8)?,
        comment: row.get(9)?,
    })
}

pub(super) fn select_followed(
    tx: &Tx<'_>,
    condition: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<Followed>, StoreError> {
    let mut statement = tx.prepare_cached(&format!(
        "SELECT txid, state, block, height, net, seen_net, own, event, final, comment FROM transactions {condition}"
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(followed_row(row)?);
    }
    Ok(found)
}

pub(super) fn followed(tx: &Tx<'_>, wallet: &str) -> Result<Vec<Followed>, StoreError> {
    select_followed(tx, "WHERE wallet = ?1 ORDER BY txid", [wallet])
}

pub(super) fn followed_by_txid(tx: &Tx<'_>, wallet: &str, txid: &Txid) -> Result<Option<Followed>, StoreError> {
    Ok(select_followed(tx, "WHERE txid = ?1 AND wallet = ?2", params![txid.to_string(), wallet])?.pop())
}

pub(super) fn followed_by_comment(tx: &Tx<'_>, wallet: &str, comment: &str) -> Result<Vec<Followed>, StoreError> {
    select_followed(tx, "WHERE comment = ?1 AND wallet = ?2 ORDER BY txid", [comment, wallet])
}

pub(super) fn not_final(tx: &Tx<'_>, wallet: &str) -> Result<Vec<Followed>, StoreError> {
    select_followed(tx, "WHERE wallet = ?1 AND final = 0 ORDER BY txid", [wallet])
}

/// At most `limit` final transactions in blocks above `height`, the newest block first, that come after this one. The genesis block, at 0, holds none.
pub(super) fn final_above(
    tx: &Tx<'_>,
    wallet: &str,
    height: u64,
    after: Option<(u64, Txid)>,
    limit: usize,
) -> Result<Vec<Followed>, StoreError> {
    let (at, txid) = after.map_or((i64::MAX as u64, String::new()), |(height, txid)| (height, txid.to_string()));
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let condition = "WHERE wallet = ?1 AND final = 1 AND height > ?2 AND (height, txid) < (?3, ?4)
                     ORDER BY height DESC, txid DESC LIMIT ?5";
    select_followed(tx, condition, params![wallet, height, at, txid, limit])
}

/// Writes where a transaction stands. A comment once known is kept, and so is that it was astray.
pub(super) fn put_followed(tx: &Tx<'_>, wallet: &str, followed: &Followed, stray: bool) -> Result<(), StoreError> {
    let (state, block) = state_parts(&followed.state);
    let mut statement = tx.prepare_cached(
        "INSERT INTO transactions (txid, wallet, state, block, height, net, seen_net, own, event, final, comment, stray)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (txid, wallet) DO UPDATE SET state = excluded.state, block = excluded.block, height = excluded.height,
         net = excluded.net, seen_net = excluded.seen_net, own = excluded.own, event = excluded.event, final = excluded.final,
         comment = coalesce(comment, excluded.comment), stray = max(stray, excluded.stray)",
    )?;
    statement.execute(params![
        followed.txid.to_string(),
        wallet,
        state,
        block.map(|block| block.hash.to_string()),
        block.map(|block| block.height),
        followed.net.base_units(),
        followed.seen_net.base_units(),
        followed.own,
        followed.event,
        followed.is_final,
        followed.comment,
        stray
    ])?;
    Ok(())
}

pub(super) fn insert_claim(tx: &Tx<'_>, claim: &Claim) -> Result<(), StoreError> {
    let account = claim.account.name();
    tx.execute(
        "INSERT INTO claims (mark, \"order\", account) VALUES (?1, ?2, ?3) ON CONFLICT (mark) DO NOTHING",
        params![claim.mark, claim.order, account],
    )?;
    let (order, kept): (String, String) =
        tx.query_row("SELECT \"order\", account FROM claims WHERE mark = ?1", [&claim.mark], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if (order.as_str(), kept.as_str()) != (claim.order.as_str(), account) {
        return Err(damaged("claims", format!("mark '{}' belongs to order {order} already", claim.mark)));
    }
    Ok(())
}

/// Binds a txid to an order; where a wallet is given, in that one alone. What stands under a name of our own (an adopted payment, the opening) yields: an order
/// knows better what it paid. What two wallets have from before bursar is so in both.
pub(super) fn insert_claim_txid(tx: &Tx<'_>, order: &str, txid: &Txid, wallet: Option<&str>) -> Result<(), StoreError> {
    let txid = txid.to_string();
    tx.execute(
        "INSERT INTO claim_txids (txid, \"order\", wallet) VALUES (?1, ?2, ?3)
         ON CONFLICT (txid) DO UPDATE SET \"order\" = excluded.\"order\",
             wallet = iif(\"order\" = excluded.\"order\" AND wallet IS NOT excluded.wallet, NULL, excluded.wallet)
         WHERE \"order\" LIKE 'bursar:%'",
        params![txid, order, wallet],
    )?;
    let kept: String = tx.query_row("SELECT \"order\" FROM claim_txids WHERE txid = ?1", [&txid], |row| row.get(0))?;
    if kept != order {
        let words = format!("transaction {txid} belongs to order {kept} already: it cannot be another one's, too");
        return Err(damaged("claim_txids", words));
    }
    Ok(())
}

/// The account that an order's payments are posted against.
pub(super) fn account_of(tx: &Tx<'_>, order: &str) -> Result<Option<Account>, StoreError> {
    let account: Option<String> =
        tx.query_row("SELECT account FROM claims WHERE \"order\" = ?1 LIMIT 1", [order], |row| row.get(0)).optional()?;
    account.as_deref().map(account_named).transpose()
}

/// What a transaction of a wallet was claimed by: an order, by its comment, compared whole, or by its txid; or else a person's word about this wallet.
pub(super) fn claim_of(tx: &Tx<'_>, wallet: &str, txid: &Txid, comment: Option<&str>) -> Result<Option<Claim>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT mark, \"order\", account FROM claims WHERE mark = ?1
         UNION ALL SELECT mark, \"order\", account FROM claims JOIN claim_txids b USING (\"order\")
                   WHERE txid = ?2 AND coalesce(b.wallet, ?3) = ?3
         UNION ALL SELECT ?4 || txid, ?4 || txid, account FROM words WHERE txid = ?2 AND wallet = ?3 LIMIT 1",
    )?;
    let mut rows = statement.query(params![comment, txid.to_string(), wallet, Claim::PERSONS_WORD])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let account = account_named(&row.get::<_, String>(2)?)?;
    Ok(Some(Claim { mark: row.get(0)?, order: row.get(1)?, account }))
}

/// Marks of transactions that were astray when they came, and that no claim knows to this day.
pub(super) fn stray_marks(tx: &Tx<'_>, wallet: &str) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.prepare_cached(
        "SELECT DISTINCT comment FROM transactions WHERE wallet = ?1 AND stray = 1 AND comment NOT IN (SELECT mark FROM claims)
         ORDER BY comment",
    )?;
    let marks = statement.query_map([wallet], |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok(marks)
}

/// What somebody with the file in hand could do to the row of a seq.
#[cfg(test)]
pub(super) const DAMAGES: [&str; 28] = [
    "DELETE FROM entries WHERE seq = ?1",
    "DELETE FROM entries WHERE event = (SELECT event FROM entries WHERE seq = ?1)",
    "DELETE FROM entries WHERE seq >= ?1",
    "UPDATE entries SET amount = amount + 1 WHERE seq = ?1",
    "UPDATE entries SET txid = 'ab' || substr(coalesce(txid, hash), 3) WHERE seq = ?1 AND coalesce(txid, '') NOT LIKE 'ab%'",
    "UPDATE entries SET time_s = time_s + 1 WHERE seq = ?1",
    "UPDATE entries SET account = CASE account WHEN 'payout' THEN 'internal' ELSE 'payout' END WHERE seq = ?1",
    "UPDATE entries SET hash = previous WHERE seq = ?1",
    "UPDATE balances SET amount = amount + 1 WHERE account = (SELECT account FROM entries WHERE seq = ?1)",
    "UPDATE entries SET note = coalesce(note, '') || ' ' WHERE seq = ?1",
    "UPDATE entries SET vout = coalesce(vout + 1, 0) WHERE seq = ?1",
    "UPDATE entries SET hash = upper(hash) WHERE seq = ?1",
    // It changes places with its neighbour.
    "UPDATE entries SET seq = -seq WHERE seq IN (max(?1, 2) - 1, max(?1, 2));
     UPDATE entries SET seq = 2 * max(?1, 2) - 1 + seq WHERE seq < 0",
    "UPDATE days SET amount = amount + 1 WHERE day = (SELECT time_s / 86400 FROM entries WHERE seq = ?1)",
    // A transaction points to another one's event.
    "UPDATE transactions SET event = (SELECT event FROM entries e WHERE e.seq = ?1)
     WHERE txid = (SELECT t.txid FROM transactions t, entries e WHERE e.seq = ?1 AND t.event IS NOT NULL AND t.txid <> e.txid LIMIT 1)",
    "UPDATE entries SET category = coalesce(category, '') || 'x' WHERE seq = ?1",
    "UPDATE entries SET block = hash, height = coalesce(height, 0) WHERE seq = ?1",
    "UPDATE entries SET height = height + 1 WHERE seq = ?1 AND height IS NOT NULL",
    "UPDATE entries SET kind = CASE kind WHEN 'posting' THEN 'opening' ELSE 'posting' END WHERE seq = ?1",
    "UPDATE entries SET reverses = 0 WHERE seq = ?1",
    "UPDATE entries SET previous = hash WHERE seq = ?1",
    "UPDATE entries SET event = event + 1 WHERE seq = ?1",
    // One of both alone.
    "UPDATE entries SET height = 7 WHERE seq = ?1 AND block IS NULL",
    "UPDATE entries SET block = NULL WHERE seq = ?1 AND block IS NOT NULL",
    // Behind where SQLite's own functions read a text to.
    "UPDATE entries SET note = coalesce(note, '') || char(0) || 'x' WHERE seq = ?1",
    "UPDATE entries SET block = block || char(0) || 'x' WHERE seq = ?1 AND block IS NOT NULL",
    // The opposite of a row, before the first one.
    "INSERT INTO entries SELECT -seq, event, time_s, wallet, account, txid, vout, category, block, height, -amount, kind, reverses, note, previous, hash
     FROM entries WHERE seq = ?1",
    // A transaction that no event stands for any more.
    "UPDATE transactions SET event = -event WHERE event = (SELECT event FROM entries WHERE seq = ?1)",
];

/// Does it, past triggers and checks, and leaves them as they were. Returns whether it changed anything.
#[cfg(test)]
pub(super) fn tamper(tx: &Tx<'_>, damage: usize, seq: u64) -> Result<bool, StoreError> {
    tx.execute_batch("PRAGMA ignore_check_constraints = 1")?;
    let before = tx.total_changes();
    super::chronicle::tamper(tx, &DAMAGES[damage].replace("?1", &seq.to_string()))?;
    Ok(tx.total_changes() > before)
}

/// Tries to change and to delete, with the triggers in force.
#[cfg(test)]
pub(super) fn meddle(tx: &Tx<'_>, delete: bool) -> Result<usize, StoreError> {
    Ok(tx.execute(if delete { "DELETE FROM entries" } else { "UPDATE entries SET amount = 0" }, [])?)
}
