//! The triggers that add up, and their sums.

use rusqlite::params;

use crate::store::{StoreError, Tx};

/// What the schema does with each new row by itself.
const TRIGGERS: [&str; 7] = [
    "entries_follow_the_head",
    "entries_are_summed",
    "entries_are_summed_by_day",
    "transactions_are_counted",
    "credits_follow_the_head",
    "credits_follow_their_own",
    "credits_move_the_head",
];

/// Takes them away. Returns how to make them anew.
pub(super) fn suspend(tx: &Tx<'_>) -> Result<Vec<String>, StoreError> {
    let mut statement = tx.prepare_cached("SELECT sql FROM main.sqlite_schema WHERE type = 'trigger' AND name = ?1")?;
    let texts = TRIGGERS.iter().map(|name| statement.query_row([name], |row| row.get(0)));
    let texts = texts.collect::<Result<Vec<String>, _>>()?;
    TRIGGERS.iter().try_for_each(|name| tx.execute_batch(&format!("DROP TRIGGER main.{name}")))?;
    Ok(texts)
}

pub(super) fn restore(tx: &Tx<'_>, triggers: &[String]) -> Result<(), StoreError> {
    Ok(triggers.iter().try_for_each(|text| tx.execute_batch(text))?)
}

/// Does for all rows above both heads at once what the triggers do with each. A sum beyond 64 bits fails, as it does there.
pub(super) fn add_up(tx: &Tx<'_>, wallet: &str, followed: u64) -> Result<(), StoreError> {
    for (table, head) in [("entries", "ledger_head"), ("credits", "credits_head")] {
        // No row is missing, and each follows the one before it.
        let broken = format!(
            "SELECT EXISTS (
                 SELECT 1 FROM {head} AS head CROSS JOIN {table} AS new ON new.seq > head.seq LEFT JOIN {table} AS old ON old.seq = new.seq - 1
                 WHERE new.previous IS NOT CASE new.seq - 1 WHEN head.seq THEN head.hash ELSE old.hash END)"
        );
        if tx.prepare_cached(&broken)?.query_row([], |row| row.get(0))? {
            return Err(StoreError::Damaged(format!("table {table}: a new row does not follow the one before it")));
        }
    }
    if tx.prepare_cached(ASTRAY)?.query_row([], |row| row.get(0))? {
        return Err(StoreError::Damaged(
            "table credits: a new row follows another output's, or none of the other kind".to_owned(),
        ));
    }
    let count = "INSERT INTO followed_counts VALUES (?1, ?2) ON CONFLICT DO UPDATE SET transactions = transactions + ?2";
    tx.prepare_cached(count)?.execute(params![wallet, followed])?;
    Ok(tx.execute_batch(SUMS)?)
}

const ASTRAY: &str = "
SELECT EXISTS (
    SELECT 1 FROM credits_head AS head CROSS JOIN credits AS new ON new.seq > head.seq AND new.follows IS NOT NULL
    WHERE NOT EXISTS (SELECT 1 FROM credits AS old WHERE old.seq = new.follows AND old.kind <> new.kind AND old.wallet = new.wallet
                      AND old.txid = new.txid AND old.vout = new.vout))";

const SUMS: &str = "
INSERT INTO balances (wallet, account, amount)
SELECT wallet, account, sum(amount) FROM entries WHERE seq > (SELECT seq FROM ledger_head) GROUP BY wallet, account
ON CONFLICT (wallet, account) DO UPDATE SET amount = amount + excluded.amount;

INSERT INTO days
SELECT time_s / 86400, wallet, account, kind, sum(amount), count(*), max(seq) FROM entries WHERE seq > (SELECT seq FROM ledger_head)
GROUP BY 1, 2, 3, 4
ON CONFLICT DO UPDATE SET amount = amount + excluded.amount, entries = entries + excluded.entries, last_seq = excluded.last_seq;

UPDATE ledger_head SET (seq, hash) = (SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1)
WHERE seq < (SELECT max(seq) FROM entries);

UPDATE credits_head SET (seq, hash) = (SELECT seq, hash FROM credits ORDER BY seq DESC LIMIT 1),
    reversals = credits_head.reversals + added.reversals, outstanding = credits_head.outstanding + added.outstanding,
    last_reversal_s = coalesce(added.last_reversal_s, credits_head.last_reversal_s)
FROM (SELECT count(*) AS events, coalesce(sum(kind = 'reversal'), 0) AS reversals,
             coalesce(sum((kind = 'reversal') - (kind = 'credit' AND follows IS NOT NULL)), 0) AS outstanding,
             (SELECT time_s FROM credits WHERE kind = 'reversal' AND seq > head.seq ORDER BY seq DESC LIMIT 1) AS last_reversal_s
      FROM credits_head AS head JOIN credits ON credits.seq > head.seq) AS added
WHERE added.events > 0;";

/// All that the schema says, and in which words.
#[cfg(test)]
pub(super) fn schema(tx: &Tx<'_>) -> Result<Vec<(String, Option<String>)>, StoreError> {
    let mut statement = tx.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many transactions are counted, and how many there are.
#[cfg(test)]
pub(super) fn counts(tx: &Tx<'_>) -> Result<[u64; 2], StoreError> {
    let count = |sql| tx.query_row(sql, [], |row| row.get(0));
    Ok([count("SELECT sum(transactions) FROM followed_counts")?, count("SELECT count(*) FROM transactions")?])
}
